"""What a method says of itself holds for its network."""

import subprocess
import sys

import pytest
import torch

import net
from net.method import stretched
from net.methods import method_of


@pytest.mark.parametrize("name", net.METHODS)
def test_the_smallest_size_fuses_and_a_built_network_is_known_by_its_method(name):
    method = net.METHODS[name]
    model = net.build(name).eval()
    side = method.minimum_size
    with torch.inference_mode():
        output = method.output(model(*torch.rand(2, 1, 1, side, side + 1)))
    assert output.shape == (1, 1, side, side + 1) and output.min() >= 0 and output.max() <= 1
    assert method_of(model) is method and method.name == name
    assert any(True for _ in model.parameters()) == method.learns


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
    torch.manual_seed(0)
    model = net.build("mlfuse", dim=4)
    with torch.no_grad():
        model.project.bias.fill_(-1.0)  # every value below 0: clipped, the picture would be one colour
    fused = net.Fuser(model, device="cpu", stretch=False)(*images)
    assert fused.std() > 20 and fused.max() > 200
