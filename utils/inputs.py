"""One pair as a command line asks for it: read, brought to one size if that is wanted, and checked for registration."""

from dataclasses import dataclass

import cv2
import numpy as np

from data.images import MAX_PIXELS, ImageError, TooManyPixels, read_image
from data.pairs import Pair, check_sizes
from data.words import counted, size_of
from net.fuser import to_uint8, to_unit
from utils.metrics import grey
from utils.registration import Shift, misalignment

NAMED = 10  # pairs of one set that are warned about by name


@dataclass(frozen=True)
class Inputs:
    """The two images of a pair as they are fused, and what is to be said about them."""

    vis: np.ndarray
    ir: np.ndarray
    resized: str = ""  # the sizes before and after, where the second was resized
    shift: Shift | None = None


def read_inputs(pair: Pair, *, resize_ir: bool = False, check: bool = True, max_pixels: int = MAX_PIXELS) -> Inputs:
    """Read a pair.

    Args:
        pair: where its images are.
        resize_ir: bring the second image to the size of the first; False refuses two sizes.
        check: look for a shift between the two.
        max_pixels: larger images are refused unread.

    Raises:
        ImageError: an image cannot be read, or the two have two sizes.
    """
    try:
        vis, ir = (read_image(path, max_pixels=max_pixels) for path in (pair.vis, pair.ir))
    except TooManyPixels as error:
        raise ImageError(f"{error} (--max-pixels N takes larger ones)") from None
    resized = ""
    try:
        check_sizes(pair, vis, ir)
    except ImageError as error:
        if not resize_ir:
            advice = f"--resize ir brings {pair.words[1]} to the size of {pair.words[0]}"
            raise ImageError(f"{error} ({advice})") from None
        resized = f"{size_of(ir)} to {size_of(vis)}"
        ir = resize(ir, vis.shape[:2])
    shift = misalignment(*(grey(eight_bit(image)) for image in (vis, ir))) if check else None
    return Inputs(vis, ir, resized, shift)


class Remarks:
    """What a run says about the inputs of one set: sizes once, misaligned pairs by name up to a number."""

    def __init__(self) -> None:
        self.resized: list[str] = []
        self.shifted: list[str] = []

    def add(self, pair: Pair, inputs: Inputs) -> None:
        """Note what there is to say about one pair."""
        if inputs.resized:
            self.resized.append(f"{pair.words[1]} brought to the size of {pair.words[0]}, {inputs.resized}")
        if inputs.shift:
            self.shifted.append(f"{pair.name}: {pair.words[1]} looks shifted against {pair.words[0]} {inputs.shift}")

    def lines(self) -> list[str]:
        """The sentences."""
        lines = [f"warning: {line}; fusing expects registered pairs" for line in self.shifted[:NAMED]]
        if len(self.shifted) > NAMED:
            lines.append(f"warning: {counted(len(self.shifted) - NAMED, 'more pair')} with such a shift")
        if self.resized:
            more = f" (in {len(self.resized)} pairs; this is the first)" if len(self.resized) > 1 else ""
            lines.insert(0, f"resized: {self.resized[0]}{more}")
        return lines


def resize(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """An image at another height and width: averaged where it shrinks, cubic where it grows; its dtype stays."""
    shrinks = shape[0] * shape[1] < image.shape[0] * image.shape[1]
    return cv2.resize(image, shape[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def eight_bit(image: np.ndarray) -> np.ndarray:
    """An image as read, as uint8 without alpha; more than 8 bits are mapped as for fusing."""
    if image.dtype == np.uint8:
        return image[..., :3] if image.ndim == 3 else image
    return to_uint8(to_unit(image), stretch=False)
