"""What decoders print on standard error: it tells damage, is never shown, and leaves alone what others write there."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import cv2
import numpy as np
import pytest

from data.images import ImageError, read_image
from tests.pictures import picture, save, written

FORMS = {
    "baseline": [],
    "progressive": [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
    "restarts": [cv2.IMWRITE_JPEG_RST_INTERVAL, 5],
}


def noise(form="baseline", seed=0, size=(200, 300)):
    """A JPEG file of noise, whose scan fills nearly all of it."""
    image = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    return cv2.imencode(".jpg", image, FORMS[form])[1].tobytes()


def holed(data):
    """A file without 3000 bytes of its middle."""
    return data[: len(data) // 2] + data[len(data) // 2 + 3000 :]


def test_jpeg_with_a_hole_is_refused_although_it_decodes(tmp_path, capfd):
    data = holed(noise())
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) is not None
    capfd.readouterr()
    path = written(tmp_path / "a.jpg", data)
    with pytest.raises(ImageError, match=r"a\.jpg: a damaged or cut-off JPEG of \d+ bytes; expected a whole image"):
        read_image(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("byte", "count"), [(0, 4), (0, 12), (0, 4000), (0xAA, 50)])
@pytest.mark.parametrize("form", FORMS)
def test_jpeg_with_padding_before_its_end_marker_is_read(tmp_path, capfd, form, byte, count):
    data = noise(form)
    path = written(tmp_path / "a.jpg", data[:-2] + bytes([byte]) * count + data[-2:])
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    np.testing.assert_array_equal(read_image(path), expected)
    assert capfd.readouterr().err == ""


def test_padding_of_zeros_is_told_from_the_zero_that_follows_a_byte_ff(tmp_path):
    data = next(data for seed in range(9999) if (data := noise(seed=seed, size=(8, 8)))[-4:-2] == b"\xff\0")
    path = written(tmp_path / "a.jpg", data[:-2] + bytes(40) + data[-2:])
    np.testing.assert_array_equal(read_image(path), cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB))


DAMAGES = {
    "a changed byte": lambda data, at: data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :],
    "a part twice": lambda data, at: data[:at] + data[at - 50 :],
    "foreign bytes": lambda data, at: data[:at] + b"hello!" + data[at:],
    "the end": lambda data, at: data[:at] + data[-2:],
    "zeros to its end": lambda data, at: data[:at] + bytes(len(data) - 2 - at) + data[-2:],
}


@pytest.mark.parametrize("padding", [0, 600])
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("form", ["baseline", "progressive"])
def test_damaged_scan_is_refused_with_padding_or_without(tmp_path, capfd, form, damage, padding):
    data = noise(form)
    damaged = DAMAGES[damage](data, len(data) // 2)
    path = written(tmp_path / "a.jpg", damaged[:-2] + bytes(padding) + damaged[-2:])
    with pytest.raises(ImageError, match="damaged"):
        read_image(path)
    assert capfd.readouterr().err == ""


def test_jpeg_cut_off_between_two_restarts_is_refused_although_padding_follows(tmp_path):
    data = noise("restarts")
    path = written(tmp_path / "a.jpg", data[: data.rindex(b"\xff\xd3")] + bytes(600) + data[-2:])
    with pytest.raises(ImageError, match="damaged"):
        read_image(path)


def read_beside(monkeypatch, path, said):
    """Read an image while another thread writes to standard error."""
    decode = cv2.imdecode

    def noisy(*args):
        os.write(2, said)
        return decode(*args)

    monkeypatch.setattr(cv2, "imdecode", noisy)
    return read_image(path)


@pytest.mark.parametrize("said", [
    b"a line of another thread\n", b"\rreading:  50%|##### | 1/2", b"two\n\nlines, and no end: \xff", b"\x1b[A\r\n",
])  # fmt: skip
def test_what_other_threads_write_on_stderr_is_passed_on_byte_for_byte(tmp_path, capfdbinary, monkeypatch, said):
    path = save(tmp_path / "a.png", picture())
    message = b"[ERROR:0@1.2] global loadsave.cpp: error\n> of several\n> lines\n\nlibpng warning: nothing\n"
    read_beside(monkeypatch, path, said + message + said)
    assert capfdbinary.readouterr().err == 2 * said


def test_damage_is_noticed_beside_a_progress_bar(tmp_path, capfdbinary, monkeypatch):
    bar = b"\rreading:  50%|##### | 1/2"
    path = written(tmp_path / "a.jpg", holed(noise()))
    with pytest.raises(ImageError, match="damaged"):
        read_beside(monkeypatch, path, bar)
    assert capfdbinary.readouterr().err == bar


def test_a_whole_jpeg_is_not_blamed_for_what_is_said_of_another_at_the_same_time(tmp_path, monkeypatch):
    (tmp_path / "whole.jpg").write_bytes(noise())
    (tmp_path / "holed.jpg").write_bytes(holed(noise()))
    decode, both = cv2.imdecode, threading.Barrier(2, timeout=0.5)

    def meeting(*args):
        with suppress(threading.BrokenBarrierError):
            both.wait()  # in vain, and so is each wait after it: one file is decoded after the other
        image = decode(*args)
        with suppress(threading.BrokenBarrierError):
            both.wait()
        return image

    monkeypatch.setattr(cv2, "imdecode", meeting)
    with ThreadPoolExecutor(2) as pool:
        whole, damaged = (pool.submit(read_image, tmp_path / name) for name in ("whole.jpg", "holed.jpg"))
        assert whole.result().shape == (200, 300, 3)
        assert isinstance(damaged.exception(), ImageError)


@pytest.mark.parametrize("step", ["imdecode", "cvtColor"])
def test_a_lack_of_memory_is_no_damage(tmp_path, monkeypatch, step):
    path = save(tmp_path / "a.png", picture())

    def short(*_):
        error = cv2.error("Failed to allocate 1 bytes")
        error.code = cv2.Error.StsNoMem
        raise error

    monkeypatch.setattr(cv2, step, short)
    with pytest.raises(MemoryError, match="allocate"):
        read_image(path)
