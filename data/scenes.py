"""Render sample scenes: registered visible and infrared pictures with a mask of what is salient.

They are what test_img/ ships, what tests use and what `CMMDL_train.py --demo` trains on. Nothing in them is
photographed: streets and fields, people and vehicles are drawn from a seed, so they are free to ship and the mask is
exact. `pairs` yields them one by one; on the command line

    python -m data.scenes --out DIR [--count N] [--seed S] [--height H] [--width W]     a pair folder: ir, vi, mask
    python -m data.scenes --test-img test_img                                           what ships in test_img/
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from data.images import ImageError, write_image
from data.interrupt import INTERRUPTED
from data.options import Parser, named_path, not_negative, positive, whole
from data.progress import progress_bar
from data.rendering import layouts, sensors
from data.rendering.canvas import Canvas
from data.streams import steady_streams

KINDS = ("road_day", "road_night", "field_day", "field_night", "smoke")
SMALLEST, LARGEST = 32, 2048  # pixels a side
HEIGHT, WIDTH = 240, 320  # as most are drawn


@dataclass(frozen=True)
class Scene:
    """One registered pair.

    vis: uint8 (H, W, 3) RGB. ir: uint8 (H, W). mask: uint8 (H, W), 1 exactly where people and vehicles are seen by the
    infrared camera (so also behind smoke, but not behind a tree), else 0. name: kind and seed, a file stem.
    """

    vis: np.ndarray
    ir: np.ndarray
    mask: np.ndarray
    name: str


def render(seed: int, height: int, width: int, kind: str | None = None) -> Scene:
    """Draw one scene; the same arguments give the same scene, whatever was drawn before.

    seed: 0 or more. height, width: SMALLEST..LARGEST, odd or even; the arrangement is the seed's and scales with the
    size. kind: one of KINDS; None takes them in turn, by seed. ValueError for anything else.
    """
    if seed < 0:
        raise ValueError(f"seed {seed}; expected 0 or more")
    if not (SMALLEST <= height <= LARGEST and SMALLEST <= width <= LARGEST):
        raise ValueError(f"{width}x{height}; expected {SMALLEST} to {LARGEST} pixels a side")
    kind = KINDS[seed % len(KINDS)] if kind is None else kind
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}; expected one of {', '.join(KINDS)}")
    place, sense = (np.random.default_rng([seed, KINDS.index(kind), stage]) for stage in range(2))
    view = {"horizon": place.uniform(0.36, 0.46), "eye": place.uniform(1.6, 2.2)}
    if not kind.startswith("field"):
        view |= {"centre": place.uniform(0.36, 0.64), "aside": place.uniform(-2.2, 2.2)}
    if kind.endswith("night"):
        view["moon"] = 0.008 if kind == "road_night" else 0.028
    else:
        view["sun"] = (float(place.choice([-1, 1])) * place.uniform(0.4, 1.2), place.uniform(-0.2, 0.7))
    canvas = Canvas(height, width, **view)
    if kind == "smoke":
        plan, veil = layouts.smoke(canvas, place)
    else:
        plan, veil = (layouts.road if kind.startswith("road") else layouts.field)(canvas, place), None
    plan.draw(canvas, seed)
    if not canvas.night:
        canvas.lay_shadows()
    vis, ir = sensors.expose(canvas, sense, veil)
    return Scene(vis, ir, sensors.salient(canvas), f"{kind}_{seed:05d}")


def pairs(count: int, seed: int, height: int, width: int) -> Iterator[Scene]:
    """`count` scenes with the seeds seed, seed + 1, ...; the kinds take turns. Arguments as for `render`."""
    return (render(number, height, width) for number in range(seed, seed + count))


def write_folder(folder: Path, count: int, seed: int = 0, *, height: int, width: int) -> None:
    """Write `pairs` as a pair folder: folder/vi, folder/ir and folder/mask (0 and 255), one PNG each per scene."""
    for scene in progress_bar(pairs(count, seed, height, width), total=count, desc=str(folder), unit="pair"):
        write_image(folder / "vi" / f"{scene.name}.png", scene.vis, small=True)
        write_image(folder / "ir" / f"{scene.name}.png", scene.ir, small=True)
        write_image(folder / "mask" / f"{scene.name}.png", 255 * scene.mask, small=True)


@dataclass(frozen=True)
class Sample:
    """A pair that ships: its set, its file stem, and how to draw it. grey: the visible file has a single channel."""

    collection: str
    stem: str
    kind: str
    seed: int
    height: int = HEIGHT
    width: int = WIDTH
    grey: bool = False


TEST_IMG = (
    Sample("Road", "street", "road_day", 32),
    Sample("Road", "lamps", "road_night", 30),
    Sample("Road", "traffic", "road_night", 11, height=187, width=251),
    Sample("Road", "fumes", "smoke", 51),
    Sample("Field", "farm", "field_day", 39),
    Sample("Field", "moonlight", "field_night", 34),
    Sample("Field", "camouflage", "field_day", 33, grey=True),
    Sample("Field", "smoke", "smoke", 55),
)


def write_test_img(folder: Path) -> None:
    """Write what ships in test_img/: folder/<SET>/vi and folder/<SET>/ir, as listed in TEST_IMG."""
    for sample in progress_bar(TEST_IMG, desc=str(folder), unit="pair"):
        scene = render(sample.seed, sample.height, sample.width, sample.kind)
        vis = cv2.cvtColor(scene.vis, cv2.COLOR_RGB2GRAY) if sample.grey else scene.vis
        write_image(folder / sample.collection / "vi" / f"{sample.stem}.png", vis, small=True)
        write_image(folder / sample.collection / "ir" / f"{sample.stem}.png", scene.ir, small=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line: 0 done, 1 a file could not be written, 2 usage, 130 interrupted."""
    parser = Parser("python -m data.scenes", __doc__)
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--out", type=named_path, metavar="DIR", help="write a pair folder: DIR/vi, DIR/ir, DIR/mask")
    target.add_argument("--test-img", type=named_path, metavar="DIR", help="write the pairs that ship in test_img")
    side = whole(SMALLEST, LARGEST)
    parser.add_argument("--count", type=positive, default=10, help="how many pairs")
    parser.add_argument("--seed", type=not_negative, default=0, help="seed of the first pair")
    parser.add_argument("--height", type=side, default=HEIGHT, help=f"height in pixels, {SMALLEST} to {LARGEST}")
    parser.add_argument("--width", type=side, default=WIDTH, help=f"width in pixels, {SMALLEST} to {LARGEST}")
    args = parser.parse_args(argv)
    if args.test_img and any(getattr(args, n) != parser.get_default(n) for n in ("count", "seed", "height", "width")):
        parser.error("--test-img writes a fixed set of pairs and takes no other option")
    folder = args.test_img or args.out
    if folder.exists() and not folder.is_dir():
        parser.error(f"{folder}: is a file; expected a folder, or a name that is still free")
    with steady_streams():
        try:
            if args.test_img:
                write_test_img(folder)
            else:
                write_folder(folder, args.count, args.seed, height=args.height, width=args.width)
        except ImageError as error:  # a file could not be written
            print(f"error: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print(f"interrupted; what lies in {folder} is whole", file=sys.stderr)
            return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
