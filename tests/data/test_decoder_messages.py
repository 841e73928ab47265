"""Decoders' messages caught in several threads at once, written here as the decoders write them."""

import errno
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from data.decoder_messages import caught_messages
from data.images import ImageError, read_image
from tests.pictures import picture, save


def test_a_block_hears_what_was_said_while_it_ran(capfdbinary):
    with caught_messages() as outer:
        os.write(2, b"Corrupt JPEG data: one\n")
        with caught_messages() as inner:
            os.write(2, b"Premature end of JPEG file\n")
        assert inner == ["Premature end of JPEG file\n"]
        os.write(2, b"[ERROR:0@1.2] global loadsave.cpp: error\n> of two lines\n\n")
    assert outer == ["Corrupt JPEG data: one\n", *inner, "[ERROR:0@1.2] global loadsave.cpp: error\n> of two lines\n\n"]
    assert capfdbinary.readouterr().err == b""


def test_what_others_write_comes_out_while_another_block_is_running(capfdbinary):
    bar = b"\rreading:  50%|##### | 1/2"
    with caught_messages():
        with caught_messages():
            os.write(2, bar)
        assert capfdbinary.readouterr().err == bar
        os.write(2, bar)
    assert capfdbinary.readouterr().err == bar


def test_a_line_whose_end_comes_later_is_one_message(capfdbinary):
    with caught_messages() as outer:
        with caught_messages():
            os.write(2, b"a line\nlibpng warning: iCCP: too short")
        assert outer == []
        os.write(2, b"\n")
    assert outer == ["libpng warning: iCCP: too short\n"]
    assert capfdbinary.readouterr().err == b"a line\n"


def test_blocks_end_in_any_order(capfdbinary):
    first, second = caught_messages(), caught_messages()
    first.__enter__()
    messages = second.__enter__()
    first.__exit__(None, None, None)
    os.write(2, b"Premature end of JPEG file\n")
    second.__exit__(None, None, None)
    os.write(2, b"after")
    assert messages == ["Premature end of JPEG file\n"]
    assert capfdbinary.readouterr().err == b"after"


@pytest.mark.parametrize("threads", [2, 8])
def test_threads_refuse_the_damaged_files_and_no_others(tmp_path, capfdbinary, threads):
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    whole = cv2.imencode(".jpg", noise)[1].tobytes()
    holed = whole[: len(whole) // 2] + whole[len(whole) // 2 + 2000 :]
    paths = [tmp_path / f"{index}{'.png' if index % 2 else '.jpg'}" for index in range(60)]
    for index, path in enumerate(paths):
        if index % 2:
            save(path, picture(120, 160))
        else:
            path.write_bytes(holed if index % 3 == 0 else whole)

    def refused(path):
        try:
            read_image(path)
        except ImageError:
            return True
        return False

    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(refused, paths))
    assert found == [index % 6 == 0 for index in range(60)]
    assert capfdbinary.readouterr().err == b""


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="files in memory are Linux's")
def test_a_full_disk_swallows_nothing_that_is_said(monkeypatch, capfdbinary):
    full = Path("/dev/full").open("r+b", buffering=0)  # noqa: SIM115, who leaves closes it
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: full)
    with caught_messages() as messages:
        os.write(2, b"Corrupt JPEG data: one\na bar")
    assert messages == ["Corrupt JPEG data: one\n"]
    assert capfdbinary.readouterr().err == b"a bar"


def test_images_are_read_where_nothing_may_be_written(tmp_path, monkeypatch):
    def refuse():
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    image = picture()
    save(tmp_path / "image.png", image)
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    monkeypatch.delattr(os, "memfd_create", raising=False)
    np.testing.assert_array_equal(read_image(tmp_path / "image.png"), image)
    with caught_messages() as messages:
        pass
    assert messages == []
