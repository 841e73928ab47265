"""Training with less memory gives the same gradients."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, spectral_norm

import net
import net.fast.recompute
from benchmarks.literal import LiteralCMMDL
from net.fast.recompute import recomputed
from net.restormer import GDFN


def gradients(model, pair):
    model(*pair).square().mean().backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def kept_bytes(model, pair):
    """Bytes that the forward pass keeps for the backward pass, each storage once."""
    storages = {}

    def keep(tensor):
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(*pair)
    return sum(storage.nbytes() for storage in storages.values())


@pytest.fixture
def model():
    return net.build("cmmdl", dim=16, depth=2).double().train()


@pytest.fixture
def doubles(pair):
    return tuple(image[..., :16, :20].double() for image in pair)


def test_gradients_and_statistics_are_those_of_the_literal_form(model, doubles):
    literal = LiteralCMMDL(dim=16, depth=2).double().train()
    literal.load_state_dict(model.state_dict())
    torch.testing.assert_close(gradients(model, doubles), gradients(literal, doubles), rtol=1e-6, atol=1e-12)
    torch.testing.assert_close(model.state_dict(), literal.state_dict())


def test_checkpointed_activations_change_neither_gradients_nor_statistics(model, doubles):
    checkpointed = copy.deepcopy(model)
    checkpointed.checkpoint_activations()
    assert kept_bytes(checkpointed, doubles) < 0.5 * kept_bytes(model, doubles)
    model.load_state_dict(checkpointed.state_dict())  # both have counted one batch
    torch.testing.assert_close(gradients(checkpointed, doubles), gradients(model, doubles))
    torch.testing.assert_close(checkpointed.state_dict(), model.state_dict())


def test_a_cpu_keeps_less_than_half_of_the_literal_form(model, doubles):
    literal = LiteralCMMDL(dim=16, depth=2).double().train()
    assert kept_bytes(model, doubles) < 0.5 * kept_bytes(literal, doubles)


@pytest.mark.parametrize("checkpointed", [False, True])
@pytest.mark.parametrize("method", ["cmmdl", "cmmdl-lite"])
def test_weights_of_a_functional_call_are_those_of_the_backward_pass_too(method, checkpointed):
    model = net.build(method, dim=8, heads=2, depth=1).double().train()
    pair = torch.rand(2, 2, 1, 24, 20, dtype=torch.float64)
    before = dict(model.named_parameters())
    other = {name: (x.detach() + 0.1 * torch.randn_like(x)).requires_grad_() for name, x in before.items()}
    holding = copy.deepcopy(model)
    holding.load_state_dict(other, strict=False)
    expected = gradients(holding, pair)
    for module in model.modules():
        if hasattr(module, "checkpointed"):
            module.checkpointed = checkpointed
    torch.func.functional_call(model, other, tuple(pair)).square().mean().backward()
    torch.testing.assert_close({name: x.grad for name, x in other.items()}, expected, rtol=1e-6, atol=1e-12)
    after = dict(model.named_parameters())
    assert all(after[name] is x and x.grad is None for name, x in before.items())


@pytest.mark.parametrize("checkpointed", [False, True])
@pytest.mark.parametrize(
    "name",
    ["encoder.blocks.0.norm2.bias", "encoder.blocks.0.sfca.qkvu.weight", "decoder.blocks.0.sfca.kv_f_dw.weight",
     "sdlb_ir.couplings.1.rho.expand.weight", "fdlb.amp_vis.0.weight"],
)  # fmt: skip
def test_weights_changed_before_the_backward_pass_are_refused(name, checkpointed):
    model = net.build("cmmdl", dim=8, heads=2, depth=1).train()
    if checkpointed:
        model.checkpoint_activations()
    loss = model(*torch.rand(2, 2, 1, 12, 12)).mean()
    with torch.no_grad():
        model.get_parameter(name).mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_nothing_is_computed_twice_without_gradients():
    calls = []

    def function(x):
        calls.append(x)
        return x * x

    with torch.no_grad():
        assert recomputed(function, torch.ones(1), of=torch.nn.Identity()) == 1
    assert len(calls) == 1
    recomputed(function, torch.ones(1, requires_grad=True), of=torch.nn.Identity()).square().backward()
    assert len(calls) == 3


@pytest.mark.parametrize("checkpointed", [False, True])
def test_what_a_layer_drops_at_random_is_dropped_in_the_backward_pass_too(model, doubles, monkeypatch, checkpointed):
    for block in [block for block in model.modules() if isinstance(block, GDFN)]:
        block.project_in = nn.Sequential(nn.Dropout(0.5), block.project_in)
    kept = copy.deepcopy(model)
    if checkpointed:
        model.checkpoint_activations()
    torch.manual_seed(1)
    found = gradients(model, doubles)
    monkeypatch.setattr(net.fast.recompute, "checkpoint", lambda function, *inputs, **_: function(*inputs))
    torch.manual_seed(1)
    torch.testing.assert_close(found, gradients(kept, doubles))


@pytest.mark.parametrize("checkpointed", [False, True])
@pytest.mark.parametrize("normalise", [parametrizations.spectral_norm, spectral_norm, None])
def test_what_a_call_leaves_in_buffers_is_left_once(doubles, monkeypatch, normalise, checkpointed):
    model = net.build("cmmdl", dim=8, heads=2, depth=1)
    for block in [block for block in model.modules() if isinstance(block, GDFN)]:
        for name, layer in block.named_children():
            if normalise:  # by a step of a power iteration in each call
                normalise(layer)
            else:
                setattr(block, name, nn.Sequential(nn.BatchNorm2d(layer.in_channels), layer))
    kept = copy.deepcopy(model.double())
    if checkpointed:
        model.checkpoint_activations()
    found = gradients(model, doubles)
    monkeypatch.setattr(net.fast.recompute, "checkpoint", lambda function, *inputs, **_: function(*inputs))
    torch.testing.assert_close(found, gradients(kept, doubles))
    torch.testing.assert_close(dict(model.named_buffers()), dict(kept.named_buffers()))
