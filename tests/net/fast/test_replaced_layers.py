"""Layers that took the place of others compute in every form, also where the others were written out."""

import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

import net
import net.fast.layout
from net.baselines.sfdfuse_detail import DifferenceConv
from net.fast.bands import in_bands

PAIR = torch.rand(2, 2, 1, 16, 18, generator=torch.Generator().manual_seed(1))


def without_statistics(norm):
    norm = nn.BatchNorm2d(norm.num_features)
    norm.running_mean = norm.running_var = None
    return norm


def form_of(old):
    return {name: getattr(old, name) for name in ("kernel_size", "padding", "groups")}


def with_bias(old):
    return nn.Conv2d(old.in_channels, old.out_channels, **form_of(old))


def mirroring(old):
    if old.padding == (0, 0):
        return old
    mode = {"padding_mode": "reflect", "bias": old.bias is not None}
    new = nn.Conv2d(old.in_channels, old.out_channels, **form_of(old), **mode)
    new.load_state_dict(old.state_dict())
    return new


def doubling(old):
    forward = old.forward
    old.forward = lambda x: 2 * forward(x)
    return old


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
    "a convolution by one that mirrors": (nn.Conv2d, mirroring),
    "a convolution's forward": (nn.Conv2d, doubling),
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


class Inherited(nn.Conv2d):
    """An adapter that is a convolution: its weight alone is not what it computes with."""

    def forward(self, x):
        return 1.2 * super().forward(x)


class Around(nn.Module):
    """An adapter that has the convolution within."""

    def __init__(self, convolution):
        super().__init__()
        self.convolution = convolution

    def forward(self, x):
        return 1.2 * self.convolution(x)


def inherited(convolution):
    convolution.__class__ = Inherited
    return convolution


def merged(convolution):
    for parameter in convolution.parameters():
        parameter.data *= 1.2
    return convolution


@pytest.mark.parametrize("for_gpus", [False, True])
@pytest.mark.parametrize("adapter", [inherited, Around])
@pytest.mark.parametrize("method", ["cmmdl", "cmmdl-lite", "mlfuse", "adasffuse"])
def test_adapters_of_all_convolutions_count_in_every_form(monkeypatch, method, adapter, for_gpus):
    monkeypatch.setattr(net.fast.layout, "on_gpu", lambda _: for_gpus)
    options = {"dim": 32} if method == "adasffuse" else {"dim": 8}
    expected, adapted = net.build(method, **options), net.build(method, **options)
    adapted.load_state_dict(expected.state_dict())
    replace(expected.eval(), nn.Conv2d, merged)
    replace(adapted.eval(), nn.Conv2d, adapter)
    fused = expected(*PAIR).detach()
    torch.testing.assert_close(adapted(*PAIR), fused, rtol=0, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(adapted(*PAIR), fused, rtol=0, atol=1e-5)


@pytest.mark.parametrize("for_gpus", [False, True])
@pytest.mark.parametrize("gradients", [False, True])
def test_hooks_see_every_convolution_and_change_no_result(monkeypatch, gradients, for_gpus):
    monkeypatch.setattr(net.fast.layout, "on_gpu", lambda _: for_gpus)
    network, seen = net.build("cmmdl", dim=8, heads=2, depth=1).eval(), set()
    expected = network(*PAIR).detach()
    convolutions = {layer for layer in network.modules() if isinstance(layer, nn.Conv2d)}
    for layer in convolutions:
        layer.register_forward_hook(lambda layer, *_: seen.add(layer))
    with torch.set_grad_enabled(gradients):
        torch.testing.assert_close(network(*PAIR), expected, rtol=0, atol=1e-5)
    assert seen == convolutions


@pytest.mark.parametrize("for_gpus", [False, True])
@pytest.mark.parametrize("register", [
    nn.Module.register_full_backward_hook, nn.Module.register_full_backward_pre_hook, register_module_forward_hook,
])  # fmt: skip
def test_hooks_of_gradients_and_hooks_on_every_module_see_every_convolution(monkeypatch, register, for_gpus):
    monkeypatch.setattr(net.fast.layout, "on_gpu", lambda _: for_gpus)
    network, seen = net.build("cmmdl", dim=8, heads=2, depth=1), []
    convolutions = {layer for layer in network.modules() if isinstance(layer, nn.Conv2d)}
    convolutions.remove(network.decoder.head[0])  # torch refuses such a hook where an activation is in place
    if register is register_module_forward_hook:
        handles = [register(lambda layer, *_: seen.append(layer))]
    else:
        handles = [register(layer, lambda layer, *_: seen.append(layer)) for layer in convolutions]
    try:
        network(*PAIR.clone().requires_grad_()).mean().backward()
    finally:
        for handle in handles:
            handle.remove()
    assert convolutions <= set(seen)


def test_an_adapter_where_only_weights_are_read_is_refused():
    block = DifferenceConv(channels=2)
    replace(block, nn.Conv2d, inherited)
    with pytest.raises(TypeError, match="Inherited in a DifferenceConv, which never calls it"):
        block(torch.rand(1, 2, 5, 5))
