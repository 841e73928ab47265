"""Whatever the three programs get by mistake: one sentence that names it, the documented status, the rest done."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import CMMDL_test
import CMMDL_train
from data import patches
from tests.commands import status_of
from tests.pictures import written
from tests.scripts import material
from tests.scripts.trainings import disk_of

ROOT = Path(__file__).resolve().parents[2]
NINES = "9" * 5000


@pytest.fixture(scope="module")
def bad(tmp_path_factory) -> Path:
    return material.make(tmp_path_factory.mktemp("bad"))


def fuse(out, *arguments):
    return status_of(CMMDL_test.main, "--method", "average", "--no-metrics", "--out", out, *arguments)


def assert_one_sentence(errors, *words, kind="error: "):
    assert "Traceback" not in errors
    lines = [line for line in errors.splitlines() if kind in line]
    assert len(lines) == 1, errors
    assert len(lines[0]) < 700, "a sentence"
    for word in words:
        assert word in lines[0]


# Images: the bad pair is named, the good one fused

IMAGES = [
    *((f"{kind}_{damage}", f"bad.{kind}: ") for kind in material.FORMATS for damage in
      ("cut", "flipped", "empty", "zeros", "head", "text")),
    ("bomb", "60000x60000; expected at most 268435456 pixels (--max-pixels N takes larger ones)"),
    ("gif", "no image data (it starts with b'GIF89a"),
    ("size", "bad.png: infrared 64x48, visible 64x40; a pair must have one size"),
    ("folder", "bad.png: a folder; expected an image"),
    ("loop", "bad.png: not readable (Too many levels of symbolic links)"),
    ("dangling", "bad.png: no such file; expected an image"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "words"), IMAGES)
def test_a_bad_image_is_named_and_the_rest_fused(bad, tmp_path, capfd, name, words):
    assert fuse(tmp_path, "--data", bad / "sets" / name) == 1
    assert_one_sentence(capfd.readouterr().err, words, kind="refused: ")
    assert [path.name for path in (tmp_path / name).iterdir()] == ["good.png"]


@pytest.mark.parametrize(("name", "words"), [row for row in IMAGES if row[0].endswith(("_cut", "bomb", "loop"))])
def test_a_bad_image_is_named_and_the_rest_cut_into_patches(bad, tmp_path, capfd, name, words):
    out = tmp_path / "a.h5"
    assert status_of(patches.main, "--root", bad / "sets" / name, "--out", out, "--size", 16) == 1
    assert_one_sentence(capfd.readouterr().err, words.partition(" (--max")[0], kind="refused: ")
    assert out.exists()


def test_the_limit_of_pixels_can_be_moved(bad, tmp_path, capsys):
    for largest in (64 * 48, 2**30):
        assert fuse(tmp_path, "--data", bad / "other" / "good", "--max-pixels", largest) == 0
    assert fuse(tmp_path, "--data", bad / "other" / "good", "--max-pixels", 64 * 48 - 1) == 1
    assert_one_sentence(capsys.readouterr().err, "64x48; expected at most 3071 pixels", kind="refused: ")


@pytest.mark.parametrize("name", [b"two\nlines", b"\xff\xfe", "夜".encode(), b"100% <b>&amp;", b"-rf"])
def test_odd_names_are_fused_and_tabled(bad, tmp_path, name):
    image = (bad / "other" / "good" / "vi" / "good.png").read_bytes()
    for side in ("vi", "ir"):
        written(tmp_path / os.fsdecode(name) / side / (os.fsdecode(name) + ".png"), image)
    data = tmp_path / os.fsdecode(name)
    assert status_of(CMMDL_test.main, "--method", "average", "--out", tmp_path / "out", "--data", data) == 0
    assert (tmp_path / "out" / data.name / f"{data.name}.png").exists()
    assert name in (tmp_path / "out" / data.name / "metrics.csv").read_bytes()


# Folders and lists

FOLDERS = [
    (["--data", "{other}/none"], "none: no such folder; expected a folder of pairs"),
    (["--data", "{other}/file"], "file: a file; expected a folder of pairs"),
    (["--data", "{other}/nothing"], "nothing: no pair folder; expected sub-folders"),
    (["--data", "{other}/empty"], "no image in vi and ir; expected"),
    (["--data", "{other}/half"], "vi without a partner; expected"),
    (["--data", "{other}/loose"], "no pair folder"),
    (["--data", "{other}/two"], "rgb, vi, ir could be more than one pair"),
    (["--data", "{other}/strangers"], "no two files have one stem"),
    (["--pairs", "{lists}/none.csv"], "none.csv: no such file"),
    (["--pairs", "{lists}/empty.csv"], "empty.csv: lists no pair"),
    (["--pairs", "{lists}/binary.csv"], "binary.csv: not a csv file in UTF-8"),
    (["--pairs", "{lists}/header.csv"], "header.csv: lists no pair"),
    (["--pairs", "{lists}/roles.csv"], "roles.csv: the header vi,depth"),
    (["--pairs", "{lists}/missing.csv"], "missing.csv line 1: no such file: a.png, b.png"),
    (["--pairs", "{lists}/fields.csv"], "fields.csv line 1: 1 field (a.png)"),
    (["--pairs", "{lists}/nul.csv"], "nul.csv"),
    (["--pair", "{other}/file", "{other}/none"], "none: no such file; expected an image"),
    (["--pair", "{other}/half", "{other}/file"], "half: a folder; expected an image"),
    (["--fused", "{other}/good"], "--fused scores images as they are; it goes without"),  # --no-metrics of `fuse`
]


@pytest.mark.parametrize(("arguments", "words"), FOLDERS)
def test_what_holds_no_pair_is_a_usage_error(bad, tmp_path, capsys, arguments, words):
    places = {"other": bad / "other", "lists": bad / "lists"}
    assert fuse(tmp_path / "out", *(argument.format(**places) for argument in arguments)) == 2
    assert_one_sentence(capsys.readouterr().err, words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["none", "file"])
def test_fused_images_that_are_in_no_folder_are_a_usage_error(bad, tmp_path, capsys, name):
    arguments = ["--data", bad / "other" / "good", "--fused", bad / "other" / name, "--out", tmp_path / "out"]
    assert status_of(CMMDL_test.main, *arguments) == 2
    assert_one_sentence(capsys.readouterr().err, f"{name}: no such folder (", "); expected the folder of fused images")
    assert not (tmp_path / "out").exists()


# Weights

WEIGHTS = [
    ("none", "no such weights file"), ("empty", "not a readable torch file"), ("text", "not a readable torch file"),
    ("half", "not a readable torch file"), ("end", "not a readable torch file"), ("png", "refused unread"),
    ("flipped", "does not have its checksum"), ("zip", "not a readable torch file"), ("trap", "refused unread"),
    ("trap_zip", "refused unread"), ("foreign", "not the weights of a known method"), ("nan", "NaN or infinite values"),
    ("part", "missing fdlb."), ("list", "expected a state dict"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "words"), [*WEIGHTS, ("mlfuse", "weights of MLFuse; expected those of CMMDL")])
def test_bad_weights_are_refused_and_run_nothing(bad, tmp_path, capsys, name, words):
    arguments = ["--weights", bad / "weights" / f"{name}.pth", "--data", bad / "other" / "good"]
    assert status_of(CMMDL_test.main, *arguments, "--out", tmp_path / "out") == 2
    assert_one_sentence(capsys.readouterr().err, f"{name}.pth", words)
    assert not (tmp_path / "out").exists()
    assert not (bad / "weights" / "ran").exists()


@pytest.mark.parametrize(("name", "words"), WEIGHTS)
def test_training_does_not_start_from_bad_weights(bad, tmp_path, capsys, name, words):
    arguments = ["--h5", bad / "h5" / "good.h5", "--init", bad / "weights" / f"{name}.pth", "--batch-size", 2]
    assert status_of(CMMDL_train.main, *arguments, "--out", tmp_path / "runs") == 1
    assert_one_sentence(capsys.readouterr().err, f"{name}.pth", words)
    assert not (tmp_path / "runs").exists()
    assert not (bad / "weights" / "ran").exists()


def test_the_trap_is_one(bad):
    torch.load(bad / "weights" / "trap_zip.pth", weights_only=False)
    assert (bad / "weights" / "ran").exists()
    (bad / "weights" / "ran").unlink()


# Patch files

H5 = [
    ("none", "no such file; see python -m data.patches"), ("empty", "an empty file"), ("text", "not an h5 file"),
    ("cut", "damaged or cut-off"), ("flipped", "damaged or cut-off"), ("foreign", "no group vis_patchs (found images)"),
    ("huge", "patches of 100000 pixels; expected at most 4096"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "words"), H5)
def test_training_does_not_start_from_a_bad_patch_file(bad, tmp_path, capsys, name, words):
    assert status_of(CMMDL_train.main, "--h5", bad / "h5" / f"{name}.h5", "--out", tmp_path / "runs") == 1
    assert_one_sentence(capsys.readouterr().err, f"{name}.h5: ", words)
    assert not (tmp_path / "runs").exists()


# Options; those of the training script stand in test_train.py

OPTIONS = [
    (CMMDL_test.main, option, value)
    for option, values in {
        "--limit": ("0", "-1", "1.5", "x", "", NINES), "--tile": ("-1", "31", "x", "1e9", NINES),
        "--max-pixels": ("0", "-5", "x", str(10**12)), "--device": ("abacus", "meta", "cuda:99", "mtia", "hpu", ""),
        "--precision": ("fp8",), "--protocol": ("x",), "--task": ("x",), "--method": ("x",), "--resize": ("both",),
    }.items() for value in values
] + [
    (patches.main, option, value)
    for option, values in {
        "--size": ("0", "-1", "x", str(10**12), NINES), "--stride": ("0", "-1", "x", NINES), "--dtype": ("int",),
        "--min-contrast": ("-1", "2", "nan", "x"), "--mask-classes": ("", "car,dragon"),
    }.items() for value in values
] + [
    (CMMDL_train.main, option, value)
    for option, values in {
        "--epochs": ("0", NINES), "--lr": ("inf", "-1", "x"), "--size": ("2",), "--seed": ("-1", NINES),
        "--save-seconds": ("-1",), "--batch-size": ("x", str(10**12)), "--dim": ("0",),
    }.items() for value in values
]  # fmt: skip


@pytest.mark.parametrize(("main", "option", "value"), OPTIONS, ids=lambda x: str(getattr(x, "__module__", x))[:20])
def test_nonsense_in_an_option_is_a_usage_error_that_names_it(bad, tmp_path, capsys, main, option, value):
    required = {
        CMMDL_test.main: ["--method", "average", "--data", bad / "other" / "good", "--out", tmp_path / "out"],
        patches.main: ["--root", bad / "other" / "good", "--out", tmp_path / "out" / "a.h5"],
        CMMDL_train.main: ["--demo", "--out", tmp_path / "out"],
    }
    assert status_of(main, *required[main], f"{option}={value}") == 2
    assert_one_sentence(capsys.readouterr().err, option.removeprefix("--"))
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_missing_gpu_is_a_usage_error(bad, tmp_path, capsys):
    assert fuse(tmp_path / "out", "--data", bad / "other" / "good", "--device", "cuda") == 2
    assert_one_sentence(capsys.readouterr().err, "device is cuda, but torch sees no CUDA device here")


# Places to write

PLACES = [("{other}/file", 2, "expected a folder"), ("{other}/file/out", 2, "file")]
if Path("/proc/self").exists():
    PLACES.append(("/proc/nowhere/out", 2, "/proc/nowhere"))  # where nobody can write, not even root


@pytest.mark.parametrize(("place", "status", "words"), PLACES)
def test_a_place_that_cannot_be_written_is_named(bad, capsys, place, status, words):
    assert fuse(place.format(other=bad / "other"), "--data", bad / "other" / "good") == status
    assert_one_sentence(capsys.readouterr().err, words)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
def test_missing_permissions_are_named(bad, tmp_path, capsys):
    (tmp_path / "out").mkdir(mode=0o500)
    assert fuse(tmp_path / "out", "--data", bad / "other" / "good") == 2
    assert_one_sentence(capsys.readouterr().err, "Permission denied")


@pytest.mark.parametrize(
    ("size", "status", "words"),
    [(0, 2, "run.jsonl: File too large"), (600, 1, "good: average: "), (9000, 1, "index.html: File too large")],
)
def test_a_full_disk_is_told_by_file_and_leaves_no_half_one(bad, tmp_path, capsys, size, status, words):
    assert fuse(tmp_path / "whole", "--data", bad / "other" / "good") == 0
    with disk_of(size):
        assert fuse(tmp_path / "out", "--data", bad / "other" / "good") == status
    assert words in capsys.readouterr().err
    left = {path.name: path for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert left.keys() <= {"run.jsonl", "good.png"}, "not half a page"
    assert ("good.png" in left) == (size == 9000)  # it has room there, and the page has none
    if "good.png" in left:
        whole = tmp_path / "whole" / "good" / "good.png"
        assert left["good.png"].read_bytes() == whole.read_bytes(), "not half an image"


def test_a_full_disk_is_told_by_data_patches(bad, tmp_path, capsys):
    with disk_of(3000):
        assert status_of(patches.main, "--root", bad / "other" / "good", "--out", tmp_path / "a.h5", "--size", 16) == 1
    assert_one_sentence(capsys.readouterr().err, "a.h5: cannot be written (File too large)")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("program", "arguments", "status", "words"),
    [
        (["CMMDL_test.py"], ["--weights", "{bad}/weights/trap.pth", "--data", "{bad}/other/good"], 2, "refused unread"),
        (["-m", "data.patches"], ["--root", "{bad}/other/none"], 2, "nothing was written"),
        (["CMMDL_train.py"], ["--h5", "{bad}/h5/cut.h5"], 1, "cut.h5: "),
    ],
)
def test_as_a_user_calls_them(bad, tmp_path, program, arguments, status, words):
    arguments = [argument.format(bad=bad) for argument in arguments]
    command = [sys.executable, *program, *arguments, "--out", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert_one_sentence(done.stderr, words)
    assert not (bad / "weights" / "ran").exists()
