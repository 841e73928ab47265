"""Measure, without any training, how labelled objects stand out and how much of their edges is kept.

    python -m downstream.contrast --data MSRS --fused DIR[=NAME] ... --out result/contrast

For people and cars, by day and by night, or in all pairs together where some name tells no time of day:

    contrast   grey levels, 0 to 255: the absolute difference of an object's mean luminance and that of its surround,
               averaged over the objects. An object is a connected part of a class, of `SMALLEST` pixels at least; its
               surround are the unlabelled pixels within half the root of its area, `NEAREST` pixels at least.
    ir, vi     percent, 0 to 97.5: how much of the infrared's, of the visible's edges inside the objects is kept, by the
               measure of Qabf (Xydeas and Petrovic 2000), weighted by the source's Sobel strength, over all images.

Neither measures recognition: inverting an image does not change its contrast, and noise does not lower a mean.
"""

import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from data.masks import CLASSES
from data.options import Parser
from data.progress import progress_bar
from downstream import tables
from downstream.material import (
    CASES,
    OBJECTS,
    Material,
    add_inputs,
    cases,
    open_contenders,
    open_labels,
    open_material,
    time_of,
)
from utils.failures import command
from utils.inputs import eight_bit
from utils.metrics import Image, grey, kept_edges

SMALLEST, NEAREST = 16, 3  # pixels
TITLE = "Contrast of objects in grey levels"
EDGES = "; ir, vi: edges of infrared and visible kept inside them, in percent"


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line: 0 all done, 2 something cannot be used or written, 130 interrupted."""
    parser = Parser("python -m downstream.contrast", __doc__)
    add_inputs(parser, Path("result/contrast"))
    args = parser.parse_args(argv)
    material = open_material(args.data, args.limit)
    labels = open_labels(material, args.labels)
    names, results = columns(material.stems), []
    for contender in open_contenders(args.fused):
        values = contrasts(material, labels, material.pictures(contender))
        results.append(tables.Result(contender.name, values, is_reference=contender.is_reference))
    printed = names[: len(cases(material.stems))]
    tables.write(args.out, "contrast", results, names, TITLE, printed, rest=EDGES)
    return 0


def columns(stems: Sequence[str]) -> list[str]:
    """The names of a table's figures."""
    return [f"{what} {case}" for what in ("contrast", "ir", "vi") for case in cases(stems)]


def contrasts(material: Material, labels: np.ndarray, pictures: np.ndarray) -> dict[str, float]:
    """The figures of one method by the names in `columns`; NaN where there is no such object.

    `labels` are class numbers, uint8 (N, H, W), `pictures` what the method shows, uint8 (N, H, W, 3). Raises ValueError
    for images that are too small for the measure of edges.
    """
    found: dict[str, list] = defaultdict(list)
    by_time = cases(material.stems) == CASES
    sets = zip(material.stems, material.vis, material.ir, labels, pictures, strict=True)
    for stem, vis, ir, label, picture in progress_bar(sets, "objects", len(labels), unit="image", leave=False):
        fused = Image(grey(picture))
        sources = {"ir": Image(grey(eight_bit(ir))), "vi": Image(grey(eight_bit(vis)))}
        for name in OBJECTS:
            where = label == CLASSES.index(name)
            if not where.any():
                continue
            case = f"{name} {time_of(stem)}" if by_time else name
            found[f"contrast {case}"] += stand_out(fused.values, where, label > 0)
            for word, source in sources.items():
                kept = kept_edges(*source.edges, *fused.edges)[where].sum()
                found[f"{word} {case}"].append((kept, source.edges[0][where].sum()))
    return {column: summary(column, found[column]) for column in columns(material.stems)}


def stand_out(image: np.ndarray, where: np.ndarray, labelled: np.ndarray) -> list[float]:
    """The contrast of each object that has a surround, in the units of `image`, a luminance (H, W).

    `where` are the pixels of the objects' class, bool (H, W), `labelled` those of any class, which are no surround.
    """
    count, parts, boxes, _ = cv2.connectedComponentsWithStats(where.astype(np.uint8), connectivity=8)
    contrasts = []
    for part in range(1, count):
        left, top, width, height, area = boxes[part]
        if area < SMALLEST:
            continue
        reach = max(NEAREST, round(np.sqrt(area) / 2))
        window = (slice(max(top - reach, 0), top + height + reach), slice(max(left - reach, 0), left + width + reach))
        inside = parts[window] == part
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        around = cv2.dilate(inside.astype(np.uint8), disc).astype(bool) & ~labelled[window]
        if around.any():
            contrasts.append(abs(float(image[window][inside].mean() - image[window][around].mean())))
    return contrasts


def summary(column: str, values: list) -> float:
    """The mean of contrasts, or the share in percent of (kept, all) edges together; NaN of nothing."""
    if column.startswith("contrast"):
        return float(np.mean(values)) if values else np.nan
    kept, total = np.sum(values, axis=0) if values else (0, 0)
    return float(100 * kept / total) if total > 0 else np.nan


if __name__ == "__main__":
    sys.exit(main())
