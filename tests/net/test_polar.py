"""Polar form and its gradients, against the formulas left to autograd."""

import pytest
import torch

from benchmarks import literal
from net.fourier import real_bins, rfft2
from net.polar import from_polar, to_polar

SIZES = [(6, 8), (5, 8), (6, 7), (5, 7), (3, 3)]
OFFSET = 0.2 + 0.1j


def image(size):
    return torch.randn(2, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()


@pytest.mark.parametrize("size", SIZES)
def test_amplitude_and_phase_are_those_of_the_spectrum(size):
    x = image(size)
    amplitude, phase = to_polar(x)
    torch.testing.assert_close(torch.polar(amplitude, phase), rfft2(x))
    with torch.no_grad():
        torch.testing.assert_close(to_polar(x), (amplitude, phase), rtol=0, atol=0)
    weights = torch.randn(2, *amplitude.shape, dtype=x.dtype)
    for row, column in real_bins(size):
        assert (phase[..., row, column] >= 0).all()
        weights[1, ..., row, column] = 0  # autograd takes the derivative of round-off there
    spectrum = rfft2(x)
    expected = torch.autograd.grad((weights[0] * spectrum.abs() + weights[1] * spectrum.angle()).sum(), x)
    torch.testing.assert_close(torch.autograd.grad((weights[0] * amplitude + weights[1] * phase).sum(), x), expected)


def test_only_bins_that_are_real_have_one_angle_on_the_branch_cut():
    size = (6, 8)
    spectrum = rfft2(image(size).detach())
    spectrum[..., 0, 0] = complex(-5, -0.0)  # which is all that round-off may leave
    spectrum[..., 2, 3] = complex(-1, -1e-7)  # an angle that means what it says
    phase = to_polar(torch.fft.irfft2(spectrum, s=size))[1]
    assert (phase[..., 0, 0] == torch.pi).all() and (phase[..., 2, 3] < -3).all()
    torch.testing.assert_close(literal.angle(spectrum, size), phase)


@pytest.mark.parametrize("size", SIZES)
def test_the_way_back_is_the_absolute_value_of_the_transform(size):
    columns = size[1] // 2 + 1
    generator = torch.Generator().manual_seed(2)
    # amplitudes of both signs, and phases of no real image's spectrum: what mixers put out
    amplitude, phase = 2 * torch.randn(2, 2, 3, size[0], columns, dtype=torch.float64, generator=generator)
    inputs = amplitude.requires_grad_(), phase.requires_grad_()
    spectrum = torch.complex(amplitude * phase.cos() + OFFSET.real, amplitude * phase.sin() + OFFSET.imag)
    expected = torch.fft.irfft2(spectrum, s=size).abs()
    found = from_polar(*inputs, size, OFFSET)
    torch.testing.assert_close(found, expected)
    with torch.no_grad():
        torch.testing.assert_close(from_polar(*inputs, size, OFFSET), found, rtol=0, atol=0)
    weight = torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad((found * weight).sum(), inputs), torch.autograd.grad((expected * weight).sum(), inputs)
    )


def test_a_spectrum_of_zeros_has_finite_gradients():
    x = torch.zeros(1, 1, 4, 6, requires_grad=True)
    amplitude, phase = to_polar(x)
    (amplitude.sum() + phase.sum() + from_polar(amplitude, phase, (4, 6)).sum()).backward()
    assert torch.equal(x.grad, torch.zeros_like(x))


@pytest.mark.parametrize("size", SIZES)
def test_negative_round_off_at_real_bins_is_no_angle_of_minus_pi(size):
    x = -torch.ones(1, 1, *size)
    assert to_polar(x)[1][0, 0, 0, 0] == torch.pi
    assert to_polar(-x)[1][0, 0, 0, 0] == 0


def test_half_precision_comes_back_as_half_precision_gradients():
    x = torch.rand(1, 2, 4, 6).bfloat16().requires_grad_()
    amplitude, phase = (half.bfloat16() for half in to_polar(x))
    restored = from_polar(amplitude, phase, (4, 6))
    assert restored.dtype == torch.float32
    restored.sum().backward()
    assert x.grad.dtype == torch.bfloat16
    assert x.grad.isfinite().all()
