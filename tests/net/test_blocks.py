"""The blocks on their own, each against its formula."""

import pytest
import torch

from net.fourier import circular_convolution, circular_with_spectra, correlated, rfft2
from net.sdlb import SDLB, Bottleneck
from net.sfca import SFCA


def test_affine_couplings_can_be_inverted():
    block = SDLB(16, coupling="affine").double()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.3)  # far from the identity that fresh weights are close to
    x = torch.randn(2, 16, 9, 11, dtype=torch.float64)
    y = block(x)
    assert (y - x).abs().max() > 0.1
    torch.testing.assert_close(block.inverse(y), x)


def test_fresh_bottlenecks_are_drawn_xavier_normal_with_a_tenth_of_the_usual_deviation():
    block = Bottleneck(128)
    for layer, fans in ((block.expand, 128 + 256), (block.dwconv, 9 + 9 * 256), (block.project, 256 + 128)):
        assert layer.weight.std().item() == pytest.approx(0.1 * (2 / fans) ** 0.5, rel=0.05)


def test_released_couplings_say_that_they_have_no_inverse():
    with pytest.raises(ValueError, match="affine"):
        SDLB(16).inverse(torch.rand(1, 16, 4, 4))


def test_attention_stays_within_a_head():
    attention = SFCA(16, 4)._channel_attention(torch.randn(2, 16, 5, 6), torch.randn(2, 16, 5, 6))
    inside = torch.block_diag(*[torch.ones(4, 4)] * 4).bool()
    assert (attention[:, ~inside] == 0).all()
    torch.testing.assert_close(attention.sum(-1), torch.ones(2, 16))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_is_weighed_in_single_precision_under_autocast_too(dtype):
    block, (q, k) = SFCA(16, 4), torch.rand(2, 1, 16, 5, 6).to(dtype)
    torch.nn.init.constant_(block.temperature, 20)  # small differences of the products show
    expected = block._channel_attention(q.float(), k.float())
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(block._channel_attention(q, k), expected)


def test_fresh_attention_weighs_by_the_cosines_as_they_are():
    assert (SFCA(16, 4).temperature == 1).all()


def test_attention_of_a_black_image_is_finite():
    block = SFCA(16, 4)
    assert block(torch.zeros(1, 16, 5, 5)).isfinite().all()


@pytest.mark.parametrize("size", [(6, 8), (5, 8), (6, 7), (5, 7)])
def test_circular_convolution_wraps_around(size):
    height, width = size
    x, kernel = torch.rand(1, 1, height, width, dtype=torch.float64), torch.zeros(1, 1, height, width).double()
    kernel[..., 1, 2] = 1  # an impulse: the result is the image moved by one row and two columns
    torch.testing.assert_close(circular_convolution(x, kernel), x.roll((1, 2), (2, 3)))


@pytest.mark.parametrize("size", [(6, 8), (5, 8), (6, 7), (5, 7)])
def test_gradients_of_the_circular_convolution_are_those_of_its_formula(size):
    a, b, weight = torch.rand(3, 2, 3, *size, dtype=torch.float64)
    a, b = a.contiguous(memory_format=torch.channels_last).requires_grad_(), b.requires_grad_()
    product = torch.fft.irfft2(torch.fft.rfft2(a) * torch.fft.rfft2(b), s=size)
    expected = torch.autograd.grad((product * weight).sum(), (a, b))
    found = torch.autograd.grad((circular_convolution(a, b) * weight).sum(), (a, b))
    torch.testing.assert_close(found, expected)
    assert [gradient.stride() for gradient in found] == [a.stride(), b.stride()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [(6, 8), (5, 7)])
def test_a_compiler_knows_the_form_of_what_the_operators_give(size, dtype):
    a, b = torch.rand(2, 2, 3, *size, dtype=dtype)
    checks = ("test_schema", "test_faketensor")
    torch.library.opcheck(circular_with_spectra, (a, b), test_utils=checks)
    _, *spectra = circular_with_spectra(a, b)
    torch.library.opcheck(correlated, (torch.rand(2, 3, *size, dtype=dtype), *spectra), test_utils=checks)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_transforms_are_taken_in_single_precision(dtype):
    assert rfft2(torch.rand(1, 1, 4, 4).to(dtype)).dtype == torch.complex64
