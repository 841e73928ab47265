"""Types of command-line options, each refusing nonsense in one sentence."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

DIGITS = 20  # of a number; what is longer is nonsense, and shown only so far
SMALLEST, LARGEST = 1e-30, 1e30


class UsageError(ValueError):
    """A command line that cannot be carried out."""


def whole(low: int, high: int = 10**9) -> Callable[[str], int]:
    """The type of a whole number from `low` to `high`."""

    def read(text: str) -> int:
        if not text.isdecimal() or len(text) > DIGITS or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text[:DIGITS]!r}; expected a whole number from {low} to {high}")
        return int(text)

    return read


def size(text: str) -> tuple[int, int]:
    """The type of a width and a height in pixels, as 320x240."""
    width, _, height = text.partition("x")
    try:
        return positive(width), positive(height)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"{text[:DIGITS]!r}; expected a size as 320x240") from None


def named_path(text: str) -> Path:
    """The type of a path; an empty one, as of a shell variable that is not set, would be the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("an empty name; expected a path")
    return Path(text)


def positive_number(text: str) -> float:
    """A number above 0 for which float32 has room, and for what a training multiplies it by."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not SMALLEST <= value <= LARGEST:
        expected = f"expected a number above 0 ({SMALLEST:g} to {LARGEST:g})"
        raise argparse.ArgumentTypeError(f"{text[:DIGITS]!r}; {expected}")
    return value


positive = whole(1)
not_negative = whole(0)
