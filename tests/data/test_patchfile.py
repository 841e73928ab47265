"""The training file: how patches are stored, and what a data set makes of any h5 file."""

import errno
import multiprocessing
import os
import pickle
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch.utils.data import ConcatDataset, DataLoader

from data import patchfile
from data.patchfile import GROUPS, PatchDataset, PatchFileError, PatchWriter

REPOSITORY = Path(__file__).resolve().parents[2]


def stored(path, count=4, size=8, dtype="float32"):
    """A patch file whose patch i is filled with i / 255, and whose mask is its upper half."""
    mask = np.zeros((size, size))
    mask[: size // 2] = 1
    with PatchWriter(path, size=size, dtype=dtype) as writer:
        for i in range(count):
            writer.add(np.full((size, size), i / 255), np.full((size, size), 1 - i / 255), mask)
    return path


def authors_file(path, groups=GROUPS, names=("0", "1", "2"), shape=(1, 8, 8), dtype=np.float32):
    """A file made as the authors make theirs, without the code under test; patch "7" is filled with 0.07."""
    with h5py.File(path, "w") as file:
        for group in groups:
            for name in names:
                file.create_group(group) if group not in file else None
                file[group].create_dataset(name, data=np.full(shape, int(name) / 100, dtype))
    return path


def refusal(path):
    with pytest.raises(PatchFileError) as caught:
        PatchDataset(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "expected" in message
    assert "\n" not in message
    return message


# --- what is stored


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
                writer.add(vis, ir, mask)
    assert 4 * (tmp_path / "uint8.h5").stat().st_size <= (tmp_path / "float32.h5").stat().st_size
    with h5py.File(tmp_path / "uint8.h5") as file:
        assert file.attrs["form"] == "uint8"
        assert file["vis_patchs/patches"].dtype == np.uint8
    exact, small = PatchDataset(tmp_path / "float32.h5"), PatchDataset(tmp_path / "uint8.h5")
    assert len(exact) == len(small) == 30
    for a, b in zip(exact, small, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_uint8_form_rounds_to_the_nearest_level(tmp_path):
    values = np.linspace(0, 1, 64).reshape(8, 8)
    with PatchWriter(tmp_path / "a.h5", size=8, dtype="uint8") as writer:
        writer.add(values, values, values)
    vis = PatchDataset(tmp_path / "a.h5")[0][0]
    assert np.abs(vis[0].numpy() - values).max() <= 0.5 / 255 + 1e-6


def test_writer_that_is_interrupted_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), PatchWriter(tmp_path / "a.h5", size=8) as writer:
        writer.add(*[np.zeros((8, 8))] * 3)
        assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_writer_that_fails_keeps_the_old_file(tmp_path):
    stored(tmp_path / "a.h5", count=3)
    expected = r"shape.*expected \(8, 8\)"
    with pytest.raises(PatchFileError, match=expected), PatchWriter(tmp_path / "a.h5", size=8) as writer:
        writer.add(np.zeros((8, 8)), np.zeros((8, 9)), np.zeros((8, 8)))
    assert list(tmp_path.iterdir()) == [tmp_path / "a.h5"]
    assert len(PatchDataset(tmp_path / "a.h5")) == 3


def test_writer_replaces_an_old_file_only_at_the_end_and_in_one_step(tmp_path):
    stored(tmp_path / "a.h5", count=3)
    (tmp_path / "link.h5").hardlink_to(tmp_path / "a.h5")
    with PatchWriter(tmp_path / "a.h5", size=8) as writer:
        writer.add(*[np.zeros((8, 8))] * 3)
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
from data.patchfile import PatchFileError, PatchWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
patch = np.random.default_rng(0).random((128, 128))
for dtype in ("float32", "uint8"):
    try:
        with PatchWriter(sys.argv[1], dtype=dtype) as writer:
            for _ in range(100):
                writer.add(patch, patch, patch)
    except PatchFileError as error:
        print(error)
"""


def python(code, *arguments):
    """Run code in a process of its own."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


@pytest.mark.skipif(sys.platform == "win32", reason="needs the resource module")
def test_full_disk_is_an_error_that_leaves_nothing(tmp_path):
    done = python(FULL_DISK, tmp_path / "a.h5")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("cannot be written (File too large)") == 2
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_when_the_file_closes_leaves_nothing(tmp_path, monkeypatch):
    def full(disk, data):
        disk.error = OSError(errno.ENOSPC, "")
        return len(data)

    patch = np.full((8, 8), 0.5)
    with pytest.raises(PatchFileError, match="No space left"), PatchWriter(tmp_path / "a.h5", size=8) as writer:
        writer.add(patch, patch, patch)
        monkeypatch.setattr("data.patchfile._Disk.write", full)
    assert list(tmp_path.iterdir()) == []


# --- what a data set reads


def test_authors_file_is_read_unchanged_in_numeric_order(tmp_path):
    path = authors_file(tmp_path / "a.h5", names=[str(i) for i in range(12)])
    before = path.read_bytes()
    patches = PatchDataset(path)
    assert (len(patches), patches.patch_size, patches.has_masks) == (12, 8, True)
    assert [round(100 * vis.mean().item()) for vis, _, _ in patches] == list(range(12))
    vis, ir, mask = patches[10]
    assert [x.shape for x in (vis, ir, mask)] == [(1, 8, 8)] * 3
    assert [x.dtype for x in (vis, ir, mask)] == [torch.float32] * 3
    assert mask.unique().tolist() == [1]
    assert patches[0][2].unique().tolist() == [0]
    assert path.read_bytes() == before


def test_file_without_masks_has_zero_masks(tmp_path):
    patches = PatchDataset(authors_file(tmp_path / "a.h5", groups=GROUPS[:2]))
    assert not patches.has_masks
    assert patches[1][2].shape == (1, 8, 8)
    assert patches[1][2].max() == 0


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_index_beyond_the_end_is_an_index_error(tmp_path, dtype):
    patches = PatchDataset(stored(tmp_path / "a.h5", dtype=dtype))
    assert torch.equal(patches[-1][0], patches[3][0])
    with pytest.raises(IndexError):
        patches[4]


def test_rounding_above_1_is_clamped(tmp_path):
    path = authors_file(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file["vis_patchs/0"][...] = 1.0001
    assert PatchDataset(path)[0][0].max() == 1


@pytest.mark.parametrize(("workers", "start"), [(0, None), (2, "fork"), (2, "spawn")])
def test_every_way_of_loading_gives_the_same_patches(tmp_path, workers, start):
    if start and start not in multiprocessing.get_all_start_methods():
        pytest.skip(f"{start} does not exist here")
    files = [PatchDataset(stored(tmp_path / f"{dtype}.h5", count=9, dtype=dtype)) for dtype in ("float32", "uint8")]
    expected = [patches[i] for patches in files for i in range(9)]  # the parent has both open before workers start
    loader = DataLoader(ConcatDataset(files), batch_size=2, num_workers=workers, multiprocessing_context=start)
    batches = list(loader)
    for part in range(3):
        assert torch.equal(torch.cat([batch[part] for batch in batches]), torch.stack([e[part] for e in expected]))
    assert torch.equal(files[0][8][0], expected[8][0])


def test_each_process_opens_the_file_once_and_for_itself(tmp_path, monkeypatch):
    patches = PatchDataset(stored(tmp_path / "a.h5"))
    opened = []
    monkeypatch.setattr(patchfile, "_open", lambda path: opened.append(path) or h5py.File(path, "r"))
    for process in (1, 2):
        monkeypatch.setattr(os, "getpid", lambda process=process: process)
        assert torch.equal(patches[1][0], torch.full((1, 8, 8), 1 / 255))
        assert torch.equal(patches[3][0], torch.full((1, 8, 8), 3 / 255))
        assert len(opened) == process


def test_data_set_with_an_open_file_can_be_pickled(tmp_path):
    patches = PatchDataset(stored(tmp_path / "a.h5"))
    first = patches[0][0]
    assert torch.equal(pickle.loads(pickle.dumps(patches))[0][0], first)


def test_missing_file_is_refused(tmp_path):
    assert "no such file" in refusal(tmp_path / "a.h5")


def test_folder_is_refused(tmp_path):
    assert "a folder" in refusal(tmp_path)


@pytest.mark.parametrize(("content", "found"), [(b"", "an empty file"), (b"some text", "not an h5 file")])
def test_file_that_is_no_h5_is_refused(tmp_path, content, found):
    (tmp_path / "a.h5").write_bytes(content)
    assert found in refusal(tmp_path / "a.h5")


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99])
def test_cut_off_file_is_refused(tmp_path, dtype, keep):
    data = stored(tmp_path / "whole.h5", count=20, dtype=dtype).read_bytes()
    (tmp_path / "a.h5").write_bytes(data[: int(len(data) * keep)])
    assert "cut-off" in refusal(tmp_path / "a.h5")


def test_foreign_h5_is_refused_with_what_it_has(tmp_path):
    authors_file(tmp_path / "a.h5", groups=["lr", "hr"])
    message = refusal(tmp_path / "a.h5")
    assert "hr, lr" in message
    assert all(group in message for group in GROUPS)


def test_missing_group_is_refused(tmp_path):
    assert "no group ir_patchs" in refusal(authors_file(tmp_path / "a.h5", groups=["vis_patchs", "mask_patches"]))


def test_array_in_place_of_a_group_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in GROUPS:
            file[name] = np.zeros((3, 1, 8, 8), np.float32)
    assert "no group vis_patchs" in refusal(tmp_path / "a.h5")


def test_unequal_counts_are_refused_with_each_count(tmp_path):
    path = authors_file(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        del file["ir_patchs/2"]
    message = refusal(path)
    assert "3 in vis_patchs" in message
    assert "2 in ir_patchs" in message


def test_unequal_arrays_are_refused(tmp_path):
    path = stored(tmp_path / "a.h5", dtype="uint8")
    with h5py.File(path, "r+") as file:
        file["mask_patches/patches"].resize(2, axis=0)
    assert "2 in mask_patches" in refusal(path)


@pytest.mark.parametrize("group", ["vis_patchs", "mask_patches"])
def test_names_that_do_not_match_are_refused(tmp_path, group):
    path = authors_file(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file[group].move("2", "5")
    assert '"2"' in refusal(path)


def test_names_that_are_no_numbers_are_refused(tmp_path):
    path = authors_file(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        for group in file.values():
            group.move("1", "one")
    assert '"one"' in refusal(path)


def test_file_with_empty_groups_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in GROUPS:
            file.create_group(name)
    assert "0 in vis_patchs" in refusal(tmp_path / "a.h5")


@pytest.mark.parametrize("shape", [(8, 8), (3, 8, 8), (1, 8, 9), (1, 0, 0), ()])
def test_wrong_shape_is_refused(tmp_path, shape):
    assert "vis_patchs/0 is float32" in refusal(authors_file(tmp_path / "a.h5", shape=shape))


@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.uint16, bool])
def test_wrong_dtype_is_refused(tmp_path, dtype):
    assert np.dtype(dtype).name in refusal(authors_file(tmp_path / "a.h5", dtype=dtype))


def test_array_of_wrong_rank_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in GROUPS:
            file.create_group(name)["patches"] = np.zeros((3, 8, 8), np.uint8)
    assert "(3, 8, 8)" in refusal(tmp_path / "a.h5")


def test_group_in_place_of_a_patch_is_refused(tmp_path):
    path = authors_file(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        del file["vis_patchs/0"]
        file["vis_patchs"].create_group("0")
    assert "vis_patchs/0 cannot be read" in refusal(path)


@pytest.mark.parametrize("value", [255, -1, np.nan])
def test_values_outside_0_to_1_are_refused(tmp_path, value):
    path = authors_file(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file["ir_patchs/2"][0, 3, 3] = value
    assert "ir_patchs/2 has values" in refusal(path)


def test_bad_patch_in_the_middle_is_an_error_when_it_is_read(tmp_path):
    path = authors_file(tmp_path / "a.h5", names=[str(i) for i in range(5)])
    with h5py.File(path, "r+") as file:
        del file["ir_patchs/2"]
        file["ir_patchs/2"] = np.zeros((1, 4, 4), np.float32)
    patches = PatchDataset(path)
    with pytest.raises(PatchFileError, match=r"ir_patchs/2 is float32 \(1, 4, 4\)"):
        patches[2]
