"""What decoders print on standard error: it tells damage, is never shown, and leaves alone what others write there."""

import os

import cv2
import numpy as np
import pytest

from data.images import ImageError, read_image
from tests.pictures import picture, save


def noise():
    """A JPEG file of noise, whose scan fills nearly all of it."""
    image = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    return cv2.imencode(".jpg", image)[1].tobytes()


def holed(data):
    """A file without 3000 bytes of its middle."""
    return data[: len(data) // 2] + data[len(data) // 2 + 3000 :]


def test_jpeg_with_a_hole_is_refused_although_it_decodes(tmp_path, capfd):
    data = holed(noise())
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) is not None
    capfd.readouterr()
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"a\.jpg: a damaged or cut-off JPEG of \d+ bytes; expected a whole image"):
        read_image(path)
    assert capfd.readouterr().err == ""


def read_beside(monkeypatch, path, written):
    """Read an image while another thread writes to standard error."""
    decode = cv2.imdecode

    def noisy(*args):
        os.write(2, written)
        return decode(*args)

    monkeypatch.setattr(cv2, "imdecode", noisy)
    return read_image(path)


@pytest.mark.parametrize("written", [
    b"a line of another thread\n", b"\rreading:  50%|##### | 1/2", b"two\n\nlines, and no end: \xff", b"\x1b[A\r\n",
])  # fmt: skip
def test_what_other_threads_write_on_stderr_is_passed_on_byte_for_byte(tmp_path, capfdbinary, monkeypatch, written):
    path = tmp_path / "a.png"
    save(path, picture())
    message = b"[ERROR:0@1.2] global loadsave.cpp: error\n> of several\n> lines\n\nlibpng warning: nothing\n"
    read_beside(monkeypatch, path, written + message + written)
    assert capfdbinary.readouterr().err == 2 * written


def test_damage_is_noticed_beside_a_progress_bar(tmp_path, capfdbinary, monkeypatch):
    bar = b"\rreading:  50%|##### | 1/2"
    path = tmp_path / "a.jpg"
    path.write_bytes(holed(noise()))
    with pytest.raises(ImageError, match="damaged"):
        read_beside(monkeypatch, path, bar)
    assert capfdbinary.readouterr().err == bar
