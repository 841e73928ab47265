"""Measure time and memory of CMMDL against its literal implementation.

    python -m benchmarks.speed                      # inference, 640x480
    python -m benchmarks.speed --train              # one training step, batch 4 at 128x128
    python -m benchmarks.speed --device cuda --precision bf16 --train --batch-size 32

Both sides have the same weights and images. On the CPU, `--allocator` says what each side runs with:

    as-started  literal with the C library's defaults, ours after `utils.memory.keep_freed_memory`, as the scripts
                start it; allocators belong to a process, so the two sides' processes take turns
    tuned       both after `keep_freed_memory(every_size=True)`, forward passes in turn in one process
    default     both with the C library's defaults, likewise

On a GPU both sides take turns in one process, the literal one in float32, ours in `--precision`, compiled if asked for.

Peak memory is of a process that runs nothing but one side, on a GPU what one side's passes had allocated. Printed are
the settings, the medians, the ratios of time and memory (literal over ours), for inference on a CPU the time of the
arithmetic alone, and how far the results are apart: the largest difference of the outputs, or in training the norm of
the difference of all gradients over their norm. Exit status 1 if that exceeds 1e-4 (training 1e-2), unless ours is in
bf16.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

import net
from benchmarks.literal import LiteralCMMDL
from benchmarks.methods import answer, gmac
from benchmarks.timing import in_turn
from data.options import Parser, named_path, positive
from data.words import counted
from net.devices import exact_convolutions
from net.fast.layout import weights_to_channels_last
from net.fuser import PRECISIONS
from net.training.cmmdl_losses import fusion_loss
from utils.failures import command
from utils.memory import keep_freed_memory, peak_memory
from utils.shipped import load_checked

SIDES = ("literal", "ours")
TOLERANCE = 1e-4  # for outputs
GRADIENT_TOLERANCE = 1e-2  # float32 noise, grown by Fourier transforms and by the network's depth


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = parse(argv)
    if args.worker:
        return work(args)
    if args.weights and not isinstance(load_checked(args.weights), net.CMMDL):
        raise net.WeightsError(f"{args.weights}: weights of another method; expected those of CMMDL")
    print_settings(args)
    with tempfile.TemporaryDirectory() as folder:
        times, peaks = measure(args, folder)
        outputs = [torch.load(Path(folder) / f"{side}.pt", map_location="cpu").float() for side in SIDES]
    medians = {side: statistics.median(times[side]) for side in SIDES}
    for side in SIDES:
        each = " ".join(f"{t:.3g}" for t in times[side])
        print(f"{side:<8} median {medians[side]:7.3g} s   peak {peaks[side]:6.0f} MB   ({each})")
    print(f"time ratio {medians['literal'] / medians['ours']:.2f}")
    print(f"memory ratio {peaks['literal'] / peaks['ours']:.2f}")
    if not args.train and args.device == "cpu":
        gflop = 2 * args.batch_size * gmac("cmmdl", args.height, args.width)
        print(f"floor {floor(gflop, args.threads):.2f} s: {gflop:.0f} GFLOP as fast as a product of large matrices")
    return int(not agree(*outputs, train=args.train) and args.precision == "fp32")


def agree(literal: Tensor, ours: Tensor, *, train: bool) -> bool:
    """Print how far all gradients or the outputs are apart; whether that is within the tolerance, which NaN is not."""
    if train:
        difference = ((ours - literal).norm() / literal.norm()).item()
        print(f"gradients differ by {difference:.1e} of their norm")
        return difference <= GRADIENT_TOLERANCE
    difference = (literal - ours).abs().max().item()
    print(f"largest difference {difference:.1e} of outputs with standard deviation {literal.std():.3f}")
    return difference <= TOLERANCE


def print_settings(args: argparse.Namespace) -> None:
    """Print what is measured, and on what."""
    threads, work_done = counted(args.threads, "thread"), "training step" if args.train else "inference"
    on_gpu = args.device == "cuda"
    device = torch.cuda.get_device_name() if on_gpu else f"{cpu()}, {threads}, allocator {args.allocator}"
    print(f"{work_done}, {args.width}x{args.height}, batch {args.batch_size}, {device}, torch {torch.__version__}")
    print(f"ours in {args.precision}" + ", compiled" * args.compile + ", literal side compiled" * args.compile_literal
          + f", weights {args.weights or 'fresh, seed 0'}, load average before {os.getloadavg()[0]:.1f}")  # fmt: skip


def measure(args: argparse.Namespace, folder: str) -> tuple[dict[str, list[float]], dict[str, float]]:
    """The seconds of each pass, and the peak of memory in MB, of each side; its last output goes into the folder."""
    if args.device == "cuda":
        both = child(args, SIDES, folder, tuned=False, repeats=args.repeats)
        return both["times"], both["peaks"]
    if args.allocator == "as-started":
        tuned = {"literal": False, "ours": not args.checkpoint_activations}  # as CMMDL_train.py does
        rounds = [{side: child(args, [side], folder, tuned=tuned[side], repeats=1) for side in SIDES}
                  for _ in range(args.repeats)]  # fmt: skip
        times = {side: [t for one in rounds for t in one[side]["times"][side]] for side in SIDES}
        return times, {side: max(one[side]["peaks"][side] for one in rounds) for side in SIDES}
    tuned = args.allocator == "tuned"
    times = child(args, SIDES, folder, tuned=tuned, repeats=args.repeats)["times"]
    return times, {side: child(args, [side], folder, tuned=tuned, repeats=1)["peaks"][side] for side in SIDES}


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = Parser("python -m benchmarks.speed", __doc__)
    parser.add_argument("--train", action="store_true", help="measure a training step instead of inference")
    parser.add_argument("--checkpoint-activations", action="store_true", help="in our training step, to save memory")
    parser.add_argument("--height", type=positive, help="height of the images in pixels (default: 480; training: 128)")
    parser.add_argument("--width", type=positive, help="width of the images in pixels (default: 640; training: 128)")
    parser.add_argument("--batch-size", type=positive, help="images in a pass (default: 1; training: 4)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where both sides run")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32", help="of ours; bf16 is for GPUs or training")
    parser.add_argument("--compile", action="store_true", help="compile our side; for GPUs or training")
    parser.add_argument("--repeats", type=positive, default=3, help="rounds, of two forward passes of each side")
    parser.add_argument("--threads", type=positive, default=torch.get_num_threads(), help="threads of torch")
    parser.add_argument("--allocator", choices=("as-started", "tuned", "default"), default="as-started",
                        help="of the CPU's memory, see the module's docstring")  # fmt: skip
    parser.add_argument("--compile-literal", action="store_true", help="compile the literal side")
    parser.add_argument("--weights", type=named_path, help="of CMMDL, as net.load reads them (default: fresh ones)")
    parser.add_argument("--worker", nargs="+", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--keep-freed-memory", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    height, width, batch = (128, 128, 4) if args.train else (480, 640, 1)
    if args.train and args.compile_literal:
        parser.error("--compile-literal is for inference")
    if args.device == "cpu" and not args.train and (args.compile or args.precision != "fp32"):
        parser.error("--compile and --precision bf16 are for --train or --device cuda")
    if args.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch sees no CUDA device here")
    args.height, args.width, args.batch_size = args.height or height, args.width or width, args.batch_size or batch
    return args


def cpu() -> str:
    """The processor, and the widest instructions that torch has for it."""
    name = torch.cpu.get_capabilities().get("cpu_name", "of unknown name")
    return f"CPU {name} ({torch.backends.cpu.get_cpu_capability()})"


def child(args: argparse.Namespace, sides: Sequence[str], folder: str, *, tuned: bool, repeats: int) -> dict:
    """A fresh process that runs these sides in turn: {"times": {side: seconds of each pass}, "peaks": {side: MB}}."""
    command = [sys.executable, "-m", "benchmarks.speed", "--worker", *sides, "--folder", folder]
    command += [f"--height={args.height}", f"--width={args.width}", f"--threads={args.threads}", f"--repeats={repeats}"]
    command += [f"--batch-size={args.batch_size}", f"--allocator={args.allocator}", *["--train"] * args.train]
    command += ["--checkpoint-activations"] * args.checkpoint_activations
    command += ["--compile-literal"] * args.compile_literal + ["--compile"] * args.compile
    command += [f"--device={args.device}", f"--precision={args.precision}"]
    command += ["--keep-freed-memory"] * tuned + [f"--weights={args.weights}"] * bool(args.weights)
    return answer(command)


def work(args: argparse.Namespace) -> int:
    """What a fresh process does: two passes of each side a round, times and peak as JSON, outputs into the folder."""
    if args.keep_freed_memory:
        keep_freed_memory(every_size=args.train or args.allocator == "tuned")
    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    models = {side: build(side, args) for side in args.worker}
    generator = torch.Generator().manual_seed(1)
    pair = [torch.rand(args.batch_size, 1, args.height, args.width, generator=generator).to(device) for _ in range(2)]
    precision = {"literal": "fp32", "ours": args.precision}
    one_pass = step if args.train else infer
    run = {side: partial(one_pass, model, pair, precision[side]) for side, model in models.items()}
    if args.compile or args.compile_literal or device.type == "cuda":
        for side in run:
            timed(run[side], device)  # compiling, and choosing kernels, is not timed
    times, peaks = {side: [] for side in run}, {}
    for _ in range(2 * args.repeats):
        for side in run:
            output, seconds, peaks[side] = timed(run[side], device)
            times[side].append(seconds)
            torch.save(output, args.folder / f"{side}.pt")
    print(json.dumps({"times": times, "peaks": peaks}))
    return 0


def timed(run: Callable[[], Tensor], device: torch.device) -> tuple[Tensor, float, float]:
    """A pass's result, its seconds, and the peak of memory in MB: of this process, on a GPU of the pass alone."""
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.synchronize()
    start = time.perf_counter()
    output = run()
    if on_gpu:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    return output, seconds, torch.cuda.max_memory_allocated() / 2**20 if on_gpu else peak_memory()


def floor(gflop: float, threads: int) -> float:
    """Seconds that so many GFLOP would take at the rate of a product of large matrices on these threads, as torch
    multiplies them or as oneDNN does in a 1x1 convolution, whichever is faster here."""
    torch.set_num_threads(threads)
    side = 2048
    a = torch.rand(side, side)
    image, kernel = a.view(1, side, 1, side).permute(0, 3, 1, 2), a[:, :, None, None]
    seconds = min(in_turn(9, lambda: a @ a, lambda: F.conv2d(image, kernel)))
    return gflop * seconds / (2e-9 * side**3)


def forward(model: torch.nn.Module, pair: list[Tensor], precision: str) -> Tensor:
    """The fused images, in float32 whatever the network worked in."""
    with torch.autocast(pair[0].device.type, torch.bfloat16, enabled=precision == "bf16"):
        return model(*pair).float()


@torch.inference_mode()
def infer(model: torch.nn.Module, pair: list[Tensor], precision: str) -> Tensor:
    """`forward` as `net.Fuser` runs it."""
    with exact_convolutions(pair[0].device):
        return forward(model, pair, precision)


def step(model: torch.nn.Module, pair: list[Tensor], precision: str = "fp32") -> Tensor:
    """A training step but for the optimiser, which is the same on both sides: all gradients, one after the other."""
    model.train().zero_grad()
    fusion_loss(*pair, forward(model, pair, precision), torch.zeros_like(pair[0]))["total"].backward()
    return torch.cat([parameter.grad.flatten() for _, parameter in sorted(model.named_parameters())])


def build(side: str, args: argparse.Namespace) -> torch.nn.Module:
    """A side's network as the options ask for it, with the same weights as the other's."""
    torch.manual_seed(0)
    model = (load_checked(args.weights) if args.weights else net.build("cmmdl").eval()).to(args.device)
    if side == "literal":
        literal = LiteralCMMDL(**{name: model.options[name] for name in ("dim", "heads", "depth")}).eval()
        literal.to(args.device).load_state_dict(model.state_dict())
        if args.compile_literal:
            literal.compile()
        return literal
    if args.train:
        weights_to_channels_last(model)  # as CMMDL_train.py does
    if args.checkpoint_activations:
        model.checkpoint_activations()
    if args.compile:
        net.METHODS["cmmdl"].compile_network(model, dynamic=False)
    return model


if __name__ == "__main__":
    sys.exit(main())
