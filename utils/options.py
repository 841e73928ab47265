"""Types of command-line options, each refusing nonsense in one sentence."""

import argparse
import math


def positive(text: str) -> int:
    """A whole number from 1 up."""
    if not text.isdecimal() or int(text) == 0 or int(text) > 10**9:
        raise argparse.ArgumentTypeError(f"{text!r}; expected a whole number from 1 up")
    return int(text)


def not_negative(text: str) -> int:
    """A whole number from 0 up."""
    if not text.isdecimal() or int(text) > 10**9:
        raise argparse.ArgumentTypeError(f"{text!r}; expected a whole number from 0 up")
    return int(text)


def positive_number(text: str) -> float:
    """A finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}; expected a number above 0")
    return value
