"""The network that a method is used with."""

import net
from utils.shipped import digest_of_network


def test_a_networks_digest_is_of_its_weights_and_of_options_that_no_shape_tells():
    small = {"dim": 8, "heads": 2, "depth": 1}
    released, affine, other = (net.build("cmmdl", **small, coupling=c) for c in ("released", "affine", "released"))
    assert digest_of_network(other) != digest_of_network(released)
    for model in (affine, other):
        model.load_state_dict(released.state_dict())
    assert digest_of_network(other) == digest_of_network(released) != digest_of_network(affine)
