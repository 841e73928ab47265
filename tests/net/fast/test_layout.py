"""Layers that depend on where channels lie in memory: one result, whatever the layout and the form."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from net.cmmdl import transformer
from net.fast.layers import depthwise, mix_channels, pointwise, product, reflected, reflected_by_parts
from net.fast.layout import channels_last, keep_channels_last, planes, transposed
from net.sdlb import SDLB


def layouts(x):
    """x as planes, with channels side by side, and as every second half of a wider tensor's channels."""
    last = torch.channels_last
    yield x.contiguous()
    yield x.contiguous(memory_format=last)
    yield torch.cat([torch.ones_like(x), x], dim=1).contiguous(memory_format=last).chunk(2, dim=1)[1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_transposition_is_torchs(dtype):
    x = torch.randn(3, 35, 22, dtype=dtype)[:, :, 2:]
    found = transposed(x)
    assert found.is_contiguous() and torch.equal(found, x.transpose(1, 2))


@pytest.mark.parametrize("differentiated", [False, True])
@pytest.mark.parametrize("size", [(2, 6, 5, 7), (1, 6, 5, 7), (2, 1, 5, 7), (2, 6, 1, 1), (1, 6, 1, 9)])
@pytest.mark.parametrize(
    ("function", "layout"), [(channels_last, torch.channels_last), (planes, torch.contiguous_format)]
)
def test_a_layout_is_torchs(function, layout, size, differentiated):
    for x in layouts(torch.randn(size)):
        found, expected = function(x.requires_grad_(differentiated)), x.contiguous(memory_format=layout)
        assert torch.equal(found, expected) and found.is_contiguous(memory_format=layout)
        if differentiated:
            (gradient,) = torch.autograd.grad((found * expected.detach()).sum(), x)
            assert torch.equal(gradient, x)
        half = function(x, torch.bfloat16)
        assert torch.equal(half, x.bfloat16()) and half.is_contiguous(memory_format=layout)


def test_what_has_a_layout_is_not_copied():
    last = torch.randn(2, 6, 5, 7).contiguous(memory_format=torch.channels_last)
    assert channels_last(last) is last and keep_channels_last(last).data_ptr() == last.data_ptr()
    x = last.contiguous()
    assert planes(x) is x


def test_a_gradient_in_planes_goes_on_with_channels_side_by_side():
    for x in layouts(torch.randn(2, 6, 5, 7)):
        side = keep_channels_last(x.requires_grad_())
        (gradient,) = torch.autograd.grad(side, x, grad_outputs=x.detach().contiguous())
        assert torch.equal(side, x) and torch.equal(gradient, x)
        for found in (side, gradient):
            assert found.is_contiguous(memory_format=torch.channels_last)


class MixedSums(TorchDispatchMode):
    """Counts sums of two images of one shape that are laid out differently."""

    count = 0

    def __torch_dispatch__(self, function, _, args=(), kwargs=None):
        if function.overloadpacket in (torch.ops.aten.add, torch.ops.aten.add_):
            images = [x for x in args if isinstance(x, torch.Tensor) and x.ndim == 4]
            layouts = {x.stride(1) == 1 for x in images}  # halves too
            self.count += len({x.shape for x in images}) == 1 and len(layouts) == 2
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("block", ["transformer", "sdlb"])
def test_sums_along_a_residual_stream_are_of_one_layout_in_both_directions(block):
    network = transformer(8, heads=2, depth=2) if block == "transformer" else SDLB(8)
    for x in list(layouts(torch.randn(2, 8, 5, 7)))[:2]:
        with MixedSums() as sums, torch.autograd.set_multithreading_enabled(False):
            network(x.requires_grad_()).backward(torch.randn(2, 8, 5, 7))
            assert sums.count == 0
    with sums:
        torch.add(torch.randn(2, 8, 5, 7), x)
    assert sums.count == 1


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("planes", [True, False])
def test_a_pointwise_convolution_is_a_matrix_product(planes, bias):
    torch.manual_seed(0)
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


def test_a_product_in_half_precision_stays_there():
    convolution, x = nn.Conv2d(4, 6, 1), torch.rand(1, 4, 3, 5)
    with torch.autocast("cpu", torch.bfloat16):
        for planes in (True, False):
            found = product(convolution, x, planes=planes)
            assert found.dtype == torch.bfloat16
            torch.testing.assert_close(found.float(), convolution(x).float(), rtol=0, atol=2e-2)


@pytest.mark.parametrize("padding", [0, 1])
def test_the_gradients_of_a_depthwise_convolution_are_torchs(padding):
    torch.manual_seed(0)
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
