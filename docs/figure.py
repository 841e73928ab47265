"""Make docs/fused.png, the README's picture: sample pairs and what the shipped weights make of them.

    python -m docs.figure
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import net
from data.images import read_image, write_image
from data.options import Parser, named_path
from utils.failures import command
from utils.shipped import open_model

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ("Road/lamps", "Field/moonlight", "Road/fumes")  # all of one size
GAP = 6  # pixels, after each image and below it


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("python -m docs.figure", __doc__)
    parser.add_argument("--out", type=named_path, metavar="FILE", help="the picture (default: docs/fused.png)")
    args = parser.parse_args(argv)
    fuser = net.Fuser(open_model("cmmdl"))
    rows = []
    for sample in SAMPLES:
        folder, stem = sample.split("/")
        vis, ir = (read_image(ROOT / "test_img" / folder / kind / f"{stem}.png") for kind in ("vi", "ir"))
        images = vis, np.dstack([ir] * 3), fuser(vis, ir)
        rows.append(np.hstack([np.pad(image, ((0, GAP), (0, GAP), (0, 0))) for image in images]))
    write_image(args.out or ROOT / "docs" / "fused.png", np.vstack(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
