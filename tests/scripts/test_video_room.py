"""A video that cannot be written, and a disk that fills up meanwhile."""

import shutil
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

import CMMDL_test
from tests.commands import status_of
from tests.pictures import film
from utils.video import VideoError, writer


def test_on_a_disk_that_is_nearly_full_the_frames_before_are_kept(tmp_path, monkeypatch, capsys):
    source, out = film(tmp_path / "film.avi", [np.full((64, 96), 90, np.uint8)] * 9), tmp_path / "fused.mp4"
    megabytes = iter([90, 60, 30, 15])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=next(megabytes) * 2**20))
    assert status_of(CMMDL_test.main, "--method", "average", "--video", source, source, "--out", out) == 2
    assert f"error: {out}: less than 16 MB left on the disk after 3 frames; expected more" in capsys.readouterr().err
    assert cv2.VideoCapture(str(out)).get(cv2.CAP_PROP_FRAME_COUNT) == 3


def test_what_opencv_cannot_write_is_told_before_anything_is_fused(tmp_path, monkeypatch):
    monkeypatch.setattr(cv2, "VideoWriter", lambda *_: SimpleNamespace(isOpened=lambda: False))
    refused = pytest.raises(VideoError, match="fused.mp4: cannot be written as mp4v, 96x64, 7.5 frames a second")
    with refused, writer(tmp_path / "fused.mp4", 7.5, (95, 64)):
        raise AssertionError("a frame was asked for")
