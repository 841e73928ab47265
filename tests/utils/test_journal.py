"""One run at a time writes to an output folder, however close together two begin."""

import errno
import os
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from data.options import UsageError
from data.pairs import Pair, PairSet
from utils.journal import Journal, digest_of_sources

ROOT = Path(__file__).resolve().parents[2]
BEGIN = """
import sys, time
from pathlib import Path
from utils.journal import Journal
from data.options import UsageError
print("ready", flush=True)
sys.stdin.readline()
try:
    journal = Journal(Path(sys.argv[1]), {}, go_on=True)
    print("goes on", flush=True)
except UsageError:
    print("refused", flush=True)
sys.stdin.readline()
"""


def test_of_runs_that_begin_together_one_goes_on(tmp_path):
    Journal(tmp_path, {}, go_on=False).close()

    def tell(text):
        for run in runs:
            run.stdin.write(text)
            run.stdin.flush()

    command = [sys.executable, "-c", BEGIN, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    runs = [subprocess.Popen(command, **pipes) for _ in range(3)]
    assert [run.stdout.readline() for run in runs] == ["ready\n"] * 3
    tell("begin\n")
    said = [run.stdout.readline() for run in runs]
    tell("end\n")
    assert [run.wait() for run in runs] == [0, 0, 0]
    assert sorted(said) == ["goes on\n", "refused\n", "refused\n"]


@pytest.mark.parametrize(("number", "held"), [(errno.ENOLCK, False), (errno.EAGAIN, True), (errno.EACCES, True)])
def test_a_disk_without_locks_is_written_all_the_same(tmp_path, monkeypatch, number, held):
    def lockf(*_):
        raise OSError(number, "as the system says it")

    monkeypatch.setattr("fcntl.lockf", lockf)
    with pytest.raises(UsageError, match="another run writes there") if held else nullcontext():
        Journal(tmp_path, {}, go_on=False).close()
    assert held or (tmp_path / "run.jsonl").read_text() == "{}\n"


def test_a_file_that_another_run_has_just_replaced_is_not_taken_for_its_own(tmp_path, monkeypatch):
    def replaced(stream):
        Path(stream.name).rename(tmp_path / "old")
        Path(stream.name).touch()
        return True

    monkeypatch.setattr("utils.journal.hold", replaced)
    with pytest.raises(UsageError, match="another run writes there"):
        Journal(tmp_path, {}, go_on=False)


def test_what_differs_is_told_by_its_name_and_an_option_that_is_new_and_not_given_does_not_differ(tmp_path):
    Journal(tmp_path, {"tile": 0}, go_on=False).close()
    Journal(tmp_path, {"tile": 0, "new": None}, go_on=True).close()
    with pytest.raises(UsageError, match="had another newer and tile; expected"):
        Journal(tmp_path, {"tile": 1, "newer": 2}, go_on=True)
    (tmp_path / "run.jsonl").write_text('"text"\n')
    with pytest.raises(UsageError, match="not the journal of a run"):
        Journal(tmp_path, {"tile": 0}, go_on=True)


@pytest.mark.parametrize("side", ["vis", "ir"])
def test_a_pair_with_a_pipe_is_not_waited_for(tmp_path, side):
    os.mkfifo(tmp_path / "pipe")
    files = {"vis": Path(__file__), "ir": Path(__file__), side: tmp_path / "pipe"}
    pair = Pair("1", **files)
    journal = Journal(tmp_path, {}, go_on=False)
    journal.note_sources(PairSet("set", None, (pair,), ()), pair)
    journal.close()


def test_pairs_of_another_task_are_fused_from_something_else():
    pair = Pair("1", Path(__file__), Path(__file__))
    infrared = PairSet("set", None, (pair,), ())
    assert digest_of_sources(infrared, pair) != digest_of_sources(replace(infrared, task="mef"), pair)
