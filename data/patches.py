"""Cut pair folders into the training file.

    python -m data.patches --root DIR [--root DIR ...] --out data/MSRS_train_imgsize_128_stride_200.h5

The paper's recipe: 128x128 patches at stride 200 of the visible luminance and the infrared, both in [0, 1]; a patch in
which either is low in contrast is dropped. The mask marks thermal targets: from segmentation labels in
`Segmentation_labels` or `labels` (the classes of --mask-classes), or else from images in `mask` (salient where not
zero), or else it is zero.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from traceback import clear_frames

import h5py
import numpy as np
from tqdm import tqdm

from data.ahead import ahead
from data.files import instead_of_file, mode_of
from data.images import ImageError
from data.interrupt import INTERRUPTED, StopRequest
from data.luminance import luminance, span_of
from data.masks import CLASSES, TARGETS, Masks, class_numbers, find_masks
from data.options import Parser, fraction, named_path, whole
from data.pairs import Pair, PairError, PairSet, find_sets, read_pair
from data.patchfile import DTYPES, MAX_SIZE, PatchFileError
from data.patchwriter import PatchWriter
from data.progress import progress_bar
from data.streams import steady_streams
from data.words import counted

Patch = tuple[np.ndarray, np.ndarray, np.ndarray]  # vis, ir and mask, (S, S) each

WORKERS = 2  # threads that read and cut
AHEAD = 4  # pairs that are cut but not yet written; their patches, one to thirty of each, are in memory


@dataclass
class Tally:
    """What has been done so far."""

    images: int = 0
    masked: int = 0
    kept: int = 0
    dropped: int = 0
    refused: int = 0


def is_low_in_contrast(patch: np.ndarray, threshold: float = 0.1) -> bool:
    """Whether (p90 - p10) / p90 < threshold, p the percentiles of the patch; p90 = 0 counts as low in contrast."""
    low, high = percentiles(patch, (10, 90))
    return bool(high <= 0 or (high - low) / high < threshold)


def percentiles(values: np.ndarray, percents: Sequence[float]) -> list[float]:
    """`np.percentile(values, percents)` of finite numbers, which takes longer for a patch."""
    places = [(values.size - 1) * percent / 100 for percent in percents]
    below = [min(int(place), max(values.size - 2, 0)) for place in places]
    above = [min(place + 1, values.size - 1) for place in below]
    ordered = np.partition(values, below + above, axis=None)
    return [
        float(ordered[low]) + (place - low) * (float(ordered[high]) - float(ordered[low]))
        for place, low, high in zip(places, below, above, strict=True)
    ]


def windows(shape: tuple[int, int], size: int, stride: int) -> Iterator[tuple[slice, slice]]:
    """Positions of the (size, size) patches that fit in (H, W), row by row."""
    for top in range(0, shape[0] - size + 1, stride):
        for left in range(0, shape[1] - size + 1, stride):
            yield slice(top, top + size), slice(left, left + size)


def cut_pair(
    pair: Pair, masks: Masks, *, size: int, stride: int, min_contrast: float | None
) -> tuple[list[Patch], int, bool]:
    """The patches of a pair that have contrast, how many were dropped, and if it had a mask.

    Raises ImageError for a pair that is of no use.
    """
    vis, ir = read_pair(pair)
    height, width = vis.shape[:2]
    if min(height, width) < size:
        raise ImageError(f"{pair.vis.name}: {width}x{height}; a patch is {size}x{size}")
    mask = masks.read(pair.name, (height, width))
    whole_mask = np.zeros((height, width), bool) if mask is None else mask
    spans = span_of(vis), span_of(ir)
    patches = [
        (luminance(vis[window], spans[0]), luminance(ir[window], spans[1]), whole_mask[window])
        for window in windows((height, width), size, stride)
    ]
    kept = [
        patch for patch in patches
        if min_contrast is None or not any(is_low_in_contrast(image, min_contrast) for image in patch[:2])
    ]  # fmt: skip
    return kept, len(patches) - len(kept), mask is not None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line: 0 all done, 1 inputs were refused (each named on stderr) or no file was written, 2 usage or
    no pair was found, 130 interrupted or terminated."""
    with steady_streams():
        args = parse(argv)
        try:
            return _carry_out(args)
        except KeyboardInterrupt:
            print(f"interrupted; {args.out} is as it was before", file=sys.stderr)
            return INTERRUPTED


def _carry_out(args: argparse.Namespace) -> int:
    tally = Tally()
    found = list(_find_sets(args.root, args.mask_classes, tally))
    if not found:
        print("error: no pair to cut; nothing was written", file=sys.stderr)
        return 2
    attributes = {
        "stride": args.stride,
        "min_contrast": "none" if args.min_contrast is None else args.min_contrast,
        "mask_classes": ",".join(CLASSES[index] for index in args.mask_classes),
        "sources": ", ".join(f"{_as_text(each.name)} ({counted(len(each.pairs), 'pair')})" for each, _ in found),
    }
    try:
        how = {"size": args.size, "dtype": args.dtype, "attributes": attributes}
        with StopRequest() as stop, PatchWriter(args.out, **how) as writer:  # Ctrl-C inside HDF5 may raise any error
            _write_patches(writer, found, args, tally, stop)
    except PatchFileError as error:
        print(f"error: {error} ({_summary(tally)})", file=sys.stderr)
        return 1
    print(f"{_summary(tally)}; {args.out}, {args.out.stat().st_size / 1e6:.1f} MB")
    return 1 if tally.refused else 0


@contextmanager
def _short_turns() -> Iterator[None]:
    """Threads take turns every 0.1 ms instead of 5: HDF5 keeps Python's lock while it writes, and readers want it often
    and briefly."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def _write_patches(
    writer: PatchWriter,
    sets: list[tuple[PairSet, Masks]],
    args: argparse.Namespace,
    tally: Tally,
    stop: StopRequest,
) -> None:
    """Write the patches of every pair; the next pairs are read and cut while one is being written.

    Raises KeyboardInterrupt between two pairs where `stop` is requested.
    """
    total = sum(len(pair_set.pairs) for pair_set, _ in sets)
    how = {"size": writer.size, "stride": args.stride, "min_contrast": args.min_contrast}
    with _short_turns(), progress_bar(total=total, unit="image") as bar, ThreadPoolExecutor(WORKERS) as pool:
        for pair_set, masks in sets:
            for pair, cutting in ahead(pool, partial(cut_pair, masks=masks, **how), pair_set.pairs, depth=AHEAD):
                stop.check()
                try:
                    patches, dropped, masked = cutting.result()
                except ImageError as error:
                    _refuse(f"{pair_set.name}: {error}", tally)
                    continue
                except MemoryError as error:
                    clear_frames(error.__traceback__)  # they would keep what took the memory
                    _refuse(f"{pair_set.name}: {pair.vis.name}: out of memory", tally)
                    continue
                finally:
                    bar.update()
                for patch in patches:
                    writer.add(*patch)
                tally.images += 1
                tally.masked += masked
                tally.kept += len(patches)
                tally.dropped += dropped
        stop.check()


def _find_sets(roots: list[Path], classes: tuple[int, ...], tally: Tally) -> Iterator[tuple[PairSet, Masks]]:
    """The sets that have pairs, with their masks."""
    for root in roots:
        try:
            sets = find_sets(root)
        except PairError as error:
            _refuse(str(error), tally)
            continue
        for pair_set in sets:
            for refusal in pair_set.refused:
                _refuse(str(refusal) if refusal.name == pair_set.name else f"{pair_set.name}: {refusal}", tally)
            try:
                if pair_set.pairs:
                    yield pair_set, find_masks(pair_set.folder, classes)
            except PairError as error:
                _refuse(f"{pair_set.name}: {error}", tally)


def _refuse(reason: str, tally: Tally) -> None:
    tally.refused += 1
    tqdm.write(f"refused: {reason}", file=sys.stderr)


def _as_text(name: str) -> str:
    """A file name, whose bytes need not be text."""
    return name.encode(errors="backslashreplace").decode()


def _summary(tally: Tally) -> str:
    return (
        f"{counted(tally.kept, 'patch', 'patches')} kept, {tally.dropped} dropped for low contrast; "
        f"{counted(tally.images, 'image')} ({tally.masked} with a mask), {counted(tally.refused, 'input')} refused"
    )


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser("python -m data.patches", __doc__)
    add, contrast = parser.add_argument, parser.add_mutually_exclusive_group()
    add("--root", type=named_path, action="append", required=True, metavar="DIR",
        help="a pair folder or a folder of pair folders; repeatable")  # fmt: skip
    add("--out", type=named_path, required=True, metavar="FILE", help="the h5 file to write")
    add("--size", type=whole(1, MAX_SIZE), default=128, help="side of a patch in pixels")
    add("--stride", type=whole(1, 10**6), default=200, help="distance between patches in pixels")
    add("--dtype", choices=DTYPES, default="float32",
        help="float32 is the authors' form; uint8 takes a quarter of the disk")  # fmt: skip
    add("--mask-classes", type=class_numbers, default=TARGETS, metavar="A,B",
        help=f"label classes that are thermal targets, of {', '.join(CLASSES)} (default: car,person,bike)")  # fmt: skip
    contrast.add_argument("--min-contrast", type=fraction, default=0.1,
                          help="drop patches where (p90 - p10) / p90 of either image is less")  # fmt: skip
    contrast.add_argument("--no-contrast-filter", dest="min_contrast", action="store_const", const=None,
                          help="keep every patch")  # fmt: skip
    args = parser.parse_args(argv)
    try:
        there = mode_of(args.out) is not None
        if there and (found := instead_of_file(args.out)):
            parser.error(f"--out {args.out}: {found}; expected a file name such as patches.h5")
        other = args.out.suffix.lower() not in (".h5", ".hdf5") and there and args.out.stat().st_size
        if other and not h5py.is_hdf5(args.out):
            parser.error(f"--out {args.out}: a file that is no h5 file; expected one to replace, or a new name")
    except OSError as error:
        parser.error(f"--out {args.out}: {error.strerror}; expected a file name such as patches.h5")
    return args


if __name__ == "__main__":
    sys.exit(main())
