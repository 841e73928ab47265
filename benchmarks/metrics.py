"""Measure the speed of the twelve metrics against their literal implementation.

    python -m benchmarks.metrics

Both sides score the same textured images in turn. Printed are the settings, the medians and, last, `ratio N`: the
literal median over ours. Exit status 1 if a value differs by more than 1e-6 of itself.
"""

import sys
from collections.abc import Sequence

import cv2
import numpy as np

from benchmarks import literal_metrics
from benchmarks.timing import in_turn
from data.options import Parser, positive, whole
from data.words import counted
from utils import metrics
from utils.failures import command

TOLERANCE = 1e-6


def texture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """uint8 (H, W): noise of three grain sizes, between black and white."""
    image = sum(cv2.GaussianBlur(rng.standard_normal((height, width)), (0, 0), s) * s for s in (1, 4, 16))
    return np.uint8(255 * (image - image.min()) / np.ptp(image))


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("python -m benchmarks.metrics", __doc__)
    side = whole(metrics.MIN_SIDE)
    parser.add_argument("--height", type=side, default=576, help="height of the images in pixels")
    parser.add_argument("--width", type=side, default=768, help="width of the images in pixels")
    parser.add_argument("--repeats", type=positive, default=5, help="rounds")
    args = parser.parse_args(argv)

    rng = np.random.default_rng(0)
    ir, vis = texture(rng, args.height, args.width), texture(rng, args.height, args.width)
    fused = cv2.addWeighted(ir, 0.6, vis, 0.4, 0)
    print(f"{args.width}x{args.height}, {counted(args.repeats, 'round')} in turn, "
          f"OpenCV threads {cv2.getNumThreads()}, OpenCV {cv2.__version__}, NumPy {np.__version__}")

    ours, literal = metrics.evaluate(fused, ir, vis), literal_metrics.evaluate(fused, ir, vis)
    error = np.max([abs(ours[name] / literal[name] - 1) for name in metrics.METRICS])
    print(f"largest relative difference {error:.1e}")
    if not error <= TOLERANCE:  # also for NaN
        print(f"the two sides disagree: {ours} and {literal}", file=sys.stderr)
        return 1

    sources = metrics.Sources(ir, vis)
    sources.evaluate(fused)
    sides = {
        "literal": lambda: literal_metrics.evaluate(fused, ir, vis),
        "ours": lambda: metrics.evaluate(fused, ir, vis),
        "ours, sources known": lambda: sources.evaluate(fused),
    }
    medians = dict(zip(sides, in_turn(args.repeats, *sides.values()), strict=True))
    for side, median in medians.items():
        print(f"{side:<20}{median:8.3f} s")
    print(f"ratio {medians['literal'] / medians['ours']:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
