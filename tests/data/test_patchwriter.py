"""How patches are stored, and what is left when that fails."""

import errno
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from data.patchfile import PatchDataset, PatchFileError
from data.patchwriter import PatchWriter
from tests.patch_files import stored

REPOSITORY = Path(__file__).resolve().parents[2]


def test_float32_form_is_the_authors_layout(tmp_path):
    stored(tmp_path / "a.h5", count=12)
    with h5py.File(tmp_path / "a.h5") as file:
        assert set(file) == {"ir_patchs", "vis_patchs", "mask_patches"}
        for group in file.values():
            assert set(group) == {str(i) for i in range(12)}
            for patch in group.values():
                assert patch.dtype == np.float32
                assert patch.shape == (1, 8, 8)
        assert file["vis_patchs/11"][0, 0, 0] == np.float32(11 / 255)
        assert file["ir_patchs/11"][0, 0, 0] == np.float32(1 - 11 / 255)
        assert file["mask_patches/11"][0, :, 0].tolist() == [1] * 4 + [0] * 4
        assert file.attrs["form"] == "float32"


def test_uint8_form_takes_at_most_a_quarter_and_gives_the_same_patches(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (30, 2, 128, 128)) / 255
    masks = rng.integers(0, 2, (30, 128, 128))  # the worst case for compression
    for dtype in ("float32", "uint8"):
        with PatchWriter(tmp_path / f"{dtype}.h5", dtype=dtype) as writer:
            for (vis, ir), mask in zip(images, masks, strict=True):
                writer.add(vis, np.asfortranarray(ir), mask)  # however they lie in memory
    assert 4 * (tmp_path / "uint8.h5").stat().st_size <= (tmp_path / "float32.h5").stat().st_size
    with h5py.File(tmp_path / "uint8.h5") as file:
        assert file.attrs["form"] == "uint8"
        assert file["vis_patchs/patches"].dtype == np.uint8
    exact, small = PatchDataset(tmp_path / "float32.h5"), PatchDataset(tmp_path / "uint8.h5")
    assert len(exact) == len(small) == 30
    for a, b in zip(exact, small, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_zero_masks_are_read_as_zeros_and_take_no_room(tmp_path, dtype):
    ones, zeros = np.ones((128, 128)), np.zeros((128, 128))
    with PatchWriter(tmp_path / "a.h5", dtype=dtype) as writer:
        for mask in (zeros, 0.001 * ones, zeros):  # salient is what is above 0
            writer.add(ones, ones, mask)
    assert [mask.sum() for *_, mask in PatchDataset(tmp_path / "a.h5")] == [0, 128 * 128, 0]
    with h5py.File(tmp_path / "a.h5") as file:
        stored = [np.array(patch) for group in file.values() for patch in group.values()]  # as the authors read them
        room = sum(patch.id.get_storage_size() for patch in file["mask_patches"].values())
    assert sum(patch.sum() for patch in stored) / stored[0].max() == 7 * 128 * 128
    assert room <= 128 * 128 * np.dtype(dtype).itemsize


def test_the_same_patches_written_later_are_the_same_bytes(tmp_path):
    forms, found = ("float32", "uint8"), []
    for part in ("a", "b"):
        for dtype in forms:
            with PatchWriter(tmp_path / f"{part}_{dtype}.h5", size=8, dtype=dtype) as writer:
                writer.add(*np.full((3, 8, 8), 0.5))
        found.append([(tmp_path / f"{part}_{dtype}.h5").read_bytes() for dtype in forms])
        if part == "a":
            time.sleep(1.01 - time.time() % 1)  # a file's own clock counts whole seconds
    assert found[0] == found[1]


def test_uint8_form_rounds_to_the_nearest_level(tmp_path):
    values = np.linspace(0, 1, 64).reshape(8, 8)
    with PatchWriter(tmp_path / "a.h5", size=8, dtype="uint8") as writer:
        writer.add(values, values, values)
    vis = PatchDataset(tmp_path / "a.h5")[0][0]
    assert np.abs(vis[0].numpy() - values).max() <= 0.5 / 255 + 1e-6


def test_writer_that_is_interrupted_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), PatchWriter(tmp_path / "a.h5", size=8) as writer:
        writer.add(*np.zeros((3, 8, 8)))
        assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", range(3))
def test_writer_that_fails_keeps_the_old_file(tmp_path, wrong):
    stored(tmp_path / "a.h5", count=3)
    expected = r"shape.*expected \(8, 8\)"
    with pytest.raises(PatchFileError, match=expected), PatchWriter(tmp_path / "a.h5", size=8) as writer:
        writer.add(*(np.zeros((8, 9 if i == wrong else 8)) for i in range(3)))
    assert list(tmp_path.iterdir()) == [tmp_path / "a.h5"]
    assert len(PatchDataset(tmp_path / "a.h5")) == 3


def test_writer_replaces_an_old_file_only_at_the_end_and_in_one_step(tmp_path):
    stored(tmp_path / "a.h5", count=3)
    (tmp_path / "link.h5").hardlink_to(tmp_path / "a.h5")
    with PatchWriter(tmp_path / "a.h5", size=8) as writer:
        writer.add(*np.zeros((3, 8, 8)))
        assert len(PatchDataset(tmp_path / "a.h5")) == 3
    assert len(PatchDataset(tmp_path / "a.h5")) == 1
    assert len(PatchDataset(tmp_path / "link.h5")) == 3  # the old file was not written into


def test_writer_refuses_an_unknown_dtype(tmp_path):
    with pytest.raises(PatchFileError, match="float32 or uint8"):
        PatchWriter(tmp_path / "a.h5", dtype="int8")


def test_writer_refuses_a_folder_as_its_target(tmp_path):
    with pytest.raises(PatchFileError, match="a folder"), PatchWriter(tmp_path):
        pass


FULL_DISK = """
import resource, sys
import numpy as np
from data.patchfile import PatchFileError
from data.patchwriter import PatchWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
patch = np.random.default_rng(0).random((128, 128))
for dtype in ("float32", "uint8"):
    try:
        with PatchWriter(sys.argv[1], dtype=dtype) as writer:
            for _ in range(100):
                writer.add(patch, patch, patch)
    except PatchFileError as error:
        print(error, "soon" if writer.count < 100 else "late")
"""


def test_full_disk_is_an_error_that_leaves_nothing(tmp_path):
    command = [sys.executable, "-c", FULL_DISK, tmp_path / "a.h5"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("cannot be written (File too large) soon\n") == 2
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_when_the_file_closes_leaves_nothing(tmp_path, monkeypatch):
    def full(disk, data):
        disk.error = OSError(errno.ENOSPC, "")
        return len(data)

    with pytest.raises(PatchFileError, match="No space left"), PatchWriter(tmp_path / "a.h5", size=8) as writer:
        writer.add(*np.full((3, 8, 8), 0.5))
        monkeypatch.setattr("data.patchwriter._Disk.write", full)
    assert list(tmp_path.iterdir()) == []
