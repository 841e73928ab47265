"""Gradients that are written out: first derivatives only, and no wrong second ones."""

import pytest
import torch
from torch import nn

import net
from net.fast.layers import depthwise
from net.fourier import circular_convolution
from net.polar import from_polar, to_polar

FUNCTIONS = {
    "a depth-wise convolution": lambda x: depthwise(nn.Conv2d(3, 3, 3, padding=1, groups=3, bias=False), x),
    "a circular convolution": lambda x: circular_convolution(x, x.sin()),
    "amplitudes": lambda x: to_polar(x)[0],
    "phases": lambda x: to_polar(x)[1],
    "the way back from them": lambda x: from_polar(x, x.cos(), (6, 4)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_gradient_that_is_to_be_differentiated_is_refused(name):
    x = torch.rand(2, 3, 6, 3, requires_grad=True)
    value = FUNCTIONS[name](x).square().sum()
    torch.autograd.grad(value, x, retain_graph=True)
    with pytest.raises(RuntimeError, match=r"no second derivatives: .* expected first ones, or benchmarks.literal"):
        torch.autograd.grad(value, x, create_graph=True)


@pytest.mark.parametrize("method", ["cmmdl", "cmmdl-lite"])
def test_networks_refuse_products_with_their_hessian_and_gradient_penalties(method):
    model = net.build(method, dim=8, heads=2, depth=1).eval()
    vis, ir = torch.rand(2, 1, 1, 16, 18)
    with pytest.raises(RuntimeError, match="no second derivatives"):
        torch.autograd.functional.hvp(lambda ir: model(vis, ir).square().sum(), ir, torch.ones_like(ir))
    with pytest.raises(RuntimeError, match="no second derivatives"):
        torch.autograd.grad(model(vis, ir.requires_grad_()).sum(), ir, create_graph=True)
