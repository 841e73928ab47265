"""What the tests of the training script share: a tiny patch file, the script on it, and a training to compare with."""

from copy import deepcopy
from functools import partial
from pathlib import Path

import pytest

import CMMDL_train as script
from tests.commands import status_of
from tests.pictures import rendered
from tests.scripts.trainings import BEST, SMALL, at_step, write_patches
from utils.training.board import Board


@pytest.fixture(scope="session")
def h5(tmp_path_factory) -> Path:
    """Eight patches: four steps of two."""
    return write_patches(tmp_path_factory.mktemp("patches") / "patches.h5", 8)


def build_with(monkeypatch, **few) -> None:
    """Let the script build CMMDL with these options where it has no others."""
    build = script.net.build
    given = {"cmmdl": few}
    monkeypatch.setattr(script.net, "build", lambda name, **options: build(name, **given.get(name, {}) | options))


@pytest.fixture
def shallow(monkeypatch) -> None:
    """CMMDL with one transformer block where there are four, which saves most of the time of a test."""
    build_with(monkeypatch, depth=1)


@pytest.fixture
def light(monkeypatch) -> None:
    """CMMDL without SDLB too, half of what is left: for how a training goes, which test_train_methods.py tries with
    all of the network."""
    build_with(monkeypatch, depth=1, without=["sdlb"])


@pytest.fixture
def scenes_once(monkeypatch) -> None:
    """The scenes of `--demo` are drawn once for all tests."""
    monkeypatch.setattr("data.scenes.render", lambda *scene: deepcopy(rendered(*scene)))


@pytest.fixture
def train(h5, tmp_path, light):  # noqa: ARG001
    """Run the script on the patches, into a folder of this test; the exit status."""
    return partial(status_of, script.main, "--h5", h5, "--out", tmp_path, *SMALL)


@pytest.fixture
def train_whole(h5, tmp_path, shallow):  # noqa: ARG001
    """The same with all blocks of the network."""
    return partial(status_of, script.main, "--h5", h5, "--out", tmp_path, *SMALL)


@pytest.fixture
def train_until(train, monkeypatch):
    """Run the script, and do something after a step; the exit status."""

    def run(step, action, *options):
        with monkeypatch.context() as patch:
            patch.setattr(Board, "after_step", at_step(step, action))
            return train(*options)

    return run


@pytest.fixture(scope="session")
def undisturbed_folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("undisturbed")


@pytest.fixture
def undisturbed(h5, undisturbed_folder, light) -> Path:  # noqa: ARG001
    """The run folder of two epochs of the recipe `best` that nothing interrupted."""
    folder = undisturbed_folder / "000-cmmdl"
    if not folder.exists():
        assert script.main(["--h5", str(h5), "--out", str(undisturbed_folder), *SMALL, *BEST]) == 0
    return folder
