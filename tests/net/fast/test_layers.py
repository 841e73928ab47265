"""Layers that depend on where channels lie in memory: one result, whatever the layout and the form."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from net.fast import layers
from net.fast.layers import depthwise, mix_channels, pointwise, product, reflected, reflected_by_parts
from net.fast.layout import channels_last
from tests.net.fast.layouts import layouts


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("planes", [True, False])
def test_a_pointwise_convolution_is_a_matrix_product(planes, bias):
    convolution = nn.Conv2d(6, 10, 1, bias=bias).double()
    for x in layouts(torch.randn(2, 6, 5, 7, dtype=torch.float64)):
        x.requires_grad_()
        weight = torch.randn(2, 10, 5, 7, dtype=torch.float64)
        found, expected = product(convolution, x, planes=planes), convolution(x)
        torch.testing.assert_close(found, expected)
        assert found.is_contiguous(memory_format=torch.contiguous_format if planes else torch.channels_last)
        inputs = [x, *convolution.parameters()]
        torch.testing.assert_close(
            torch.autograd.grad((found * weight).sum(), inputs), torch.autograd.grad((expected * weight).sum(), inputs)
        )
        torch.testing.assert_close(pointwise(convolution, x, planes=planes), expected)


@pytest.mark.parametrize("for_gpus", [False, True])
def test_a_pointwise_convolution_is_computed_as_a_product_on_gpus_alone(monkeypatch, for_gpus):
    monkeypatch.setattr(layers.layout, "on_gpu", lambda _: for_gpus)
    monkeypatch.setattr(layers, "product", lambda *_, planes: planes)
    assert (pointwise(nn.Conv2d(4, 6, 1), torch.rand(1, 4, 3, 5)) is False) == for_gpus


def test_a_product_in_half_precision_stays_there():
    convolution, x = nn.Conv2d(4, 6, 1), torch.rand(1, 4, 3, 5)
    with torch.autocast("cpu", torch.bfloat16):
        for planes in (True, False):
            found = product(convolution, x, planes=planes)
            assert found.dtype == torch.bfloat16
            torch.testing.assert_close(found.float(), convolution(x).float(), rtol=0, atol=2e-2)


@pytest.mark.parametrize("padding", [0, 1])
def test_the_gradients_of_a_depthwise_convolution_are_torchs(padding):
    convolution = nn.Conv2d(6, 6, 3, padding=padding, groups=6, bias=False).double()
    for x in layouts(torch.randn(2, 6, 5, 7, dtype=torch.float64)):
        inputs = [x.requires_grad_(), convolution.weight]
        found, expected = depthwise(convolution, x), convolution(x)
        torch.testing.assert_close(found, expected)
        weight = torch.randn_like(expected)
        torch.testing.assert_close(
            torch.autograd.grad((found * weight).sum(), inputs), torch.autograd.grad((expected * weight).sum(), inputs)
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_depthwise_convolution_under_autocast_keeps_the_precision_of_its_input(dtype):
    convolution, x = nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False), torch.rand(1, 4, 5, 6, dtype=dtype)
    with torch.autocast("cpu", torch.bfloat16):
        found = depthwise(convolution, x.requires_grad_())
    found.sum().backward()
    assert (found.dtype, x.grad.dtype, convolution.weight.grad.dtype) == (dtype, dtype, torch.float32)


@pytest.mark.parametrize("function", [reflected, reflected_by_parts])
def test_the_border_is_reflected(function):
    for x in layouts(torch.randn(2, 3, 4, 6)):
        expected = F.pad(x, (1, 1, 1, 1), mode="reflect")
        assert torch.equal(function(x), expected)
        weight = torch.randn_like(expected)
        x.requires_grad_()
        of_ours = torch.autograd.grad((function(x) * weight).sum(), x)
        torch.testing.assert_close(
            of_ours, torch.autograd.grad((F.pad(x, (1, 1, 1, 1), mode="reflect") * weight).sum(), x)
        )


def test_parts_keep_channels_side_by_side():
    for x in list(layouts(torch.randn(2, 3, 4, 6)))[1:]:
        assert reflected_by_parts(x).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("batch", [1, 2])
def test_what_products_put_out_is_laid_out_as_torch_lays_it_out(batch):
    x = channels_last(torch.rand(batch, 4, 3, 5))
    expected = torch.empty(batch, 6, 3, 5, memory_format=torch.channels_last).stride()
    assert product(nn.Conv2d(4, 6, 1), x, planes=False).stride() == expected
    assert mix_channels(torch.rand(batch, 6, 4), x).stride() == expected


def test_channel_mixing_is_a_convolution_with_its_own_weights_for_each_image():
    matrix = torch.randn(2, 5, 3)
    for x in layouts(torch.randn(2, 3, 4, 6)):
        expected = torch.cat([F.conv2d(x[i : i + 1], matrix[i, :, :, None, None]) for i in range(2)])
        torch.testing.assert_close(mix_channels(matrix, x), expected)
