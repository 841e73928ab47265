"""Write weights for other programs: an ONNX graph for any runtime, or a safetensors file.

    python -m utils.export --onnx CMMDL.onnx                              # of the weights that ship
    python -m utils.export --weights PATH --safetensors CMMDL.safetensors

Exit status: 0 written, 2 usage.
"""

import argparse
import itertools
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from data.files import replacing
from data.options import Parser, UsageError, named_path
from net.files.safetensors_file import write_safetensors
from net.methods import method_of, output_of
from utils.failures import command
from utils.real_fourier import real_arithmetic
from utils.shipped import load_checked, open_model

EXAMPLE = (48, 62)  # height and width at which the graph is recorded; the graph takes any


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status as the module's docstring says."""
    args = parse(argv)
    model = load_checked(args.weights) if args.weights else open_model("cmmdl")
    for write, path in ((write_onnx, args.onnx), (write_safetensors, args.safetensors)):
        if path:
            with replacing(path) as temporary:
                write(temporary, model)
            print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    return 0


def write_onnx(path: str | Path, model: nn.Module) -> None:
    """Write a network as an ONNX graph: inputs `vis` and `ir`, output `fused`, each float32 (1, 1, H, W) of any H, W.

    Inputs and output are luminance in [0, 1]. Colour and the stretch to 8 bits are `net.Fuser`'s and not in the graph,
    nor does it check its inputs. Raises UsageError for a method without ONNX form, or without the packages of
    requirements-export.txt.
    """
    method = method_of(model)
    if method and method.no_onnx:
        raise UsageError(f"{method.label} has no ONNX form: {method.no_onnx}")
    try:
        import onnx  # noqa: F401 - the exporter needs both
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UsageError(f"ONNX needs the package {error.name}: pip install -r requirements-export.txt") from None
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # else it warns that torchvision is missing
    pair = tuple(torch.zeros(2, 1, 1, *EXAMPLE))
    any_size = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    named = {2: "height", 3: "width"}  # for one input: the other has the same axes
    with real_arithmetic(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)  # torch calls its own deprecated code
        program = torch.onnx.export(
            WithOutput(model).eval(),
            pair,
            input_names=["vis", "ir"],
            output_names=["fused"],
            dynamic_shapes={"vis": named, "ir": any_size},
            dynamo=True,
            verbose=False,
        )
    program.save(str(path), external_data=False)


class WithOutput(nn.Module):
    """A network and its method's `output`: luminance in [0, 1] of any network, (B, 1, H, W)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.output = model, output_of(model)

    def forward(self, vis: Tensor, ir: Tensor) -> Tensor:
        return self.output(self.model(vis, ir))


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser("python -m utils.export", __doc__)
    add = parser.add_argument
    add("--weights", type=named_path, help="weights file (default: models/CMMDL.pth)")
    add("--onnx", type=named_path, metavar="FILE", help="the network as an ONNX graph for images of any size")
    add("--safetensors", type=named_path, metavar="FILE", help="the weights alone; net.load reads them again")
    args = parser.parse_args(argv)
    if not (args.onnx or args.safetensors):
        parser.error("nothing to write; expected --onnx FILE, --safetensors FILE, or both")
    if args.safetensors and args.safetensors.suffix != ".safetensors":
        parser.error(f"--safetensors {args.safetensors}: expected a name that ends in .safetensors")
    given = [(option, path) for option in ("weights", "onnx", "safetensors") if (path := getattr(args, option))]
    for (one, path), (other, another) in itertools.combinations(given, 2):
        if os.path.realpath(path) == os.path.realpath(another):
            parser.error(f"--{other} {another}: the file of --{one}; expected another name")
    return args


if __name__ == "__main__":
    sys.exit(main())
