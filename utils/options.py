"""Types of command-line options, each refusing nonsense in one sentence."""

import argparse
import math

from data.options import DIGITS, whole

SMALLEST, LARGEST = 1e-30, 1e30


class UsageError(ValueError):
    """A command line that cannot be carried out."""


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
    """A number above 0 for which float32 has room, and for what a training multiplies it by."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not SMALLEST <= value <= LARGEST:
        expected = f"expected a number above 0 ({SMALLEST:g} to {LARGEST:g})"
        raise argparse.ArgumentTypeError(f"{text[:DIGITS]!r}; {expected}")
    return value
