"""Do fused images help a segmenter? The same SegFormer, trained on each method's images and tested on other scenes.

    python -m downstream.segment --data MSRS_320 --fused result/cmmdl=CMMDL --fused result/mlfuse=MLFuse

Infrared alone, visible alone, their average and their maximum are always judged beside the fused images. Every method
has the same training: network, steps, seeds, order of images, mirroring and crops. Cross-validation over scenes
(downstream/folds.py): each image is tested once for each seed, by a segmenter that has seen no frame near it.

IoU is in percent, from the pixels of all tested images together, and the mean over the seeds that have it. mIoU is the
mean over the classes that occur in the labels or were guessed, the unlabelled one included, as is usual on MSRS. One
that was guessed but does not occur counts as 0, one that is in neither is left out. What follows ± is the standard
deviation over the trainings, folds and seeds. `against maximum` is the mIoU minus that of the maximum in the same
fold with the same seed.

Each training is kept in `<out>/runs` when it is done, and the same command given again goes on from there.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from data.masks import CLASSES
from data.options import Parser, UsageError
from downstream import tables
from downstream.contrast import columns as contrast_columns
from downstream.contrast import contrasts
from downstream.cross_validation import Run, add_options, conditions, cross_validate
from downstream.material import CASES, open_labels, open_material, time_of
from downstream.segformer import BUDGET, MODELS, SMALLEST, build, predict, train
from downstream.training import Budget
from net.devices import pick_device
from utils.failures import command

PRINTED = ["mIoU", tables.AGAINST, "person", *CASES[:2], "car", *CASES[2:]]
COLUMNS = ["mIoU", tables.AGAINST, *CLASSES, *CASES]


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Train and test on every method's images, then write the tables: 0 all done, 2 something cannot be used or
    written, 130 interrupted."""
    parser = Parser("python -m downstream.segment", __doc__)
    add_options(parser, Path("result/segment"), "labels", MODELS, BUDGET)
    parser.add_argument("--contrast", action="store_true", help="add to the csv what downstream.contrast measures")
    args = parser.parse_args(argv)
    device = pick_device(args.device)
    budget = Budget.of(args)
    build(budget)  # what is missing is told before anything is read
    material = open_material(args.data, args.limit)
    if min(material.shape) < SMALLEST:
        raise UsageError(f"{args.data}: images of {min(material.shape)} pixels; a SegFormer needs {SMALLEST} a side")
    labels = open_labels(material, args.labels)

    def trained(pictures: np.ndarray, on: list[int], part: list[int], seed: int, tick: Callable) -> dict[str, list]:
        model = train(pictures[on], labels[on], budget, seed=seed, device=device, tick=tick)
        found = predict(model, pictures[part], args.batch_size)
        return confusions([material.stems[i] for i in part], labels[part], found)

    results = []
    for contender, pictures, outcomes in cross_validate(args, "segformer", device, material, [labels], trained):
        values = pooled(outcomes)
        if args.contrast:
            values |= contrasts(material, labels, pictures)
        runs = {run: scores(outcome) for run, outcome in outcomes.items()}
        results.append(tables.Result(contender.name, values, runs, contender.is_reference))
    tables.compare(results, "mIoU")
    title = f"IoU in percent ± deviation over {conditions(args, material.shape)}"
    extra = contrast_columns(material.stems) if args.contrast else ()
    tables.write(args.out, "segment", results, COLUMNS, title, printed=PRINTED, extra=extra)
    return 0


def confusions(stems: Sequence[str], truth: np.ndarray, found: np.ndarray) -> dict[str, list]:
    """Pixels by class and by class found, (9, 9) as nested lists, for each time of day ("" where a name tells none).

    `truth` and `found` are class numbers, uint8 (N, H, W).
    """
    count = len(CLASSES)
    sums: dict[str, np.ndarray] = {}
    for stem, label, guess in zip(stems, truth, found, strict=True):
        pixels = np.bincount((label.astype(int) * count + guess).ravel(), minlength=count**2).reshape(count, count)
        sums[time_of(stem)] = sums.get(time_of(stem), 0) + pixels
    return {time: pixels.tolist() for time, pixels in sums.items()}


def scores(outcome: Mapping[str, list]) -> tables.Scores:
    """The IoU of each class, the mean of those that are numbers, and those of the objects by day and night, in percent;
    NaN of nothing."""
    by_time = {time: iou(np.array(pixels)) for time, pixels in outcome.items()}
    all_day = iou(sum(np.array(pixels) for pixels in outcome.values()))
    found = {"mIoU": float(np.nanmean(all_day)), **dict(zip(CLASSES, all_day.tolist(), strict=True))}
    for case in CASES:
        name, time = case.split()
        found[case] = float(by_time[time][CLASSES.index(name)]) if time in by_time else np.nan
    return found


def iou(confusion: np.ndarray) -> np.ndarray:
    """Intersection over union of each class in percent, (9,); 0 of one that was found but does not occur, NaN of one
    that neither occurs nor was found."""
    both = confusion.diagonal()
    either = confusion.sum(0) + confusion.sum(1) - both
    return np.divide(100 * both, either, out=np.full(len(both), np.nan), where=either > 0)


def pooled(outcomes: Mapping[Run, Mapping[str, list]]) -> tables.Scores:
    """The figures of the pixels of all folds together, each as mean over the seeds that have it; NaN where none has."""
    by_seed = []
    for seed in sorted({seed for _, seed in outcomes}):
        together: dict[str, np.ndarray] = {}
        for (_, other), outcome in outcomes.items():
            for time, pixels in outcome.items() if other == seed else ():
                together[time] = together.get(time, 0) + np.array(pixels)
        by_seed.append(scores(together))
    numbers = {name: [found[name] for found in by_seed if not np.isnan(found[name])] for name in by_seed[0]}
    return {name: float(np.mean(values)) if values else np.nan for name, values in numbers.items()}


if __name__ == "__main__":
    sys.exit(main())
