"""CMMDL_test.py where something around it gives way: streams, places and files, one of which never ends the rest."""

import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import CMMDL_test
from data.images import read_image
from net.baselines.rules import Average
from tests.commands import status_of
from tests.pictures import save, save_pair
from tests.scripts.trainings import write_patches

ROOT = Path(__file__).resolve().parents[2]
LAST_WRITTEN = ("index.html", "table.md", "table.tex")
needs_a_full_device = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder, with the sets A and B of two pairs each."""
    for seed, (name, stem) in enumerate(("A1", "A2", "B1", "B2")):
        save_pair(tmp_path / "sets" / name, stem, seed)
    monkeypatch.chdir(tmp_path)
    return tmp_path


run = partial(status_of, CMMDL_test.main, "--method", "average")


def shell(command):
    """The exit status of a shell's command line, in which {script} is the script.

    Its streams have their buffers, which Python writes at its end, also where the tests run with PYTHONUNBUFFERED.
    """
    buffered = os.environ | {"PYTHONUNBUFFERED": ""}
    script = f"{sys.executable} {ROOT / 'CMMDL_test.py'} --method average --data sets --out out"
    command = ["bash", "-c", command.format(script=script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=buffered)
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    return done.returncode


def test_the_sample_pairs_are_found_from_any_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run("--limit", "1", "--no-metrics", "--out", "out") == 0
    assert len(list((tmp_path / "out").glob("*/*.png"))) == 2
    assert f"\npictures: {Path('out/index.html')}\n" in capsys.readouterr().err, "there are no tables"


@pytest.mark.parametrize("command", [
    "set -o pipefail; {script} | head -1", "{script} >&- 2>&-",
    pytest.param("{script} > /dev/full 2> /dev/full", marks=needs_a_full_device),
])  # fmt: skip
def test_streams_that_nobody_reads_or_that_are_closed_or_full_do_not_end_the_run(folder, command):
    assert shell(command) == 0
    assert all((folder / "out" / name).exists() for name in (*LAST_WRITTEN, "B/2.png"))


@needs_a_full_device
@pytest.mark.parametrize("streams", ["> /dev/full 2> /dev/full", ">&- 2>&-"])
def test_streams_that_are_full_or_closed_do_not_end_a_training(tmp_path, streams):
    patches = write_patches(tmp_path / "patches.h5", 2)
    options = f"--h5 {patches} --method cmmdl-lite --recipe alone --batch-size 2 --epochs 1 --out {tmp_path}"
    done = subprocess.run(["bash", "-c", f"{sys.executable} CMMDL_train.py {options} {streams}"], cwd=ROOT, check=False)
    assert done.returncode == 0 and (tmp_path / "000-cmmdl-lite" / "CMMDL-lite.pth").exists()


@needs_a_full_device
@pytest.mark.parametrize("command", ["{script} > /dev/full", "{script} 2> /dev/full"])
def test_names_that_are_no_text_do_not_end_a_run_whose_streams_are_full(folder, command):
    for name in ("A", "B"):
        folder.joinpath("sets", name).rename(folder / "sets" / f"{name}\udce9")  # a byte that is no UTF-8
    assert shell(command) == 0
    assert all((folder / "out" / name).exists() for name in LAST_WRITTEN)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--pair", "out/pair/a.png", "sets/A/ir/1.png", "--out", "out"],
        ["--pair", "link/pair/a.png", "sets/A/ir/1.png", "--out", "out"],
        ["--pair", "out/pair/a.png", "sets/A/ir/1.png", "--out", "link"],
        ["--pairs", "sets/A/vi.csv", "--out", "sets/A"],
        ["--pairs", "sets/A/ir.csv", "--out", "sets/A"],
    ],
)
def test_a_fused_image_never_takes_the_place_of_one_that_is_fused(folder, capsys, arguments):
    (folder / "out" / "pair").mkdir(parents=True)
    (folder / "link").symlink_to("out")
    shutil.copy(folder / "sets" / "A" / "vi" / "1.png", folder / "out" / "pair" / "a.png")
    for name in ("vi.csv", "ir.csv"):
        (folder / "sets" / "A" / name).write_text("vi/1.png,ir/1.png\nvi/2.png,ir/2.png\n")
    before = {path: path.read_bytes() for path in folder.rglob("*.png")}
    assert run(*arguments) == 2
    assert "is one of the images to fuse or to score; expected another" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.rglob("*.png")} == before


def test_a_source_that_goes_while_it_is_fused_is_fused_and_the_rest_too(folder, monkeypatch):
    def deleting(self, vis, ir):
        (folder / "sets" / "A" / "vi" / "1.png").unlink(missing_ok=True)
        return forward(self, vis, ir)

    forward = Average.forward
    monkeypatch.setattr(Average, "forward", deleting)
    assert run("--data", "sets", "--out", "out") == 0
    assert len(list((folder / "out").rglob("[12].png"))) == 4


def test_a_set_that_has_no_place_is_refused_and_the_next_one_done(folder, capsys):
    (folder / "out").mkdir()
    (folder / "out" / "A").touch()
    assert run("--data", "sets", "--out", "out", "--no-metrics") == 1
    errors = capsys.readouterr().err
    assert errors.count("refused: A: ") == 2 and "(Not a directory)" in errors and "\nA: 0 pairs" in errors
    assert (folder / "out" / "B" / "2.png").exists() and (folder / "out" / "index.html").exists()


def test_a_set_without_a_pair_is_refused_and_the_next_one_done_and_where_none_has_one_each_is_named(folder, capsys):
    for name, status in (("A", 1), ("B", 2)):
        for path in (folder / "sets" / name / "ir").iterdir():
            path.rename(path.with_stem(f"{path.stem}_ir"))
        assert run("--data", "sets", "--out", name, "--no-metrics") == status
    assert {path.parent.name for path in (folder / "A").rglob("*.png")} == {"B"} and not (folder / "B").exists()
    first, *_, last = capsys.readouterr().err.splitlines()
    assert first.startswith("refused: A: A: no two files have one stem")
    assert last.startswith("error: no pair to fuse: A: no two files") and "; B: no two files have one stem" in last
    assert last.endswith("equal stems (or --pairs with a list of files, whatever their folders and names)")


def test_a_folder_that_is_there_may_be_called_like_an_image(folder):
    (folder / "out.png").mkdir()
    assert run("--data", "sets/A", "--out", "out.png", "--no-metrics") == 0
    assert (folder / "out.png" / "A" / "1.png").exists()


@pytest.mark.parametrize("given", [True, False])
def test_the_page_has_the_command_that_made_it(folder, monkeypatch, given):
    words = ["--data", "sets/A", "--method", "average", "--no-metrics", "--out", "out"]
    monkeypatch.setattr(sys, "argv", ["elsewhere/CMMDL_test.py", *(["--help"] if given else [*words, "--continue"])])
    assert CMMDL_test.main(words if given else None) == 0
    assert f"<code>CMMDL_test.py {' '.join(words)}</code>" in (folder / "out" / "index.html").read_text()


def test_scores_of_an_earlier_run_do_not_stay_where_none_are_asked_for(folder):
    assert run("--data", "sets", "--out", "out") == 0
    assert (folder / "out" / "B" / "metrics.csv").exists()
    assert run("--data", "sets", "--out", "out", "--no-metrics") == 0
    assert not [path for path in (folder / "out").rglob("*") if path.suffix in (".csv", ".md", ".tex")]


def test_scores_of_given_images_go_to_a_folder_of_their_own(folder):
    assert run("--data", "sets/A") == 0
    before = (folder / "result" / "A" / "metrics.csv").read_bytes()
    assert CMMDL_test.main(["--data", "sets/A", "--fused", "sets/A/vi"]) == 0
    assert (folder / "result" / "A" / "metrics.csv").read_bytes() == before
    assert (folder / "scores" / "A" / "metrics.csv").read_bytes() != before


def test_pairs_too_small_to_be_scored_are_fused_and_told_once(folder, capsys):
    for kind in ("vi", "ir"):
        save(folder / "sets" / "A" / kind / "small.png", read_image(folder / "sets" / "A" / kind / "1.png")[:30, :33])
    assert run("--data", "sets/A", "--out", "out") == 1
    said = [line for line in capsys.readouterr().err.splitlines() if "small" in line]
    assert len(said) == 1 and "fused, but not scored" in said[0] and "--no-metrics" in said[0]
    assert (folder / "out" / "A" / "small.png").exists()
    assert "\nsmall," not in (folder / "out" / "A" / "metrics.csv").read_text()


def test_scores_of_an_earlier_run_do_not_stay_where_images_are_too_small_for_any(folder):
    assert run("--data", "sets/A", "--out", "out") == 0 and (folder / "out" / "A" / "metrics.csv").exists()
    for path in (folder / "sets" / "A").rglob("*.png"):
        save(path, read_image(path)[:30, :30])  # smaller than VIF's scales
    assert run("--data", "sets/A", "--out", "out") == 1
    assert sorted(path.name for path in (folder / "out" / "A").iterdir()) == ["1.png", "2.png"]


def test_tables_and_page_of_an_earlier_run_do_not_stay_where_no_pair_could_be_fused(folder):
    assert run("--data", "sets/A", "--out", "out") == 0
    made = {path.name for path in (folder / "out").iterdir()}
    assert {"table.md", "table.tex", "index.html"} < made
    for path in (folder / "sets" / "A").rglob("*.png"):
        path.write_bytes(path.read_bytes()[:100])
    assert run("--data", "sets/A", "--out", "out") == 1
    assert {path.name for path in (folder / "out").iterdir()} == made - {"table.md", "table.tex", "index.html"}


def test_a_pipe_is_not_replaced_by_an_image(folder):
    (folder / "out" / "A").mkdir(parents=True)
    os.mkfifo(folder / "out" / "A" / "1.png")
    assert run("--data", "sets/A", "--out", "out") == 1
    assert (folder / "out" / "A" / "1.png").is_fifo() and (folder / "out" / "A" / "2.png").is_file()


def test_a_strip_of_an_image_has_its_pictures_on_the_page(folder):
    for kind in ("vi", "ir"):
        save(folder / "tall" / kind / "1.png", np.full((66000, 4), 90, np.uint8))
    assert run("--data", "tall", "--out", "out", "--no-metrics", "--no-registration-check") == 0
    assert (folder / "out" / "index.html").read_text().count("data:image/jpeg") == 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--data", ""], "argument --data: an empty name"),
        (["--fused", ""], "--fused '': an empty name"),
        (["--fused", "=NAME"], "--fused '=NAME': an empty name"),
        (["--out", ""], "argument --out: an empty name"),
        (["--out", "o" * 300], "File name too long"),
        (["--method", "cmmdl-lite", "--weights", "cmmdl-lite=a.pth", "--weights", "cmmdl-lite=b.pth"], "the second of"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_a_command_line_cannot_mean_is_refused(capsys, arguments, sentence):
    assert run("--data", "sets/A", *arguments) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_a_scheduler_that_ends_a_run_is_told_how_to_go_on():
    held_up = f"import sys; sys.argv = ['{ROOT / 'CMMDL_test.py'}', *sys.argv[1:]]; " + (
        "import os, runpy, signal\nfrom net.baselines.rules import Average\n"
        "Average.forward = lambda *_: os.kill(os.getpid(), signal.SIGTERM) or signal.pause()\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    command = [sys.executable, "-c", held_up, "--method", "average", "--data", "sets", "--out", "out"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 130 and "--continue goes on from there" in done.stderr
    assert "Traceback" not in done.stderr
