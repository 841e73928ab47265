"""Types of command-line options that the programs in `data` share with the others."""

import argparse
from collections.abc import Callable
from pathlib import Path

DIGITS = 20  # of a number; what is longer is nonsense, and shown only so far


def whole(low: int, high: int = 10**9) -> Callable[[str], int]:
    """The type of a whole number from `low` to `high`."""

    def read(text: str) -> int:
        if not text.isdecimal() or len(text) > DIGITS or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text[:DIGITS]!r}; expected a whole number from {low} to {high}")
        return int(text)

    return read


def named_path(text: str) -> Path:
    """The type of a path; an empty one, as of a shell's variable that is not set, would be the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("an empty name; expected a path")
    return Path(text)
