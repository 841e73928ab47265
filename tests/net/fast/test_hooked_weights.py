"""Weights that torch's forward pre-hooks keep up: every form of a network computes with them as they are now."""

import pytest
import torch
from torch import nn
from torch.nn.utils import prune, weight_norm

import net
import net.fast.layout
from benchmarks.literal import LiteralCMMDL
from net.baselines.sfdfuse_detail import DifferenceConv

PAIR = torch.rand(2, 2, 1, 16, 18, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def pruned(convolution):
    for name, _ in list(convolution.named_parameters()):
        prune.random_unstructured(convolution, name, amount=0.5)


REPARAMETRISED = {
    "pruned": pruned,
    "normalised": pytest.param(weight_norm, marks=pytest.mark.filterwarnings("ignore::FutureWarning")),
}


def both(keep_up):
    """CMMDL and its literal form with the same weights, all convolutions' kept up by hooks."""
    ours, literal = (build(dim=8, heads=2, depth=1).double() for build in (net.CMMDL, LiteralCMMDL))
    for network in (ours, literal):
        for layer in [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]:
            keep_up(layer)
    literal.load_state_dict(ours.state_dict())
    return ours, literal


def step(network):
    """Trains by one step of SGD."""
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    network(*PAIR).square().mean().backward()
    optimiser.step()


def equal(ours, literal):
    torch.testing.assert_close(ours(*PAIR), literal(*PAIR), rtol=0, atol=1e-9)
    with torch.no_grad():
        torch.testing.assert_close(ours(*PAIR), literal(*PAIR), rtol=0, atol=1e-9)


@pytest.mark.parametrize("checkpointed", [False, True])
@pytest.mark.parametrize("for_gpus", [False, True])
@pytest.mark.parametrize("keep_up", REPARAMETRISED.values(), ids=REPARAMETRISED)
def test_weights_that_hooks_keep_up_are_never_those_of_an_earlier_call(monkeypatch, keep_up, for_gpus, checkpointed):
    monkeypatch.setattr(net.fast.layout, "on_gpu", lambda _: for_gpus)
    ours, literal = both(keep_up)
    if checkpointed:
        ours.checkpoint_activations()
    for network in (ours, literal):
        step(network)
        step(network)
    equal(ours.eval(), literal.eval())
    for network in (ours, literal):
        with torch.no_grad():
            for name, parameter in sorted(network.named_parameters()):
                if name.endswith(("_orig", "_v")):
                    parameter.add_(0.2 * torch.linspace(-1, 1, parameter.numel()).view_as(parameter))
    equal(ours, literal)


def test_a_sum_of_pruned_kernels_and_biases_is_of_what_they_are_now():
    convolution, x = DifferenceConv(channels=2), torch.rand(1, 2, 5, 6)
    for part in convolution.children():
        pruned(part)
    with torch.no_grad():
        before = convolution(x)
        for parameter in convolution.parameters():
            parameter.mul_(2)
        torch.testing.assert_close(convolution(x), 2 * before)


@pytest.mark.parametrize("method", ["cmmdl", "cmmdl-lite", "mlfuse", "sfdfuse", "adasffuse"])
def test_a_pruned_network_moves_to_another_precision(method):
    network = net.build(method).eval()
    for layer in [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]:
        pruned(layer)
    with torch.no_grad():
        assert network.double()(*PAIR).isfinite().all()
