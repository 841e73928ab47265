"""Make docs/fused.png, the README's picture: sample pairs and what the shipped weights make of them.

    python -m docs.figure
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

import net
from data.images import read_image, write_image
from data.options import Parser, named_path
from utils.failures import command
from utils.memory import keep_freed_memory
from utils.shipped import open_model

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ("Road/lamps", "Field/moonlight", "Road/fumes")
WIDTH, GAP = 320, 6  # pixels, of each image and between two


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("python -m docs.figure", __doc__)
    parser.add_argument("--out", type=named_path, metavar="FILE", help="the picture (default: docs/fused.png)")
    args = parser.parse_args(argv)
    keep_freed_memory()
    fuser = net.Fuser(open_model("cmmdl"))
    rows = []
    for sample in SAMPLES:
        folder, stem = sample.split("/")
        vis, ir = (read_image(ROOT / "test_img" / folder / kind / f"{stem}.png") for kind in ("vi", "ir"))
        rows.append(beside([vis, np.dstack([ir] * 3), fuser(vis, ir)]))
    picture = np.vstack([np.pad(row, ((0, GAP), (0, 0), (0, 0))) for row in rows])
    write_image(args.out or ROOT / "docs" / "fused.png", picture)
    return 0


def beside(images: list[np.ndarray]) -> np.ndarray:
    """Images of one size side by side with a gap, `WIDTH` pixels wide each."""
    height = round(images[0].shape[0] * WIDTH / images[0].shape[1])
    sized = [cv2.resize(image, (WIDTH, height), interpolation=cv2.INTER_AREA) for image in images]
    return np.hstack([np.pad(image, ((0, 0), (0, GAP), (0, 0))) for image in sized])


if __name__ == "__main__":
    sys.exit(main())
