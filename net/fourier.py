"""Fourier transforms of the network: always in float32 or better, with one value for an angle on the branch cut."""

from typing import Any

import torch
from torch import Tensor

from net.fast import layout
from net.fast.gradients import refuse_second_derivatives
from net.fast.parallel import in_parallel


def at_least_float32(x: Tensor) -> Tensor:
    """`x` itself in float32 or float64, else `x` as float32: FFTs and norms in half precision are missing or too
    inexact."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def for_fft(x: Tensor) -> Tensor:
    """As transforms read it: in float32 or float64, each channel's pixels side by side."""
    return layout.planes(x, torch.promote_types(x.dtype, torch.float32))


def rfft2(x: Tensor) -> Tensor:
    """(..., H, W) real -> (..., H, W // 2 + 1) complex, normalisation "backward"."""
    return torch.fft.rfft2(for_fft(x))


def irfft2(spectrum: Tensor, size: tuple[int, int]) -> Tensor:
    """(..., H, W // 2 + 1) complex -> (..., H, W) real with (H, W) = `size`, odd widths too."""
    return torch.fft.irfft2(spectrum, s=size)


def circular_convolution(a: Tensor, b: Tensor) -> Tensor:
    """Convolution of two (B, C, H, W) tensors channel by channel, wrapped around at the borders of the image.

    The result has the type and layout of a.
    """
    if not (torch.is_grad_enabled() or torch.compiler.is_compiling()):
        return in_layout(irfft2(rfft2(a) * rfft2(b), a.shape[-2:]), a.dtype, a.stride(1) == 1)
    return CircularConvolution.apply(a, b)


class CircularConvolution(torch.autograd.Function):
    """`irfft2(rfft2(a) * rfft2(b))`, whose gradients are correlations: three transforms of real images, where autograd
    takes whole complex spectra. They have the layout of a and b, as the layers before them read it; the result has
    that of a."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        result, a_, b_ = circular_with_spectra(for_fft(a), for_fft(b))
        ctx.save_for_backward(a_, b_)
        ctx.layouts = [(x.dtype, x.stride(1) == 1) for x in (a, b)]
        return in_layout(result, *ctx.layouts[0])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        refuse_second_derivatives()
        grad_a, grad_b = correlated(for_fft(gradient), *ctx.saved_tensors)
        layout_a, layout_b = ctx.layouts
        return in_layout(grad_a, *layout_a), in_layout(grad_b, *layout_b)


def in_layout(x: Tensor, dtype: torch.dtype, channels_last: bool) -> Tensor:
    """x in this type, with channels or with pixels side by side."""
    return layout.channels_last(x, dtype) if channels_last else layout.planes(x, dtype)


# The compiler has no code for complex numbers. It calls these two as they are, and sees only real tensors.
@torch.library.custom_op("cmmdl::circular_with_spectra", mutates_args=())
def circular_with_spectra(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`irfft2(rfft2(a) * rfft2(b))` of tensors as `for_fft` gives them, and both spectra as real numbers, (B, C, H,
    W // 2 + 1, 2)."""
    a_, b_ = torch.fft.rfft2(a), torch.fft.rfft2(b)
    result = irfft2(a_ * b_, a.shape[-2:])
    return result.contiguous(), torch.view_as_real(a_).contiguous(), torch.view_as_real(b_).contiguous()


@circular_with_spectra.register_fake
def _(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ARG001 - a form of `circular_with_spectra`
    *batch, width = a.shape
    spectra = (a.new_empty(*batch, width // 2 + 1, 2) for _ in range(2))
    return a.new_empty(a.shape), *spectra


@torch.library.custom_op("cmmdl::correlated", mutates_args=())
def correlated(gradient: Tensor, a_: Tensor, b_: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients of `circular_with_spectra` for a and b, from its two spectra and the gradient of its result."""
    gradient_, a_, b_ = torch.fft.rfft2(gradient), torch.view_as_complex(a_), torch.view_as_complex(b_)
    grad_a, grad_b = (irfft2(gradient_ * other.conj(), gradient.shape[-2:]).contiguous() for other in (b_, a_))
    return grad_a, grad_b


@correlated.register_fake
def _(gradient: Tensor, a_: Tensor, b_: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG001 - a form of `correlated`
    return gradient.new_empty(gradient.shape), gradient.new_empty(gradient.shape)


def convolve_in_place(a: Tensor, b: Tensor) -> None:
    """Puts `circular_convolution(a, b)` of two (C, H, W) tensors in the place of `a`, plane by plane."""

    def work(pair: tuple[Tensor, Tensor]) -> None:
        plane, other = pair
        plane.copy_(irfft2(rfft2(plane).mul_(rfft2(other)), a.shape[-2:]))

    in_parallel(work, list(zip(a, b, strict=True)))


def fix_branch_cut(spectrum: Tensor, size: tuple[int, int]) -> None:
    """Changes, in place, signs that are round-off, so that the angles of `rfft2(x)` are the same everywhere.

    At the bins that are real for every real image (DC, and Nyquist where the size is even) only round-off decides
    whether a negative value has the angle +pi or -pi, so libraries and devices differ there. Here it is always +pi.

    Args:
        spectrum: `rfft2(x)`, (..., H, W // 2 + 1).
        size: (H, W) of x.
    """
    imaginary = torch.view_as_real(spectrum)[..., 1]
    for row, column in real_bins(size):
        imaginary[..., row, column].abs_()


def real_bins(size: tuple[int, int]) -> list[tuple[int, int]]:
    """Rows and columns of the bins of `rfft2` that are real for every real image of this size."""
    height, width = size
    rows = (0,) if height % 2 else (0, height // 2)
    columns = (0,) if width % 2 else (0, width // 2)
    return [(row, column) for row in rows for column in columns]
