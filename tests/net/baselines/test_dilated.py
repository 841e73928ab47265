"""Dilated depth-wise convolutions."""

import pytest
import torch

from net.baselines.adasffuse_blocks import LearnableDWT
from net.baselines.dilated import DilatedDepthwiseConv
from net.baselines.sfdfuse_blocks import DualShuffleFeedForward


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_the_gradient_of_the_weight_is_right_in_every_layout_and_precision(layout, precision):
    convolution = DilatedDepthwiseConv(16, dilation=2, bias=True)
    x = torch.randn(2, 16, 48, 48).contiguous(memory_format=layout)
    weight = convolution.weight.double().detach().requires_grad_()
    exact = torch.nn.functional.conv2d(x.double(), weight, padding=2, dilation=2, groups=16).square().sum()
    (expected,) = torch.autograd.grad(exact, weight)
    with torch.no_grad():
        convolution.bias.zero_()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        output = convolution(x)
    assert output.dtype == precision
    (found,) = torch.autograd.grad(output.float().square().sum(), convolution.weight)
    error = (found - expected).abs().max() / expected.abs().max()
    assert error < (1e-5 if precision == torch.float32 else 0.02)


def test_the_siblings_have_it_where_they_dilate():
    assert isinstance(DualShuffleFeedForward(dim=8, hidden=16).dwconv3_dilated, DilatedDepthwiseConv)
    mix = LearnableDWT(dim=8).low_mix
    assert isinstance(mix, DilatedDepthwiseConv) and (mix.dilation, mix.padding) == ((3, 3), (3, 3))
