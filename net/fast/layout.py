"""Where a tensor (B, C, H, W) has its channels in memory, and the layers that depend on it.

`torch.channels_last` keeps each pixel's channels side by side, which is what 1x1 convolutions, depth-wise convolutions
and the normalisation over channels read. Fourier transforms read planes: each channel's pixels side by side.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_weight
from torch.nn.modules import module as modules

from net.devices import without_autocast
from net.fast.gradients import refuse_second_derivatives

HOOKS = "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"  # of a layer


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


def is_plain(layer: nn.Module, *, kernel: int, groups: int = 1) -> bool:
    """Whether weight and bias tell all that a call of the layer computes, so that a form may do without the call.

    They do not where another layer, such as an adapter, took a convolution's place, where its `forward` was replaced,
    and where hooks wait for the call, forward or backward, of this layer or of all.
    """
    if type(layer).forward is not nn.Conv2d.forward or "forward" in layer.__dict__:
        return False
    if modules._has_any_global_hook() or any(getattr(layer, hooks) for hooks in HOOKS):
        return False
    form = layer.kernel_size, layer.groups, layer.stride, layer.dilation, layer.padding_mode
    if form != ((kernel, kernel), groups, (1, 1), (1, 1), "zeros"):
        return False
    return layer.padding in ((0, 0), (kernel // 2, kernel // 2))


def pointwise(convolution: nn.Conv2d, x: Tensor, *, planes: bool = False) -> Tensor:
    """`convolution(x)` with a 1x1 kernel.

    On a GPU it is a matrix product: cuDNN has slow kernels for it in float32, and copies between layouts around them.

    Args:
        planes: a GPU shall put out planes, not channels side by side; it reads either.
    """
    if on_gpu(x) and is_plain(convolution, kernel=1):
        return product(convolution, x, planes=planes)
    return convolution(x)


def product(convolution: nn.Conv2d, x: Tensor, *, planes: bool) -> Tensor:
    """What `pointwise` computes on a GPU."""
    points, weight = x.flatten(2), convolution.weight.flatten(1)  # (B, C, HW), (K, C)
    bias = convolution.bias  # (K,)
    if planes:
        y = torch.bmm(weight.expand(len(x), -1, -1), points)  # (B, K, HW)
        return (y if bias is None else y + bias[:, None].to(y.dtype)).unflatten(2, x.shape[2:])
    return as_image(F.linear(points.transpose(1, 2), weight, bias), x.shape[2:])


def depthwise(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """`convolution(x)` with a depth-wise 3x3 kernel, which is cast to the dtype of x, and with a faster gradient."""
    plain = is_plain(convolution, kernel=3, groups=x.shape[1]) and convolution.bias is None
    if not (plain and torch.is_grad_enabled()):
        return convolution(x)
    return Depthwise.apply(x, convolution.weight.to(x.dtype), convolution.padding[0])


class Depthwise(torch.autograd.Function):
    """The gradient for x is a convolution with the flipped kernel, which on GPUs and CPUs alike is faster than
    what torch calls for it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.padding = padding
        with without_autocast(x.device):
            return F.conv2d(x, weight, padding=padding, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        refuse_second_derivatives()
        x, weight = ctx.saved_tensors
        grad_x = F.conv2d(gradient, weight.flip(-1, -2), padding=2 - ctx.padding, groups=len(weight))
        grad_weight = conv2d_weight(x, weight.shape, gradient, padding=ctx.padding, groups=len(weight))
        return grad_x, grad_weight, None


def mix_channels(matrix: Tensor, x: Tensor) -> Tensor:
    """A 1x1 convolution whose weights differ from image to image: (B, K, C), (B, C, H, W) -> (B, K, H, W)."""
    return as_image(x.flatten(2).transpose(1, 2) @ matrix.to(x.dtype).transpose(1, 2), x.shape[2:])


def as_image(points: Tensor, size: torch.Size) -> Tensor:
    """(B, HW, C) -> (B, C, H, W) without a copy.

    The order of the steps matters for a batch of one, whose stride says nothing: turned first and then unflattened, it
    would get one that convolutions take for planes.
    """
    return points.unflatten(1, size).permute(0, 3, 1, 2)


def reflected(x: Tensor) -> Tensor:
    """x with one row or column more on each side, which repeats the one next to the border; (B, C, H + 2, W + 2).

    `F.pad` by "reflect", but on a GPU, where that puts out planes.
    """
    return reflected_by_parts(x) if on_gpu(x) else F.pad(x, (1, 1, 1, 1), mode="reflect")


def reflected_by_parts(x: Tensor) -> Tensor:
    """What `reflected` computes on a GPU."""
    x = torch.cat([x[..., 1:2], x, x[..., -2:-1]], dim=3)
    return torch.cat([x[:, :, 1:2], x, x[:, :, -2:-1]], dim=2)
