"""Spectra in polar form, and their gradients.

Written out, the gradients keep amplitude and phase alone for the backward pass and take one transform of a real image,
where autograd keeps every step between and takes transforms of whole complex spectra.
"""

from typing import Any

import torch
from torch import Tensor

from net.fast.gradients import refuse_second_derivatives
from net.fourier import at_least_float32, fix_branch_cut, irfft2, rfft2


def to_polar(x: Tensor) -> tuple[Tensor, Tensor]:
    """Amplitude and phase of `rfft2(x)`, (B, C, H, W // 2 + 1) each from (B, C, H, W); angles in [-pi, pi], see
    `net.fourier.fix_branch_cut`."""
    return ToPolar.apply(x) if torch.is_grad_enabled() else polar(x)


def from_polar(amplitude: Tensor, phase: Tensor, size: tuple[int, int], offset: complex = 0) -> Tensor:
    """`|irfft2(amplitude e^(i phase) + offset)|`, (B, C, H, W) with (H, W) = `size`."""
    if torch.is_grad_enabled():
        return FromPolar.apply(amplitude, phase, size, offset)
    return inverse(amplitude, phase, size, offset).abs()


class ToPolar(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        ctx.size, ctx.dtype = x.shape[-2:], x.dtype
        amplitude, phase = polar(x)
        ctx.save_for_backward(amplitude, phase)
        return amplitude, phase

    @staticmethod
    def backward(ctx: Any, grad_amplitude: Tensor, grad_phase: Tensor) -> Tensor:
        """With S = A e^(ip), the gradients for S's real and imaginary parts are those of (dA + i dp / A) e^(ip)."""
        refuse_second_derivatives()
        amplitude, phase = ctx.saved_tensors
        there = amplitude > 0  # elsewhere a phase means nothing and an amplitude has no slope
        across = torch.where(there, grad_phase / amplitude, 0)
        spectrum = torch.complex(torch.where(there, grad_amplitude, 0), across).mul_(direction(phase))
        conjugate_pairs(spectrum, ctx.size).mul_(0.5)
        return torch.fft.irfft2(spectrum, s=ctx.size, norm="forward").to(ctx.dtype)


class FromPolar(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, amplitude: Tensor, phase: Tensor, size: tuple[int, int], offset: complex) -> Tensor:
        ctx.size = size
        image = inverse(amplitude, phase, size, offset)
        ctx.save_for_backward(amplitude, phase, image)
        return image.abs()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """With S = A e^(ip) and G the gradients for its real and imaginary parts: dA + i dp / A = G e^(-ip)."""
        refuse_second_derivatives()
        amplitude, phase, image = ctx.saved_tensors
        spectrum = torch.fft.rfft2(gradient * image.sign(), norm="forward")
        conjugate_pairs(spectrum, ctx.size).mul_(2)
        along, across = torch.view_as_real(spectrum.mul_(direction(phase).conj())).unbind(-1)
        return along.to(amplitude.dtype), (across * amplitude).to(phase.dtype), None, None


def polar(x: Tensor) -> tuple[Tensor, Tensor]:
    """What `to_polar` gives."""
    spectrum = rfft2(x)
    fix_branch_cut(spectrum, x.shape[-2:])
    return amplitude_and_phase(spectrum)


def amplitude_and_phase(spectrum: Tensor) -> tuple[Tensor, Tensor]:
    """`spectrum.abs()` and `spectrum.angle()`; on a CPU, where these take longer, by functions of real numbers."""
    if spectrum.device.type != "cpu":
        return spectrum.abs(), spectrum.angle()
    real, imaginary = spectrum.real.contiguous(), spectrum.imag.contiguous()
    return torch.hypot(real, imaginary), torch.atan2(imaginary, real)


def inverse(amplitude: Tensor, phase: Tensor, size: tuple[int, int], offset: complex) -> Tensor:
    """What `from_polar` gives, with its signs."""
    return irfft2(direction(phase).mul_(amplitude).add_(offset), size)


def direction(phase: Tensor) -> Tensor:
    """`e^(i phase)`, in single or double precision."""
    phase = at_least_float32(phase)
    return torch.complex(phase.cos(), phase.sin())


def conjugate_pairs(spectrum: Tensor, size: tuple[int, int]) -> Tensor:
    """The columns of `rfft2` that stand for two of the whole spectrum: all but the first and, of an even width, the
    last."""
    return spectrum[..., 1 : (size[1] + 1) // 2]
