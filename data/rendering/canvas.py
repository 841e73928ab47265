"""The canvas of the rendered scenes: a pinhole camera over a flat ground, and layers painted from far to near."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from data.rendering.shapes import Colour, linear

OVERSAMPLING = 2  # painted at twice the size and with smooth edges, averaged down at the end
FOCAL = 1.0  # in units of sqrt(height * width): about 60 degrees across at 4:3
FAR = 1000.0  # metres; the depth of the sky
ALBEDO, GLOW, HEAT, SALIENT, OPEN = slice(0, 3), slice(3, 6), 6, 7, 8  # planes of Canvas.layers

Field = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]  # (x, y, z) in metres -> one value per pixel
Polygons = np.ndarray | Sequence[np.ndarray]  # (n, k, 3), or n of (k, 3): metres


@dataclass(frozen=True)
class Light:
    """A lamp: where it is and where it points (metres), its linear colour times power, and how narrow its beam is.

    The beam falls off as cos(angle) ** (2 ** narrowness).
    """

    position: tuple[float, float, float]
    aim: tuple[float, float, float]
    colour: tuple[float, float, float]
    narrowness: int


class Canvas:
    """Layers of one scene at OVERSAMPLING times its size.

    World axes in metres: x to the right, y up from the ground, z away from the camera, which stands at (aside, eye, 0)
    and looks along z. Lines along z meet at (centre, horizon), fractions of the width and height. sun: the shadow that
    a metre of height throws, (x, z); None at night, when `moon` is the light besides lamps, in parts of a sunny day's.

    layers (9, H, W): ALBEDO and GLOW (light given off) in linear RGB, HEAT 0..1, SALIENT and OPEN, the shares of the
    pixel covered by people or vehicles and by bare ground. depth (H, W): metres.
    """

    def __init__(
        self,
        height: int,
        width: int,
        *,
        horizon: float,
        eye: float,
        centre: float = 0.5,
        aside: float = 0.0,
        sun: tuple[float, float] | None = None,
        moon: float = 0.01,
    ) -> None:
        self.height, self.width = height * OVERSAMPLING, width * OVERSAMPLING
        self.focal = FOCAL * float(np.sqrt(self.height * self.width))
        self.centre, self.horizon = centre * self.width, horizon * self.height
        self.aside, self.eye, self.sun, self.moon = aside, eye, sun, moon
        self.layers = np.zeros((9, self.height, self.width), np.float32)
        self.depth = np.full((self.height, self.width), FAR, np.float32)
        self.lights: list[Light] = []
        self._shadow = np.zeros((self.height, self.width), np.uint8)
        self.columns = np.arange(self.width, dtype=np.float32)[None] + np.float32(0.5 - self.centre)
        self.rows = np.arange(self.height, dtype=np.float32)[:, None] + np.float32(0.5 - self.horizon)

    @property
    def night(self) -> bool:
        return self.sun is None

    def across(self, position: float | np.ndarray, z: float) -> float | np.ndarray:
        """x in metres of what is seen, at depth z, at -1 (the picture's left edge) .. 1 (its right edge)."""
        return self.aside + ((position + 1) * self.width / 2 - self.centre) * z / self.focal

    def pixels(self, metres: float, z: float) -> float:
        """The length of something upright at depth z, in pixels of the oversampled picture."""
        return metres * self.focal / z

    def project(self, points: np.ndarray) -> np.ndarray:
        """(n, 3) metres, in front of the camera -> (n, 2) pixels of the oversampled picture."""
        scale = self.focal / points[:, 2]
        pixels = np.empty((len(points), 2))
        pixels[:, 0] = self.centre + (points[:, 0] - self.aside) * scale
        pixels[:, 1] = self.horizon + (self.eye - points[:, 1]) * scale
        return pixels

    def faces_camera(self, polygon: np.ndarray) -> bool:
        """Whether a polygon (k, 3), anticlockwise from outside, shows its outside."""
        x, y = self.project(polygon).T
        return float(x[:-1] @ y[1:] - y[:-1] @ x[1:] + x[-1] * y[0] - y[-1] * x[0]) < 0

    def brightness(self, normal: Sequence[float]) -> float:
        """How bright a matt face with this outward normal is, against the ground in the open."""
        if self.sun is None:
            return 0.9
        to_sun = np.array([-self.sun[0], 1.0, -self.sun[1]])
        cosine = float(np.dot(normal, to_sun)) / float(np.linalg.norm(normal) * np.linalg.norm(to_sun) + 1e-9)
        return 0.5 + 0.65 * max(0.0, cosine)

    def sky_rows(self) -> tuple[slice, np.ndarray, np.ndarray]:
        """The rows above the horizon, and the distance of columns and rows from the horizon's middle, in pixels."""
        last = int(np.ceil(self.horizon))
        return slice(0, last), self.columns, np.maximum(-self.rows[:last], 0.5)

    def ground_rows(self) -> tuple[slice, np.ndarray, np.ndarray]:
        """The rows below the horizon, and x (h, W) and z (h, 1) of the ground there, in metres, far rows first."""
        first = int(np.ceil(self.horizon))
        z = np.minimum(self.focal * self.eye / self.rows[first:], np.float32(FAR / 2))
        return slice(first, None), self.columns * (z / self.focal) + np.float32(self.aside), z

    def paint(
        self,
        polygons: Polygons,
        colour: Colour,
        heat: float | Field,
        *,
        salient: bool = False,
        opacity: float = 1.0,
        texture: Field | float | None = None,
        glow: Sequence[float] = (0.0, 0.0, 0.0),
        casts: bool = True,
        lies: bool = False,
    ) -> None:
        """Paint polygons that lie in one plane over what is there, and their shadow on the ground.

        colour: display 0..1, times `texture` where given. heat: 0..1, a number or a field. glow: linear light.
        casts: False spares the shadow of a detail that lies within another's. lies: on the ground, so in shadows.
        """
        corners = polygons.reshape(-1, 3) if isinstance(polygons, np.ndarray) else np.concatenate(polygons)
        outlines = self.project(corners) - 0.5
        low, high = outlines.min(0), outlines.max(0)
        if (high - low).min() < 0.3:
            return
        if casts and not lies and self.sun is not None:
            self._cast(corners, polygons)
        x0, y0 = (max(int(v) - 1, 0) for v in low)
        x1, y1 = min(int(high[0]) + 2, self.width), min(int(high[1]) + 2, self.height)
        if x0 >= x1 or y0 >= y1:
            return
        cover = np.zeros((y1 - y0, x1 - x0), np.uint8)
        _fill(cover, outlines - (x0, y0), polygons)
        area = (slice(y0, y1), slice(x0, x1))
        columns, rows = self.columns[:, area[1]], self.rows[area[0]]
        depth = self._plane_depth(polygons[0], columns, rows)
        source = np.array([*linear(colour), *glow, 0, salient, lies], np.float32)[:, None, None]
        if callable(texture) or callable(heat):
            per_pixel = depth * np.float32(1 / self.focal)
            x, y = np.float32(self.aside) + columns * per_pixel, np.float32(self.eye) - rows * per_pixel
            source = np.repeat(np.repeat(source, y1 - y0, axis=1), x1 - x0, axis=2)
            source[HEAT] = heat(x, y, depth) if callable(heat) else heat
            if callable(texture):
                source[ALBEDO] *= np.maximum(texture(x, y, depth), 0)
        else:
            source[HEAT] = heat
        if isinstance(texture, float):
            source[ALBEDO] *= np.float32(texture)
        below = self.layers[:, area[0], area[1]]
        source = source - below
        source *= cover * np.float32(opacity / 255)
        below += source
        np.copyto(self.depth[area], depth, where=cover > 127)

    def _plane_depth(self, polygon: np.ndarray, columns: np.ndarray, rows: np.ndarray) -> np.ndarray | np.float32:
        """Depth of a polygon's plane at each pixel; 1 / z is linear across a plane's image."""
        z = polygon[:, 2]
        nearest, farthest = float(z.min()), float(z.max())
        if farthest - nearest < 1e-3:
            return np.float32(nearest)
        corner = polygon[0]
        (a, b, c), (d, e, f) = polygon[len(z) // 3] - corner, polygon[2 * len(z) // 3] - corner
        normal = np.array([b * f - c * e, c * d - a * f, a * e - b * d])
        offset = float(normal @ (corner - (self.aside, self.eye, 0)))
        across, down, ahead = np.float32(normal / offset / (self.focal, -self.focal, 1))
        return 1 / np.clip(across * columns + down * rows + ahead, 1 / farthest, 1 / nearest)

    def _cast(self, corners: np.ndarray, polygons: Polygons) -> None:
        on_ground = np.zeros_like(corners)
        on_ground[:, 0] = corners[:, 0] + corners[:, 1] * self.sun[0]
        on_ground[:, 2] = corners[:, 2] + corners[:, 1] * self.sun[1]
        _fill(self._shadow, self.project(on_ground) - 0.5, polygons)

    def lay_shadows(self) -> None:
        """Darken and slightly cool the bare ground where shadows fall; called when all is painted."""
        rows = self.ground_rows()[0]
        shadow = cv2.GaussianBlur(self._shadow[rows], (0, 0), 0.6 + self.height / 800).astype(np.float32) / 255
        ground = self.layers[:, rows]
        shadow *= ground[OPEN]
        ground[ALBEDO] *= 1 - shadow * np.float32([0.66, 0.62, 0.54])[:, None, None]
        ground[HEAT] -= np.float32(0.045) * shadow


def _fill(cover: np.ndarray, outlines: np.ndarray, polygons: Polygons) -> None:
    """Draw outlines, all polygons' corners (n, 2) in pixels, into a coverage 0..255; each by itself, so they unite."""
    sixteenths = np.rint(np.minimum(np.maximum(outlines, -8000), 24000) * 16).astype(np.int32)
    start = 0
    for polygon in polygons:
        cv2.fillPoly(cover, [sixteenths[start : start + len(polygon)]], 255, cv2.LINE_AA, shift=4)
        start += len(polygon)
