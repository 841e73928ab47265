"""CMMDL_test.py --fused: images of another program, found in their folder and scored under a name of their own."""

import csv
import errno
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import CMMDL_test
import utils.contenders
from data.images import read_image
from tests.commands import status_of
from tests.pictures import save, save_pair


@pytest.fixture
def pairs(tmp_path):
    """A folder of two sets, A with two pairs and B with one."""
    for seed, (name, stem) in enumerate(("A1", "A2", "B1")):
        save_pair(tmp_path / "pairs" / name, stem, seed)
    return tmp_path / "pairs"


run = partial(status_of, CMMDL_test.main)


@pytest.fixture
def score(tmp_path):
    """Score the images of a folder; the exit status."""
    return lambda data, fused: run("--data", data, "--fused", fused, "--out", tmp_path)


def scores(path):
    return list(csv.reader(path.open(encoding="utf-8")))


@pytest.mark.parametrize(
    ("name", "shown"),
    [("max", "max (given)"), ("dwt", "dwt (given)"), ("maximum", "maximum (given)"), ("infrared", "infrared (given)"),
     ("mine", "mine"), ("cmmdl", "CMMDL")],
)  # fmt: skip
def test_a_folder_called_as_a_rule_or_a_source_is_scored_beside_it(pairs, score, tmp_path, capsys, name, shown):
    for i in (1, 2):
        save(tmp_path / name / f"{i}.png", read_image(pairs / "A" / "vi" / f"{i}.png")[..., 1])
    assert score(pairs / "A", tmp_path / name) == 0
    assert [row[0] for row in scores(tmp_path / "A" / "metrics.csv")] == ["image", "1", "2", "mean"]
    table = capsys.readouterr().out.splitlines()[-6:-1]
    assert [line[:-64].rstrip() for line in table] == [shown, "average", "maximum", "laplacian", "DWT"]
    page = (tmp_path / "index.html").read_text()
    for caption in ("visible", "infrared", shown):
        assert page.count(f"<figcaption>{caption}</figcaption>") == 2


@pytest.mark.parametrize("folder", ["mine", "mine/A"])
def test_extensions_count_in_any_case(pairs, score, tmp_path, folder):
    for i, suffix in ((1, ".PNG"), (2, ".Jpg")):
        save(tmp_path / folder / f"{i}{suffix.lower()}", read_image(pairs / "A" / "vi" / f"{i}.png"))
        (tmp_path / folder / f"{i}{suffix.lower()}").rename(tmp_path / folder / f"{i}{suffix}")
    assert score(pairs / "A", tmp_path / "mine") == 0
    assert len(scores(tmp_path / "A" / "metrics.csv")) == 4


def test_accents_count_in_either_form_of_unicode(pairs, score, tmp_path):
    for kind in ("vi", "ir"):
        (pairs / "B" / kind / "1.png").rename(pairs / "B" / kind / "caf\u00e9.png")
    save(tmp_path / "mine" / "cafe\u0301.png", read_image(pairs / "B" / "vi" / "caf\u00e9.png"))
    assert score(pairs / "B", tmp_path / "mine") == 0


def test_images_as_large_as_their_pair_are_read(pairs, score, tmp_path, monkeypatch):
    monkeypatch.setattr(utils.contenders, "MAX_PIXELS", 48 * 64 - 1)  # the pair itself may have more by --max-pixels
    save(tmp_path / "mine" / "1.png", read_image(pairs / "B" / "vi" / "1.png"))
    assert score(pairs / "B", tmp_path / "mine") == 0


@pytest.mark.parametrize(
    ("value", "root", "name"),
    [(".", ".", "mine"), ("../a=b", "../a=b", "a=b"), ("../a=b=c", "../a=b", "c"), ("../mine=", "../mine", "mine")],
)
def test_a_folder_has_the_name_that_is_given_or_its_own(tmp_path, monkeypatch, value, root, name):
    for folder in ("mine", "a=b"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    assert utils.contenders.named_folder(value) == (Path(root), name)


def test_levels_of_16_bits_are_rounded_and_alpha_is_left_out():
    levels = np.array([[[0, 128, 129, 7], [65406, 65407, 65535, 7]]], np.uint16)
    found = utils.contenders.as_written(Path("1.png"), levels)
    assert found.dtype == np.uint8 and found.tolist() == [[[0, 0, 1], [254, 255, 255]]]


def test_a_stem_names_one_image(pairs, score, tmp_path, capsys):
    for file in ("1.png", "1.bmp", "2.png"):
        save(tmp_path / "mine" / file, read_image(pairs / "A" / "vi" / "1.png"))
    assert score(pairs / "A", tmp_path / "mine") == 1
    assert f"1: mine: 1.bmp and 1.png in {tmp_path / 'mine'}; expected one" in capsys.readouterr().err


def test_of_several_sets_each_needs_a_folder_of_its_own(pairs, score, tmp_path, capsys):
    for file in ("1.png", "2.png", "A/1.png", "A/2.png"):
        save(tmp_path / "mine" / file, read_image(pairs / "A" / "vi" / file[-5:]))
    assert score(pairs, tmp_path / "mine") == 1
    assert f"refused: B: 1: mine: no image in {tmp_path / 'mine' / 'B'}; expected" in capsys.readouterr().err
    assert (tmp_path / "A" / "metrics.csv").exists() and not (tmp_path / "B" / "metrics.csv").exists()


def test_several_folders_and_methods_stand_in_one_table(pairs, tmp_path, capsys):
    for name in ("max", "other"):
        for i in (1, 2):
            save(tmp_path / name / f"{i}.png", read_image(pairs / "A" / "vi" / f"{i}.png"))
    command = ["--data", pairs / "A", "--method", "max", "--fused", tmp_path / "max",
               "--fused", f"{tmp_path / 'other'}=Theirs", "--out", tmp_path / "out"]  # fmt: skip
    assert run(*command) == 0
    table = [line[:-64].rstrip() for line in capsys.readouterr().out.splitlines()[-7:-1]]
    assert table == ["maximum", "max (given)", "Theirs", "average", "laplacian", "DWT"]
    names = ("max", "max (given)", "Theirs")
    fused, given, theirs = (scores(tmp_path / "out" / name / "A" / "metrics.csv")[-1] for name in names)
    assert given == theirs != fused
    assert len(list((tmp_path / "out" / "max" / "A").glob("*.png"))) == 2
    assert not list((tmp_path / "out" / "Theirs").rglob("*.png")), "they stay where they are"


def test_images_to_score_are_not_written_over(pairs, tmp_path, capsys):
    save(tmp_path / "max" / "A" / "1.png", read_image(pairs / "A" / "vi" / "1.png"))
    before = (tmp_path / "max" / "A" / "1.png").read_bytes()
    command = ["--data", pairs / "A", "--method", "max", "--fused", tmp_path / "max" / "A", "--out", tmp_path]
    assert run(*command) == 2
    assert "one of the images to fuse or to score; expected another folder" in capsys.readouterr().err
    assert (tmp_path / "max" / "A" / "1.png").read_bytes() == before


def test_a_folder_that_cannot_be_read_costs_no_other_its_row(pairs, tmp_path, capsys, monkeypatch):
    for name in ("locked", "other"):
        save(tmp_path / name / "1.png", read_image(pairs / "B" / "vi" / "1.png"))

    def listed(folder):
        if folder == tmp_path / "locked":
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return folder.iterdir()

    monkeypatch.setattr(utils.contenders, "list_images", listed)
    command = ["--data", pairs / "B", "--fused", tmp_path / "locked", "--fused", tmp_path / "other", "--out", tmp_path]
    assert run(*command) == 1
    said = capsys.readouterr()
    assert "locked: not readable (Permission denied); expected fused images" in said.err and "\nother " in said.out


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--fused", "{0}/none"], "none: no such folder"),
        (["--fused", "{0}/mine", "--fused", "{0}/b/mine"], "'mine' is empty or taken"),
        (["--fused", "{0}/mine=cmmdl", "--fused", "{0}/b/mine=CMMDL"], "'CMMDL' is empty or taken"),
        (["--fused", "{0}/mine=a/b"], "expected a name for each"),
        (["--fused", "{0}/out/max", "--method", "max"], "is where a method is going to write"),
        (["--fused", "{0}/link", "--method", "max"], "is where a method is going to write"),
        (["--fused", "{0}/mine", "--no-metrics"], "goes without --no-metrics"),
        (["--published", "--no-metrics"], "--published stands beside scores, which --no-metrics leaves out"),
        (["--fused", "{0}/mine", "--continue"], "give a --method, or leave out --continue"),
        (["--fused", "{0}/mine", "--tile", "9", "--compile"], "give a --method, or leave out --compile and --tile"),
        (["--fused", "{0}/mine", "--device", "cpu", "--precision", "bf16"], "or leave out --device and --precision"),
    ],
)
def test_folders_that_cannot_be_told_apart_or_scored_are_refused(pairs, tmp_path, capsys, options, sentence):
    for folder in ("mine", "b/mine", "out/max"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "link").symlink_to("out/max")
    options = [option.format(tmp_path) for option in options]
    assert run("--data", pairs / "A", "--out", tmp_path / "out", *options) == 2
    assert sentence in capsys.readouterr().err


def test_images_of_8_and_16_bits_have_the_same_scores_and_float_ones_none(pairs, score, tmp_path, capsys):
    image = read_image(pairs / "B" / "vi" / "1.png") // 2 + 20  # not over the whole range
    save(tmp_path / "eight" / "1.png", image)
    save(tmp_path / "sixteen" / "1.png", image.astype(np.uint16) * 257)
    save(tmp_path / "float" / "1.tif", image.astype(np.float32) / 255)
    for name in ("eight", "sixteen"):
        assert score(pairs / "B", tmp_path / name) == 0
        (tmp_path / "B" / "metrics.csv").rename(tmp_path / f"{name}.csv")
    assert scores(tmp_path / "eight.csv") == scores(tmp_path / "sixteen.csv")
    assert score(pairs / "B", tmp_path / "float") == 1
    assert "1.tif: float pixels, of which nothing says what is white; expected 8 or 16 bits" in capsys.readouterr().err


def test_scoring_into_the_scored_folder_can_be_repeated(pairs, tmp_path):
    save(tmp_path / "theirs" / "1.png", read_image(pairs / "B" / "vi" / "1.png"))
    for _ in range(2):
        assert run("--data", pairs / "B", "--fused", tmp_path / "theirs", "--out", tmp_path / "theirs") == 0
        assert len(scores(tmp_path / "theirs" / "B" / "metrics.csv")) == 3


def test_a_name_with_a_bar_stays_in_its_cell(pairs, score, tmp_path):
    save(tmp_path / "theirs" / "1.png", read_image(pairs / "B" / "vi" / "1.png"))
    assert score(pairs / "B", f"{tmp_path / 'theirs'}=a|b") == 0
    assert "| a\\|b | " in (tmp_path / "table.md").read_text()


def test_a_link_in_circles_is_no_folder(pairs, score, tmp_path, capsys):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert score(pairs / "B", tmp_path / "loop") == 2
    assert "loop: no such folder" in capsys.readouterr().err


def test_a_folder_that_cannot_be_examined_is_not_called_missing(pairs, score, tmp_path, monkeypatch, capsys):
    is_dir = Path.is_dir
    monkeypatch.setattr(Path, "is_dir", lambda path: len(path.name) < 256 and is_dir(path))  # as with Python 3.14
    assert score(pairs / "B", tmp_path / ("x" * 300)) == 2
    assert "xxx: File name too long" in capsys.readouterr().err
