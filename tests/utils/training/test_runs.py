"""Run folders are numbered, found again, and used by one training at a time."""

import json
import logging
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.scripts.trainings import disk_of, locked_elsewhere
from utils.distributed import World
from utils.training import runs
from utils.training.checkpoints import Training
from utils.training.options import parse

ALONE = World(0, 1, torch.device("cpu"))


@pytest.fixture
def args(tmp_path) -> Namespace:
    data = [Path("a"), Path("b")]
    return Namespace(method="cmmdl", lr=1e-4, data=data, out=tmp_path / "runs", resume="auto", device="cpu")


@pytest.fixture(autouse=True)
def close_log():
    yield
    runs.close_log()


def begin(args: Namespace, checkpoint: Path | None = None) -> Path:
    """A run folder with a checkpoint, which is all that `runs` asks of one."""
    folder = runs.enter(args, checkpoint, ALONE)
    runs.close_log()
    (folder / runs.LAST).touch()
    return folder


def test_folders_are_numbered_on_from_the_highest(args):
    assert [begin(args).name for _ in range(2)] == ["000-cmmdl", "001-cmmdl"]
    (args.out / "007-other").mkdir()
    (args.out / "notes").mkdir()
    assert begin(args).name == "008-cmmdl"
    (args.out / "1000-cmmdl").mkdir()
    assert begin(args).name == "1001-cmmdl"


def test_a_number_taken_by_another_training_meanwhile_is_skipped(args, monkeypatch):
    begin(args)
    seen = iter([[], runs.numbered(args.out)])
    monkeypatch.setattr(runs, "numbered", lambda _: next(seen))
    assert runs.new(args.out, "cmmdl").name == "001-cmmdl"


def test_the_arguments_are_kept_with_versions_and_commit(args):
    found = json.loads((begin(args) / runs.ARGUMENTS).read_text())
    assert found["arguments"]["lr"] == 1e-4 and found["arguments"]["data"] == ["a", "b"]
    assert found["processes"] == 1 and found["threads"] == torch.get_num_threads()
    assert found["packages"]["torch"] == torch.__version__ and found["packages"]["numpy"] == np.__version__
    assert {"command", "commit", "python", "machine"} <= found.keys()


@pytest.mark.parametrize("resume", ["auto", "path"])
def test_a_run_that_goes_on_with_other_data_says_so(args, capsys, resume):
    def go_on(checkpoint: Path | None, sha256: str) -> str:
        runs.open_log()
        folder = runs.enter(args, checkpoint, ALONE, data=lambda: {"sha256": sha256})
        runs.close_log()
        assert json.loads((folder / runs.ARGUMENTS).read_text())["data"] == {"sha256": "a"}
        return capsys.readouterr().err

    checkpoint = args.out / "000-cmmdl" / runs.LAST
    assert go_on(None, "a") == ""
    if resume == "path":
        args.resume, args.lr = str(checkpoint), 1e-3
        assert go_on(checkpoint, "a") == "other arguments than this began with: --lr 0.001 (before: 0.0001)\n"
    assert go_on(checkpoint, "a") == ""
    for _ in range(2):  # it stays other data than the run began with
        assert go_on(checkpoint, "b").startswith("the data have changed since this began: ")
    assert runs.begun_with(checkpoint.parent)["arguments"]["lr"] == args.lr


@pytest.mark.parametrize(
    ("content", "damaged"), [("", True), ("[]", True), ('{"data": null}', True), ('{"arguments": {}}', False)]
)
def test_a_named_checkpoint_beside_no_record_of_its_data_is_gone_on_from(args, capsys, content, damaged):
    folder = begin(args)
    (folder / runs.ARGUMENTS).write_text(content)
    args.resume = str(folder / runs.LAST)
    runs.open_log()
    assert runs.enter(args, folder / runs.LAST, ALONE, data=lambda: {"sha256": "b"}) == folder
    words = f"{folder / runs.ARGUMENTS}: damaged, what this began with is not known; it is written anew\n"
    assert capsys.readouterr().err == (words if damaged else "")
    assert runs.begun_with(folder)["data"] == {"sha256": "b"}


def test_auto_finds_the_newest_unfinished_run_with_the_same_arguments(args):
    assert runs.find(args, ALONE) is None
    first, second, other = begin(args), begin(args), begin(Namespace(**vars(args) | {"lr": 1e-3}))
    assert runs.find(args, ALONE) == second / runs.LAST
    (second / runs.FINISHED).touch()
    assert runs.find(args, ALONE) == first / runs.LAST
    (first / runs.LAST).unlink()  # it was ended before there was a checkpoint
    assert runs.find(args, ALONE) is None
    assert other.exists()


def test_numbers_of_four_digits_are_newer_than_those_of_three(args):
    old = begin(args)
    old.rename(args.out / "999-cmmdl")
    assert begin(args).name == "1000-cmmdl"
    assert runs.find(args, ALONE).parent.name == "1000-cmmdl"


def test_arguments_that_do_not_change_the_result_do_not_start_anew(args):
    folder = begin(args)
    assert runs.find(Namespace(**vars(args) | {"device": "cuda"}), ALONE) == folder / runs.LAST


@pytest.mark.parametrize("name", vars(parse([])))
def test_every_other_argument_starts_anew(name, tmp_path):
    args = parse(["--out", str(tmp_path)])
    folder = begin(args)
    assert runs.started_with(folder, runs.plain(args))
    same = name in {"resume", "out", "workers", "device", "save_seconds", "checkpoint_activations"}
    assert runs.started_with(folder, runs.plain(Namespace(**vars(args) | {name: "another"}))) is same


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", "null", '{"arguments": 3}', pytest.param("[" * 100_000, id="too deep")]
)
def test_a_folder_with_something_else_for_arguments_is_passed_over_and_named(args, capsys, content):
    folder = begin(args)
    (folder / runs.ARGUMENTS).write_text(content)
    runs.open_log()
    assert runs.find(args, ALONE) is None
    found = capsys.readouterr().err
    assert found.startswith(f"{folder / runs.ARGUMENTS}: damaged, ") and f"--resume {folder / runs.LAST}" in found
    (folder / runs.ARGUMENTS).unlink()  # as if it were of something else
    assert runs.find(args, ALONE) is None and capsys.readouterr().err == ""


def test_the_way_out_is_the_latest_checkpoint_that_stays(tmp_path):
    last = tmp_path / runs.LAST
    assert runs.way_out(last) == "--resume none starts anew"
    for name in ("epoch_010", "epoch_990", "epoch_1000"):
        (tmp_path / f"{name}.pth").touch()
    assert runs.way_out(last).startswith(f"--resume {tmp_path / 'epoch_1000.pth'} goes on from an earlier one, ")


def test_none_starts_anew_and_a_path_is_taken_as_it_is(args):
    folder = begin(args)
    args.resume = "none"
    assert runs.find(args, ALONE) is None
    args.resume = str(folder / runs.LAST)
    assert runs.find(args, ALONE) == folder / runs.LAST
    args.resume = str(folder)
    with pytest.raises(FileNotFoundError, match="no such checkpoint; expected a file, or auto, or none"):
        runs.find(args, ALONE)


@pytest.mark.parametrize("resume", ["auto", "none", "path"])
def test_a_training_that_torchrun_starts_anew_goes_on_in_its_folder(args, monkeypatch, resume):
    other = begin(args)
    args.resume = str(other / runs.LAST) if resume == "path" else resume
    notes = []
    monkeypatch.setattr(runs.distributed, "remember", notes.append)
    monkeypatch.setattr(runs.distributed, "remembered", lambda: notes[-1] if notes else None)
    folder = runs.enter(args, None, ALONE)
    runs.close_log()
    before = {"auto": other, "none": None, "path": other}[resume]
    assert runs.find(args, ALONE) == (before and before / runs.LAST), "it has no checkpoint yet"
    (folder / runs.LAST).touch()
    assert runs.find(args, ALONE) == folder / runs.LAST
    assert runs.enter(args, folder / runs.LAST, ALONE) == folder


def test_a_folder_gone_on_with_has_no_halves_and_a_finished_one_is_left_alone(args):
    folder = begin(args)
    (folder / ".0123abcd.part").touch()
    assert begin(args, folder / runs.LAST) == folder
    assert not list(folder.glob(".*"))
    (folder / runs.FINISHED).touch()
    assert begin(args, folder / runs.LAST) == folder.parent / "001-cmmdl"
    assert (folder / runs.FINISHED).exists()


def test_the_log_goes_to_standard_error_and_with_the_time_to_the_folder(args, capsys):
    runs.open_log()
    folder = runs.enter(args, None, ALONE)
    runs.log.setLevel(logging.INFO)
    runs.log.info("epoch %d", 1)
    runs.log.error("for the file", extra={"silent": True})
    runs.close_log()
    assert capsys.readouterr().err == "epoch 1\n"
    lines = (folder / "log.txt").read_text().splitlines()
    assert [line[20:] for line in lines] == ["epoch 1", "for the file"] and lines[0][:2] == "20"
    assert not runs.log.handlers


def test_a_name_that_is_not_utf_8_is_logged_with_its_bytes_escaped(args, capsys, monkeypatch):
    monkeypatch.setattr(runs.log, "propagate", False)  # pytest would keep the name, and a worker cannot send it
    folder = runs.enter(args, None, ALONE)
    runs.log.error("refused: %s", Path("night\udcff.png"))  # as Python has a file name with the byte FF
    runs.close_log()
    assert "Logging error" not in capsys.readouterr().err
    assert (folder / "log.txt").read_text(encoding="utf-8").endswith("refused: night\\udcff.png\n")


def test_a_log_that_has_no_room_ends_nothing(args, capsys):
    runs.enter(args, None, ALONE)
    with disk_of(0):
        runs.log.error("no room for this")
        runs.close_log()
    assert capsys.readouterr().err == ""


def test_a_folder_in_use_is_refused_until_its_training_ends(args):
    folder = begin(args)
    refused = pytest.raises(OSError, match="another training writes there; wait for it, end it, or give --resume none")
    with locked_elsewhere(folder / "log.txt"), refused:
        runs.enter(args, folder / runs.LAST, ALONE)
    runs.close_log()
    assert runs.enter(args, folder / runs.LAST, ALONE) == folder


def test_only_the_main_process_makes_a_folder(args, monkeypatch):
    monkeypatch.setattr(World, "broadcast", lambda *_: "what the main process says")
    second = World(1, 2, torch.device("cpu"))
    assert runs.enter(args, None, second) == runs.find(args, second) == "what the main process says"
    assert not args.out.exists()


def test_a_run_of_a_version_without_an_option_goes_on_where_that_option_is_off(args):
    folder = begin(args)
    assert runs.started_with(folder, runs.plain(Namespace(**vars(args), new=None, other=False)))
    assert not runs.started_with(folder, runs.plain(Namespace(**vars(args), new=3)))


def test_only_an_earlier_checkpoint_that_a_training_goes_on_from_becomes_the_last_one(tmp_path, small, caplog):
    training = Training("cmmdl", small, torch.optim.Adam(small.parameters()), None, ALONE)
    last = tmp_path / "last.pth"
    training.save(last)
    for training.steps, name in ((3, "last.pth"), (7, "epoch_001.pth")):
        runs.go_on(tmp_path / name, tmp_path, training)
        assert torch.load(last)["steps"] == (7 if name != "last.pth" else 0)
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert said == [f"{last}, of the training as it went before, is replaced"]
