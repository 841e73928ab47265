"""What a network sees of an image: its luminance."""

import numpy as np

from net.fuser import PERCENTILES

LUMA = np.array((0.299, 0.587, 0.114), np.float32)  # Y of ITU-R BT.601


def luminance(image: np.ndarray, span: tuple[float, float] | None = None) -> np.ndarray:
    """What a network sees of an image that `read_image` gave: luminance as float32 (H, W) in [0, 1].

    Y = .299R + .587G + .114B without alpha; 8 bits are divided by 255, images of more bits stretched so that `span`
    becomes 0 to 1: by default `span_of(image)`; a window of an image needs that of the whole.
    Equals `net.fuser.luma(net.fuser.to_unit(image))`, but in numpy: torch's large aligned blocks between the small ones
    of HDF5 fragment the heap by some 30 MB per image.
    """
    image = image if image.ndim == 2 else image[..., :3]
    if image.dtype == np.uint8:
        levels = image.astype(np.float32)
        return levels / 255 if image.ndim == 2 else (levels @ (LUMA / 255)).clip(0, 1)
    low, high = span or span_of(image)
    unit = ((image - low) / (high - low or 1e-12)).clip(0, 1).astype(np.float32)
    return unit if unit.ndim == 2 else (unit @ LUMA).clip(0, 1)


def span_of(image: np.ndarray) -> tuple[float, float]:
    """The values of an image that become 0 and 1, without alpha: 0 and 255 of 8 bits, of more bits its percentiles."""
    if image.dtype == np.uint8:
        return 0, 255
    low, high = np.percentile(image if image.ndim == 2 else image[..., :3], PERCENTILES)
    return low, high


def eight_bit_luminance(image: np.ndarray) -> np.ndarray:
    """`luminance(image)` as uint8, 0 to 255, rounded."""
    return np.rint(luminance(image) * 255).astype(np.uint8)
