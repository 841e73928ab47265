"""What a teacher gives, how it is kept, and what happens where there is none."""

import cv2
import numpy as np
import pytest
import torch

import CMMDL_train as script
import net
from utils.training import teacher
from utils.training.teacher import Teacher


@pytest.fixture
def taught(monkeypatch, small, tmp_path):
    """A teacher of 16x16 pixels, and an image of which it sees the middle."""
    monkeypatch.setattr(teacher, "WINDOW", 16)
    pair = torch.randint(0, 256, (2, 1, 1, 24, 31), generator=torch.Generator().manual_seed(0)) / 255
    return Teacher(small, tmp_path), pair


def broken(*_):
    raise AssertionError("the network was asked")


def test_the_middle_is_what_the_network_makes_of_it_and_the_rest_is_zero(taught, small):
    teach, pair = taught
    result = teach(*pair)
    middle = (..., slice(4, 20), slice(7, 23))
    with torch.inference_mode():
        expected = small(*(image[middle] for image in pair))
    assert (result[middle] - expected).abs().max() <= 0.5 / 255 + 1e-6
    assert result[middle].min() > 0 and result.count_nonzero() == 16 * 16


def test_black_is_seen_too(taught, tmp_path):
    class Black(torch.nn.Module):
        def forward(self, vis, ir):
            return 0 * (vis + ir)

    result = Teacher(Black(), tmp_path)(*taught[1])
    assert result.count_nonzero() == 16 * 16 and result.max() == np.float32(1 / 255)


def test_images_smaller_than_the_window_are_seen_whole(taught):
    teach, pair = taught
    assert teach(*pair[..., :9, :11]).all()


def test_what_was_made_once_is_not_made_again(taught, small, tmp_path, monkeypatch):
    teach, pair = taught
    first = teach(*pair)
    again = Teacher(small, tmp_path)
    monkeypatch.setattr(again.fuser, "luminance", broken)
    assert torch.equal(again(*pair), first)
    for other in ((pair[0], pair[0]), (pair[1], pair[1])):
        with pytest.raises(AssertionError, match="asked"):
            again(*other)


def test_pairs_of_the_same_pixels_in_other_shapes_are_kept_apart(taught):
    teach, _ = taught
    for shape in ((8, 12), (12, 8)):
        teach(*torch.zeros(2, 1, 1, *shape))
    assert len(list(teach.folder.iterdir())) == 2


def test_what_it_gives_is_luminance_whatever_its_network_gives(taught, tmp_path):
    network = net.build("mlfuse", dim=4).eval()
    torch.nn.init.constant_(network.project.bias, -2)  # so it gives nothing above 0
    result = Teacher(network, tmp_path)(*taught[1])
    assert result.max() == 1 and result.unique().numel() > 9


def test_other_weights_find_nothing(taught, small, tmp_path, monkeypatch):
    teach, pair = taught
    teach(*pair)
    with torch.no_grad():
        next(small.parameters()).mul_(1.5)
    other = Teacher(small, tmp_path)
    monkeypatch.setattr(other.fuser, "luminance", broken)
    with pytest.raises(AssertionError, match="asked"):
        other(*pair)


DAMAGED = {"empty": b"", "words": b"no picture", "small": cv2.imencode(".png", np.ones((9, 9), np.uint8))[1].tobytes()}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_result_is_made_anew(taught, content):
    teach, pair = taught
    first = teach(*pair)
    (file,) = teach.folder.iterdir()
    file.write_bytes(content)
    assert torch.equal(teach(*pair), first) and np.array_equal(teach(*pair), first)


def test_a_teacher_that_is_not_there_ends_the_training_with_a_sentence(tmp_path, capsys):
    absent = tmp_path / "absent.pth"
    options = ["--method", "cmmdl-lite", "--demo", "--teacher", absent, "--out", tmp_path / "runs"]
    assert script.main(list(map(str, options))) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"error: {absent}: no such weights file"
