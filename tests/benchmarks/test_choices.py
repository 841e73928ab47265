"""Trainings that differ in one thing."""

import sys

import pytest

import net
from benchmarks import choices
from data.scenes import write_folder


@pytest.fixture
def command(monkeypatch, tmp_path):
    """Sets the command line: rendered pairs, the smallest training, and what is given."""
    write_folder(tmp_path / "pairs", 12, height=44, width=48)

    def given(*arguments):
        data = ["--data", str(tmp_path / "pairs"), "--out", str(tmp_path / "out")]
        small = ["--dim", "8", "--epochs", "1", "--size", "16"]
        monkeypatch.setattr(sys, "argv", ["choices", *data, *small, *arguments])

    return given


def test_each_variant_is_trained_once_and_has_its_row(command, capsys):
    before = dict(net.METHODS["cmmdl"].recipes)
    command("--variant", "best", "--variant", "loss-paper", "--variant", "without-sdlb")
    assert choices.main() == 0
    first = capsys.readouterr()
    rows = [line.split() for line in first.out.splitlines()]
    scores = {row[0]: row[1:] for row in rows if row and row[0] in choices.VARIANTS}
    assert list(scores) == ["best", "loss-paper", "without-sdlb"]
    assert scores["best"] != scores["loss-paper"] != scores["without-sdlb"]
    assert net.METHODS["cmmdl"].recipes == before
    assert choices.main() == 0
    again = capsys.readouterr()
    assert again.out == first.out and "epoch 1/1" in first.err and "epoch 1/1" not in again.err


def test_other_data_or_another_loss_are_trained_anew(tmp_path, monkeypatch):
    before = choices.digest([tmp_path / "a", tmp_path / "b"])
    assert choices.digest([tmp_path / "b", tmp_path / "a"]) == before != choices.digest([tmp_path / "a"])
    monkeypatch.setattr(choices, "cmmdl_losses", choices.losses)
    assert choices.digest([tmp_path / "a", tmp_path / "b"]) != before


def test_a_folder_that_cannot_be_trained_on_ends_it(command, tmp_path, capsys):
    command("--data", str(tmp_path / "nowhere"), "--variant", "best")
    assert choices.main() == 1
    assert "nowhere" in capsys.readouterr().err
