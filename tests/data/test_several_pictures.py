"""Files of more than one picture: refused, but for the small copies that cameras and scanners put beside one."""

import struct

import cv2
import numpy as np
import pytest

from data.images import ImageError, read_image
from tests.pictures import picture, written


def tiff(pages, order="<"):
    """A TIFF of grey 8-bit pages, each a pair of its pixels and its further tags {tag: value}."""
    out = bytearray((b"II*\0" if order == "<" else b"MM\0*") + bytes(4))
    pointer = 4
    for pixels, more in pages:
        out[pointer : pointer + 4] = struct.pack(f"{order}I", len(out) + pixels.size)
        height, width = pixels.shape
        tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: len(out), 277: 1, 278: height, 279: pixels.size}
        tags |= more
        out += pixels.tobytes() + struct.pack(f"{order}H", len(tags))
        for tag in sorted(tags):
            out += struct.pack(f"{order}HHII", tag, 4, 1, tags[tag])
        pointer = len(out)
        out += bytes(4)
    return bytes(out)


def refused(path, data):
    path.write_bytes(data)
    with pytest.raises(ImageError) as caught:
        read_image(path)
    return str(caught.value).removeprefix(f"{path}: ")


PAGE = picture(12, 16, channels=1)
SMALL = PAGE[::2, ::2].copy()


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("pages", [2, 5])
def test_a_tiff_of_several_pages_is_refused(tmp_path, order, pages):
    found = refused(tmp_path / "a.tif", tiff([(PAGE, {})] * pages, order))
    assert found == "a TIFF with several pages; expected one picture"


def test_a_tiff_whose_later_page_comes_behind_a_small_copy_is_refused(tmp_path):
    assert "several pages" in refused(tmp_path / "a.tif", tiff([(PAGE, {}), (SMALL, {254: 1}), (PAGE, {})]))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("small", [{254: 1}, {254: 5}])
def test_small_copies_in_a_tiff_are_left_aside(tmp_path, order, small):
    path = written(tmp_path / "a.tif", tiff([(PAGE, {}), (SMALL, small), (SMALL, small)], order))
    np.testing.assert_array_equal(read_image(path), PAGE)


def test_a_small_copy_that_is_marked_the_old_way_is_left_aside(tmp_path):
    path = written(tmp_path / "a.tif", tiff([(PAGE, {}), (SMALL, {255: 2})]))
    np.testing.assert_array_equal(read_image(path), PAGE)


def test_a_tiff_whose_pages_lead_in_a_circle_is_refused(tmp_path):
    data = bytearray(tiff([(PAGE, {}), (SMALL, {254: 1})]))
    second = data.index(struct.pack("<HHII", 254, 4, 1, 1)) - 2
    data[-4:] = struct.pack("<I", second)
    assert "damaged or cut-off TIFF header" in refused(tmp_path / "a.tif", data)


@pytest.mark.parametrize("extension", [".webp", ".png"])
def test_an_animation_is_refused(tmp_path, extension):
    animation = cv2.Animation()
    animation.frames = [picture(), picture()[::-1].copy()]
    animation.durations = np.array([100, 100])
    path = tmp_path / f"a{extension}"
    assert cv2.imwriteanimation(str(path), animation)
    kind = {".webp": "WebP", ".png": "PNG"}[extension]
    assert refused(path, path.read_bytes()) == f"a {kind} with an animation; expected one picture"
