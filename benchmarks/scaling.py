"""Measure how CMMDL's cost grows with images, batches and processes, and draw it.

    python -m benchmarks.scaling

    size        inference of square images of one to `--largest` pixels on a side, each in a process of its own
    batch       a training step at 64x64 with ever larger batches
    processes   a training step of one and of two processes (gloo) that share the threads, batch 4 at 64x64 each

For each: seconds, peak memory of a process, and the seconds per pixel relative to the first line. The exponent says how
time grows with the pixels between the two largest sizes: 1 is linear; pixels times their logarithm give about 1.1.
"""

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.distributed as dist

import net
from benchmarks import speed
from benchmarks.methods import answer
from data.options import Parser, positive, whole
from data.words import counted
from net.fast.layout import weights_to_channels_last
from utils import distributed
from utils.failures import command
from utils.figures import figure_path, save_figure
from utils.memory import keep_freed_memory, peak_memory

SMALLEST = 64
BATCHES = (2, 4, 8, 16)
PATCH = 64


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("python -m benchmarks.scaling", __doc__)
    parser.add_argument("--largest", type=whole(SMALLEST), default=1024, help="side of the largest image in pixels")
    parser.add_argument("--repeats", type=positive, default=1, help="rounds of two passes; the median counts")
    parser.add_argument("--threads", type=positive, default=torch.get_num_threads(), help="threads of torch")
    parser.add_argument("--out", type=figure_path, default=Path("result/scaling.png"), help="the plot")
    parser.add_argument("--rank-worker", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.rank_worker:
        return rank_worker(args)
    print(f"float32, CPU, {counted(args.threads, 'thread')}, torch {torch.__version__}, freed memory kept")
    sizes = [SMALLEST * 2**i for i in range(int(math.log2(args.largest / SMALLEST)) + 1)]
    by_size = [measure(args, size, 1, train=False) for size in sizes]
    table("inference, image side", sizes, by_size, [size**2 for size in sizes])
    pixels, seconds = [size**2 for size in sizes], [one["seconds"] for one in by_size]
    if len(sizes) > 1:
        exponent = math.log(seconds[-1] / seconds[-2]) / math.log(pixels[-1] / pixels[-2])
        print(f"time grows with the power {exponent:.2f} of the pixels from side {sizes[-2]} to side {sizes[-1]}\n")
    by_batch = [measure(args, PATCH, batch, train=True) for batch in BATCHES]
    table("training step, batch", BATCHES, by_batch, BATCHES)
    ranks = (1, 2)
    table("training step, processes", ranks, [measure_ranks(args, n) for n in ranks], ranks)
    draw(args.out, sizes, by_size, by_batch)
    print(f"plot: {args.out}")
    return 0


def measure(args: argparse.Namespace, size: int, batch: int, *, train: bool) -> dict[str, float]:
    """Median seconds of a pass after the first, and the process's peak memory in MB."""
    options = [f"--height={size}", f"--width={size}", f"--batch-size={batch}", f"--threads={args.threads}"]
    case = speed.parse([*options, *["--train"] * train])
    with tempfile.TemporaryDirectory() as folder:
        found = speed.child(case, ["ours"], folder, tuned=True, repeats=args.repeats)
    return {"seconds": statistics.median(found["times"]["ours"][1:]), "peak": found["peaks"]["ours"]}


def measure_ranks(args: argparse.Namespace, processes: int) -> dict[str, float]:
    """The same of a training step in so many processes, which average their gradients."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    threads = str(max(1, args.threads // processes))
    command += ["-m", "benchmarks.scaling", "--rank-worker", "--threads", threads, "--repeats", str(args.repeats)]
    environment = os.environ | {"OMP_NUM_THREADS": threads}
    return answer(command, environment)


def rank_worker(args: argparse.Namespace) -> int:
    """One of the processes that `measure_ranks` starts; the first one prints."""
    keep_freed_memory(every_size=True)
    torch.set_num_threads(args.threads)
    world = distributed.join(torch.device("cpu"))
    torch.manual_seed(0)
    network = net.build("cmmdl")
    weights_to_channels_last(network)
    model = world.wrap(network)
    pair = [torch.rand(4, 1, PATCH, PATCH) for _ in range(2)]
    times = []
    for _ in range(1 + 2 * args.repeats):
        dist.barrier()
        start = time.perf_counter()
        speed.step(model, pair)
        times.append(time.perf_counter() - start)
    if world.is_main:
        print(json.dumps({"seconds": statistics.median(times[1:]), "peak": peak_memory()}))
    distributed.leave()
    return 0


def table(title: str, values: Sequence[int], results: list[dict[str, float]], work: Sequence[int]) -> None:
    """One line for each value: what it costs, and per unit of work relative to the first line."""
    print(f"{title:<26}{'seconds':>10}{'peak MB':>10}{'seconds per unit of work':>28}")
    first = results[0]["seconds"] / work[0]
    for value, result, amount in zip(values, results, work, strict=True):
        relative = result["seconds"] / amount / first
        print(f"{value:<26}{result['seconds']:>10.3f}{result['peak']:>10.0f}{relative:>28.2f}")
    print(flush=True)


def draw(out: Path, sizes: list[int], by_size: list[dict], by_batch: list[dict]) -> None:
    """Time and memory over image size and batch size, with lines proportional to the work to compare with."""
    from matplotlib.figure import Figure  # not above: the processes that are measured import this module
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots(2, 2)
    columns = (("inference", "side of a square image, pixels", sizes, [side * side for side in sizes], by_size),
               (f"training step, {PATCH}x{PATCH}", "batch", BATCHES, BATCHES, by_batch))  # fmt: skip
    for column, (title, unit, values, work, results) in enumerate(columns):
        for row, (key, label) in enumerate((("seconds", "seconds"), ("peak", "peak memory, MB"))):
            axis, measured = axes[row][column], [result[key] for result in results]
            axis.loglog(values, measured, marker="o", label="measured")
            axis.loglog(values, [measured[-1] * amount / work[-1] for amount in work], ":", label="linear")
            axis.set(xlabel=unit, ylabel=label, title=title if row == 0 else None)
            axis.set_xticks(values, labels=list(map(str, values)), minor=False)
            axis.xaxis.set_minor_locator(NullLocator())
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:g}"))
            axis.yaxis.set_minor_formatter(NullFormatter())
            axis.grid(alpha=0.3)
    axes[0][0].legend()
    save_figure(figure, out)


if __name__ == "__main__":
    sys.exit(main())
