"""The network that a method is used with."""

import pytest
import torch

import net
from data.options import UsageError
from utils.shipped import digest_of_network, open_model, shipped


def test_weights_of_another_method_are_refused_by_its_name_with_what_takes_them():
    lite = shipped("cmmdl-lite")
    with pytest.raises(UsageError) as error:
        open_model("cmmdl", lite)
    assert str(error.value) == f"{lite}: weights of CMMDL-lite; expected those of CMMDL, or method cmmdl-lite"
    with pytest.raises(UsageError, match="weights of CMMDL-lite; expected those of CMMDL$"):
        open_model("cmmdl", lite, "--teacher WEIGHTS", fixed=True)


def test_a_networks_digest_is_of_its_weights_and_of_options_that_no_shape_tells():
    small = {"dim": 8, "heads": 2, "depth": 1}
    released, affine, other = (net.build("cmmdl", **small, coupling=c) for c in ("released", "affine", "released"))
    assert digest_of_network(other) != digest_of_network(released)
    for model in (affine, other):
        model.load_state_dict(released.state_dict())
    assert digest_of_network(other) == digest_of_network(released) != digest_of_network(affine)
    one, two = torch.nn.ParameterList([torch.zeros(2, 3)]), torch.nn.ParameterList([torch.zeros(3, 2)])
    assert digest_of_network(one) != digest_of_network(two)
