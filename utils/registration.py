"""Whether the two images of a pair lie on each other: the shift between them by phase correlation of their edges."""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import fft

TOLERANCE = 3.0  # pixels; registered pairs may be off by as much, and reduced images show no less
REACH = 20.0  # pixels; the largest shift that is looked for
CONFIDENCE = 5.5  # standard deviations by which the best shift's peak must exceed the best peak within the tolerance
LONG_SIDE = 384  # pixels; larger images are reduced, which keeps the check at about 15 ms a pair
SHORT_SIDE = 96  # pixels; smaller images have too few edges to tell a shift from chance


@dataclass(frozen=True)
class Shift:
    """How far the infrared image lies from the visible one, in pixels: `right` of it and `down` from it."""

    right: float
    down: float

    def __str__(self) -> str:
        parts = [f"{abs(length):.0f} {way}" for length, way in (
            (self.right, "to the right" if self.right > 0 else "to the left"),
            (self.down, "down" if self.down > 0 else "up")) if round(length)]  # fmt: skip
        return f"by about {np.hypot(self.right, self.down):.0f} pixels ({', '.join(parts)})"


def misalignment(vis: np.ndarray, ir: np.ndarray) -> Shift | None:
    """The shift between two grey uint8 images (H, W) of one scene, or None where they seem to lie on each other.

    What the two sensors have in common is where edges run, not how strong they are or which side is bright. So each
    gradient counts with the square root of its strength and twice its angle, which is the same for both signs. The
    cross-power spectrum is half whitened and smoothed; its transform peaks at the shift. Rotation, scale and parallax
    are not modelled: they show as the shift of the largest part, or not at all.
    """
    height, width = vis.shape
    scale = min(1.0, LONG_SIDE / max(height, width))
    size = (round(width * scale), round(height * scale))
    if min(height, width) < SHORT_SIDE or min(size) < SHORT_SIDE // 2:
        return None
    window = cv2.createHanningWindow(size, cv2.CV_32F)
    spectra = [fft.fft2(orientation(cv2.resize(image, size, interpolation=cv2.INTER_AREA)) * window)
               for image in (vis, ir)]  # fmt: skip
    cross = spectra[0].conj() * spectra[1]
    rows, columns = (np.fft.fftfreq(length)[:, None] ** 2 for length in size[::-1])
    smooth = np.exp(-2 * np.pi**2 * (rows + columns.T)).astype(np.float32)
    strength = np.sqrt(np.abs(cross))
    surface = fft.ifft2(cross / (strength + 1e-12) * smooth).real
    return _judge(fft.fftshift(surface), scale)


def orientation(image: np.ndarray) -> np.ndarray:
    """Gradients of a grey image as complex numbers of half strength (a root) and double angle, (H, W) complex64."""
    image = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1)
    gradient = cv2.Sobel(image, -1, 1, 0) + 1j * cv2.Sobel(image, -1, 0, 1)
    return gradient**2 / (np.abs(gradient) + 1e-3) ** 1.5


def _judge(surface: np.ndarray, scale: float) -> Shift | None:
    """The shift at the highest peak, if it stands clear of every peak within the tolerance."""
    centre = [length // 2 for length in surface.shape]
    reach = int(REACH * scale)
    near = surface[tuple(slice(middle - reach, middle + reach + 1) for middle in centre)]
    down, right = np.mgrid[-reach : reach + 1, -reach : reach + 1] / scale
    lead = near.max() - near[np.hypot(down, right) <= TOLERANCE].max()
    if lead <= CONFIDENCE * surface.std():
        return None
    peak = np.unravel_index(near.argmax(), near.shape)
    return Shift(float(right[peak]), float(down[peak]))
