"""CMMDL_test.py --video: two files in, one file out, no flicker, and a clear word when an input ends early."""

import os
import signal
from functools import partial
from itertools import count
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

import CMMDL_test
import net
import utils.video
from net.baselines.rules import Average
from net.color import rgb_to_ycbcr
from tests.commands import status_of
from tests.pictures import film, rendered
from tests.scripts.trainings import disk_of
from utils.video import RunningRange

run = partial(status_of, CMMDL_test.main, "--method", "average")


def play(path):
    capture, frames = cv2.VideoCapture(str(path)), []
    while True:
        there, frame = capture.read()
        if not there:
            return frames
        frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))


@pytest.fixture
def scene():
    return rendered(0, 64, 96)


@pytest.fixture
def films(tmp_path, scene):
    """Two videos of 12 frames in which the scene moves to the right."""
    return [film(tmp_path / f"{name}.mp4", [np.roll(image, k, axis=1) for k in range(12)])
            for name, image in (("vis", scene.vis), ("ir", scene.ir))]  # fmt: skip


def warmth(image):
    return (image[..., 0].astype(int) - image[..., 2]).ravel()


def test_two_videos_become_one_in_colour(films, tmp_path, scene, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(CMMDL_test, "time", SimpleNamespace(perf_counter=iter([10.0, 16.0]).__next__))
    assert run("--video", *films) == 0
    out = tmp_path / "result" / "fused.mp4"  # where none is named
    frames = play(out)
    assert len(frames) == 12
    assert frames[0].shape == (64, 96, 3)
    assert cv2.VideoCapture(str(out)).get(cv2.CAP_PROP_FPS) == 10
    assert np.ptp(frames[0].astype(int), axis=2).mean() > 5
    assert np.corrcoef(warmth(frames[0]), warmth(scene.vis))[0, 1] > 0.5, "red is red"
    assert capsys.readouterr().err.endswith("result/fused.mp4: 12 frames, 2.0 a second\n")


def test_the_limit_counts_frames(films, tmp_path):
    assert run("--video", *films, "--out", tmp_path / "fused.avi", "--limit", 3) == 0
    assert len(play(tmp_path / "fused.avi")) == 3


def test_a_flash_does_not_make_the_rest_of_the_picture_flicker(tmp_path, scene):
    dark = scene.ir // 3
    flash = dark.copy()
    flash[:20, :20] = 255
    vis = film(tmp_path / "vis.avi", [scene.vis // 3] * 9)
    ir = film(tmp_path / "ir.avi", [dark, dark, dark, flash, dark, flash, dark, dark, dark])
    assert run("--video", vis, ir, "--out", tmp_path / "fused.avi") == 0
    rest = [frame[30:, 30:].mean() for frame in play(tmp_path / "fused.avi")]
    assert np.abs(np.diff(rest)).max() < 0.15 * np.mean(rest), "stretched by itself, a frame with a flash loses half"
    assert max(rest) > 60, "the range is stretched"


def test_the_running_range_follows_slowly():
    stretch, frame = RunningRange(memory=0.9), torch.linspace(0.2, 0.6, 1000).reshape(1, 1, 10, 100)
    assert stretch(frame).min() == 0
    assert stretch(frame).max() == 1
    brighter = stretch(frame + 0.2)
    assert stretch.points[1] == pytest.approx(0.6 + 0.1 * 0.2, abs=0.002)
    assert brighter.mean() > 0.8, "a sudden change stays visible"
    for _ in range(60):
        settled = stretch(frame + 0.2)
    assert settled.mean() == pytest.approx(0.5, abs=0.01)


def test_a_frame_of_one_grey_is_black():
    assert not RunningRange()(torch.full((1, 1, 4, 5), 0.3)).any()


def test_a_stretch_leaves_the_colour(scene):
    vis, ir = scene.vis // 4 + 60, scene.ir // 4 + 60  # of few levels, so that nothing is clipped but at the ends
    fused = utils.video.fuse_frame(net.Fuser(net.build("average")), vis, ir, RunningRange())
    planes = [rgb_to_ycbcr(torch.from_numpy(image / 255).permute(2, 0, 1)[None]) for image in (vis, fused)]
    (_, *before), (luminance, *after) = planes
    assert np.ptp(luminance.numpy()) > 0.8
    assert all((one - other).abs().mean() < 0.01 for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize("name", ["fused.MP4", "fused.mov", "fused.m4v", "fused.AVI"])
def test_every_extension_can_be_written_in_any_case(films, tmp_path, name):
    assert run("--video", *films, "--out", tmp_path / name, "--limit", 2) == 0
    assert len(play(tmp_path / name)) == 2


def test_unequal_frame_counts_are_told_and_the_common_part_plays(films, tmp_path, scene, capsys):
    short = film(tmp_path / "short.mp4", [scene.ir] * 7)
    assert run("--video", films[0], short, "--out", tmp_path / "fused.mp4") == 1
    assert len(play(tmp_path / "fused.mp4")) == 7
    assert "short.mp4 has 7 frames, vis.mp4 12 frames; expected as many in both" in capsys.readouterr().err


def test_a_broken_frame_is_told_and_the_finished_part_plays(films, tmp_path, capsys):
    texture = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    whole = film(tmp_path / "noise.mp4", [np.roll(texture, k) for k in range(12)]).read_bytes()
    middle = len(whole) // 2
    (tmp_path / "noise.mp4").write_bytes(whole[:middle] + bytes(6000) + whole[middle + 6000 :])
    for other, both in ((films[1], ""), (tmp_path / "noise.mp4", " and noise.mp4 of 12")):
        assert run("--video", tmp_path / "noise.mp4", other, "--out", tmp_path / "fused.mp4") == 1
        assert 1 <= (count := len(play(tmp_path / "fused.mp4"))) < 10
        message = f"frame {count + 1} cannot be read in noise.mp4 of 12{both}; the video ends after {count} frame"
        assert message in capsys.readouterr().err


def test_another_size_is_refused_unless_the_infrared_is_to_be_resized(films, tmp_path, scene, capsys):
    small = film(tmp_path / "small.mp4", [cv2.resize(scene.ir, (48, 32))] * 12)
    assert run("--video", films[0], small, "--out", tmp_path / "fused.mp4") == 2
    assert "vis.mp4 96x64 and small.mp4 48x32; expected one size (--resize ir" in capsys.readouterr().err
    assert not (tmp_path / "fused.mp4").exists()
    assert run("--video", films[0], small, "--out", tmp_path / "fused.mp4", "--resize", "ir") == 0
    assert len(play(tmp_path / "fused.mp4")) == 12


@pytest.mark.parametrize(("suffix", "width", "height"), [(".mp4", 95, 63), (".avi", 95, 63), (".mp4", 96, 63)])
def test_an_odd_size_loses_nothing(tmp_path, suffix, width, height):
    frame = np.full((height, width, 3), 60, np.uint8)
    frame[:, 94:] = frame[-1] = 230
    odd = tmp_path / "odd.avi"  # by OpenCV's own encoder, which takes odd sizes
    video = cv2.VideoWriter(str(odd), cv2.CAP_OPENCV_MJPEG, cv2.VideoWriter_fourcc(*"MJPG"), 10, (width, height))
    for _ in range(4):
        video.write(frame)
    video.release()
    assert run("--video", odd, odd, "--out", tmp_path / f"fused{suffix}") == 0
    shown = play(tmp_path / f"fused{suffix}")
    assert [picture.shape for picture in shown] == [(64, 96, 3)] * 4
    for edge in (shown[0][:, 94:], shown[0][62:]):
        assert edge.min() > 150, "the last column and row are there, twice"
    assert shown[0][:62, :94].mean() < 30, "black, the darker of two values"


@pytest.mark.parametrize(("vis", "out", "message"), [
    ("nothing.mp4", "fused.mp4", "nothing.mp4: no such file"),
    ("text.mp4", "fused.mp4", "text.mp4: not a video that OpenCV can read"),
    ("vis.mp4", "fused.xyz", "extension '.xyz'; expected one of .mp4"),
])  # fmt: skip
def test_what_is_no_video_is_refused_in_one_sentence(films, tmp_path, capsys, vis, out, message):
    (tmp_path / "text.mp4").write_text("hello")
    assert run("--video", tmp_path / vis, films[1], "--out", tmp_path / out) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert "Traceback" not in errors


def test_the_network_is_compiled_for_frames_of_one_size(films, tmp_path, monkeypatch):
    compiled = []
    monkeypatch.setattr(type(net.METHODS["cmmdl"]), "compile_network", lambda *_, dynamic: compiled.append(dynamic))
    assert run("--video", *films, "--out", tmp_path / "fused.avi", "--limit", 1, "--compile") == 0
    assert compiled == [False]


OF_IMAGES = [
    ["--data", "x"], ["--pair", "a", "b"], ["--pairs", "x"], ["--fused", "x"], ["--method", "max"],
    ["--continue"], ["--published"], ["--protocol", "cddfuse"], ["--task", "mef"],
    ["--no-metrics"], ["--max-pixels", "9"], ["--no-registration-check"],
]  # fmt: skip


@pytest.mark.parametrize("more", OF_IMAGES)
def test_a_video_is_a_job_of_its_own(films, tmp_path, more):
    assert run("--video", *films, "--out", tmp_path / "fused.mp4", *more) == 2


@pytest.mark.parametrize(("make", "kind"), [(os.mkdir, "folder"), (os.mkfifo, "pipe or device")])
def test_neither_a_folder_nor_a_pipe_can_become_the_video(films, tmp_path, capsys, make, kind):
    make(tmp_path / "out.mp4")
    assert run("--video", *films, "--out", tmp_path / "out.mp4") == 2
    assert f"out.mp4: is a {kind}; expected a file" in capsys.readouterr().err


def test_the_video_gets_its_name_when_it_is_whole(films, tmp_path, monkeypatch):
    out, seen = tmp_path / "out" / "fused.mp4", []
    frame = utils.video.fuse_frame
    monkeypatch.setattr(utils.video, "fuse_frame", lambda *given: seen.append(out.exists()) or frame(*given))
    assert run("--video", *films, "--out", out) == 0
    assert len(seen) == 12 and not any(seen)
    assert list(out.parent.iterdir()) == [out]


@pytest.fixture
def earlier(tmp_path):
    """A folder with an earlier result."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "fused.mp4").write_bytes(b"earlier")
    return tmp_path / "out"


def test_what_ends_before_the_first_frame_leaves_an_earlier_video(films, earlier, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(utils.video, "fuse_frame", interrupt)
    assert run("--video", *films, "--out", earlier / "fused.mp4") == 130
    assert [path.read_bytes() for path in earlier.iterdir()] == [b"earlier"]


def test_a_second_ctrl_c_spares_the_frames_that_are_done(films, tmp_path, monkeypatch):
    frame, frames, capture = utils.video.fuse_frame, count(), cv2.VideoCapture

    def again(name):
        os.kill(os.getpid(), signal.SIGINT)
        return capture(name)

    with monkeypatch.context() as patch:

        def interrupted(*given):
            if next(frames) == 4:
                patch.setattr(cv2, "VideoCapture", again)  # which looks if all frames are there, before the file's name
                raise KeyboardInterrupt
            return frame(*given)

        patch.setattr(utils.video, "fuse_frame", interrupted)
        assert run("--video", *films, "--out", tmp_path / "out" / "fused.mp4") == 130
    assert len(play(tmp_path / "out" / "fused.mp4")) == 4
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_a_video_without_a_frame_is_refused_and_leaves_an_earlier_video(films, earlier, scene, capsys):
    cut = film(earlier.parent / "cut.avi", [scene.vis] * 12)
    cut.write_bytes(cut.read_bytes().partition(b"movi")[0] + b"movi")  # its header, which claims 12 frames
    assert run("--video", cut, films[1], "--out", earlier / "fused.mp4") == 2
    assert "cut.avi: no frame that OpenCV can read; expected at least one" in capsys.readouterr().err
    assert [path.read_bytes() for path in earlier.iterdir()] == [b"earlier"]


def test_the_result_cannot_take_the_place_of_a_source(films, tmp_path, capsys):
    (tmp_path / "link.mp4").symlink_to(films[1])
    before = [path.read_bytes() for path in films]
    for out in (*films, tmp_path / "link.mp4"):
        assert run("--video", *films, "--out", out) == 2
        assert f"{out.name}: is one of the two videos to fuse; expected another file" in capsys.readouterr().err
    assert [path.read_bytes() for path in films] == before


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_a_full_disk_is_told_and_leaves_the_old_video(films, tmp_path, capsys, suffix):
    out = tmp_path / "out" / f"fused{suffix}"
    out.parent.mkdir()
    out.write_bytes(b"old")
    with disk_of(2000):
        assert run("--video", *films, "--out", out) == 2
    assert f"fused{suffix}: holds 0 of 12 frames; expected room on the disk for all" in capsys.readouterr().err
    assert [path.read_bytes() for path in out.parent.iterdir()] == [b"old"]


def test_a_video_that_lacks_its_last_frame_is_not_kept(tmp_path, scene, monkeypatch):
    held = SimpleNamespace(get=lambda _: 2)
    monkeypatch.setattr(cv2, "VideoCapture", lambda _: held)
    refused = pytest.raises(utils.video.VideoError, match="holds 2 of 3 frames")
    with refused, utils.video.writer(tmp_path / "fused.avi", 10, (96, 64)) as write:
        for _ in range(3):
            write(scene.vis)
    assert list(tmp_path.iterdir()) == []


def test_too_little_memory_ends_with_a_sentence_and_keeps_the_frames_before(films, tmp_path, monkeypatch, capsys):
    frames, forward = [], Average.forward

    def full(self, *pair):
        frames.append(pair)
        if len(frames) > 3:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes.")
        return forward(self, *pair)

    monkeypatch.setattr(Average, "forward", full)
    assert run("--video", *films, "--out", tmp_path / "fused.mp4") == 1
    assert capsys.readouterr().err.endswith("error: out of memory; CMMDL_test.py --tile N fuses in tiles\n")
    assert len(play(tmp_path / "fused.mp4")) == 3


def test_two_rates_are_told(films, tmp_path, scene, capsys):
    slow = film(tmp_path / "slow.mp4", [scene.ir] * 12, fps=4)
    assert run("--video", films[0], slow, "--out", tmp_path / "fused.mp4") == 0
    assert "warning: vis.mp4 has 10 frames a second, slow.mp4 4; frame n of one" in capsys.readouterr().err
    assert cv2.VideoCapture(str(tmp_path / "fused.mp4")).get(cv2.CAP_PROP_FPS) == 10, "that of the visible one"


def test_a_name_that_is_no_text_can_be_written_and_is_refused_when_read(films, tmp_path, capsys):
    odd = tmp_path / os.fsdecode(b"l\xe9.mp4")
    assert run("--video", *films, "--out", odd) == 0 and odd.stat().st_size
    films[1].rename(odd)
    assert run("--video", films[0], odd, "--out", tmp_path / "fused.mp4") == 2
    assert "a name that is not UTF-8; OpenCV needs another for a video" in capsys.readouterr().err


def test_any_rate_can_be_written_as_mp4_and_film_rates_and_slow_ones_keep_three_digits(tmp_path, scene):
    for rate, written, near in ((119.873, 119.87, 0.01), (24000 / 1001, 24000 / 1001, 5e-4), (0.017, 0.017, 5e-4)):
        both = {"vis.avi": scene.vis, "ir.avi": scene.ir}
        films = [film(tmp_path / name, [image] * 3, fps=rate) for name, image in both.items()]
        assert run("--video", *films, "--out", tmp_path / "fused.mp4") == 0
        assert cv2.VideoCapture(str(tmp_path / "fused.mp4")).get(cv2.CAP_PROP_FPS) == pytest.approx(written, abs=near)


def test_names_with_colons_are_files(tmp_path, scene, monkeypatch):
    monkeypatch.chdir(tmp_path)
    film(tmp_path / "12:30.mp4", [scene.vis] * 3)
    film(tmp_path / "ir.avi", [scene.ir] * 3)
    assert run("--video", "12:30.mp4", "ir.avi", "--out", "cam:1.mp4") == 0
    assert len(play(tmp_path / "cam:1.mp4")) == 3


def test_the_name_of_a_video_may_be_as_long_as_any(films, tmp_path):
    out = tmp_path / ("n" * 250 + ".mp4")
    assert run("--video", *films, "--out", out) == 0
    assert out.exists() and [path.name for path in tmp_path.glob(".*")] == []
