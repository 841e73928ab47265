"""What every network of this package expects of its two inputs, said once."""

import torch
from torch import Tensor


def check_pair(vis: Tensor, ir: Tensor, minimum: int = 3) -> None:
    """Refuse anything but two finite float luminance batches of one shape.

    Args:
        vis, ir: expected as (B, 1, H, W), floating point, finite, on one device; luminance in [0, 1].
        minimum: smallest height and width that the network can take, in pixels.

    Raises:
        ValueError: says what was found and what was expected.
    """
    for name, x in (("vis", vis), ("ir", ir)):
        if not isinstance(x, Tensor):
            raise ValueError(f"{name} is a {type(x).__name__}; expected a torch.Tensor of shape (B, 1, H, W)")
        if x.ndim != 4 or x.shape[1] != 1 or x.shape[0] == 0:
            raise ValueError(f"{name} has shape {tuple(x.shape)}; expected (B, 1, H, W): one luminance channel")
        if not x.is_floating_point():
            raise ValueError(f"{name} has dtype {x.dtype}; expected floating point luminance in [0, 1]")
    if vis.shape != ir.shape:
        raise ValueError(f"vis has shape {tuple(vis.shape)}, ir {tuple(ir.shape)}; a pair must have one shape")
    if vis.dtype != ir.dtype or vis.device != ir.device:
        raise ValueError(
            f"vis is {vis.dtype} on {vis.device}, ir {ir.dtype} on {ir.device}; expected one dtype and one device"
        )
    if min(vis.shape[-2:]) < minimum:
        height, width = vis.shape[-2:]
        raise ValueError(f"the pair is {width}x{height} pixels; expected at least {minimum}x{minimum}")
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or vis.is_meta:
        return  # there are no values to look at yet
    for name, x in (("vis", vis), ("ir", ir)):
        if not torch.isfinite(x).all():
            raise ValueError(f"{name} holds NaN or infinite values; expected finite luminance in [0, 1]")
