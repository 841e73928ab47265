"""Compare ONNX Runtime with torch on the CPU.

    python -m benchmarks.runtimes --method cmmdl-lite

The weights that ship are exported as `utils.export` does it; both then fuse the same pair in turn with as many threads.
Printed are the medians, their ratio (ONNX Runtime over torch), and how far the outputs are apart. Exit status 1 if that
exceeds 1e-3. Needs requirements-export.txt.
"""

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

import net
from benchmarks.methods import add_settings
from benchmarks.timing import in_turn
from data.options import Parser, UsageError, named_path
from data.words import counted
from utils.export import write_onnx
from utils.failures import command
from utils.memory import keep_freed_memory
from utils.shipped import open_model

TOLERANCE = 1e-3


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("python -m benchmarks.runtimes", __doc__)
    add_settings(parser)
    parser.set_defaults(repeats=9)
    learnt = [name for name, method in net.METHODS.items() if method.learns]
    parser.add_argument("--method", choices=learnt, default="cmmdl-lite", help="the network")
    parser.add_argument("--weights", type=named_path, help="of the network (default: those that ship)")
    args = parser.parse_args(argv)
    keep_freed_memory(every_size=not net.METHODS[args.method].by_bands)
    torch.set_num_threads(args.threads)
    pair = torch.rand(2, 1, 1, args.height, args.width, generator=torch.Generator().manual_seed(1))
    model = open_model(args.method, args.weights)
    runtime = onnx_runtime(model, args.threads)
    output = net.METHODS[args.method].output  # which the graph has
    sides = {"torch": lambda: output(model(*pair)).numpy(), "ONNX Runtime": lambda: runtime(*pair.numpy())}
    with torch.inference_mode():
        outputs = {name: fuse() for name, fuse in sides.items()}  # each also warms up
        medians = dict(zip(sides, in_turn(args.repeats, *sides.values()), strict=True))
    settings = f"CPU, {counted(args.threads, 'thread')}, {counted(args.repeats, 'round')} in turn"
    print(f"{args.method}, {args.width}x{args.height}, {settings}")
    for name, median in medians.items():
        print(f"{name:<13}{median:8.3f} s")
    print(f"ratio {medians['ONNX Runtime'] / medians['torch']:.2f}")
    difference = np.abs(outputs["torch"] - outputs["ONNX Runtime"]).max()
    print(f"largest difference {difference:.1e}")
    return int(not difference <= TOLERANCE)  # also for NaN


def onnx_runtime(model: torch.nn.Module, threads: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """The network in ONNX Runtime, from (1, 1, H, W) float32 in [0, 1], twice, to the fused image.

    Raises UsageError where the packages of requirements-export.txt are not installed, or the network has no ONNX form.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UsageError(f"this needs the package {error.name}: pip install -r requirements-export.txt") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        write_onnx(path, model)
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    return lambda vis, ir: session.run(["fused"], {"vis": vis, "ir": ir})[0]


if __name__ == "__main__":
    sys.exit(main())
