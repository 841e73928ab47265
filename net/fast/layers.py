"""1x1 and depth-wise 3x3 convolutions, which read channels side by side (`net.fast.layout`): faster forms for GPUs, and
a faster gradient of the depth-wise ones."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_weight
from torch.nn.modules import module as modules

from net.devices import without_autocast
from net.fast import layout
from net.fast.gradients import refuse_second_derivatives

HOOKS = "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"


def is_plain(layer: nn.Module, *, kernel: int, groups: int = 1) -> bool:
    """Whether weight and bias tell all that a call of the layer computes, so that a form may do without the call.

    They do not if another layer, such as an adapter, took the convolution's place, if its `forward` was replaced, or if
    forward or backward hooks, of this layer or of all, wait for the call.
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
        planes: on a GPU the result has planes, not channels side by side; x may have either.
    """
    if layout.on_gpu(x) and is_plain(convolution, kernel=1):
        return product(convolution, x, planes=planes)
    return convolution(x)


def product(convolution: nn.Conv2d, x: Tensor, *, planes: bool) -> Tensor:
    """What `pointwise` computes on a GPU."""
    points, weight = x.flatten(2), convolution.weight.flatten(1)  # (B, C, HW), (K, C)
    bias = convolution.bias  # (K,)
    if planes:
        y = torch.bmm(weight.expand(len(x), -1, -1), points)  # (B, K, HW)
        return (y if bias is None else y + bias[:, None].to(y.dtype)).unflatten(2, x.shape[2:])
    return layout.as_image(F.linear(points.transpose(1, 2), weight, bias), x.shape[2:])


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
    return layout.as_image(x.flatten(2).transpose(1, 2) @ matrix.to(x.dtype).transpose(1, 2), x.shape[2:])


def reflected(x: Tensor) -> Tensor:
    """x with one row or column more on each side, which repeats the one next to the border; (B, C, H + 2, W + 2).

    `F.pad` by "reflect", but on a GPU, where that puts out planes.
    """
    return reflected_by_parts(x) if layout.on_gpu(x) else F.pad(x, (1, 1, 1, 1), mode="reflect")


def reflected_by_parts(x: Tensor) -> Tensor:
    """What `reflected` computes on a GPU."""
    x = torch.cat([x[..., 1:2], x, x[..., -2:-1]], dim=3)
    return torch.cat([x[:, :, 1:2], x, x[:, :, -2:-1]], dim=2)
