"""CMMDL_test.py --continue: an interrupted run does what is missing, and ends with what an undisturbed one writes."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import wait
from pathlib import Path

import numpy as np
import pytest
import torch

import CMMDL_test
from data.ahead import ahead
from data.scenes import render
from net.baselines.rules import Average
from tests.pictures import save, save_pair

ROOT = Path(__file__).resolve().parents[2]
COMMAND = ["--data", "set", "--out", "out", "--method", "average", "--protocol", "cddfuse"]


HELD_UP = """
import sys, time, CMMDL_test
from net.baselines.rules import Average
calls, forward = [], Average.forward
def fifth_waits(self, *pair):
    calls.append(1)
    time.sleep(600 if len(calls) == 5 else 0)
    return forward(self, *pair)
Average.forward = fifth_waits
CMMDL_test.main(sys.argv[1:])
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder, with a set of six pairs."""
    for i in range(6):
        save_pair(tmp_path / "set", i, seed=i)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(monkeypatch):
    """Run a command line; its exit status and how many pairs it fused."""

    def run(*arguments):
        calls, forward = [], Average.forward
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["CMMDL_test.py", *arguments])
            patch.setattr(Average, "forward", lambda self, *pair: calls.append(1) or forward(self, *pair))
            return CMMDL_test.main(arguments), len(calls)

    return run


def files(out):
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def noted_in(out):
    """How many images the journal names, each of which was written before."""
    return (out / "run.jsonl").read_text().count("\n") - 1 if (out / "run.jsonl").exists() else 0


def test_a_killed_run_is_continued_to_the_files_of_an_undisturbed_one(folder, run):
    assert run(*COMMAND) == (0, 6)
    undisturbed = files(folder / "out")
    (folder / "out").rename(folder / "undisturbed")

    command = [sys.executable, "-c", HELD_UP, *COMMAND]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment) as child:
        while child.poll() is None and noted_in(folder / "out") < 4:
            time.sleep(0.02)
        assert run(*COMMAND)[0] == run(*COMMAND, "--continue")[0] == 2, "one run at a time"
        child.kill()
    for half in ("set/.0123abcd.part", ".89abcdef.part"):
        (folder / "out" / half).write_bytes(b"half")
    done = len(list((folder / "out" / "set").glob("*.png")))
    assert done == 4 and not (folder / "out" / "index.html").exists()

    assert run(*COMMAND, "--continue") == (0, 6 - done)
    assert files(folder / "out") == undisturbed


def test_a_source_that_changed_while_it_was_fused_is_fused_again(folder, run, monkeypatch):
    other = (folder / "set" / "vi" / "0.png").read_bytes()

    def changing(self, *pair):
        (folder / "set" / "vi" / "3.png").write_bytes(other)
        return forward(self, *pair)

    def all_read(pool, read, items):
        read_ahead = list(ahead(pool, read, items))
        wait([reading for _, reading in read_ahead])
        return read_ahead

    forward = Average.forward
    with monkeypatch.context() as patch:
        patch.setattr("utils.scoring.ahead", all_read)
        patch.setattr(Average, "forward", changing)
        assert CMMDL_test.main(COMMAND) == 0
    assert run(*COMMAND, "--continue") == (0, 1)


def test_what_is_done_is_not_done_again_unless_it_or_its_sources_changed(folder, run):
    assert run(*COMMAND, "--continue") == (0, 6)  # nothing to go on from
    before, written = files(folder / "out"), (folder / "out" / "set" / "1.png").stat().st_ino
    assert run(*COMMAND, "--continue") == (0, 0)
    assert files(folder / "out") == before
    assert (folder / "out" / "set" / "1.png").stat().st_ino == written, "nor written again"
    save(folder / "out" / "set" / "1.png", np.zeros((48, 64), np.uint8))
    (folder / "out" / "set" / "2.png").unlink()
    assert run(*COMMAND, "--continue") == (0, 2)
    assert files(folder / "out") == before
    save(folder / "set" / "ir" / "3.png", render(9, 48, 64).ir)
    assert run(*COMMAND, "--continue") == (0, 1)
    changed = files(folder / "out")
    assert run(*COMMAND) == (0, 6)  # without the option everything is done again
    assert files(folder / "out") == changed != before


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (["--protocol", "cmmdl"], "protocol"),
        (["--method", "max"], "methods"),
        (["--tile", "32"], "tile"),
        (["--task", "mef"], "task"),
        (["--resize", "ir"], "resize"),
    ],
)
def test_another_command_is_refused(folder, run, capsys, change, what):
    run(*COMMAND)
    before = files(folder / "out")
    assert run(*COMMAND, *change, "--continue")[0] == 2
    assert f"the run in out had another {what}; expected the same command" in capsys.readouterr().err
    assert files(folder / "out") == before


def test_a_journal_begins_with_all_that_decides_the_images_besides_their_sources(folder, run):
    assert run(*COMMAND, "--limit", "1", "--no-metrics") == (0, 1)
    first = json.loads((folder / "out" / "run.jsonl").read_text().splitlines()[0])
    methods = first.pop("methods")
    assert first == {
        "protocol": "cddfuse", "precision": "fp32", "compile": False, "tile": 0, "resize": None, "task": None,
        "device": "cuda" if torch.cuda.is_available() else "cpu",
    }  # fmt: skip
    assert list(methods) == ["average"]


@pytest.mark.usefixtures("folder")
def test_other_weights_are_another_command(run, small, capsys):
    for name, factor in (("a.pth", 1), ("b.pth", 2)):
        torch.save({key: value * factor for key, value in small.state_dict().items()}, name)
    command = ["--data", "set", "--out", "out", "--limit", "1", "--no-metrics", "--weights"]
    assert run(*command, "a.pth")[0] == 0
    assert run(*command, "b.pth", "--continue")[0] == 2
    assert "had another methods" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "status"),
    [("", 2), ("no journal\n", 2), ("[1]\n", 2), ('{}\n["a"]\n', 2), ('{}\n[[], "set", "1", "", ""]\n', 2), (None, 0)],
)
def test_a_journal_that_is_none_is_refused_and_a_line_cut_off_is_left_out(folder, run, capsys, text, status):
    run(*COMMAND)
    journal = folder / "out" / "run.jsonl"
    journal.write_text(journal.read_text()[:-20] if text is None else text)
    found, fused = run(*COMMAND, "--continue")
    assert (found, fused) == (status, 1 if text is None else 0)
    assert ("leave out --continue to begin anew" in capsys.readouterr().err) == bool(status)


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (["--data", "set"], "what was fused is in out, and --continue goes on from there"),
        (["--data", "set", "--fused", "set/vi"], "sets that were scored have their metrics.csv in out; the same"),
        (["--video", "a.mp4", "b.mp4"], "the frames that were fused, if there were any, are in out"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_an_interrupted_run_tells_of_continue_where_there_is_one(monkeypatch, capsys, job, words):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(CMMDL_test, "run_set", interrupt)
    monkeypatch.setattr(CMMDL_test, "fuse_video", interrupt)
    method = [] if "--fused" in job else ["--method", "average"]
    assert CMMDL_test.main([*job, *method, "--out", "out"]) == 130
    said = capsys.readouterr().err
    assert f"interrupted; {words}" in said and ("--continue" in said) == ("--continue" in words)


def test_a_pipe_among_the_sources_is_refused_and_not_waited_for(folder, run, capsys):
    (folder / "set" / "vi" / "3.png").unlink()
    os.mkfifo(folder / "set" / "vi" / "3.png")
    assert run(*COMMAND) == (1, 5)
    assert "3.png: a pipe or device; expected an image" in capsys.readouterr().err
