"""The mask that belongs to a pair: thermal targets, from class labels or from a mask image."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.files import is_folder
from data.images import ImageError, read_image
from data.listing import images_by_name
from data.pairs import PairError
from data.words import size_of

CLASSES = ("unlabelled", "car", "person", "bike", "curve", "car stop", "guardrail", "colour cone", "bump")  # of MSRS
LABEL_FOLDERS = ("segmentation_labels", "labels")
MASK_FOLDERS = ("mask",)
TARGETS = tuple(map(CLASSES.index, ("car", "person", "bike")))  # thermal ones: what is salient by default


@dataclass(frozen=True)
class Masks:
    """The mask files of one pair folder by stem: labels, of which `classes` are salient, or plain masks (None)."""

    files: dict[str, list[Path]]
    classes: tuple[int, ...] | None

    def file(self, stem: str) -> Path | None:
        """The file of a pair, or None without one. Raises ImageError for two."""
        paths = self.files.get(stem, [])
        if len(paths) > 1:
            names = " and ".join(path.name for path in paths)
            raise ImageError(f"{stem}: {paths[0].parent} holds {names}; a stem must name one image")
        return paths[0] if paths else None

    def read(self, stem: str, shape: tuple[int, int]) -> np.ndarray | None:
        """The salient pixels, (H, W) bool, or None without a file. Raises ImageError for a file that does not fit."""
        path = self.file(stem)
        if path is None:
            return None
        if self.classes is None:
            return (_values(path, shape) > 0).any(-1)
        return np.isin(read_labels(path, shape), self.classes)


def read_labels(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """The class numbers of a label file, uint8 (H, W), places in `CLASSES`. Raises ImageError for what does not fit."""
    values = _values(path, shape)
    if (values != values[..., :1]).any() or values.max() >= len(CLASSES):
        found = f"colours or values up to {values.max()}"
        raise ImageError(f"{path}: {found}; expected class numbers 0 to {len(CLASSES) - 1}")
    return values[..., 0].astype(np.uint8)


def find_masks(folder: Path, classes: tuple[int, ...] = TARGETS) -> Masks:
    """The masks of a pair folder; a label folder without images counts as none. Raises PairError for a folder that
    cannot be read."""
    try:
        labels = _images_in(folder, LABEL_FOLDERS)
        return Masks(labels, classes) if labels else Masks(_images_in(folder, MASK_FOLDERS), None)
    except OSError as error:
        raise PairError(f"{error.filename}: not readable ({error.strerror}); expected labels or masks") from None


def class_numbers(text: str) -> tuple[int, ...]:
    """The type of a list of class names on a command line: their places in `CLASSES`."""
    names = [name.strip().lower().replace("_", " ").replace("-", " ") for name in text.split(",")]
    unknown = [name for name in names if name not in CLASSES]
    if unknown:
        raise argparse.ArgumentTypeError(f"'{unknown[0]}'; expected names of {', '.join(CLASSES)}")
    return tuple(CLASSES.index(name) for name in names)


def _values(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """The pixels (H, W, C) of a mask or label file, without alpha. Raises ImageError for a size not its pair's."""
    image = read_image(path)
    if image.shape[:2] != shape:
        raise ImageError(f"{path}: {size_of(image)}, its pair {shape[1]}x{shape[0]}; expected one size")
    return image.reshape(*shape, -1)[..., :3]


def _images_in(folder: Path, names: Sequence[str]) -> dict[str, list[Path]]:
    """Images by their pair's name, of the first of the sub-folders `names` (in any case) that has some."""
    subs = {sub.name.lower(): sub for sub in folder.iterdir() if sub.name.lower() in names and is_folder(sub)}
    for name in names:
        if name in subs and (images := images_by_name(subs[name])):
            return images
    return {}
