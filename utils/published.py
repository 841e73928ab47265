"""Figures that others published, to stand beside ours in a table of the same set and convention."""

import csv
import os
from dataclasses import dataclass, field
from pathlib import Path

from data.pairs import PairSet
from utils.metrics import METRICS
from utils.tables import Row, Scores

FILE = Path(__file__).with_name("published.csv")


@dataclass
class Published(Row):
    """A row of a published table. `mean` has what was printed; `source` says where, `count` over how many images."""

    is_reference: bool = True  # it was not measured here
    mean: Scores = field(default_factory=dict)
    source: str = ""
    count: int = 0

    @property
    def label(self) -> str:
        return f"{self.method}, published ({self.count})"


def published(name: str, protocol: str) -> list[Published]:
    """The published rows of a set, by its usual name, in one convention; none for other sets."""
    return [
        Published(
            line["method"],
            mean={metric: float(line[metric]) for metric in METRICS if line.get(metric)},
            source=f"{line['source']}, {line['images']} images",
            count=int(line["images"]),
        )
        for line in _lines(protocol) if line["set"] == name
    ]  # fmt: skip


def usual_name(pair_set: PairSet) -> str:
    """The name under which a set may have published rows: its own or, of MSRS/test, that of the folder above."""
    if pair_set.folder and pair_set.name == "test":
        return Path(os.path.abspath(pair_set.folder)).parent.name  # noqa: PTH100 - of a link, not of where it leads
    return pair_set.name


def published_sets(protocol: str) -> list[str]:
    """The names of the sets that have published rows in a convention."""
    return list(dict.fromkeys(line["set"] for line in _lines(protocol)))


def _lines(protocol: str) -> list[dict[str, str]]:
    with FILE.open(newline="", encoding="utf-8") as file:
        return [line for line in csv.DictReader(file) if line["protocol"] == protocol]
