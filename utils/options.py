"""Types of command-line options, each refusing nonsense in one sentence."""

import argparse
import math
from collections.abc import Callable

DIGITS = 20  # of a number; what is longer is nonsense, and shown only so far


class UsageError(ValueError):
    """A command line that cannot be carried out."""


def whole(low: int, high: int = 10**9) -> Callable[[str], int]:
    """The type of a whole number from `low` to `high`."""

    def read(text: str) -> int:
        if not text.isdecimal() or len(text) > DIGITS or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text[:DIGITS]!r}; expected a whole number from {low} to {high}")
        return int(text)

    return read


positive = whole(1)
not_negative = whole(0)


def size(text: str) -> tuple[int, int]:
    """A width and a height in pixels, as 320x240."""
    width, _, height = text.partition("x")
    try:
        return positive(width), positive(height)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"{text[:DIGITS]!r}; expected a size as 320x240") from None


def positive_number(text: str) -> float:
    """A finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text[:DIGITS]!r}; expected a number above 0")
    return value
