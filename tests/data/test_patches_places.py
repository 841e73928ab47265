"""data.patches where a place cannot be used, nobody reads its output, or it is ended from outside."""

import errno
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from data.patches import main
from data.patchfile import PatchDataset, PatchFileError
from data.patchwriter import PatchWriter
from tests.commands import status_of
from tests.pictures import save

REPOSITORY = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONIOENCODING": "ascii:strict"}


@pytest.fixture
def folder(tmp_path):
    """A folder with a set of three pairs."""
    rng = np.random.default_rng(0)
    for stem in "123":
        save(tmp_path / "set" / "vi" / f"{stem}.png", rng.integers(0, 256, (20, 20, 3), np.uint8))
        save(tmp_path / "set" / "ir" / f"{stem}.png", rng.integers(0, 256, (20, 20), np.uint8))
    return tmp_path


def arguments(folder, *more, out="a.h5"):
    return [str(word) for word in ("--root", folder / "set", "--out", folder / out, "--size", 16, *more)]


def program(folder, *more, code="sys.exit(main(sys.argv[1:]))", **how):
    command = [sys.executable, "-c", f"import sys\nfrom data.patches import main\n{code}", *arguments(folder, *more)]
    return subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, **how)


def usage_error(capsys, *words):
    assert status_of(main, *words) == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_a_root_that_cannot_be_examined_is_refused_and_the_rest_is_cut(folder, capsys):
    assert main(arguments(folder, "--root", folder / ("x" * 300))) == 1
    assert "xxx: not readable (File name too long); expected a folder of pairs\n" in capsys.readouterr().err
    assert len(PatchDataset(folder / "a.h5")) == 3


def test_an_out_that_cannot_be_examined_is_a_usage_error(folder, capsys, monkeypatch):
    said = usage_error(capsys, *arguments(folder, out="x" * 300))
    assert "xxx: File name too long; expected a file name such as patches.h5" in said

    def denied(path, **_):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", denied)
    assert "a.h5: Permission denied; expected a file name" in usage_error(capsys, *arguments(folder))


def test_an_out_that_is_no_file_is_refused_and_stays(folder, capsys):
    os.mkfifo(folder / "pipe")
    assert "pipe: a pipe or device; expected a file name" in usage_error(capsys, *arguments(folder, out="pipe"))
    with pytest.raises(PatchFileError, match="pipe: a pipe or device; expected"), PatchWriter(folder / "pipe"):
        pass
    assert (folder / "pipe").is_fifo()
    assert sorted(path.name for path in folder.iterdir()) == ["pipe", "set"]


def test_a_link_beside_the_masks_that_cannot_be_followed_refuses_nothing(folder, monkeypatch):
    (folder / "set" / "notes").mkdir()
    looked = Path.is_dir

    def is_dir(path):
        if path == folder / "set" / "notes":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return looked(path)

    monkeypatch.setattr(Path, "is_dir", is_dir)
    assert main(arguments(folder)) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("streams", ["> /dev/full 2> /dev/full", "2>&1 | true"])
def test_streams_that_nobody_reads_or_that_are_full_are_no_failure(folder, streams):
    (folder / "set" / "vi" / "alone.png").write_bytes(b"refused in a line on standard error")
    command = shlex.join(map(str, [sys.executable, "-m", "data.patches", *arguments(folder)]))
    script = f"set -o pipefail; {command} {streams}"
    done = subprocess.run(["bash", "-c", script], env=ENVIRONMENT, check=False)
    assert done.returncode == 1
    assert len(PatchDataset(folder / "a.h5")) == 3


def test_closed_streams_are_no_failure(folder):
    command = [sys.executable, "-m", "data.patches", *arguments(folder)]
    done = subprocess.run(["sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh", *command], env=ENVIRONMENT, check=False)
    assert done.returncode == 0
    assert len(PatchDataset(folder / "a.h5")) == 3


def test_names_that_are_no_text_are_shown_as_they_can_be(folder):
    name = os.fsdecode(b"n\xff\xe9")
    (folder / "set").rename(folder / name)
    command = [sys.executable, "-m", "data.patches", *arguments(folder, "--root", folder / name, out=f"{name}.h5")]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr  # `set` is not there
    assert r"n\udcff\udce9.h5, 0.0 MB" in done.stdout
    assert done.stderr.count("\n") == 1 and "set: no such folder" in done.stderr
    with h5py.File(folder / f"{name}.h5") as file:
        assert file.attrs["sources"] == r"n\udcff\udce9 (3 pairs)"


WAITING = """
import time
from data import patches

def cut_pair(pair, cut=patches.cut_pair, **how):
    while pair.name != "1" and not (pair.vis.parents[2] / "go").exists():
        time.sleep(0.02)
    return cut(pair, **how)

patches.cut_pair = cut_pair
sys.exit(main(sys.argv[1:]))
"""


def waiting_program(folder):
    """A program that has begun its file, and waits for a file `go` before it cuts the second pair."""
    child = program(folder, code=WAITING)
    while child.poll() is None and not list(folder.glob("a.h5.*.part")):
        time.sleep(0.02)
    return child


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_ended_says_so_and_leaves_the_file_as_it_was(folder, number):
    (folder / "a.h5").write_bytes(b"before")
    with waiting_program(folder) as child:
        child.send_signal(number)
        (folder / "go").touch()
        said = child.stderr.read().decode()
    assert (child.returncode, said) == (130, f"interrupted; {folder / 'a.h5'} is as it was before\n")
    assert sorted(path.name for path in folder.iterdir()) == ["a.h5", "go", "set"]
    assert (folder / "a.h5").read_bytes() == b"before"


def test_signals_are_as_before_when_it_has_ended(folder):
    usual = signal.getsignal(signal.SIGTERM)
    assert main(arguments(folder)) == 0
    assert signal.getsignal(signal.SIGTERM) is usual


def test_what_a_killed_run_left_is_removed_by_the_next_and_a_living_one_is_spared(folder):
    with waiting_program(folder) as child:
        child.kill()
    (dead,) = folder.glob("a.h5.*.part")
    others = [folder / name for name in ("b.h5.1.part", "a.h5.copy.part", "a.h5.1", "1.part")]
    for other in others:
        other.touch()
    patch = np.full((8, 8), 0.5)
    with PatchWriter(folder / "a.h5", size=8) as writer:
        assert not dead.exists()
        (held,) = folder.glob("a.h5.[0-9]*.part")
        with program(folder, stdout=subprocess.DEVNULL) as child:
            assert child.stderr.read() == b""
        assert child.returncode == 0
        assert held.exists() and len(PatchDataset(folder / "a.h5")) == 3
        writer.add(patch, patch, patch)
    assert len(PatchDataset(folder / "a.h5")) == 1
    assert all(other.exists() for other in others)
    assert len(list(folder.iterdir())) == 2 + len(others)


def test_a_writer_that_is_interrupted_while_it_begins_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(h5py.File, "create_group", interrupted)
    with pytest.raises(KeyboardInterrupt), PatchWriter(tmp_path / "a.h5"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_kind_is_not_replaced(folder, capsys):
    source = folder / "set" / "vi" / "1.png"
    before = source.read_bytes()
    error = usage_error(capsys, *arguments(folder, out="set/vi/1.png"))
    assert "1.png: a file that is no h5 file; expected one to replace, or a new name" in error
    assert source.read_bytes() == before
