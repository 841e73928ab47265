"""What torch offers for any module is fine with the networks: construction without memory."""

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
