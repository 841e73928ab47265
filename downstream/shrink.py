"""Shrink a labelled set to the size at which a judge works.

    python -m downstream.shrink --data MSRS/test --size 320x240 --out data/MSRS_320

A set needs labels or boxes. Sources are averaged over areas, labels keep the class at the middle of each area, boxes
are fractions and stay as they are. Methods then fuse the small pairs, so that every method's images are of one
size and nothing is fused twice.
"""

import shutil
import sys
from collections.abc import Sequence
from itertools import repeat
from pathlib import Path

import cv2

from data.images import write_image
from data.masks import find_masks, read_labels
from data.options import Parser, UsageError, named_path, size
from data.pairs import read_pair
from data.progress import progress_bar
from data.words import counted
from downstream.boxes import boxes_folder
from downstream.material import label_files, open_pairs
from utils.failures import command
from utils.inputs import eight_bit

LABELS = "Segmentation_labels"


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
    pair_set = open_pairs(data)
    boxes = boxes_folder(pair_set)
    labelled = find_masks(pair_set.folder).classes is not None or not boxes
    labels = label_files(pair_set) if labelled else repeat(None)
    try:
        for pair, label in zip(progress_bar(pair_set.pairs, "shrinking", unit="pair"), labels, strict=labelled):
            vis, ir = read_pair(pair)
            name = f"{pair.name}.png"
            for side, image in (("vi", vis), ("ir", ir)):
                write_image(out / side / name, cv2.resize(eight_bit(image), size, interpolation=cv2.INTER_AREA))
            if label:  # `INTER_NEAREST` would take the class at the corner
                classes = read_labels(label, ir.shape[:2])
                write_image(out / LABELS / name, cv2.resize(classes, size, interpolation=cv2.INTER_NEAREST_EXACT))
        if boxes:
            shutil.copytree(boxes, out / "boxes")
    except BaseException:  # half a set could pass for a whole one, and the next try refuses a folder in use
        for name in ("vi", "ir", LABELS, "boxes"):
            shutil.rmtree(out / name, ignore_errors=True)
        raise
    truth = [word for word, there in (("labels", labelled), ("boxes", boxes)) if there]
    return f"{counted(len(pair_set.pairs), 'pair')} at {size[0]}x{size[1]} with {' and '.join(truth)}"


if __name__ == "__main__":
    sys.exit(main())
