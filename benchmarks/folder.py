"""Measure how fast folders of images are fused, scored, cut into patches and loaded.

    python -m benchmarks.folder

    fusing    the whole of what CMMDL_test.py does with a folder (reading, fusing, writing, scoring) over the time that
              the network alone takes on the same images: 1 would be a perfect overlap
    scoring   the literal metrics over ours, on a folder of fused images, ours in as many threads as there are cores
    patches   pairs a second that `python -m data.patches` cuts into a patch file, over those that are only decoded
    loading   batches a second that a training's loader gives, over the steps a second that a network takes

The images are rendered scenes in a temporary folder; `--data DIR` cuts patches of your own, by the paper's recipe.
Rounds take turns; medians count.
"""

import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch.utils.data import DataLoader

import net
from benchmarks import literal_metrics, speed
from benchmarks.timing import in_turn
from data import patches
from data.interrupt import INTERRUPTED
from data.options import Parser, named_path, positive, whole
from data.pairs import PairSet, find_sets, read_pair
from data.patchfile import PatchDataset
from data.scenes import write_folder
from data.words import counted
from net.fuser import to_uint8, to_unit
from utils.contenders import Network
from utils.failures import command
from utils.memory import keep_freed_memory
from utils.metrics import evaluate, grey
from utils.scoring import run_set, usable_cores
from utils.shipped import open_model

CORES = usable_cores()
BATCH, PATCH = 4, 64


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("python -m benchmarks.folder", __doc__)
    parser.add_argument("--count", type=whole(BATCH), default=60, help="pairs to render")
    parser.add_argument("--height", type=whole(PATCH), default=128, help="height of the pairs in pixels")
    parser.add_argument("--width", type=whole(PATCH), default=160, help="width of the pairs in pixels")
    parser.add_argument("--repeats", type=positive, default=3, help="rounds")
    parser.add_argument("--data", type=named_path, action="append", default=[], metavar="DIR",
                        help="also cut patches of these pair folders; repeatable")  # fmt: skip
    args = parser.parse_args(argv)
    sets = [pair_set for root in args.data for pair_set in find_sets(root) if pair_set.pairs]
    keep_freed_memory()
    rounds, cores, threads = counted(args.repeats, "round"), counted(CORES, "core"), torch.get_num_threads()
    print(f"{args.count} pairs of {args.width}x{args.height}, {rounds} in turn, {cores}, "
          f"torch {torch.__version__} with {counted(threads, 'thread')}, freed memory kept")  # fmt: skip
    with tempfile.TemporaryDirectory() as home:
        write_folder(Path(home) / "pairs", args.count, height=args.height, width=args.width)
        (pair_set,) = find_sets(Path(home) / "pairs")
        fusing(pair_set, Path(home), args.repeats)
        scoring(pair_set, args.repeats)
        rendered = Path(home) / "patches.h5"
        cutting([pair_set], rendered, ["--size", str(PATCH), "--stride", str(PATCH)], args.repeats)
        if sets:
            cutting(sets, Path(home) / "own.h5", [], args.repeats)
        loading(rendered, args.repeats)
    return 0


def fusing(pair_set: PairSet, home: Path, repeats: int) -> None:
    """The folder as the script takes it, against the network alone."""
    fuser = net.Fuser(open_model("cmmdl"), device="cpu")
    images = [list(map(to_unit, read_pair(pair))) for pair in pair_set.pairs]
    contender = Network("cmmdl", fuser, "cmmdl", home / "result")

    def alone() -> None:
        for vis, ir in images:
            fuser.luminance(vis, ir)

    def whole() -> None:
        run_set(pair_set, [contender], protocol="cmmdl", home=home / "result")

    alone()
    network, folder = in_turn(repeats, alone, whole)
    print(f"fusing: network alone {network:.2f} s, whole folder {folder:.2f} s, ratio {folder / network:.2f}")


def scoring(pair_set: PairSet, repeats: int) -> None:
    """Twelve metrics of every pair, literally and as here."""
    average = net.build("average")
    cases = []
    for pair in pair_set.pairs:
        vis, ir = (grey(image) for image in read_pair(pair))
        units = map(to_unit, (vis, ir))
        cases.append((to_uint8(average(*units), stretch=True), ir, vis))

    def literal() -> None:
        for case in cases:
            literal_metrics.evaluate(*case)

    def ours() -> None:
        with ThreadPoolExecutor(CORES) as pool:
            list(pool.map(lambda case: evaluate(*case), cases))

    slow, fast = in_turn(repeats, literal, ours)
    print(f"scoring: literal {slow:.2f} s, ours {fast:.2f} s, ratio {slow / fast:.1f}")


def cutting(sets: Sequence[PairSet], file: Path, options: Sequence[str], repeats: int) -> None:
    """The patch file of pair folders against plain decoding."""
    pairs = [pair for pair_set in sets for pair in pair_set.pairs]
    roots = [f"--root={pair_set.folder}" for pair_set in sets]

    def decode() -> None:
        for pair in pairs:
            read_pair(pair)

    def cut() -> None:
        status = patches.main([*roots, f"--out={file}", *options])
        if status == INTERRUPTED:
            raise KeyboardInterrupt
        if not file.exists():  # data.patches has said why
            raise ValueError("patches: nothing was cut; no time to tell")

    plain, whole = in_turn(repeats, decode, cut, before=lambda: file.unlink(missing_ok=True))
    rates = f"decoded {len(pairs) / plain:.0f} pairs/s, cut {len(pairs) / whole:.0f} pairs/s"
    print(f"patches: {', '.join(pair_set.name for pair_set in sets)}: {rates}, ratio {whole / plain:.2f}")


def loading(file: Path, repeats: int) -> None:
    """A training's loader against its steps."""
    loader = DataLoader(PatchDataset(file), batch_size=BATCH, shuffle=True, drop_last=True)
    model, batch = net.build("cmmdl"), next(iter(loader))
    load, step = in_turn(repeats, lambda: list(loader), lambda: speed.step(model, list(batch[:2])))
    load /= len(loader)
    batches = f"batch {BATCH} of {PATCH}x{PATCH}"
    print(f"loading: {1 / load:.0f} batches/s, {1 / step:.2f} steps/s, {batches}, ratio {step / load:.0f}")


if __name__ == "__main__":
    sys.exit(main())
