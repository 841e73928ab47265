"""Time and memory of CMMDL's inference on the CPU against its literal implementation: `python -m benchmarks.speed`.

Both sides have the same weights and images. `--allocator` says what each side runs with:

    as-started  literal with the C library's defaults, ours after `utils.memory.keep_freed_memory`, as the scripts
                start it; allocators belong to a process, so the two sides' processes take turns
    tuned       both after `keep_freed_memory`, forward passes in turn in one process
    default     both with the C library's defaults, likewise

Peak memory is of a process that runs nothing but one side. Printed are the settings, the medians, `ratio N` for time
and memory (literal over ours) and the largest difference between the outputs. Exit status 1 if that exceeds 1e-4.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

import net
from benchmarks.literal import LiteralCMMDL
from utils.memory import keep_freed_memory

SIDES = ("literal", "ours")
TOLERANCE = 1e-4


def main() -> int:
    args = arguments()
    if args.worker:
        return work(args)
    load = os.getloadavg()[0]
    print(f"{args.width}x{args.height}, batch 1, float32, CPU, {args.threads} threads, torch {torch.__version__}")
    print(f"allocator {args.allocator}, weights {args.weights or 'fresh, seed 0'}, load average before {load:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        if args.allocator == "as-started":
            tuned = {"literal": False, "ours": True}
            rounds = [
                {side: child(args, [side], tuned[side], 1, folder) for side in SIDES} for _ in range(args.repeats)
            ]
            times = {side: [t for one in rounds for t in one[side]["times"][side]] for side in SIDES}
            peaks = {side: max(one[side]["peak"] for one in rounds) for side in SIDES}
        else:
            tuned = args.allocator == "tuned"
            times = child(args, SIDES, tuned, args.repeats, folder)["times"]
            peaks = {side: child(args, [side], tuned, 1, folder)["peak"] for side in SIDES}
        outputs = [torch.load(Path(folder) / f"{side}.pt") for side in SIDES]
    medians = {side: statistics.median(times[side]) for side in SIDES}
    for side in SIDES:
        each = " ".join(f"{t:.2f}" for t in times[side])
        print(f"{side:<8} median {medians[side]:7.2f} s   peak {peaks[side]:6.0f} MB   ({each})")
    print(f"time ratio {medians['literal'] / medians['ours']:.2f}")
    print(f"memory ratio {peaks['literal'] / peaks['ours']:.2f}")
    difference = (outputs[0] - outputs[1]).abs().max().item()
    print(f"largest difference {difference:.1e} of outputs with standard deviation {outputs[0].std():.3f}")
    return int(difference > TOLERANCE)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--repeats", type=int, default=3, help="rounds; each side runs two forward passes in a round")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--allocator", choices=("as-started", "tuned", "default"), default="as-started")
    parser.add_argument("--weights", type=Path, help="of CMMDL, in any form that net.load reads (default: fresh)")
    parser.add_argument("--worker", nargs="+", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--keep-freed-memory", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def child(args: argparse.Namespace, sides: list[str], tuned: bool, repeats: int, folder: str) -> dict:
    """A fresh process that runs these sides in turn: {"times": {side: seconds of each pass}, "peak": MB}."""
    command = [sys.executable, "-m", "benchmarks.speed", "--worker", *sides, "--folder", folder]
    command += [f"--height={args.height}", f"--width={args.width}", f"--threads={args.threads}", f"--repeats={repeats}"]
    command += ["--keep-freed-memory"] * tuned + [f"--weights={args.weights}"] * bool(args.weights)
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def work(args: argparse.Namespace) -> int:
    """What a fresh process does: two passes of each side a round, times and peak as JSON, outputs into the folder."""
    if args.keep_freed_memory:
        keep_freed_memory()
    torch.set_num_threads(args.threads)
    models = {side: build(side, args.weights) for side in args.worker}
    generator = torch.Generator().manual_seed(1)
    pair = [torch.rand(1, 1, args.height, args.width, generator=generator) for _ in range(2)]
    times = {side: [] for side in models}
    with torch.inference_mode():
        for _ in range(2 * args.repeats):
            for side, model in models.items():
                start = time.perf_counter()
                output = model(*pair)
                times[side].append(time.perf_counter() - start)
                torch.save(output, args.folder / f"{side}.pt")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kB on Linux
    print(json.dumps({"times": times, "peak": peak}))
    return 0


def build(side: str, weights: Path | None) -> torch.nn.Module:
    torch.manual_seed(0)
    model = net.load(weights) if weights else net.build("cmmdl").eval()
    if side == "ours":
        return model
    options = {name: model.options[name] for name in ("dim", "heads", "depth")}
    literal = LiteralCMMDL(**options).eval()
    literal.load_state_dict(model.state_dict())
    return literal


if __name__ == "__main__":
    sys.exit(main())
