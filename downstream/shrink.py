"""Shrink a labelled set to the size at which a judge works.

    python -m downstream.shrink --data MSRS/test --size 320x240 --out data/MSRS_320

A set needs labels or boxes. Sources are averaged over areas, labels keep the class at the middle of each area, boxes
are fractions and stay as they are. Methods then fuse the small pairs, so that every method's images are of one
size and nothing is fused twice.
"""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2

from data.images import write_image
from data.options import Parser, UsageError, named_path, size
from data.progress import progress_bar
from data.words import counted
from downstream.boxes import boxes_folder
from downstream.material import has_labels, open_labels, open_material
from utils.failures import command
from utils.inputs import eight_bit


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line: 0 all done, 2 the set cannot be used or written, 130 interrupted."""
    parser = Parser("python -m downstream.shrink", __doc__)
    parser.add_argument("--data", type=named_path, required=True, metavar="DIR",
                        help="the pair folder, labels or boxes beside the sources")  # fmt: skip
    parser.add_argument("--size", type=size, default=(320, 240), help="size of the copies in pixels (default: 320x240)")
    parser.add_argument("--out", type=named_path, required=True, metavar="DIR", help="the pair folder to write")
    args = parser.parse_args(argv)
    print(f"{shrink(args.data, args.size, args.out)}; {args.out}")
    return 0


def shrink(data: Path, size: tuple[int, int], out: Path) -> str:
    """Write a set's sources, labels and boxes to `out`, at `size` (width, height) in pixels; what was written.

    Raises:
        UsageError: the set cannot be used, or `out` has something in it, which this set would be mixed with.
    """
    if out.exists() and next(out.iterdir(), None):
        raise UsageError(f"--out {out}: not empty; expected a new folder")
    material = open_material(data)
    boxes = boxes_folder(material)
    parts = {"vi": (material.vis, cv2.INTER_AREA), "ir": (material.ir, cv2.INTER_AREA)}
    if has_labels(material) or not boxes:
        parts["Segmentation_labels"] = open_labels(material), cv2.INTER_NEAREST_EXACT  # else the corner counts
    for name, (images, interpolation) in parts.items():
        for stem, image in zip(progress_bar(material.stems, name, unit="image"), images, strict=True):
            small = cv2.resize(eight_bit(image), size, interpolation=interpolation)
            write_image(out / name / f"{stem}.png", small)
    if boxes:
        shutil.copytree(boxes, out / "boxes")
    truth = [word for word, there in (("labels", len(parts) > 2), ("boxes", boxes)) if there]
    return f"{counted(len(material.stems), 'pair')} at {size[0]}x{size[1]} with {' and '.join(truth)}"


if __name__ == "__main__":
    sys.exit(main())
