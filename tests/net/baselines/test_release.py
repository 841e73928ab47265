"""Reading the siblings' weight files: what is refused, and with which words."""

import pytest
import torch

from net.baselines import mlfuse
from net.baselines.mlfuse import MLFuse
from net.baselines.release import flatten
from net.files.states import find_state


@pytest.fixture
def mlfuse_file(release_file) -> dict:
    return release_file("mlfuse")


def test_a_nested_dict_with_the_parallel_prefix_equals_the_bare_one(mlfuse_file):
    nested = {"epoch": 500, "model": {f"module.{name}": value for name, value in mlfuse_file.items()}}
    bare, unwrapped = mlfuse.read(mlfuse_file)[1], mlfuse.read(nested)[1]
    assert bare.keys() == unwrapped.keys()
    assert all(torch.equal(bare[name], unwrapped[name]) for name in bare)


@pytest.mark.parametrize("key", ["state_dict", "net", "network", "weights", "params"])
def test_any_usual_nesting_and_a_prefix_twice_are_taken_as_for_cmmdl(mlfuse_file, key):
    nested = {"epoch": torch.tensor(3), key: {f"module.module.{name}": value for name, value in mlfuse_file.items()}}
    assert mlfuse.read(nested)[1].keys() == mlfuse.read(mlfuse_file)[1].keys()


def test_the_unused_convolution_may_be_absent(mlfuse_file):
    trimmed = {name: value for name, value in mlfuse_file.items() if "conv_dilation" not in name}
    assert len(trimmed) == len(mlfuse_file) - 2
    MLFuse().load_state_dict(mlfuse.read(trimmed)[1])


def test_a_missing_tensor_is_named_as_the_release_names_it(mlfuse_file):
    del mlfuse_file["edg_net.conv3_.weight"]
    with pytest.raises(ValueError, match=r"MLFuse.*missing: edg_net\.conv3_\.weight; not expected: none"):
        mlfuse.read(mlfuse_file)


def test_a_left_over_tensor_of_a_file_of_ours_is_all_that_is_named():
    with pytest.raises(ValueError, match=r"missing: none; not expected: more$"):
        mlfuse.read(MLFuse().state_dict() | {"more": torch.zeros(1)})


def test_a_left_over_tensor_is_named_even_when_its_name_resembles_an_unused_one(mlfuse_file):
    mlfuse_file["edg_net.conv_dilation.scale"] = torch.zeros(1)
    with pytest.raises(ValueError, match=r"missing: none; not expected: edg_net\.conv_dilation\.scale"):
        mlfuse.read(mlfuse_file)


def test_of_many_missing_tensors_eight_are_named_and_the_rest_counted():
    with pytest.raises(ValueError, match=r"missing: (\S+, ){7}\S+ and 101 more; not expected: none"):
        mlfuse.read({"edg_net.conv_dilation.bias": torch.zeros(16)})


def test_a_tensor_of_a_wrong_shape_is_named(mlfuse_file):
    mlfuse_file["outc.conv.weight"] = torch.zeros(1, 8, 1, 1)
    with pytest.raises(ValueError, match=r"'outc\.conv\.weight' has shape \(1, 8, 1, 1\); expected \(1, 16, 1, 1\)"):
        mlfuse.read(mlfuse_file)


def test_an_entry_that_is_no_tensor_is_named():
    with pytest.raises(ValueError, match="entry 'optimizer' is a list"):
        flatten({"weight": torch.zeros(1), "optimizer": []})


def test_state_dicts_side_by_side_are_joined_under_their_names():
    joined = flatten({"Encoder": {"module.a": torch.zeros(1)}, "Decoder": {"module.a": torch.ones(1)}})
    assert joined.keys() == {"Encoder.a", "Decoder.a"}
    with pytest.raises(ValueError, match="dictionaries within dictionaries"):
        flatten({"Encoder": {"model": {"a": torch.zeros(1)}}, "Decoder": {"a": torch.ones(1)}})


def within_themselves():
    """State dicts that are no tree, whose names are without end or double with each level."""
    circle, wrapped, shared = {}, {}, {"weight": torch.zeros(1)}
    circle["Encoder"], wrapped["model"] = circle, wrapped
    for _ in range(200):
        shared = {"Encoder": shared, "Decoder": shared}
    return {"circle": circle, "circle of wrappers": wrapped, "shared": shared}


@pytest.mark.parametrize("name", within_themselves())
def test_dictionaries_within_dictionaries_are_refused_at_once(name):
    with pytest.raises(ValueError, match="dictionaries within dictionaries; expected one state dict"):
        flatten(within_themselves()[name])


def test_four_wrappers_are_taken_off_as_for_cmmdl_and_no_more():
    nested = {"weight": torch.zeros(1)}
    for _ in range(4):
        nested = {"model": nested}
    assert flatten(nested).keys() == find_state(nested).keys() == {"weight"}
    assert not find_state({"model": nested})
    with pytest.raises(ValueError, match="dictionaries within dictionaries"):
        flatten({"model": nested})


def test_several_state_dicts_within_a_wrapper_are_taken():
    several = {"Encoder": {"a": torch.zeros(1)}, "Decoder": {"a": torch.ones(1)}}
    assert flatten({"epoch": 3, "model": several}).keys() == {"Encoder.a", "Decoder.a"}
