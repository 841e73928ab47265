"""Videos of thermal counts: grey of 16 bits is fused with all its levels, other depths are refused."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

import net
import utils.video
from utils.video import VideoError, VideoFile, fuse_video

COUNTS = (7000 + 20 * np.hypot(*np.mgrid[:64, :96])).astype(np.uint16)  # some 2300 levels, 9 in the upper 8 bits


def film(path, frames):
    """Write a grey video without loss, of 8 or 16 bits."""
    depth = cv2.CV_16U if frames[0].dtype == np.uint16 else cv2.CV_8U
    options = [cv2.VIDEOWRITER_PROP_DEPTH, depth, cv2.VIDEOWRITER_PROP_IS_COLOR, 0]
    video = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"FFV1"), 10, (96, 64), options)
    for frame in frames:
        video.write(frame)
    video.release()
    return path


def test_thermal_counts_keep_their_levels(tmp_path):
    films = [film(tmp_path / f"{dtype}.mkv", [COUNTS.astype(dtype)] * 3) for dtype in ("uint16", "uint8")]
    frames = list(VideoFile(films[0]))
    assert len(frames) == 3 and frames[0].shape == (64, 96, 3) and frames[0].dtype == np.uint8
    expected = net.fuser.to_uint8(net.fuser.to_unit(COUNTS), stretch=False)
    for frame in frames:
        np.testing.assert_array_equal(frame, np.dstack([expected] * 3))
    done = fuse_video(*films[::-1], tmp_path / "fused.avi", net.Fuser(net.build("average")))
    assert (done.frames, done.problem, done.warning) == (3, "", "")


def test_a_hot_spot_in_counts_does_not_darken_the_rest_at_once(tmp_path):
    hot = COUNTS.copy()
    hot[:8, :8] = 40000
    calm, flash = VideoFile(film(tmp_path / "ir.mkv", [COUNTS, hot]))
    assert flash[32:, 32:].mean() > 0.5 * calm[32:, 32:].mean()


@pytest.mark.parametrize(("code", "name"), [(0x0C003159, "gray12le"), (0x59310010, "gray16be")])
def test_other_depths_are_refused_by_name(tmp_path, monkeypatch, code, name):
    path = film(tmp_path / "ir.mkv", [COUNTS])
    properties = {cv2.CAP_PROP_FRAME_WIDTH: 96, cv2.CAP_PROP_FRAME_HEIGHT: 64, cv2.CAP_PROP_CODEC_PIXEL_FORMAT: code}
    capture = SimpleNamespace(get=lambda key: properties.get(key, 0.0), isOpened=lambda: True)
    monkeypatch.setattr(utils.video.cv2, "VideoCapture", lambda _: capture)
    with pytest.raises(VideoError, match=rf"ir\.mkv: {name} pixels; expected at most 8 bits, or gray16le"):
        VideoFile(path)
