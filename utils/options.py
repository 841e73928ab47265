"""Types of command-line options, each refusing nonsense in one sentence."""

import argparse
import math

from data.options import DIGITS, whole


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
    """A finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text[:DIGITS]!r}; expected a number above 0")
    return value
