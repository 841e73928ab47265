"""Where a tensor (B, C, H, W) has its channels in memory.

`torch.channels_last` keeps each pixel's channels side by side, which is what 1x1 convolutions, depth-wise convolutions
and the normalisation over channels read. Fourier transforms read planes: each channel's pixels side by side.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def on_gpu(x: Tensor) -> bool:
    """Whether the forms for GPUs are taken; a test takes them on a CPU."""
    return x.device.type == "cuda"


def eager_on_cpu(x: Tensor) -> bool:
    """Whether operations on x run on a CPU one by one, not as a graph that is compiled or exported."""
    return x.device.type == "cpu" and not (torch.compiler.is_compiling() or torch.jit.is_tracing())


def pixels(x: Tensor) -> Tensor:
    """One image (1, C, H, W) as (H, W, C), the same memory."""
    return x[0].permute(1, 2, 0)


def image(x: Tensor) -> Tensor:
    """The inverse of `pixels`: (H, W, C) -> (1, C, H, W), the same memory; convolutions see it as channels_last."""
    return x[None].permute(0, 3, 1, 2)


def transposed(x: Tensor) -> Tensor:
    """(n, A, B) -> (n, B, A), contiguous.

    A shuffle of A * B channels in A groups is this transposition. On a CPU torch has vector instructions for it, but
    not for a copy between layouts.
    """
    n, a, b = x.shape
    channels = x.reshape(n, 1, 1, a * b).permute(0, 3, 1, 2)
    return F.channel_shuffle(channels, a).view(n, b, a)


def transposed_is_faster(x: Tensor) -> bool:
    """Whether `transposed` is the faster copy of x to another layout: autograd would take it apart into slower ones."""
    return eager_on_cpu(x) and not (torch.is_grad_enabled() and x.requires_grad)


def channels_last(x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """x with each pixel's channels side by side, in another type if one is given; x itself where it is so."""
    if transposed_is_faster(x) and x.is_contiguous() and not x.is_contiguous(memory_format=torch.channels_last):
        return as_image(transposed(x.flatten(2)), x.shape[2:]).to(dtype or x.dtype)
    return copied(x, dtype, torch.channels_last)


def planes(x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """x with each channel's pixels side by side, in another type if one is given; x itself where it is so."""
    if transposed_is_faster(x) and x.ndim == 4 and x.stride(1) == 1 and not x.is_contiguous():
        return transposed(x.permute(0, 2, 3, 1).flatten(1, 2)).unflatten(2, x.shape[2:]).to(dtype or x.dtype)
    return copied(x, dtype, torch.contiguous_format)


def copied(x: Tensor, dtype: torch.dtype | None, layout: torch.memory_format) -> Tensor:
    """x in this type and layout, by one copy of torch's at most; `to` alone would leave a view of a wider tensor
    uncopied."""
    return x.to(dtype or x.dtype, memory_format=layout).contiguous(memory_format=layout)


class KeepChannelsLast(torch.autograd.Function):
    """`channels_last`, also of the gradient."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        return channels_last(x)

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return channels_last(gradient)


def keep_channels_last(x: Tensor) -> Tensor:
    """In training on a CPU x, and its gradient on the way back, with channels side by side; elsewhere x as it is.

    A sum of two tensors whose layouts differ takes several times as long as of two that agree, and one gradient in
    planes, as dense convolutions and transforms give, would make all sums along a residual stream so.
    """
    return KeepChannelsLast.apply(x) if x.device.type == "cpu" and torch.is_grad_enabled() else x


def weights_to_channels_last(network: nn.Module) -> None:
    """Keep the weights of convolutions wider than 1x1 in `torch.channels_last`, the layout of their gradients; those of
    1x1 kernels have another."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and layer.kernel_size != (1, 1):
            layer.to(memory_format=torch.channels_last)


def for_dense(x: Tensor) -> Tensor:
    """x as a GPU's kernels for dense 3x3 convolutions read it fastest: channels side by side in half precision, planes
    in float32; on a CPU as it is."""
    if not on_gpu(x):
        return x
    half = x.dtype in (torch.bfloat16, torch.float16)
    return x.contiguous(memory_format=torch.channels_last if half else torch.contiguous_format)


def as_image(points: Tensor, size: torch.Size) -> Tensor:
    """(B, HW, C) -> (B, C, H, W) without a copy.

    The order of the steps matters for a batch of one, whose stride says nothing: turned first and then unflattened, it
    would get one that convolutions take for planes.
    """
    return points.unflatten(1, size).permute(0, 3, 1, 2)
