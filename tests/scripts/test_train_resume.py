"""An interruption, wherever it comes, changes nothing in what the training ends with."""

import os
import signal
import subprocess
import sys
import time
from argparse import Namespace
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest
import torch

import CMMDL_train as script
from data.interrupt import StopRequest
from tests.scripts.trainings import (
    BEST,
    SMALL,
    assert_equal,
    assert_one_sentence,
    assert_same_training,
    checkpoint,
    disk_of,
    locked_elsewhere,
    send,
)
from utils.training.board import Board
from utils.training.checkpoints import Training

TERMINATE = send(signal.SIGTERM)
ROOT = Path(script.__file__).resolve().parent
INTERRUPTED_AMID_TORCH = """
import os, runpy, signal, sys

class Torch:
    def find_spec(self, name, *_):
        if name == "torch._C":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Torch())
runpy.run_path("CMMDL_train.py", run_name="__main__")
"""


def fail() -> None:
    raise OSError("the power went out")


@pytest.mark.parametrize("number, step", [(signal.SIGTERM, 6), (signal.SIGINT, 8)])  # amid an epoch, with its last step
def test_a_signal_stops_after_the_step_and_the_same_command_ends_as_if_undisturbed(
    train, train_until, tmp_path, capsys, undisturbed, number, step
):
    assert train_until(step - 1, send(number), *BEST) == 130
    assert "stopped in epoch 2; the same command goes on from here" in capsys.readouterr().err
    assert checkpoint(tmp_path / "000-cmmdl" / "last.pth")["steps"] == step
    assert train(*BEST) == 0
    assert "going on from" in capsys.readouterr().err
    assert_same_training(tmp_path / "000-cmmdl", undisturbed)


def test_a_signal_between_epochs_is_answered_after_the_next_step(train, tmp_path, monkeypatch, undisturbed):
    with monkeypatch.context() as patch:
        patch.setattr(Board, "write_history", lambda board: TERMINATE() if board.training.epoch else None)
        assert train(*BEST) == 130
    assert checkpoint(tmp_path / "000-cmmdl" / "last.pth")["steps"] == 5
    assert train(*BEST) == 0
    assert_same_training(tmp_path / "000-cmmdl", undisturbed)


@pytest.mark.parametrize("owner, name, result", [(Board, "__exit__", None), (script.failures, "first_to_fail", True)])
def test_a_signal_that_follows_a_failure_does_not_cut_its_sentence_off(
    train, monkeypatch, capsys, owner, name, result
):
    def terminated(*_):
        TERMINATE()
        return result

    monkeypatch.setattr(Board, "after_step", lambda *_: fail())
    monkeypatch.setattr(owner, name, terminated)
    with StopRequest() as ended:  # as the default action would end it, and the tests with it
        assert train() == 1
    assert not ended.requested
    assert_one_sentence(capsys.readouterr().err, "the power went out")


@pytest.mark.parametrize("signalled, status", [(True, 130), (False, 1)])
def test_a_signal_that_ends_the_compiler_is_no_failure_of_the_compiler(train, monkeypatch, capsys, signalled, status):
    class BackendCompilerFailed(RuntimeError):
        inner_exception = OSError("g++ was killed")

    def compiling(*_):
        if signalled:
            os.kill(os.getpid(), signal.SIGINT)
        raise BackendCompilerFailed

    monkeypatch.setattr(script.Objective, "forward", compiling)
    assert train() == status
    assert ("--compile failed (OSError: g++ was killed)" in capsys.readouterr().err) != signalled


def test_a_checkpoint_amid_an_epoch_is_written_when_its_time_has_passed_since_the_last_one(train, monkeypatch):
    saved, clock = [], count(step=100)
    monkeypatch.setattr(script, "time", Namespace(monotonic=lambda: next(clock)))  # a step takes 100 seconds
    monkeypatch.setattr(Training, "save", lambda training, _: saved.append(training.steps))
    assert train("--epochs", 1, "--save-seconds", 250) == 0
    assert saved == [3, 4], "after three steps, and after the epoch"


@pytest.mark.parametrize("save_seconds, steps", [(0, 5), (300, 4)])  # saved after each step, or after the epoch
def test_a_crash_loses_nothing_but_the_steps_since_the_last_checkpoint(
    train, train_until, tmp_path, undisturbed, save_seconds, steps
):
    assert train_until(6, fail, *BEST, "--save-seconds", save_seconds) == 1
    assert checkpoint(tmp_path / "000-cmmdl" / "last.pth")["steps"] == steps
    assert train(*BEST) == 0
    assert_same_training(tmp_path / "000-cmmdl", undisturbed)


@pytest.mark.parametrize("method", ["after_epoch", "write_history"])
def test_a_crash_around_the_end_of_an_epoch_neither_loses_nor_doubles_its_line(
    train, tmp_path, monkeypatch, undisturbed, method
):
    original = getattr(Board, method)
    with monkeypatch.context() as patch:
        patch.setattr(Board, method, lambda board: fail() if board.training.epoch == 2 else original(board))
        assert train(*BEST, "--save-seconds", 0) == 1
    assert train(*BEST) == 0
    assert_same_training(tmp_path / "000-cmmdl", undisturbed)


def test_a_crash_after_the_last_epoch_needs_only_the_weights_written(train, tmp_path, monkeypatch, undisturbed):
    with monkeypatch.context() as patch:
        patch.setattr(Training, "save_weights", lambda *_: fail())
        assert train(*BEST) == 1
    assert train(*BEST) == 0
    assert_same_training(tmp_path / "000-cmmdl", undisturbed)


def test_a_crash_while_writing_a_checkpoint_that_stays_does_not_lose_it(train, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "KEEP_EVERY", 2)
    original = Training.save
    with monkeypatch.context() as patch:
        patch.setattr(Training, "save", lambda self, path: fail() if "epoch" in path.name else original(self, path))
        assert train("--epochs", 2) == 1
    assert train("--epochs", 2) == 0
    folder = tmp_path / "000-cmmdl"
    assert_equal(checkpoint(folder / "epoch_002.pth"), checkpoint(folder / "last.pth"))


def test_resume_none_other_arguments_and_a_finished_run_start_anew(train, train_until, tmp_path):
    for options in ([], ["--lr", "1e-3"]):
        assert train_until(1, TERMINATE, "--epochs", 1, *options) == 130
    assert train("--epochs", 1, "--resume", "none") == 0
    assert train("--epochs", 1, "--workers", 1) == 0  # goes on with the first: workers change nothing
    assert train("--epochs", 1) == 0  # all of these arguments have ended
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"00{i}-cmmdl" for i in range(4)]
    assert checkpoint(tmp_path / "001-cmmdl" / "last.pth")["steps"] == 2
    assert_same_training(tmp_path / "000-cmmdl", tmp_path / "002-cmmdl")
    assert_same_training(tmp_path / "000-cmmdl", tmp_path / "003-cmmdl")


def test_a_checkpoint_of_a_finished_run_is_gone_on_from_in_a_new_folder(train, tmp_path):
    assert train("--epochs", 1) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "000-cmmdl").iterdir()}
    assert train("--epochs", 2, "--resume", tmp_path / "000-cmmdl" / "last.pth") == 0
    assert {path: path.read_bytes() for path in (tmp_path / "000-cmmdl").iterdir()} == before
    assert train("--epochs", 2, "--resume", "none") == 0
    assert_same_training(tmp_path / "001-cmmdl", tmp_path / "002-cmmdl")


def test_more_epochs_than_are_asked_for_are_refused(train, tmp_path, capsys):
    assert train("--epochs", 2) == 0
    assert train("--epochs", 1, "--resume", tmp_path / "000-cmmdl" / "last.pth") == 1
    assert_one_sentence(capsys.readouterr().err, "holds 2 epochs; expected --epochs of no fewer")
    assert [path.name for path in tmp_path.iterdir()] == ["000-cmmdl"]


@pytest.mark.parametrize("resume", ["none", "path"])
def test_a_training_that_was_not_resumed_by_itself_says_how_it_goes_on(
    train_until, tmp_path, monkeypatch, capsys, resume
):
    monkeypatch.setattr(script, "KEEP_EVERY", 1)
    folder = tmp_path / "000-cmmdl"
    if resume == "path":
        assert train_until(6, TERMINATE, "--epochs", 3) == 130
        assert "is replaced" not in capsys.readouterr().err
    named = folder / "epoch_001.pth" if resume == "path" else "none"
    assert train_until(6, TERMINATE, "--epochs", 3, "--resume", named) == 130
    errors = capsys.readouterr().err
    assert f"stopped in epoch 2; --resume {folder / 'last.pth'} goes on from here" in errors
    assert ("last.pth, of the training as it went before, is replaced" in errors) == (resume == "path")


def test_a_training_that_went_back_is_not_taken_for_the_one_before(train, train_until, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "KEEP_EVERY", 1)
    folder = tmp_path / "000-cmmdl"
    assert train_until(6, TERMINATE, "--epochs", 3) == 130
    assert checkpoint(folder / "last.pth")["steps"] == 7
    with monkeypatch.context() as patch:  # killed before the first checkpoint of its own
        patch.setattr(script, "train_one_epoch", lambda *_: fail())
        assert train("--epochs", 3, "--resume", folder / "epoch_001.pth") == 1
    assert checkpoint(folder / "last.pth")["epoch"] == 1


def test_a_part_of_an_epoch_more_than_is_asked_for_is_refused(train, train_until, tmp_path, capsys):
    assert train_until(6, TERMINATE, "--epochs", 3) == 130
    assert train("--epochs", 1, "--resume", tmp_path / "000-cmmdl" / "last.pth") == 1
    assert_one_sentence(capsys.readouterr().err, "holds 1 epoch and a part of the next one; expected --epochs of")


def test_a_last_checkpoint_that_is_damaged_is_refused_with_what_else_to_do(
    train, train_until, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(script, "KEEP_EVERY", 1)
    assert train_until(5, TERMINATE, "--epochs", 2) == 130
    last, kept = (tmp_path / "000-cmmdl" / name for name in ("last.pth", "epoch_001.pth"))
    whole = checkpoint(last)
    torch.save(whole | {"step": 9}, last)
    capsys.readouterr()
    assert train("--epochs", 2) == 1
    assert_one_sentence(capsys.readouterr().err, "step 9 of epoch 2, which has 4", f"--resume {kept} goes on from")
    last.write_bytes(last.read_bytes()[:1000])
    assert train("--epochs", 2) == 1
    words = "last.pth: not a readable torch file, perhaps cut short", f"--resume {kept} goes on from", "--resume none"
    assert_one_sentence(capsys.readouterr().err, *words)
    assert train("--epochs", 2, "--batch-size", 4, "--resume", kept) == 0
    assert "other arguments than this began with: --batch-size 4 (before: 2)" in capsys.readouterr().err


def test_a_checkpoint_from_elsewhere_is_gone_on_from_in_a_new_folder(train, tmp_path):
    assert train("--epochs", 1) == 0
    elsewhere = tmp_path / "downloads" / "some.pth"
    elsewhere.parent.mkdir()
    (tmp_path / "000-cmmdl" / "last.pth").rename(elsewhere)
    assert train("--epochs", 2, "--resume", elsewhere) == 0
    assert [path.name for path in elsewhere.parent.iterdir()] == ["some.pth"]
    assert checkpoint(tmp_path / "001-cmmdl" / "last.pth")["epoch"] == 2


def test_a_full_disk_ends_the_training_with_the_checkpoint_before_intact(
    train, train_until, tmp_path, capsys, undisturbed
):
    last = tmp_path / "000-cmmdl" / "last.pth"
    with ExitStack() as disk:
        fill = lambda: disk.enter_context(disk_of(100_000))  # noqa: E731
        assert train_until(6, fill, *BEST, "--save-seconds", 0) == 1
    assert_one_sentence(capsys.readouterr().err, f"{last}: could not be written", "an earlier checkpoint is intact")
    assert checkpoint(last)["steps"] == 5 and not list(last.parent.glob(".*"))
    assert train(*BEST) == 0
    assert_same_training(last.parent, undisturbed)


def test_what_a_killed_process_was_writing_is_removed(train, train_until, tmp_path):
    assert train_until(1, TERMINATE, "--epochs", 1) == 130
    (tmp_path / "000-cmmdl" / ".0123abcd.part").write_bytes(b"half")
    assert train("--epochs", 1) == 0
    assert not list((tmp_path / "000-cmmdl").glob(".*"))


def test_a_folder_that_another_training_writes_to_is_refused(train, train_until, tmp_path, capsys):
    assert train_until(1, TERMINATE, "--epochs", 1) == 130
    with locked_elsewhere(tmp_path / "000-cmmdl" / "log.txt"):
        assert train("--epochs", 1) == 1
    assert "another training writes there" in capsys.readouterr().err
    assert train("--epochs", 1) == 0


def test_ctrl_c_while_the_program_loads_ends_it_without_a_traceback(h5, tmp_path):
    command = [sys.executable, "-c", INTERRUPTED_AMID_TORCH, "--h5", h5, "--out", tmp_path / "runs", *SMALL]
    ended = subprocess.run(command, stderr=subprocess.PIPE, cwd=ROOT, check=False)
    assert ended.stderr == b""
    assert ended.returncode == -signal.SIGINT  # which a shell shows as 130
    assert not (tmp_path / "runs").exists()


def test_ctrl_c_while_data_are_read_ends_with_status_130(train, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(script.sources, "PatchSource", interrupt)
    assert train() == 130
    assert capsys.readouterr().err == ""


def test_loader_processes_outlive_a_signal_to_the_whole_process_group(tmp_path):
    data = "--demo", "--size", "16", "--passes", "10000"  # one epoch, which does not end
    command = [sys.executable, "CMMDL_train.py", *data, "--out", tmp_path, *SMALL, "--workers", "1"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    with subprocess.Popen(
        [*map(str, command), "--save-seconds", "0"], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as child:  # fmt: skip
        while not (tmp_path / "000-cmmdl" / "last.pth").exists() and child.poll() is None:
            time.sleep(0.01)
        os.killpg(child.pid, signal.SIGTERM)
        errors = child.stderr.read()
    assert "the same command goes on from here" in errors and "Traceback" not in errors
    assert child.returncode == 130
