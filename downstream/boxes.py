"""Detection labels: one text file an image, a line `class cx cy w h` for each object, in fractions of the image."""

from pathlib import Path

import numpy as np

from data.files import is_folder
from data.options import UsageError
from data.pairs import PairSet
from downstream.material import Material

KINDS = ("person", "bicycle", "car")  # by number


def boxes_folder(pair_set: PairSet) -> Path | None:
    """The folder `boxes` beside a set's sources, if it is there. Raises OSError as `is_folder`."""
    folder = pair_set.folder / "boxes"
    return folder if is_folder(folder) else None


def open_boxes(material: Material, folder: Path | None = None) -> list[np.ndarray]:
    """The objects of every pair: float32 (objects, 5) arrays of class number, centre x and y, width and height, 0 to 1.

    Raises UsageError where there is no folder, an image has no file, or a line is no object.
    """
    folder = folder or boxes_folder(material.pair_set)
    if folder is None or not is_folder(folder):
        home = folder or material.pair_set.folder / "boxes"
        raise UsageError(f"{home}: no such folder; expected <stem>.txt with a line 'class cx cy w h' for each object")
    return [read_boxes(folder / f"{stem}.txt") for stem in material.stems]


def read_boxes(path: Path) -> np.ndarray:
    """The objects of one file, as in `open_boxes`; an empty file has none. Raises UsageError for anything else."""
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        boxes = np.array([[float(word) for word in line.split()] for line in lines], np.float32).reshape(len(lines), 5)
    except OSError as error:
        raise UsageError(f"{path}: not readable ({error.strerror}); expected the objects of that image") from None
    except ValueError:
        raise UsageError(f"{path}: lines that are no objects; expected 'class cx cy w h' on each") from None
    inside = (boxes[:, 1:] >= 0).all() and (boxes[:, 1:] <= 1).all() and (boxes[:, 3:] > 0).all()
    if not inside or not np.isin(boxes[:, 0], range(len(KINDS))).all():
        raise UsageError(f"{path}: a class or a box out of range; expected classes 0 to {len(KINDS) - 1} and fractions")
    return boxes
