"""How messages put numbers, sizes and what a file holds into words."""

import numpy as np


def counted(number: int, one: str, several: str = "") -> str:
    """How many there are of something, in words: 1 pair, 2 pairs, or as `several` calls more than one."""
    return f"{number} {one}" if number == 1 else f"{number} {several or one + 's'}"


def size_of(image: np.ndarray) -> str:
    """The size of an image (H, W, ...), width first: 640x480."""
    return f"{image.shape[1]}x{image.shape[0]}"


def one_line(text: str) -> str:
    """A text that may have several lines, such as a quoted field or a name in a file, in one."""
    return " ".join(text.splitlines())
