"""Transforms in real arithmetic against the network's own."""

from functools import partial

import pytest
import torch

import net.fdlb
import net.fourier
import net.polar
import net.sfca
from utils import real_fourier
from utils.real_fourier import Spectrum, real_arithmetic

SIZES = [(3, 3), (4, 6), (5, 8), (8, 5), (31, 24)]
assert_close = partial(torch.testing.assert_close, rtol=0, atol=1e-10)


def planes(size):
    return torch.rand(2, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("size", SIZES)
def test_the_spectrum_and_the_way_back_are_those_of_the_fft(size):
    x = planes(size)
    expected, found = net.fourier.rfft2(x), real_fourier.rfft2(x)
    assert_close(torch.complex(*found), expected)
    assert_close(found.abs(), expected.abs())
    # Not the spectrum of a real image, as after a mixer: what irfft2 then ignores has to be ignored here too.
    other = expected * torch.complex(*torch.rand(2, *expected.shape, dtype=x.dtype))
    assert_close(real_fourier.irfft2(Spectrum(other.real, other.imag), size), net.fourier.irfft2(other, size))


@pytest.mark.parametrize("size", SIZES)
def test_circular_convolution_phase_and_polar_form_are_those_of_the_network(size):
    a, b = planes(size), planes(size).flip(0)
    assert_close(real_fourier.circular_convolution(a, b), net.fourier.circular_convolution(a, b))
    amplitude, angle = net.polar.to_polar(a - 0.5)
    assert_close(real_fourier.to_polar(a - 0.5), (amplitude, angle))
    back = amplitude, angle + 1, size, 0.1 + 0.2j
    assert_close(real_fourier.from_polar(*back), net.polar.from_polar(*back))


def test_single_precision_stays_close_at_the_width_of_a_large_image():
    x = torch.rand(1, 1, 8, 4000, generator=torch.Generator().manual_seed(3))
    expected = torch.fft.rfft2(x.double())
    error = (torch.complex(*real_fourier.rfft2(x)) - expected).abs().max()
    assert error < 1e-6 * expected.abs().max()


def test_the_network_has_its_own_transforms_again_after_an_error():
    functions = net.sfca.circular_convolution, net.fdlb.to_polar, net.fdlb.from_polar
    with pytest.raises(RuntimeError), real_arithmetic():
        assert net.fdlb.to_polar is real_fourier.to_polar
        raise RuntimeError
    assert functions == (net.sfca.circular_convolution, net.fdlb.to_polar, net.fdlb.from_polar)
