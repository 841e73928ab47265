"""Which images show one scene, and folds that split no scene.

Frames of a drive that follow each other show the same street, people and cars, so a judge that trains on one and is
tested on the next is tested on what it has seen. Names say what follows what: MSRS calls its images by the number of
their frame and D or N for day and night (00134D), its test set has about every fourth frame, and both sets come from a
few drives.

The rule: images whose names differ only in their number, by at most `GAP` from one to the next, are one run, whatever
lies between them. A run of more than `LONGEST` images is cut where neighbours look least alike, by the correlation of
small copies of visible and infrared, into scenes of at most that many. A fold takes whole scenes. What is left:
neighbours on the two sides of a cut may still share something far away.
"""

import re
from collections.abc import Sequence

import cv2
import numpy as np

from data.words import counted
from downstream.material import Material, time_of

GAP = 10  # frames
LONGEST = 12  # images
THUMBNAIL = (32, 24)  # pixels


def scenes(material: Material) -> list[list[int]]:
    """The indices of the images of each scene, in the order in which the runs begin."""
    return [scene for run in runs(material.stems) for scene in cut(run, likeness(material, run))]


def runs(stems: Sequence[str]) -> list[list[int]]:
    """Indices of names that count on, whatever lies between them; a name without a number is a run by itself."""
    found: list[list[int]] = []
    latest: dict[tuple[str, str], tuple[int, list[int]]] = {}  # by what stands around the number: it, and its run
    for i, stem in enumerate(stems):
        match = re.fullmatch(r"(.*?)(\d+)(\D*)", stem)
        if match is None:
            found.append([i])
            continue
        around, number = (match[1], match[3]), int(match[2])
        before, run = latest.get(around, (0, []))
        if not run or abs(number - before) > GAP:
            run = []
            found.append(run)
        run.append(i)
        latest[around] = number, run
    return found


def cut(run: list[int], alike: np.ndarray) -> list[list[int]]:
    """A run in parts of at most LONGEST images, cut in its middle half where neighbours are least alike.

    `alike` (len(run) - 1,): how much each image of the run looks like the next one.
    """
    if len(run) <= LONGEST:
        return [run]
    quarter = len(run) // 4
    at = min(range(quarter, len(run) - quarter), key=lambda place: alike[place - 1])
    return cut(run[:at], alike[: at - 1]) + cut(run[at:], alike[at:])


def likeness(material: Material, run: Sequence[int]) -> np.ndarray:
    """How much each image of a run looks like the next one, (len(run) - 1,): the mean of two correlations, -1 to 1."""
    total = np.zeros(len(run) - 1)
    for images in (material.vis, material.ir):
        small = np.stack([thumbnail(images[i]) for i in run])  # (images, pixels)
        total += (small[1:] * small[:-1]).mean(axis=1) / 2
    return total


def thumbnail(image: np.ndarray) -> np.ndarray:
    """A small grey copy of an image as a vector of mean 0 and deviation 1; zeros of a constant image."""
    grey = image.astype(np.float32) if image.ndim == 2 else image[..., :3].mean(axis=-1, dtype=np.float32)
    small = cv2.resize(grey, THUMBNAIL, interpolation=cv2.INTER_AREA).ravel()
    return (small - small.mean()) / max(small.std(), 1e-6)


def folds(found: Sequence[Sequence[int]], stems: Sequence[str], count: int) -> list[list[int]]:
    """The images of each fold: whole scenes, large ones first, each to the fold with least of its time of day.

    Raises ValueError for fewer scenes than folds.
    """
    if len(found) < count:
        raise ValueError(f"{counted(len(found), 'scene')} for {count} folds; expected at least one for each")
    parts: list[list[int]] = [[] for _ in range(count)]
    for scene in sorted(found, key=len, reverse=True):
        time = time_of(stems[scene[0]])
        min(parts, key=lambda part: (sum(time_of(stems[i]) == time for i in part), len(part))).extend(scene)
    return [sorted(part) for part in parts]
