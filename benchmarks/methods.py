"""Measure size, cost, time and memory of every method on the CPU.

    python -m benchmarks.methods

Weights are fresh: they change none of these figures. Columns:

    parameters  all of the network
    GMAC        thousand millions of multiply-adds for one image, in convolutions and matrix products: half of what
                `torch.utils.flop_counter` counts, on tensors without values. CMMDL is counted as its formulas are
                written (`benchmarks.literal`), because `net.CMMDL` also multiplies channels of different heads. Fourier
                transforms, sums and element-wise operations do not count, so rules have none.
    time        seconds for one image, with `--batch-size` images in a pass. In each round every method in turn has a
                fresh process, whose second pass counts; the median of the rounds.
    memory      largest resident size of these processes, Python and torch included
    ratios      to the first method: CMMDL
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

import net
from benchmarks.literal import LiteralCMMDL
from data.options import Parser, positive
from data.words import counted
from utils.failures import command
from utils.memory import keep_freed_memory, peak_memory


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = parse(argv)
    if args.worker:
        return work(args)
    load = os.getloadavg()[0]
    size = f"{args.width}x{args.height}, batch {args.batch_size}"
    print(f"{size}, float32, CPU, {counted(args.threads, 'thread')}, torch {torch.__version__}")
    print(f"allocator after keep_freed_memory, {counted(args.repeats, 'round')}, load average before {load:.1f}")
    measured = measure(args)
    first = measured[args.method[0]]
    print(f"{'':<11}{'parameters':>11}{'GMAC':>8}{'time':>9}{'ratio':>8}{'memory':>11}{'ratio':>8}")
    for name in args.method:
        found = measured[name]
        print(
            f"{net.METHODS[name].label:<11}{parameters(name):>11,}{gmac(name, args.height, args.width):>8.1f}"
            f"{found.seconds:>7.2f} s{found.seconds / first.seconds:>8.3f}"
            f"{found.peak:>8.0f} MB{found.peak / first.peak:>8.3f}"
        )
    return 0


class Cost(NamedTuple):
    """Median seconds of one image, and the largest peak resident size in MB."""

    seconds: float
    peak: float


def measure(args: argparse.Namespace) -> dict[str, Cost]:
    """The cost of the methods of `args.method`, which take turns in each of `args.repeats` rounds."""
    rounds = [{name: child(args, name) for name in args.method} for _ in range(args.repeats)]
    found = {name: list(zip(*(one[name] for one in rounds), strict=True)) for name in args.method}
    return {name: Cost(statistics.median(seconds), max(peaks)) for name, (seconds, peaks) in found.items()}


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser("python -m benchmarks.methods", __doc__)
    add_settings(parser)
    parser.add_argument("--batch-size", type=positive, default=1, help="images in a pass")
    parser.add_argument("--method", nargs="+", choices=net.METHODS, default=list(net.METHODS), metavar="NAME",
                        help=f"{', '.join(net.METHODS)}; ratios are to the first (default: all)")  # fmt: skip
    parser.add_argument("--worker", choices=net.METHODS, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """The options that say how a cost is measured."""
    parser.add_argument("--height", type=positive, default=480, help="height of the images in pixels")
    parser.add_argument("--width", type=positive, default=640, help="width of the images in pixels")
    parser.add_argument("--repeats", type=positive, default=1, help="rounds")
    parser.add_argument("--threads", type=positive, default=torch.get_num_threads(), help="threads of torch")


def child(args: argparse.Namespace, name: str) -> tuple[float, float]:
    """Seconds of one image and peak resident size in MB, of a fresh process that runs one method."""
    command = [sys.executable, "-m", "benchmarks.methods", "--worker", name]
    command += [f"--height={args.height}", f"--width={args.width}", f"--threads={args.threads}"]
    command += [f"--batch-size={args.batch_size}"]
    return tuple(answer(command))


def answer(command: list[str], env: Mapping[str, str] | None = None) -> Any:
    """What a process prints last, as JSON in one line. Raises ChildProcessError where it fails."""
    try:
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=env).stdout.splitlines()[-1])
    except subprocess.CalledProcessError as error:
        ended = f"by signal {-error.returncode}" if error.returncode < 0 else f"with status {error.returncode}"
        raise ChildProcessError(f"{shlex.join(command[1:])}: ended {ended}; expected figures") from error


def work(args: argparse.Namespace) -> int:
    """What a fresh process does: two passes, of which it prints the second's seconds per image, and its peak size."""
    keep_freed_memory(every_size=not net.METHODS[args.worker].by_bands)
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    model = net.build(args.worker).eval()
    pair = torch.rand(2, args.batch_size, 1, args.height, args.width)
    with torch.inference_mode():
        for _ in range(2):
            began = time.perf_counter()
            model(*pair)
            seconds = (time.perf_counter() - began) / args.batch_size
    print(json.dumps([seconds, peak_memory()]))
    return 0


def parameters(name: str) -> int:
    """How many numbers a training of the method can change."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in net.build(name).parameters())


def gmac(name: str, height: int, width: int) -> float:
    """Thousand millions of multiply-adds for one image, 0 for a rule."""
    if not net.METHODS[name].learns:
        return 0.0
    with torch.device("meta"):
        model = LiteralCMMDL() if name == "cmmdl" else net.build(name)
        pair = torch.empty(2, 1, 1, height, width)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.eval()(*pair)
    return counter.get_total_flops() / 2e9


if __name__ == "__main__":
    sys.exit(main())
