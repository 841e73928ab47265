"""What the programs' command lines have in common: how their help reads, and the types of their options.

A type refuses nonsense in one sentence, and its attribute `metavar` is what the help calls a value of it.
"""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

DIGITS = 20  # a longer number is nonsense, and a message shows only so much of it


class UsageError(ValueError):
    """A command line that cannot be carried out."""


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """Shows every default as `(default: X)`, unless it only means "off" or the option's text gives it in words."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        off = action.default in (None, "", []) or action.default is False
        return action.help if off or "(default:" in action.help else super()._get_help_string(action)

    def _get_default_metavar_for_optional(self, action: argparse.Action) -> str:
        return getattr(action.type, "metavar", None) or super()._get_default_metavar_for_optional(action)


class Parser(argparse.ArgumentParser):
    """Reads the command line of a program.

    Args:
        command: how the program is started.
        about: what it does; the help shows the first line.
    """

    def __init__(self, command: str, about: str) -> None:
        super().__init__(prog=command, description=about.partition("\n")[0], formatter_class=Help)


def whole(low: int, high: int = 10**9) -> Callable[[str], int]:
    """The type of a whole number from `low` to `high`."""

    def read(text: str) -> int:
        if not text.isdecimal() or len(text) > DIGITS or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text[:DIGITS]!r}; expected a whole number from {low} to {high}")
        return int(text)

    read.metavar = "N"
    return read


def number(low: float, high: float, kind: str = "a number") -> Callable[[str], float]:
    """The type of a number from `low` to `high`, of a `kind` that messages name."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text[:DIGITS]!r}; expected {kind} from {low:g} to {high:g}")
        return value

    read.metavar = "X"
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


positive = whole(1)
not_negative = whole(0)
positive_number = number(1e-30, 1e30, "a number above 0,")  # float32 holds these, and what trainings make of them
fraction = number(0, 1)
size.metavar = "WxH"
named_path.metavar = "PATH"
