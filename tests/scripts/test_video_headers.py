"""CMMDL_test.py --video: what a header claims of frames that are not there."""

import cv2

import CMMDL_test
from data.scenes import render


def film(path, count=12):
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (96, 64))
    for _ in range(count):
        video.write(render(0, 64, 96).vis)
    video.release()
    return path.read_bytes()


def test_frames_of_a_rate_that_changes_are_not_taken_for_missing_and_those_of_a_cut_file_are(tmp_path, capsys):
    whole = film(tmp_path / "whole.mkv")
    usual, short = (number.to_bytes(4, "big") for number in (10**8, 15 * 10**6))  # nanoseconds from frame to frame
    (tmp_path / "changing.mkv").write_bytes(whole.replace(usual, short, 1))  # its duration is that of 80 such frames
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    said = {}
    for name in ("changing.mkv", "cut.mkv"):
        videos = ["--video", str(tmp_path / name), str(tmp_path / "whole.mkv"), "--out", str(tmp_path / "fused.mp4")]
        said[name] = CMMDL_test.main([*videos, "--method", "average"]), capsys.readouterr().err
    assert said["changing.mkv"][0] == 0 and "cannot be read" not in said["changing.mkv"][1]
    assert said["cut.mkv"][0] == 1 and " cannot be read in cut.mkv of 12; the " in said["cut.mkv"][1]
