"""CMMDL_test.py --video: what headers claim of frames that are not there, and of rates."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest

import CMMDL_test
import utils.video
from tests.pictures import film, rendered


def test_frames_of_a_rate_that_changes_are_not_taken_for_missing_and_those_of_a_cut_file_are(tmp_path, capsys):
    whole = film(tmp_path / "whole.mkv", [rendered(0, 64, 96).vis] * 12).read_bytes()
    usual, short = (number.to_bytes(4, "big") for number in (10**8, 15 * 10**6))  # nanoseconds from frame to frame
    (tmp_path / "changing.mkv").write_bytes(whole.replace(usual, short, 1))  # its duration is that of 80 such frames
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    said = {}
    for name in ("changing.mkv", "cut.mkv"):
        videos = ["--video", str(tmp_path / name), str(tmp_path / "whole.mkv"), "--out", str(tmp_path / "fused.mp4")]
        said[name] = CMMDL_test.main([*videos, "--method", "average"]), capsys.readouterr().err
    assert said["changing.mkv"][0] == 0 and "cannot be read" not in said["changing.mkv"][1]
    assert said["cut.mkv"][0] == 1 and " cannot be read in cut.mkv of 12; the " in said["cut.mkv"][1]


def test_headers_that_say_nothing_are_no_reason_to_warn():
    vis, ir = (SimpleNamespace(path=Path(name), fps=fps, count=0) for name, fps in (("v.mp4", 25), ("i.mp4", 0)))
    assert utils.video._other_rates(vis, ir) == ""
    said = "i.mp4 has 7 frames, v.mp4 more; expected as many in both"
    assert utils.video._ending((vis, ir), ("a frame", None), 7, 0) == said
    assert utils.video._ending((vis, ir), ("a frame", None), 7, limit=9) == said
    assert utils.video._ending((vis, ir), ("a frame", None), 7, limit=7) == ""
    said = "v.mp4 has 7 frames, i.mp4 more; expected as many in both"
    assert utils.video._ending((vis, ir), (None, "a frame"), 7, 0) == said


def test_without_a_rate_in_the_header_there_are_25_frames_a_second(tmp_path, monkeypatch):
    class Mute(utils.video.VideoFile):
        def __init__(self, path):
            super().__init__(path)
            self.fps = 0.0

    film(tmp_path / "film.avi", [rendered(0, 64, 96).vis] * 2)
    monkeypatch.setattr(utils.video, "VideoFile", Mute)
    films = ["--video", *2 * [str(tmp_path / "film.avi")], "--out", str(tmp_path / "fused.avi")]
    assert CMMDL_test.main([*films, "--method", "average"]) == 0
    assert cv2.VideoCapture(str(tmp_path / "fused.avi")).get(cv2.CAP_PROP_FPS) == 25


@pytest.mark.parametrize(("other", "told"), [(24, True), (25.4, False), (24.6, False)])
def test_rates_that_differ_by_more_than_2_percent_are_two(other, told):
    vis, ir = (SimpleNamespace(path=Path(f"{fps}.mp4"), fps=fps) for fps in (25, other))
    assert bool(utils.video._other_rates(vis, ir)) == told


@pytest.mark.parametrize(("read", "lacking"), [(9, True), (10, False)])
def test_a_header_may_be_off_by_two_frames(read, lacking):
    source = SimpleNamespace(count=12, fps=10, seconds=(read - 1) / 10)
    assert utils.video._lacks_frames(source, read) == lacking
