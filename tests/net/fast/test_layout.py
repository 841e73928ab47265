"""Where channels lie in memory, and what keeps them there."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from net.cmmdl import transformer
from net.fast.layout import channels_last, keep_channels_last, planes, transposed
from net.sdlb import SDLB
from tests.net.fast.layouts import layouts


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
