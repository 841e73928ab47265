"""Written images: the format of their extension, whole or not at all."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from data.images import EXTENSIONS, ImageError, read_image, write_image
from data.scenes import render
from tests.pictures import picture


@pytest.mark.parametrize("extension", sorted(EXTENSIONS))
def test_written_image_has_the_format_of_its_extension(tmp_path, extension):
    path = tmp_path / "new folder" / f"a{extension}"
    write_image(path, picture())
    found = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    assert np.abs(found.astype(int) - picture()).mean() < 6
    magic = {".jpg": b"\xff\xd8", ".jpeg": b"\xff\xd8", ".bmp": b"BM", ".webp": b"RIFF", ".png": b"\x89PNG"}
    assert path.read_bytes().startswith(magic.get(extension, b"II*"))


def test_written_png_is_lossless_for_grey_and_colour(tmp_path):
    for channels in (1, 3):
        write_image(tmp_path / "a.PNG", picture(channels=channels))
        np.testing.assert_array_equal(read_image(tmp_path / "a.PNG"), picture(channels=channels))


def test_a_small_png_is_the_same_image_in_fewer_bytes(tmp_path):
    scene = render(0, 64, 96).vis
    for name in ("a.png", "small.png"):
        write_image(tmp_path / name, scene, small=name == "small.png")
        np.testing.assert_array_equal(read_image(tmp_path / name), scene)
    assert (tmp_path / "small.png").stat().st_size < (tmp_path / "a.png").stat().st_size


def test_failed_write_keeps_the_old_file_and_leaves_no_other(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    write_image(path, picture())
    before = path.read_bytes()

    def full(self, data):
        with self.open("wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ImageError, match="No space left"):
        write_image(path, picture(channels=1))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_write_replaces_the_old_file_in_one_step(tmp_path):
    write_image(tmp_path / "a.png", picture())
    (tmp_path / "link.png").hardlink_to(tmp_path / "a.png")
    write_image(tmp_path / "a.png", picture(channels=1))
    np.testing.assert_array_equal(read_image(tmp_path / "link.png"), picture())  # it was not written into
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), picture(channels=1))


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("a.gif", picture()),
        ("a.png", picture(dtype=np.uint16)),
        ("a.png", picture(channels=4)),
        ("a.png", np.zeros((0, 4), np.uint8)),
    ],
    ids=["extension", "dtype", "channels", "no pixels"],
)
def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path, name, image):
    with pytest.raises(ImageError, match="a\\.(gif|png)"):
        write_image(tmp_path / name, image)
    assert list(tmp_path.iterdir()) == []
