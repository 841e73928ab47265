"""Labelled pairs, and the pictures that each method makes of them."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from data.listing import images_by_name
from data.masks import TARGETS, Masks, find_masks, read_labels
from data.options import UsageError, named_path, positive
from data.pairs import Pair, PairSet, find_sets, read_pair
from data.progress import progress_bar
from data.words import size_of
from utils.contenders import Contender, Folder, given_folders, reference_rules
from utils.inputs import eight_bit

NOT_JUDGED = ("laplacian", "dwt")  # rules that are judged only where their pictures are given
TIMES = {"D": "day", "N": "night"}  # the last letter of a name in MSRS
OBJECTS = ("person", "car")  # that are judged by day and night
CASES = [f"{name} {time}" for name in OBJECTS for time in TIMES.values()]


@dataclass(frozen=True)
class Material:
    """The pairs of one set, all of one size; `vis` and `ir` as they are stored, in the order of `pair_set.pairs`."""

    pair_set: PairSet
    vis: tuple[np.ndarray, ...]
    ir: tuple[np.ndarray, ...]

    @property
    def stems(self) -> list[str]:
        return [pair.name for pair in self.pair_set.pairs]

    @property
    def shape(self) -> tuple[int, int]:
        return self.ir[0].shape[:2]

    def check(self, contender: Contender) -> None:
        """Raise ImageError for a folder that does not have one picture of every pair."""
        if isinstance(contender, Folder):
            for pair in self.pair_set.pairs:
                contender.file(self.pair_set, pair)

    def pictures(self, contender: Contender) -> np.ndarray:
        """What a method shows of every pair, uint8 (N, H, W, 3). Raises ImageError for a picture that is not there."""
        pictures = np.empty((len(self.ir), *self.shape, 3), np.uint8)
        pairs = zip(self.pair_set.pairs, self.vis, self.ir, strict=True)
        for i, (pair, vis, ir) in enumerate(progress_bar(pairs, contender.name, len(self.ir), unit="image")):
            image = contender.fuse(self.pair_set, pair, vis, ir)
            pictures[i] = image if image.ndim == 3 else image[..., None]
        return pictures


@dataclass
class Alone:
    """One of the two sources, shown as it is, as a method of its own."""

    name: str
    folder: None = None
    is_reference: bool = True
    journal: None = None

    def fuse(self, pair_set: PairSet, pair: Pair, vis: np.ndarray, ir: np.ndarray) -> np.ndarray:  # noqa: ARG002
        return eight_bit(ir if self.name == "infrared" else vis)


def open_pairs(data: Path, limit: int = 0) -> PairSet:
    """The pairs of a pair folder; the first `limit` if that is not 0.

    Raises UsageError where it is not one pair folder, or something in it has no partner: a judge sees the same images
    of every method.
    """
    sets = find_sets(data)
    if len(sets) > 1 or not sets[0].pairs:
        reason = sets[0].refused[0] if len(sets) == 1 else f"{len(sets)} pair folders"
        raise UsageError(f"{data}: {reason}; expected one pair folder")
    if sets[0].refused:
        raise UsageError(f"{data}: {sets[0].refused[0]}; a judge needs every image")
    return replace(sets[0], pairs=sets[0].pairs[:limit] if limit else sets[0].pairs)


def open_material(data: Path, limit: int = 0) -> Material:
    """Read a pair folder; of its first `limit` pairs if that is not 0.

    Raises:
        UsageError: as `open_pairs`, or the pairs are of several sizes.
        ImageError: an image cannot be read.
    """
    pair_set = open_pairs(data, limit)
    images = [read_pair(pair) for pair in progress_bar(pair_set.pairs, "reading", unit="pair")]
    vis, ir = zip(*images, strict=True)
    for pair, image in zip(pair_set.pairs, ir, strict=True):
        if image.shape[:2] != ir[0].shape[:2]:
            sizes = f"{size_of(ir[0])} and {size_of(image)}"
            raise UsageError(f"{pair.ir}: {sizes} in one set; a judge needs one size (python -m downstream.shrink)")
    return Material(pair_set, vis, ir)


def label_files(pair_set: PairSet, folder: Path | None = None) -> list[Path]:
    """The label image of every pair, in `folder` or in `Segmentation_labels` beside the sources.

    Raises:
        UsageError: an image has no labels.
        OSError: `folder` is not there, or cannot be read.
        PairError: the folder beside the sources cannot be read.
        ImageError: a label file is one of two of a stem.
    """
    home = folder or pair_set.folder
    labels = Masks(images_by_name(folder), TARGETS) if folder else find_masks(home)
    stems = [pair.name for pair in pair_set.pairs]
    files = {stem: labels.file(stem) for stem in stems} if labels.classes else {}  # plain masks have no classes
    missing = [stem for stem in stems if not files.get(stem)]
    if missing:
        raise UsageError(f"{home}: no labels of {missing[0]} ({len(missing)} missing); expected MSRS's class numbers")
    return [files[stem] for stem in stems]


def open_labels(material: Material, folder: Path | None = None) -> np.ndarray:
    """The class numbers of every pair, uint8 (N, H, W). Raises the errors of `label_files` and of `read_labels`."""
    return np.stack([read_labels(file, material.shape) for file in label_files(material.pair_set, folder)])


def open_contenders(fused: Sequence[str]) -> list[Contender]:
    """The methods to judge: infrared, visible, average, maximum, then `DIR` or `DIR=NAME` of fused images each, with
    names and errors as `given_folders` has them."""
    judged: list[Contender] = [Alone("infrared"), Alone("visible"), *reference_rules("cmmdl", beside=NOT_JUDGED)]
    return judged + given_folders(fused, beside=judged, single=True)


def time_of(stem: str) -> str:
    """`day` or `night` by a name that ends as MSRS's do, in a digit and D or N; else nothing."""
    return TIMES.get(stem[-1:], "") if stem[-2:-1].isdigit() else ""


def add_inputs(parser: argparse.ArgumentParser, out: Path, truth: str = "labels") -> None:
    """The options that all judges have."""
    add = parser.add_argument
    add("--data", type=named_path, required=True, metavar="DIR", help=f"the pair folder, {truth} beside the sources")
    add(f"--{truth}", type=named_path, metavar="DIR", help=f"folder of the {truth} (default: beside the sources)")
    add("--fused", action="append", default=[], metavar="DIR[=NAME]",
        help="fused images of a method, <stem>.png or <SET>/<stem>.png; repeatable")  # fmt: skip
    add("--out", type=named_path, default=out, metavar="DIR", help="where results go")
    add("--limit", type=positive, default=0, help="only the first N pairs (default: all)")


def cases(stems: Sequence[str]) -> list[str]:
    """People and cars by day and by night if every name tells its time of day, else in all pairs together."""
    return CASES if all(map(time_of, stems)) else list(OBJECTS)
