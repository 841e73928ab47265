"""What torch offers for any module is fine with the networks: meta devices, autocast, traces, pickles."""

import io
import pickle

import pytest
import torch

import net

LEARNED = [name for name, method in net.METHODS.items() if method.learns]
PAIR = torch.rand(2, 1, 1, 16, 18, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize("assigned", [False, True])
def test_weights_given_to_a_network_built_without_memory_are_all_of_it(name, assigned):
    original = net.build(name).eval()
    with torch.device("meta"):
        network = net.build(name).eval()
    if not assigned:
        network.to_empty(device="cpu")
    network.load_state_dict(original.state_dict(), assign=assigned)
    torch.testing.assert_close(network(*PAIR), original(*PAIR), rtol=0, atol=0)
    with torch.no_grad():
        torch.testing.assert_close(network(*PAIR), original(*PAIR), rtol=0, atol=0)


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize("training", [False, True])
def test_operations_are_counted_without_values(name, training):
    with torch.device("meta"):
        network, pair = net.build(name).train(training), torch.empty(2, 2, 1, 16, 18)
    with torch.set_grad_enabled(training):
        assert network(*pair).shape == (2, 1, 16, 18)


@pytest.mark.parametrize("differentiated", [False, True])
@pytest.mark.parametrize("of_inputs", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["cmmdl", "cmmdl-lite"])
def test_under_autocast_a_pair_in_half_precision_fuses_in_single(name, of_inputs, differentiated):
    network, pair = net.build(name, dim=8, heads=2, depth=1).eval(), PAIR.to(of_inputs)
    with torch.no_grad():
        expected = network(*pair.float())
    for of_operations in (torch.float16, torch.bfloat16):
        with torch.set_grad_enabled(differentiated), torch.autocast("cpu", of_operations):
            fused = network(*pair)
        assert fused.dtype == torch.float32 and (fused - expected).abs().max() < 0.05


@pytest.mark.parametrize("name", ["cmmdl", "cmmdl-lite"])
def test_autocast_takes_no_double_precision_beside_single(name):
    network = net.build(name, dim=8, heads=2, depth=1).eval()
    with torch.autocast("cpu", torch.bfloat16):
        with pytest.raises(ValueError, match="vis and ir are torch.float64, .* weights torch.float32; expected one"):
            network(*PAIR.double())
        with pytest.raises(ValueError, match="vis and ir are torch.float32, .* weights torch.float64; expected one"):
            network.double()(*PAIR)
        assert network(*PAIR.double()).dtype == torch.float64


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("name", ["cmmdl", "cmmdl-lite"])
def test_a_trace_can_be_saved_and_gives_the_same(name):
    network, file = net.build(name, dim=8, heads=2, depth=1).eval(), io.BytesIO()
    with torch.no_grad():
        torch.jit.save(torch.jit.trace(network, tuple(PAIR)), file)
        file.seek(0)
        other = PAIR.flip(0)
        torch.testing.assert_close(torch.jit.load(file)(*other), network(*other), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", net.METHODS)
def test_a_method_and_its_network_can_be_pickled(name):
    method = pickle.loads(pickle.dumps(net.METHODS[name]))
    assert (method.name, method.network) == (name, net.METHODS[name].network)
    network = net.build(name).eval()
    with torch.no_grad():
        torch.testing.assert_close(pickle.loads(pickle.dumps(network))(*PAIR), network(*PAIR), rtol=0, atol=0)


@pytest.mark.parametrize("name", [name for name in net.METHODS if name not in LEARNED])
def test_rules_fuse_images_that_are_differentiated_elsewhere(name):
    rule = net.build(name)
    assert torch.equal(rule(*PAIR.clone().requires_grad_()).detach(), rule(*PAIR))
