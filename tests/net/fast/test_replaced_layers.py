"""Layers that took the place of others compute in every form, also where the others were written out."""

import pytest
import torch
from torch import nn

import net
from net.fast.bands import in_bands

PAIR = torch.rand(2, 2, 1, 16, 18, generator=torch.Generator().manual_seed(1))


def without_statistics(norm):
    norm = nn.BatchNorm2d(norm.num_features)
    norm.running_mean = norm.running_var = None
    return norm


def with_bias(old):
    return old if old.kernel_size != (1, 1) else nn.Conv2d(old.in_channels, old.out_channels, 1)


REPLACED = {
    "ReLU6 by SiLU": (nn.ReLU6, lambda _: nn.SiLU()),
    "ReLU6 by ReLU": (nn.ReLU6, lambda _: nn.ReLU()),
    "ReLU by GELU": (nn.ReLU, lambda _: nn.GELU()),
    "LeakyReLU by GELU": (nn.LeakyReLU, lambda _: nn.GELU()),
    "LeakyReLU by ReLU": (nn.LeakyReLU, lambda _: nn.ReLU()),
    "BatchNorm by GroupNorm": (nn.BatchNorm2d, lambda norm: nn.GroupNorm(2, norm.num_features)),
    "BatchNorm by nothing": (nn.BatchNorm2d, lambda _: nn.Identity()),
    "BatchNorm without statistics": (nn.BatchNorm2d, without_statistics),
    "BatchNorm without weights": (nn.BatchNorm2d, lambda norm: nn.BatchNorm2d(norm.num_features, affine=False)),
    "a block by a convolution": (net.sdlb.Bottleneck, lambda block: nn.Conv2d(block.expand.in_channels, 4, 1)),
    "a convolution by one with a bias": (nn.Conv2d, with_bias),
}


def replace(network, kind, by):
    for module in list(network.modules()):
        for name, layer in module.named_children():
            if type(layer) is kind:
                setattr(module, name, by(layer))


@pytest.mark.parametrize("method", ["cmmdl", "cmmdl-lite"])
@pytest.mark.parametrize("name", REPLACED)
def test_replaced_layers_compute_with_and_without_gradients(method, name):
    network = net.build(method, dim=8, heads=2, depth=1)
    replace(network, *REPLACED[name])
    network.eval()
    expected = network(*PAIR).detach()
    with torch.no_grad():
        torch.testing.assert_close(network(*PAIR), expected, rtol=0, atol=1e-5)


def test_layers_of_the_same_kind_still_compute_by_bands():
    network = net.build("cmmdl", dim=8, heads=2, depth=1)
    replace(network, nn.BatchNorm2d, lambda norm: nn.BatchNorm2d(norm.num_features))
    network.eval()
    with torch.no_grad():
        assert all(in_bands(block, PAIR[0]) for block in network.modules() if hasattr(block, "kinds"))
