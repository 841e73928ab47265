"""What a page shows of two uploaded files, and the sentences for what it cannot use."""

import cv2
import numpy as np
import pytest

import net
from data.images import ImageError, read_image
from tests.pictures import save
from utils import uploads
from utils.metrics import evaluate, grey


@pytest.fixture
def fuse(tmp_path, small):
    """Write two images as files and fuse these with a narrow network."""

    def run(vis, ir, suffixes=(".png", ".png"), resize_ir=False, protocol="cmmdl"):
        files = [tmp_path / f"{name}{suffix}" for name, suffix in zip(("photo", "heat"), suffixes, strict=True)]
        for file, image in zip(files, (vis, ir), strict=True):
            save(file, image)
        how = {"resize_ir": resize_ir, "protocol": protocol, "folder": tmp_path / "out"}
        return uploads.fuse(*files, name="cmmdl", fuser=net.Fuser(small), **how)

    return run


def figures(shown):
    """The row of CMMDL in the table of scores."""
    row = next(line for line in shown.scores.splitlines() if line.startswith("| CMMDL"))
    return [cell.strip() for cell in row.split("|")[2:-1]]


def test_the_fused_picture_and_its_scores_are_those_of_the_command_line(fuse, images, small):
    shown = fuse(*images)
    expected = net.Fuser(small)(*images)
    np.testing.assert_array_equal(shown.fused, expected)
    np.testing.assert_array_equal(read_image(shown.file), expected)
    assert shown.file.name == "photo_fused.png"
    scores = evaluate(grey(expected), images[1], grey(images[0]))
    assert figures(shown) == [f"{score:.2f}" for score in scores.values()]
    assert "| average" in shown.scores
    assert "`cmmdl`" in shown.scores


def test_the_protocol_decides_the_picture_and_its_scores(fuse, images):
    shown = fuse(*images, protocol="cddfuse")
    assert shown.fused.ndim == 2 and "`cddfuse`" in shown.scores
    assert figures(shown) == [f"{s:.2f}" for s in evaluate(shown.fused, images[1], grey(images[0]), "cddfuse").values()]


def test_the_difference_is_that_of_the_grey_levels(fuse, images):
    shown = fuse(*images)
    for source in (shown.vis, shown.ir):
        expected = np.abs(grey(shown.fused).astype(int) - grey(source))
        np.testing.assert_array_equal(shown.difference(source), expected)
    assert shown.difference(shown.fused).max() == 0


def test_sixteen_bit_tiff_and_transparency_are_shown_as_they_are_fused(fuse, images):
    vis, ir = images
    clear = np.dstack([vis, np.full(vis.shape[:2], 128, np.uint8)])
    shown = fuse(clear, ir.astype(np.uint16) * 17 + 3000, (".png", ".tiff"))
    np.testing.assert_array_equal(shown.vis, vis)
    assert shown.ir.dtype == np.uint8
    assert (shown.ir.min(), shown.ir.max()) == (0, 255)
    assert shown.fused.shape == vis.shape


def test_pictures_of_one_colour_are_fused(fuse):
    shown = fuse(np.full((48, 64, 3), 90, np.uint8), np.full((48, 64), 200, np.uint8))
    assert "| CMMDL" in shown.scores


def test_two_sizes_need_the_box(fuse, images):
    vis, ir = images
    half = cv2.resize(ir, (32, 24))
    with pytest.raises(ImageError, match="infrared 32x24, visible 64x48.*box"):
        fuse(vis, half)
    shown = fuse(vis, half, resize_ir=True)
    assert shown.fused.shape == vis.shape
    assert "32x24 to 64x48" in shown.remarks[0]


def test_a_picture_too_small_to_score_is_fused_all_the_same(fuse, images):
    vis, ir = images
    shown = fuse(vis[:20, :30], ir[:20, :30])
    assert shown.fused.shape == (20, 30, 3)
    assert shown.scores == ""
    (remark,) = shown.remarks
    assert "41x41" in remark


def test_a_picture_too_small_to_fuse_is_refused(fuse, images):
    with pytest.raises(ValueError, match="at least 3x3"):
        fuse(images[0][:2], images[1][:2])


def test_large_pictures_are_refused_with_the_limit_before_they_are_decoded(monkeypatch, fuse, images):
    assert 1920 * 1080 < uploads.MAX_PIXELS < 1.02 * 1920 * 1080
    monkeypatch.setattr(uploads, "MAX_PIXELS", 48 * 64 - 1)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    advice = r"a little more than 1920x1080 \(CMMDL_test\.py takes any size\)"
    with pytest.raises(ImageError, match=rf"photo\.png: 64x48; expected at most 3071 pixels, {advice}$"):
        fuse(*images)


def test_what_is_no_image_is_refused_by_name(tmp_path):
    (tmp_path / "letter.png").write_text("dear reader")
    with pytest.raises(ImageError, match=r"letter\.png: no image data"):
        uploads.preview(tmp_path / "letter.png")
