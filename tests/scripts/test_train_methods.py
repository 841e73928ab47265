"""Every method that learns, through the training script: it trains, resumes to the bit, and its checkpoint fuses."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import CMMDL_train as script
import net
import net.baselines
from net import methods
from net.method import Method
from tests.commands import status_of
from tests.scripts.trainings import assert_one_sentence, assert_same_training, checkpoint, send, write_patches

LEARNING = [name for name, method in net.METHODS.items() if method.learns]
WIDTHS = dict.fromkeys(LEARNING, 16) | {"cmmdl-lite": 8, "mlfuse": 4, "adasffuse": 32}


@pytest.fixture
def train(h5, tmp_path, shallow):  # noqa: ARG001
    """Run the script for a method, narrow, on eight patches of 16 pixels; the exit status."""

    def run(name: str, *options: object, h5: Path = h5, out: Path = tmp_path) -> int:
        small = ["--method", name, "--dim", WIDTHS.get(name, 16), "--batch-size", 4, "--h5", h5, "--out", out]
        return status_of(script.main, *small, *options)

    return run


@pytest.fixture(scope="module")
def trainings(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("trainings")


@pytest.fixture
def undisturbed(train, trainings) -> Callable[[str], Path]:
    """The run folder of a method's two epochs, which are trained once; of SFDFuse's two phases that is one each."""

    def folder_of(name: str) -> Path:
        if not (trainings / name).exists():
            assert train(name, "--epochs", 2, out=trainings / name) == 0
        return trainings / name / f"000-{name}"

    return folder_of


@pytest.mark.parametrize("name", LEARNING)
def test_the_default_recipe_changes_every_weight_and_its_checkpoint_fuses(undisturbed, pair, name):
    folder, label = undisturbed(name), net.METHODS[name].label
    script.seed_everything(42)
    fresh = script.net.build(name, dim=WIDTHS[name]).state_dict()
    last = checkpoint(folder / "last.pth")
    trained = last.get("trained", last["model"])
    parameters = [key for key, _ in net.load(folder / f"{label}.pth").named_parameters()]
    assert parameters and not [key for key in parameters if torch.equal(fresh[key], trained[key])]
    final = net.load(folder / f"{label}.pth")
    assert type(final) is net.METHODS[name].network and final.options["dim"] == WIDTHS[name]
    assert final(*pair).shape == pair[0].shape and torch.equal(final(*pair), net.load(folder / "last.pth")(*pair))


@pytest.mark.parametrize("name, stopped_after", [(name, 3) for name in LEARNING] + [("sfdfuse", 1), ("sfdfuse", 2)])
def test_an_interruption_changes_nothing(train, train_until, undisturbed, tmp_path, name, stopped_after):
    assert train_until(stopped_after, send(signal.SIGTERM), name, "--epochs", 2) == 130
    assert train(name, "--epochs", 2) == 0
    assert_same_training(tmp_path / f"000-{name}", undisturbed(name), label=net.METHODS[name].label)


@pytest.mark.usefixtures("scenes_once")
def test_a_map_is_of_whole_images_where_there_are_some(tmp_path):
    options = ["--method", "mlfuse", "--dim", 4, "--demo", "--size", 24, "--epochs", 1, "--out", tmp_path]
    assert script.main([*map(str, options), "--batch-size", "4"]) == 0
    log = (tmp_path / "000-mlfuse" / "log.txt").read_text()
    assert "VIF" in log and "infrared saliency of each whole pair" in log


def test_the_log_says_where_a_map_of_patches_stands_for_one_of_whole_images(train, capsys):
    assert train("mlfuse", "--epochs", 1) == 0
    assert "infrared saliency of each patch, not of its whole image" in capsys.readouterr().err


def test_a_task_chooses_the_recipe_and_iterations_become_epochs(train_until, tmp_path, capsys):
    assert train_until(1, send(signal.SIGTERM), "adasffuse", "--task", "medical") == 130
    errors = capsys.readouterr().err
    assert "recipe medical" in errors and "50000 iterations are 25000 epochs of this data" in errors
    assert set(checkpoint(tmp_path / "000-adasffuse" / "last.pth")["sums"]) == {
        "total", "intensity", "gradient", "structure"
    }  # fmt: skip


@pytest.mark.parametrize(
    "name, options, status, words",
    [
        ("mlfuse", ["--recipe", "best"], 2, "--recipe: invalid choice: 'best'; mlfuse has paper"),
        ("adasffuse", ["--task", "mif"], 2, "invalid choice: 'mif'; adasffuse has ivf, mef, mff, medical"),
        ("average", [], 2, "--method: invalid choice: 'average'"),
        ("mlfuse", ["--dim", "5"], 1, "dim is 5; expected an even number"),
        ("sfdfuse", ["--dim", "12"], 1, "dim is 12; expected an even number that is a multiple of heads (8)"),
        ("mlfuse", ["--init", "{small}"], 1, "weights of CMMDL; expected those of MLFuse"),
        ("sfdfuse", ["--resume", "{small}"], 1, "holds no training state"),
    ],
)
def test_what_a_method_cannot_do_is_refused(train, tmp_path, small, capsys, name, options, status, words):
    torch.save({"method": "cmmdl", "options": small.options, "model": small.state_dict()}, tmp_path / "small.pth")
    assert train(name, *(option.format(small=tmp_path / "small.pth") for option in options)) == status
    assert_one_sentence(capsys.readouterr().err, words)
    assert [path.name for path in tmp_path.iterdir()] == ["small.pth"]


def test_norms_cannot_be_kept_where_there_are_none(train, tmp_path, capsys):
    network = net.build("sfdfuse", dim=WIDTHS["sfdfuse"])
    state = {"method": "sfdfuse", "options": network.options, "model": network.state_dict()}
    torch.save(state, tmp_path / "start.pth")
    assert train("sfdfuse", "--init", tmp_path / "start.pth", "--keep-norms") == 1
    assert_one_sentence(capsys.readouterr().err, "--keep-norms: SFDFuse has no BatchNorm layers")


@pytest.mark.parametrize("name, smallest", [("mlfuse", 15), ("sfdfuse", 6)])
def test_patches_that_are_too_small_for_a_method_are_refused(train, tmp_path, capsys, name, smallest):
    for size in (smallest, smallest - 1):
        patches = write_patches(tmp_path / f"{size}.h5", 8, size=size)
        assert train(name, "--epochs", 1, h5=patches) == (0 if size == smallest else 1)
    words = f"expected at least {smallest}x{smallest} for {net.METHODS[name].label}"
    assert_one_sentence(capsys.readouterr().err, words)


FIFTH = '''
import torch
from torch import nn

from net.method import Method
from net.training.objective import Phase
from net.training.recipe import Recipe, constant


class Mix(nn.Module):
    def __init__(self, *, dim=2):
        super().__init__()
        self.options = {"dim": dim}
        self.layers = nn.Sequential(nn.Conv2d(2, dim, 1), nn.Conv2d(dim, 1, 1))

    def forward(self, vis, ir):
        return self.layers(torch.cat([vis, ir], 1)).sigmoid()


def loss(fused, batch):
    return {"total": (fused - batch.vis).square().mean()}


RECIPE = Recipe(phases=(Phase(loss),), epochs=1, batch_size=4, lr=1e-3, schedule=constant)
METHOD = Method(name="mix", label="Mix", network=Mix, recipes={"paper": RECIPE})
'''


def test_another_method_is_one_file_more(train, tmp_path, monkeypatch, images):
    """It is found, trains two steps, its checkpoint loads and fuses, and a table has its row."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "mix.py").write_text(FIFTH)
    monkeypatch.setattr(net.baselines, "__path__", [*net.baselines.__path__, str(package)])
    try:
        found = methods.discover()["mix"]
        monkeypatch.setitem(net.METHODS, "mix", found)
        assert train("mix") == 0
        model = net.load(tmp_path / "000-mix" / "Mix.pth")
        assert checkpoint(tmp_path / "000-mix" / "last.pth")["steps"] == 2 and type(model) is found.network
        assert net.Fuser(model, device="cpu")(*images).shape == images[0].shape

        (package / "nix.py").write_text(FIFTH.replace('"mix"', '"nix"'))
        with pytest.raises(ValueError, match="the methods mix and nix have one label; expected each its own"):
            methods.discover()
    finally:
        sys.modules.pop("net.baselines.nix", None)
        sys.modules.pop("net.baselines.mix", None)


@pytest.mark.parametrize(("options", "why"), [
    ({"dim": 2, "window": 2048}, "options {'dim': 2, 'window': 2048} do not fit its tensors"),
    (None, "its options are a NoneType; expected a dictionary"),
])  # fmt: skip
def test_a_method_whose_weights_could_not_be_read_again_is_refused_before_it_trains(
    train, tmp_path, monkeypatch, capsys, options, why
):
    class Odd(net.METHODS["average"].network):
        def __init__(self, *, dim=2):
            super().__init__()
            self.layer, self.options = torch.nn.Conv2d(dim, dim, 1), options

    recipe = net.METHODS["mlfuse"].recipes["paper"]
    odd = Method(name="odd", label="Odd", network=Odd, recipes={"paper": recipe})
    monkeypatch.setitem(net.METHODS, "odd", odd)
    assert train("odd") == 1
    assert why in capsys.readouterr().err and not list(tmp_path.glob("000-*"))
