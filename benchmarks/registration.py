"""Measure how far the registration check can be trusted.

    python -m benchmarks.registration --data TNO --data RoadScene

For each set of registered pairs, the columns are:

    warned   pairs that the check warns about as they are
    moved    the same pairs, twice each, with the infrared image moved by 5 to 12 pixels in a random direction and both
             images cut to what they still share
    found    moved pairs that the check warns about
    error    pixels between the shift that it names and the true one, the median
    check    milliseconds that a check takes, the median
"""

import math
import statistics
import sys
import time
from collections.abc import Sequence

import numpy as np

from data.options import Parser, named_path, positive
from data.pairs import Pair, find_sets, read_pair
from data.progress import progress_bar
from utils.failures import command
from utils.inputs import eight_bit
from utils.metrics import grey
from utils.registration import misalignment

DISTANCES = (5, 12)  # pixels
TIMES = 2  # each pair is moved


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("python -m benchmarks.registration", __doc__)
    parser.add_argument("--data", type=named_path, action="append", required=True, metavar="DIR",
                        help="pair folder, or folder of pair folders; repeatable")  # fmt: skip
    parser.add_argument("--every", type=positive, default=1, help="take only every Nth pair")
    args = parser.parse_args(argv)
    print(f"{'':<20}{'pairs':>6}{'warned':>8}{'moved':>7}{'found':>8}{'error':>9}{'check':>10}")
    for folder in args.data:
        for pair_set in find_sets(folder):
            report(pair_set.name, pair_set.pairs[:: args.every])
    return 0


def report(name: str, pairs: Sequence[Pair]) -> None:
    """Print the line of a set."""
    rng, warned, moved, errors, times = np.random.default_rng(0), 0, 0, [], []
    for pair in progress_bar(pairs, desc=name, unit="pair"):
        vis, ir = (grey(eight_bit(image)) for image in read_pair(pair))
        began = time.perf_counter()
        warned += misalignment(vis, ir) is not None
        times.append(time.perf_counter() - began)
        for _ in range(TIMES):
            distance, angle = rng.uniform(*DISTANCES), rng.uniform(0, 2 * math.pi)
            right, down = round(distance * math.cos(angle)), round(distance * math.sin(angle))
            shift = misalignment(without(vis, right, down), without(ir, -right, -down))
            moved += 1
            if shift:
                errors.append(math.hypot(shift.right - right, shift.down - down))
    if pairs:
        error, time_taken = statistics.median(errors or [math.nan]), 1e3 * statistics.median(times)
        print(f"{name:<20}{len(pairs):>6}{warned / len(pairs):>8.1%}{moved:>7}{len(errors) / moved:>8.1%}"
              f"{error:>6.1f} px{time_taken:>7.1f} ms")  # fmt: skip


def without(image: np.ndarray, right: int, down: int) -> np.ndarray:
    """An image (H, W) without its first columns and rows, or where the numbers are negative its last ones."""
    height, width = image.shape
    rows = slice(max(0, down), height + min(0, down))
    columns = slice(max(0, right), width + min(0, right))
    return image[rows, columns]


if __name__ == "__main__":
    sys.exit(main())
