"""CMMDL_test.py on the files that cameras and people make: formats, names, folders, lists, sizes, registration."""

import csv
from functools import partial

import cv2
import numpy as np
import pytest
from skimage import io

import CMMDL_test
from data.images import read_image
from tests.commands import status_of
from tests.pictures import encoded, exif, jpeg_with_exif, rendered, save, written

run = partial(status_of, CMMDL_test.main, "--method", "average")


@pytest.fixture
def scene():
    return rendered(0, 48, 64)


def fused_by(tmp_path, vis, ir, *options):
    """The fused image of one pair, given as two (name, image)."""
    for kind, (name, image) in (("vi", vis), ("ir", ir)):
        save(tmp_path / "set" / kind / name, image)
    assert run("--data", tmp_path / "set", "--out", tmp_path / "out", *options) == 0
    (file,) = (tmp_path / "out" / "set").glob("*.png")
    return read_image(file)


def test_three_equal_channels_of_infrared_are_the_same_as_one(tmp_path, scene):
    one = fused_by(tmp_path / "1", ("a.png", scene.vis), ("a.png", scene.ir))
    three = fused_by(tmp_path / "3", ("a.png", scene.vis), ("a.png", np.dstack([scene.ir] * 3)))
    np.testing.assert_array_equal(one, three)


@pytest.mark.parametrize("protocol", ["cmmdl", "cddfuse"])
def test_alpha_of_either_input_is_dropped(tmp_path, scene, protocol):
    plain = fused_by(tmp_path / "1", ("a.png", scene.vis), ("a.png", scene.ir), "--protocol", protocol)
    alpha = np.full((48, 64), 7, np.uint8)
    vis, ir = np.dstack([scene.vis, alpha]), np.dstack([*[scene.ir] * 3, alpha])
    np.testing.assert_array_equal(
        fused_by(tmp_path / "2", ("a.png", vis), ("a.png", ir), "--protocol", protocol), plain)  # fmt: skip


def test_a_photograph_turned_by_its_exif_fits_its_upright_infrared(tmp_path, scene):
    lying = np.ascontiguousarray(np.rot90(scene.vis))  # as a camera held upright stores it: turn clockwise to see it
    written(tmp_path / "set" / "vi" / "a.jpg", jpeg_with_exif(encoded(".jpg", lying), exif(6)))
    save(tmp_path / "set" / "ir" / "a.png", scene.ir)
    assert run("--data", tmp_path / "set", "--out", tmp_path / "out") == 0
    upright = fused_by(tmp_path / "plain", ("a.png", scene.vis), ("a.png", scene.ir))
    found = read_image(tmp_path / "out" / "set" / "a.png")
    assert found.shape == upright.shape
    assert np.corrcoef(found.ravel(), upright.ravel())[0, 1] > 0.97, "as upright, but for what JPEG lost"


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_thermal_counts_are_mapped_by_percentiles_so_one_dead_pixel_does_not_matter(tmp_path, scene, dtype):
    counts = scene.ir.astype(dtype) * 10 + 20000
    plain = fused_by(tmp_path / "1", ("a.png", scene.vis), ("a.tiff", counts))
    counts[0, 0] = 0
    dead = fused_by(tmp_path / "2", ("a.png", scene.vis), ("a.tiff", counts))
    assert np.abs(plain.astype(int) - dead)[1:, 1:].mean() < 3
    assert plain.std() > 20


def test_names_may_be_of_any_script(tmp_path, scene):
    for kind, image in (("vi", scene.vis), ("ir", scene.ir)):
        save(tmp_path / "夜間 Übung" / kind / "образ 1 – ñ.png", image)
    assert run("--data", tmp_path / "夜間 Übung", "--out", tmp_path / "выход") == 0
    assert read_image(tmp_path / "выход" / "夜間 Übung" / "образ 1 – ñ.png").shape == (48, 64, 3)
    page = (tmp_path / "выход" / "index.html").read_text(encoding="utf-8")
    assert "образ 1 – ñ" in page


def test_nested_folders_keep_their_relative_path(tmp_path, scene):
    for part in ("train", "test"):
        save(tmp_path / "LLVIP" / "visible" / part / "1.jpg", scene.vis)
        save(tmp_path / "LLVIP" / "infrared" / part / "1.png", scene.ir)
    assert run("--data", tmp_path / "LLVIP", "--out", tmp_path / "out") == 0
    assert (tmp_path / "out" / "LLVIP" / "train" / "1.png").exists()
    lines = list(csv.reader((tmp_path / "out" / "LLVIP" / "metrics.csv").open()))
    assert [line[0] for line in lines] == ["image", "test/1", "train/1", "mean"]
    assert 'data-file="LLVIP/train/1.png"' in (tmp_path / "out" / "index.html").read_text()
    given = ["--data", tmp_path / "LLVIP", "--fused", tmp_path / "out", "--out", tmp_path / "again"]
    assert status_of(CMMDL_test.main, *given) == 0


def test_a_list_file_is_a_set_and_its_bad_lines_are_named(tmp_path, scene, capsys):
    save(tmp_path / "c" / "1.png", scene.vis)
    save(tmp_path / "t" / "9.png", scene.ir)
    (tmp_path / "my pairs.csv").write_text("visible,infrared\nc/1.png,t/9.png\nc/2.png,t/9.png\n")
    assert run("--pairs", tmp_path / "my pairs.csv", "--out", tmp_path / "out") == 1
    assert (tmp_path / "out" / "my pairs" / "1.png").exists()
    assert "my pairs.csv line 3: no such file: c/2.png" in capsys.readouterr().err


def test_lists_may_be_given_more_than_once_and_are_all_that_is_fused(tmp_path, scene):
    save(tmp_path / "c.png", scene.vis)
    save(tmp_path / "t.png", scene.ir)
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.csv").write_text("c.png,t.png\n")
    lists = ["--pairs", tmp_path / "a.csv", tmp_path / "b.csv", "--pairs", tmp_path / "c.csv"]
    assert run(*lists, "--no-metrics", "--out", tmp_path / "out") == 0
    assert {path.parent.name for path in (tmp_path / "out").rglob("*.png")} == {"a", "b", "c"}


def test_two_files_are_fused_as_one_pair(tmp_path, scene, capsys):
    save(tmp_path / "c.png", scene.vis)
    save(tmp_path / "t.png", scene.ir)
    assert run("--pair", tmp_path / "c.png", tmp_path / "t.png", "--out", tmp_path / "out") == 0
    assert [path.relative_to(tmp_path).as_posix() for path in (tmp_path / "out").rglob("*.png")] == ["out/pair/c.png"]
    assert run("--pair", tmp_path / "c.png", tmp_path / "x.png", "--out", tmp_path / "out") == 2
    assert "x.png: no such file" in capsys.readouterr().err


@pytest.mark.parametrize("size", [(24, 32), (90, 120)])
def test_another_size_is_refused_unless_the_infrared_is_to_be_resized(tmp_path, scene, capsys, size):
    for name in ("1.png", "2.png"):
        save(tmp_path / "set" / "vi" / name, scene.vis)
        save(tmp_path / "set" / "ir" / name, cv2.resize(scene.ir, size[::-1]))
    assert run("--data", tmp_path / "set", "--out", tmp_path / "out") == 1
    assert "a pair must have one size (--resize ir" in capsys.readouterr().err
    assert run("--data", tmp_path / "set", "--out", tmp_path / "out", "--resize", "ir") == 0
    errors = capsys.readouterr().err
    said = f"set: resized: infrared brought to the size of visible, {size[1]}x{size[0]} to 64x48 (in 2 pairs"
    assert errors.count(said) == 1
    resized = read_image(tmp_path / "out" / "set" / "1.png")
    exact = fused_by(tmp_path / "exact", ("a.png", scene.vis), ("a.png", scene.ir))
    assert np.abs(resized.astype(int) - exact).mean() < 8


def test_a_shifted_pair_is_fused_with_a_warning_that_names_the_shift(tmp_path, capsys):
    scene = rendered(0, 200, 260)
    save(tmp_path / "set" / "vi" / "good.png", scene.vis)
    save(tmp_path / "set" / "ir" / "good.png", scene.ir)
    save(tmp_path / "set" / "vi" / "moved.png", scene.vis[:, 8:])
    save(tmp_path / "set" / "ir" / "moved.png", scene.ir[:, :-8])
    assert run("--data", tmp_path / "set", "--out", tmp_path / "out") == 0
    errors = capsys.readouterr().err
    assert "set: warning: moved: infrared looks shifted against visible by about 8 pixels (8 to the right" in errors
    assert "good" not in errors
    assert run("--data", tmp_path / "set", "--out", tmp_path / "out", "--no-registration-check") == 0
    assert "warning" not in capsys.readouterr().err


def test_a_written_png_is_read_alike_by_another_library(tmp_path, scene):
    fused = fused_by(tmp_path, ("a.png", scene.vis), ("a.png", scene.ir))
    np.testing.assert_array_equal(fused, io.imread(tmp_path / "out" / "set" / "a.png"))


def test_tiles_are_announced_as_a_change_of_the_result(tmp_path, scene, capsys):
    fused_by(tmp_path, ("a.png", scene.vis), ("a.png", scene.ir), "--tile", 32)
    errors = capsys.readouterr().err
    assert "--tile 32: a network sees a tile instead of the image, so its result changes" in errors
