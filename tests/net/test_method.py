"""What a method says of itself holds for its network."""

import subprocess
import sys

import numpy as np
import pytest
import torch

import net
from net.method import stretched
from net.methods import method_of

SMALLEST = {"cmmdl": 3, "cmmdl-lite": 5, "mlfuse": 15, "sfdfuse": 4}  # as README says; of the others 1


@pytest.mark.parametrize("name", net.METHODS)
def test_the_smallest_size_fuses_and_a_built_network_is_known_by_its_method(name):
    method = net.METHODS[name]
    model = net.build(name).eval()
    side = method.minimum_size
    assert side == SMALLEST.get(name, 1)
    with torch.inference_mode():
        output = method.output(model(*torch.rand(2, 1, 1, side, side + 1)))
    assert output.shape == (1, 1, side, side + 1) and output.min() >= 0 and output.max() <= 1
    assert method_of(model) is method and method.name == name
    assert any(True for _ in model.parameters()) == method.learns


NUMPYS = {
    "cmmdl": {"dim": np.uint8(64), "heads": np.int32(2), "depth": np.int8(1)},
    "cmmdl-lite": {"dim": np.int64(8), "heads": np.uint8(2), "depth": np.int64(1), "detail": np.int64(4)},
    "mlfuse": {"dim": np.int64(4)},
    "sfdfuse": {"dim": np.int64(8), "heads": np.int64(2), "drop_path": np.float32(0.5)},
    "adasffuse": {"dim": np.int64(32), "dropout": np.float64(0.5), "release_padding": np.bool_(True)},
}


@pytest.mark.parametrize("name", NUMPYS)
def test_numpys_numbers_are_options_that_a_file_can_hold(name, tmp_path):
    model = net.build(name, **NUMPYS[name])
    assert {name for name, value in model.options.items() if type(value).__module__ != "builtins"} == set()
    torch.save({"method": name, "options": model.options, "model": model.state_dict()}, tmp_path / "weights.pth")
    assert net.load(tmp_path / "weights.pth").options == model.options == {**model.options, **NUMPYS[name]}


@pytest.mark.parametrize("dim", [64.0, "64", None, 0, -32])
@pytest.mark.parametrize("name", NUMPYS)
def test_a_width_that_is_no_whole_number_from_1_up_is_refused(name, dim):
    with pytest.raises(ValueError, match="dim is .*; expected a whole number from 1 up"):
        net.build(name, dim=dim)


@pytest.mark.parametrize("probability", [-0.1, 1.1, "0.5", None])
def test_a_probability_that_is_none_is_refused(probability):
    for name, option in (("adasffuse", "dropout"), ("sfdfuse", "drop_path")):
        with pytest.raises(ValueError, match=f"{option} is .*; expected a probability"):
            net.build(name, **{option: probability})
    with pytest.raises(ValueError, match="drop_path is 1; expected a probability from 0 to below 1"):
        net.build("sfdfuse", dim=8, drop_path=1)  # which would scale what is left by infinity
    assert net.build("adasffuse", dim=32, dropout=1).options["dropout"] == 1


@pytest.mark.parametrize("name", net.METHODS)
def test_what_the_siblings_give_is_stretched_and_what_others_give_is_luminance(name):
    given, siblings = torch.tensor([-1.0, 0, 3]).view(1, 1, 1, 3), ("mlfuse", "sfdfuse", "adasffuse")
    assert torch.equal(net.METHODS[name].output(given), (given + 1) / 4 if name in siblings else given)


def test_importing_the_networks_does_not_load_the_compiler():
    loaded = "import net, sys; sys.exit('torch._dynamo' in sys.modules)"  # it takes as long as torch itself
    assert subprocess.run([sys.executable, "-c", loaded], check=False).returncode == 0


@pytest.mark.parametrize("wrapped", [
    torch.nn.DataParallel, torch.optim.swa_utils.AveragedModel, lambda model: torch.compile(model, backend="eager"),
    lambda model: torch.nn.DataParallel(torch.compile(model, backend="eager")),
], ids=["parallel", "averaged", "compiled", "compiled in parallel"])  # fmt: skip
def test_a_wrapped_network_and_a_subclass_give_the_same_picture(images, wrapped):
    model = net.build("mlfuse", dim=4).eval()
    picture = net.Fuser(model, device="cpu")(*images)
    assert method_of(wrapped(model)) is net.METHODS["mlfuse"]
    assert (net.Fuser(wrapped(model), device="cpu")(*images) == picture).all()

    class Own(type(model)):
        pass

    model.__class__ = Own
    assert method_of(model) is net.METHODS["mlfuse"]


def test_a_network_from_elsewhere_is_of_no_method():
    assert method_of(torch.nn.Identity()) is None


@pytest.mark.parametrize("name", ["cmmdl", "cmmdl-lite"])
def test_the_compiler_takes_the_blocks_one_by_one_or_the_whole(name, monkeypatch):
    taken = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **how: taken.append((module, how)))
    method, model = net.METHODS[name], net.build(name)
    method.compile_network(model, dynamic=True)
    assert all(how == {"dynamic": True} for _, how in taken)
    if name == "cmmdl":
        assert [type(module).__name__ for module, _ in taken] == (
            ["TransformerBlock"] * 4 + ["Coupling"] * 6 + ["HDFAB"] + ["TransformerBlock"] * 4
        )
    else:
        assert [module for module, _ in taken] == [model]


def test_each_image_is_stretched_by_itself_and_a_constant_one_clipped():
    batch = torch.stack([torch.tensor([[-1.0, 0.0], [1.0, 3.0]]), torch.full((2, 2), 1.5)])[:, None]
    assert torch.equal(stretched(batch)[0, 0], torch.tensor([[0.0, 0.25], [0.5, 1.0]]))
    assert torch.equal(stretched(batch)[1, 0], torch.ones(2, 2))


def test_an_output_of_another_range_gets_its_colour_after_it_is_stretched(images):
    model = net.build("mlfuse", dim=4)
    with torch.no_grad():
        model.project.bias.fill_(-1.0)  # every value below 0: clipped, the picture would be one colour
    fused = net.Fuser(model, device="cpu", stretch=False)(*images)
    assert fused.std() > 20 and fused.max() > 200
