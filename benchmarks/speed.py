"""Time and memory of CMMDL on the CPU against its literal implementation.

    python -m benchmarks.speed                      # inference, 640x480
    python -m benchmarks.speed --train              # one training step, batch 4 at 128x128

Both sides have the same weights and images. `--allocator` says what each side runs with:

    as-started  literal with the C library's defaults, ours after `utils.memory.keep_freed_memory`, as the scripts
                start it; allocators belong to a process, so the two sides' processes take turns
    tuned       both after `keep_freed_memory(every_size=True)`, forward passes in turn in one process
    default     both with the C library's defaults, likewise

Peak memory is of a process that runs nothing but one side. Printed are the settings, the medians, the ratios of time
and memory (literal over ours), for inference the time of the arithmetic alone, and how far the results are apart: the
largest difference of the outputs, or in training the norm of the difference of all gradients over their norm.
Exit status 1 if that exceeds 1e-4 (training 1e-2).
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
from benchmarks.methods import gmac
from net.cmmdl_losses import fusion_loss
from utils.failures import command
from utils.memory import keep_freed_memory

SIDES = ("literal", "ours")
TOLERANCE = 1e-4  # of outputs
GRADIENT_TOLERANCE = 1e-2  # float32 noise, grown by Fourier transforms and by the network's depth


@command
def main() -> int:
    args = arguments()
    if args.worker:
        return work(args)
    load = os.getloadavg()[0]
    work_done = "training step" if args.train else "inference"
    print(f"{work_done}, {args.width}x{args.height}, batch {args.batch}, float32, CPU, {args.threads} threads, "
          f"torch {torch.__version__}")  # fmt: skip
    print(f"allocator {args.allocator}, weights {args.weights or 'fresh, seed 0'}, load average before {load:.1f}"
          + ", literal side compiled" * args.compile_literal)  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        if args.allocator == "as-started":
            tuned = {"literal": False, "ours": not args.checkpoint_activations}  # as CMMDL_train.py does
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
    if not args.train:
        gflop = 2 * args.batch * gmac("cmmdl", args.height, args.width)
        print(f"floor {floor(gflop, args.threads):.2f} s: {gflop:.0f} GFLOP as fast as a product of large matrices")
    if args.train:
        difference = ((outputs[1] - outputs[0]).norm() / outputs[0].norm()).item()
        print(f"gradients differ by {difference:.1e} of their norm")
        return int(difference > GRADIENT_TOLERANCE)
    difference = (outputs[0] - outputs[1]).abs().max().item()
    print(f"largest difference {difference:.1e} of outputs with standard deviation {outputs[0].std():.3f}")
    return int(difference > TOLERANCE)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", action="store_true", help="a training step instead of inference")
    parser.add_argument("--checkpoint-activations", action="store_true", help="in our training step")
    parser.add_argument("--height", type=int, help="default: 480, in training 128")
    parser.add_argument("--width", type=int, help="default: 640, in training 128")
    parser.add_argument("--batch", type=int, help="default: 1, in training 4")
    parser.add_argument("--repeats", type=int, default=3, help="rounds; each side runs two forward passes in a round")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--allocator", choices=("as-started", "tuned", "default"), default="as-started")
    parser.add_argument("--compile-literal", action="store_true", help="the literal side after torch.compile")
    parser.add_argument("--weights", type=Path, help="of CMMDL, in any form that net.load reads (default: fresh)")
    parser.add_argument("--worker", nargs="+", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--keep-freed-memory", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    height, width, batch = (128, 128, 4) if args.train else (480, 640, 1)
    if args.train and args.compile_literal:
        parser.error("--compile-literal is for inference")
    args.height, args.width, args.batch = args.height or height, args.width or width, args.batch or batch
    return args


def child(args: argparse.Namespace, sides: list[str], tuned: bool, repeats: int, folder: str) -> dict:
    """A fresh process that runs these sides in turn: {"times": {side: seconds of each pass}, "peak": MB}."""
    command = [sys.executable, "-m", "benchmarks.speed", "--worker", *sides, "--folder", folder]
    command += [f"--height={args.height}", f"--width={args.width}", f"--threads={args.threads}", f"--repeats={repeats}"]
    command += [f"--batch={args.batch}", f"--allocator={args.allocator}", *["--train"] * args.train]
    command += ["--checkpoint-activations"] * args.checkpoint_activations
    command += ["--compile-literal"] * args.compile_literal
    command += ["--keep-freed-memory"] * tuned + [f"--weights={args.weights}"] * bool(args.weights)
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def work(args: argparse.Namespace) -> int:
    """What a fresh process does: two passes of each side a round, times and peak as JSON, outputs into the folder."""
    if args.keep_freed_memory:
        keep_freed_memory(every_size=args.train or args.allocator == "tuned")
    torch.set_num_threads(args.threads)
    models = {side: build(side, args.weights) for side in args.worker}
    if args.checkpoint_activations and "ours" in models:
        models["ours"].checkpoint_activations()
    if args.compile_literal and "literal" in models:
        models["literal"].compile()
    generator = torch.Generator().manual_seed(1)
    pair = [torch.rand(args.batch, 1, args.height, args.width, generator=generator) for _ in range(2)]
    if args.compile_literal:
        for model in models.values():
            infer(model, pair)  # compiling is not timed
    times = {side: [] for side in models}
    for _ in range(2 * args.repeats):
        for side, model in models.items():
            start = time.perf_counter()
            output = step(model, pair) if args.train else infer(model, pair)
            times[side].append(time.perf_counter() - start)
            torch.save(output, args.folder / f"{side}.pt")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kB on Linux
    print(json.dumps({"times": times, "peak": peak}))
    return 0


def floor(gflop: float, threads: int, side: int = 2048) -> float:
    """Seconds that so many GFLOP would take at the rate of a product of large matrices on these threads."""
    torch.set_num_threads(threads)
    a, times = torch.rand(side, side), []
    for _ in range(10):
        start = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - start)
    return gflop * statistics.median(times[1:]) / (2e-9 * side**3)


@torch.inference_mode()
def infer(model: torch.nn.Module, pair: list[torch.Tensor]) -> torch.Tensor:
    """The fused images."""
    return model(*pair)


def step(model: torch.nn.Module, pair: list[torch.Tensor]) -> torch.Tensor:
    """A training step but for the optimiser, which is the same on both sides: all gradients, one after the other."""
    model.train().zero_grad()
    fusion_loss(*pair, model(*pair), torch.zeros_like(pair[0])).total.backward()
    return torch.cat([parameter.grad.flatten() for _, parameter in sorted(model.named_parameters())])


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
