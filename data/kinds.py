"""What a pair can be: which two inputs belong together, which of them is `vis`, and what task that is."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

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


# Networks that are not symmetric take `vis` first, the input with texture, and then `ir`, in which things shine:
KINDS = (
    Kind("ivf", ("vi", "vis", "visible", "rgb"), ("ir", "infrared", "thermal", "lwir")),
    Kind("medical", ("MRI",), ("CT", "PET", "SPECT")),
    Kind("mef", ("under", "low"), ("over",)),
    Kind("mff", ("near",), ("far",)),
)
ACCEPTED = "; ".join(f"{'|'.join(kind.ir)} with {'|'.join(kind.vis)}" for kind in KINDS)


def recognise(first: str, second: str) -> tuple[Kind, bool] | None:
    """The kind that two names make, and whether the first of them is `vis`; None if they make none."""
    for kind in KINDS:
        if is_among(first, kind.vis) and is_among(second, kind.ir):
            return kind, True
        if is_among(first, kind.ir) and is_among(second, kind.vis):
            return kind, False
    return None


def recognise_files(first: Path, second: Path) -> tuple[Kind, bool, str, str] | None:
    """As `recognise`, by the innermost of two files' folders that make a kind, with the names of these two."""
    for one, other in zip(reversed(first.parent.parts), reversed(second.parent.parts), strict=False):
        if found := recognise(one, other):
            return *found, one, other
    return None


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
