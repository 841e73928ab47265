"""The type of a whole number on a command line."""

import argparse
from collections.abc import Callable

DIGITS = 20  # of a number; what is longer is nonsense, and shown only so far


def whole(low: int, high: int = 10**9) -> Callable[[str], int]:
    """The type of a whole number from `low` to `high`."""

    def read(text: str) -> int:
        if not text.isdecimal() or len(text) > DIGITS or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text[:DIGITS]!r}; expected a whole number from {low} to {high}")
        return int(text)

    return read
