"""Checks of what every network of this package expects of its options and its two inputs."""

from numbers import Integral

import torch
from torch import Tensor, nn


def check_width(dim: int, heads: int = 1, **more: int) -> None:
    """Refuse widths that no network can have.

    Args:
        dim: feature channels, even and a multiple of `heads`.
        heads: attention heads.
        more: other numbers by name, from 1 up.

    Raises ValueError, which says what was found and what was expected.
    """
    check_counts(dim=dim, heads=heads, **more)
    if dim % heads or dim % 2:
        of = f" that is a multiple of heads ({heads})" if heads > 1 else ""
        raise ValueError(f"dim is {dim}; expected an even number{of}")


def check_counts(**numbers: int) -> None:
    """Refuse numbers, by name, that are not whole ones from 1 up; ValueError says which."""
    for name, value in numbers.items():
        if not isinstance(value, Integral) or value < 1:
            raise ValueError(f"{name} is {value!r}; expected a whole number from 1 up")


def check_pair(vis: Tensor, ir: Tensor, *, minimum: int, network: nn.Module | None = None) -> None:
    """Refuse anything but two finite float luminance batches of one shape.

    Args:
        vis, ir: expected as (B, 1, H, W), floating point, finite, on one device; luminance in [0, 1].
        minimum: smallest height and width that the network can take, in pixels.
        network: inputs must be on its weights' device and of their dtype, float32 or float64; under autocast, which
            leaves float64 alone, they may be of half precision beside float32.

    Raises ValueError, which says what was found and what was expected.
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
    weight = None if network is None else next(network.parameters(), None)
    if weight is not None and weight.device != vis.device:
        where = f"vis and ir are on {vis.device}, the network's weights on {weight.device}"
        raise ValueError(f"{where}; expected one device")
    if min(vis.shape[-2:]) < minimum:
        height, width = vis.shape[-2:]
        raise ValueError(f"the pair is {width}x{height} pixels; expected at least {minimum}x{minimum}")
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or vis.is_meta:
        return  # no values to look at yet
    if weight is not None and weight.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"the network's weights are {weight.dtype}; expected float32, and torch.autocast for less")
    if weight is not None and weight.dtype != vis.dtype:
        autocast = torch.is_autocast_enabled(vis.device.type)
        if not autocast or torch.float64 in (vis.dtype, weight.dtype):
            raise ValueError(f"vis and ir are {vis.dtype}, the network's weights {weight.dtype}; expected one dtype")
    for name, x in (("vis", vis), ("ir", ir)):
        if not torch.isfinite(x).all():
            raise ValueError(f"{name} holds NaN or infinite values; expected finite luminance in [0, 1]")


def check_shapes(**images: Tensor) -> None:
    """Raise ValueError for images, given by name, that are not all (B, 1, H, W) of one shape: a loss would broadcast
    them."""
    shapes = [tuple(x.shape) for x in images.values()]
    if len(set(shapes)) > 1 or len(shapes[0]) != 4 or shapes[0][1] != 1:
        *names, last = images
        found = f"{', '.join(names)} and {last} are {', '.join(map(str, shapes))}"
        raise ValueError(f"{found}; expected (B, 1, H, W) each")
