"""What a pair can be: which two inputs belong together, which of them is `vis`, and what task that is."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

TASKS = {
    "ivf": "infrared and visible",
    "medical": "CT, PET or SPECT with MRI",
    "mef": "two exposures",
    "mff": "two focus distances",
}
BLENDED = ("mef", "mff")  # both inputs have the scene's colour, so the fused image has its share of both
COLOURED = ("PET", "SPECT")  # scans whose colour is the measurement; those that they are paired with are grey


@dataclass(frozen=True)
class Kind:
    """Two inputs that belong together by the names (in any case) of their folders."""

    task: str
    vis: tuple[str, ...]
    ir: tuple[str, ...]

    def words(self, vis: str, ir: str) -> tuple[str, str]:
        """What messages and captions call the inputs in two folders that matched."""
        return ("visible", "infrared") if self.task == "ivf" else (_as_listed(vis, self.vis), _as_listed(ir, self.ir))


# `vis` is the input with texture, `ir` the one in which things shine: networks that are not symmetric need to know.
KINDS = (
    Kind("ivf", ("vi", "vis", "visible", "rgb"), ("ir", "infrared", "thermal", "lwir")),
    Kind("medical", ("MRI",), ("CT", "PET", "SPECT")),
    Kind("mef", ("under", "low"), ("over",)),
    Kind("mff", ("near",), ("far",)),
)
ACCEPTED = "; ".join(f"{'|'.join(kind.ir)} with {'|'.join(kind.vis)}" for kind in KINDS)


class Match(NamedTuple):
    """Two names, in the order given, that make a kind of pair; `in_order` if the first is that of `vis`."""

    kind: Kind
    names: tuple[str, str]
    in_order: bool

    @property
    def words(self) -> tuple[str, str]:
        """What messages and captions call `vis` and `ir`."""
        return self.kind.words(*(self.names if self.in_order else self.names[::-1]))


def recognise(first: str, second: str) -> Match | None:
    """The kind that two names make; None if they make none."""
    for kind in KINDS:
        if is_among(first, kind.vis) and is_among(second, kind.ir):
            return Match(kind, (first, second), in_order=True)
        if is_among(first, kind.ir) and is_among(second, kind.vis):
            return Match(kind, (first, second), in_order=False)
    return None


def recognise_files(first: Path, second: Path) -> Match | None:
    """The kind that the folders of two files make, the innermost ones that make any."""
    folders = zip(reversed(first.parent.parts), reversed(second.parent.parts), strict=False)
    return next((found for names in folders if (found := recognise(*names))), None)


def colour_source(task: str, words: tuple[str, str]) -> str:
    """Whose colour the fused image of two inputs keeps, called by `words`: "vis", "ir" or "both"."""
    if task in BLENDED:
        return "both"
    return "ir" if words[1] in COLOURED else "vis"


def is_among(name: str, names: Sequence[str]) -> bool:
    """Whether a name is one of the given ones, in any case."""
    return name.lower() in map(str.lower, names)


def is_role(name: str) -> bool:
    """Whether a name stands for an input of any kind."""
    return any(is_among(name, list(chain(kind.vis, kind.ir))) for kind in KINDS)


def _as_listed(name: str, names: Sequence[str]) -> str:
    return next(listed for listed in names if listed.lower() == name.lower())
