"""CMMDL's Fourier transforms in real arithmetic, for exported graphs: these know neither complex numbers nor an FFT.

A transform is written as it is defined, as products with matrices of cosines and sines, which are made from the size
of the image when the graph runs. Any size will do. It costs more than an FFT by a factor that grows with the image.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

import net.fdlb
import net.sfca


class Spectrum(NamedTuple):
    """A complex tensor as two real ones."""

    real: Tensor
    imaginary: Tensor

    def abs(self) -> Tensor:
        return (self.real.square() + self.imaginary.square()).sqrt()


@contextmanager
def real_arithmetic() -> Iterator[None]:
    """While it lasts, SFCA and FDLB compute their transforms by this file's functions of the same names."""
    replaced = [(net.sfca, circular_convolution), (net.fdlb, to_polar), (net.fdlb, from_polar)]
    before = [getattr(module, function.__name__) for module, function in replaced]
    try:
        for module, function in replaced:
            setattr(module, function.__name__, function)
        yield
    finally:
        for (module, function), original in zip(replaced, before, strict=True):
            setattr(module, function.__name__, original)


def rfft2(x: Tensor) -> Spectrum:
    """Equals `net.fourier.rfft2`: (B, C, H, W) real -> (B, C, H, W // 2 + 1)."""
    height, width = x.shape[-2:]
    cosines, sines = waves(width // 2 + 1, width, x)
    real, imaginary = x @ cosines.t(), -(x @ sines.t())
    cosines, sines = waves(height, height, x)
    return Spectrum(cosines @ real + sines @ imaginary, cosines @ imaginary - sines @ real)


def irfft2(spectrum: Spectrum, size: tuple[int, int]) -> Tensor:
    """Equals `net.fourier.irfft2`: (B, C, H, W // 2 + 1) -> (B, C, H, W) real with (H, W) = `size`."""
    height, width = size
    cosines, sines = waves(height, height, spectrum.real)
    real = cosines @ spectrum.real - sines @ spectrum.imaginary
    imaginary = cosines @ spectrum.imaginary + sines @ spectrum.real
    cosines, sines = waves(width // 2 + 1, width, spectrum.real)
    twins = torch.where(own_mirror(width // 2 + 1, width, spectrum.real), 1.0, 2.0)  # others count twice
    return ((real * twins) @ cosines - (imaginary * twins) @ sines) / (height * width)


def circular_convolution(a: Tensor, b: Tensor) -> Tensor:
    """Equals `net.fourier.circular_convolution`: (B, C, H, W) twice -> (B, C, H, W)."""
    a_, b_ = rfft2(a), rfft2(b)
    product = Spectrum(
        a_.real * b_.real - a_.imaginary * b_.imaginary, a_.real * b_.imaginary + a_.imaginary * b_.real
    )
    return irfft2(product, a.shape[-2:])


def to_polar(x: Tensor) -> tuple[Tensor, Tensor]:
    """Equals `net.polar.to_polar`: (B, C, H, W) -> amplitude and angle, (B, C, H, W // 2 + 1) each."""
    spectrum, (height, width) = rfft2(x), x.shape[-2:]
    angle = torch.atan2(spectrum.imaginary, spectrum.real)
    rows = own_mirror(height, height, angle)
    columns = own_mirror(width // 2 + 1, width, angle)
    return spectrum.abs(), torch.where(rows[:, None] & columns, angle.abs(), angle)


def from_polar(amplitude: Tensor, angle: Tensor, size: tuple[int, int], offset: complex) -> Tensor:
    """Equals `net.polar.from_polar`: amplitude and angle (B, C, H, W // 2 + 1) -> (B, C, H, W)."""
    real, imaginary = amplitude * torch.cos(angle) + offset.real, amplitude * torch.sin(angle) + offset.imag
    return irfft2(Spectrum(real, imaginary), size).abs()


def waves(count: int, length: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """cos and sin of 2 pi k n / length for k < count, n < length, (count, length) each, rounded from float64.

    k n is taken modulo the length as a whole number, so that long images lose no digits.
    """
    k, n = torch.arange(count, device=like.device), torch.arange(length, device=like.device)
    angle = (k[:, None] * n % as_scalar(length, like)).double() * (2 * math.pi / length)
    return torch.cos(angle).to(like.dtype), torch.sin(angle).to(like.dtype)


def own_mirror(count: int, length: int, like: Tensor) -> Tensor:
    """Which of the first `count` frequencies are their own negative: 0, and the middle of an even length; (count,)."""
    return 2 * torch.arange(count, device=like.device) % as_scalar(length, like) == 0


def as_scalar(number: int, like: Tensor) -> Tensor:
    """A whole number as a tensor: the exporter takes no remainder by a number that it does not know."""
    return torch.scalar_tensor(number, dtype=torch.int64, device=like.device)
