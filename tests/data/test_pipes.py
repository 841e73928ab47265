"""Pipes, which could be waited for for ever, and names that no file can have, where a file is expected."""

import os

import pytest

from data.images import ImageError, read_image
from data.pairlist import read_pairs
from data.pairs import PairError
from data.patchfile import PatchDataset, PatchFileError
from utils.video import VideoError, VideoFile

READERS = [
    (read_image, ImageError, "expected an image"),
    (read_pairs, PairError, "expected a csv file of pairs"),
    (PatchDataset, PatchFileError, r"expected a patch file \(h5\)"),
    (VideoFile, VideoError, "expected a video"),
]


@pytest.fixture
def pipe(tmp_path):
    """A pipe that would let its reader wait, but for one who holds it open."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR)
    os.write(writer, b"some bytes")
    os.set_blocking(writer, False)
    yield path
    os.close(writer)


@pytest.mark.parametrize(("read", "error", "expected"), READERS)
def test_a_pipe_is_refused_and_not_waited_for(tmp_path, pipe, read, error, expected):
    (tmp_path / "link").symlink_to(pipe)
    for path in (pipe, tmp_path / "link"):
        with pytest.raises(error, match=rf"{path.name}: a pipe or device; {expected}"):
            read(path)


@pytest.mark.parametrize(("read", "error", "expected"), READERS)
def test_a_name_that_no_file_can_have_is_refused(tmp_path, read, error, expected):
    with pytest.raises(error, match=rf"xxx: not readable \(File name too long\); {expected}"):
        read(tmp_path / ("x" * 300))
