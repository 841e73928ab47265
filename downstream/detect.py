"""Do fused images help a detector? The same RT-DETR, trained on each method's images and tested on other scenes.

    python -m downstream.detect --data MSRS_320 --fused result/cmmdl=CMMDL --fused result/mlfuse=MLFuse

Cross-validated as `downstream.segment` is. Boxes of people, bicycles and cars lie in `boxes/<stem>.txt` beside the
sources, or in `--boxes DIR`. AP and AP50 are COCO's (downstream/precision.py), in percent, each the mean over the
trainings; what follows ± is their standard deviation over folds and seeds. `against maximum` is the AP50 minus that
of the maximum in the same fold with the same seed.

Each training is kept in `<out>/runs` when it is done, and the same command given again goes on from there.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from data.options import Parser
from downstream import tables
from downstream.boxes import KINDS, open_boxes
from downstream.cross_validation import Run, add_options, conditions, cross_validate
from downstream.detector import BUDGET, MODELS, build, check_size, predict, train
from downstream.material import CASES, TIMES, open_material, time_of
from downstream.precision import average_precision, coco_program
from downstream.training import Budget
from net.devices import pick_device
from utils.failures import command

PRINTED = ["AP", "AP50", tables.AGAINST, *(f"AP50 {case}" for case in CASES)]
COLUMNS = [*PRINTED[:3], *(f"{what} {name}" for what in ("AP", "AP50") for name in KINDS), *PRINTED[3:]]


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Train and test on every method's images, then write the tables: 0 all done, 2 something cannot be used or
    written, 130 interrupted."""
    parser = Parser("python -m downstream.detect", __doc__)
    add_options(parser, Path("result/detect"), "boxes", MODELS, BUDGET)
    args = parser.parse_args(argv)
    device = pick_device(args.device)
    budget = Budget.of(args)
    network = build(budget)  # what is missing is told before anything is read
    coco_program()
    material = open_material(args.data, args.limit)
    check_size(network, material.shape, args.data)
    objects = open_boxes(material, args.boxes)

    def trained(pictures: np.ndarray, on: list[int], part: list[int], seed: int, tick: Callable) -> tables.Scores:
        model = train(pictures[on], [objects[i] for i in on], budget, seed=seed, device=device, tick=tick)
        found = predict(model, pictures[part], args.batch_size)
        times = [time_of(material.stems[i]) for i in part]
        return scores(times, [objects[i] for i in part], found, material.shape)

    results = []
    for contender, _, runs in cross_validate(args, "rt-detr", device, material, objects, trained):
        results.append(tables.Result(contender.name, averaged(runs), runs, contender.is_reference))
    tables.compare(results, "AP50")
    title = f"Average precision in percent ± deviation over {conditions(args, material.shape)}"
    tables.write(args.out, "detect", results, COLUMNS, title, printed=PRINTED)
    return 0


def scores(times: Sequence[str], truth: Sequence[np.ndarray], found: Sequence, shape: tuple) -> tables.Scores:
    """Average precision over all images, and of people and cars by day and night; what does not occur is left out."""
    values = average_precision(truth, found, shape)
    for time in TIMES.values():
        of_time = [i for i, other in enumerate(times) if other == time]
        by_time = average_precision([truth[i] for i in of_time], [found[i] for i in of_time], shape)
        values |= {f"AP50 {case}": by_time[f"AP50 {case.split()[0]}"] for case in CASES if case.endswith(time)}
    return {name: value for name, value in values.items() if not np.isnan(value)}  # JSON knows no NaN


def averaged(runs: dict[Run, tables.Scores]) -> tables.Scores:
    """The mean of each figure over the runs that have it."""
    names = {name for found in runs.values() for name in found}
    return {name: float(np.mean([found[name] for found in runs.values() if name in found])) for name in names}


if __name__ == "__main__":
    sys.exit(main())
