"""What a data set makes of any h5 file."""

import multiprocessing
import os
import pickle

import h5py
import numpy as np
import pytest
import torch
from torch.utils.data import ConcatDataset, DataLoader

from data import patchfile
from data.patchfile import GROUPS, PatchDataset, PatchFileError
from tests.patch_files import authors_file, stored


def refusal(path):
    with pytest.raises(PatchFileError) as caught:
        PatchDataset(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "expected" in message
    assert "\n" not in message
    return message


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


def test_rounding_above_1_and_below_0_is_clamped(tmp_path):
    path = authors_file(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file["vis_patchs/0"][...], file["ir_patchs/0"][...] = 1.0001, -0.0001
    vis, ir, _ = PatchDataset(path)[0]
    assert (vis == 1).all() and (ir == 0).all()


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


@pytest.mark.parametrize(("put", "words"), [
    (lambda file, name: file.create_dataset(name, (3, 1, 8, 8), np.float32), "no group vis_patchs"),
    (lambda file, name: file.create_group(name), "0 in vis_patchs"),
    (lambda file, name: file.create_dataset(f"{name}/patches", (3, 8, 8), np.uint8), "(3, 8, 8)"),
], ids=["arrays in place of groups", "empty groups", "arrays of a wrong rank"])  # fmt: skip
def test_groups_without_patches_are_refused(tmp_path, put, words):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in GROUPS:
            put(file, name)
    assert words in refusal(tmp_path / "a.h5")


def test_unequal_counts_are_refused_with_each_count(tmp_path):
    path = authors_file(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        del file["ir_patchs/2"]
    message = refusal(path)
    assert "3 in vis_patchs" in message and "2 in ir_patchs" in message


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


@pytest.mark.parametrize("shape", [(8, 8), (3, 8, 8), (1, 8, 9), (1, 0, 0), ()])
def test_wrong_shape_is_refused(tmp_path, shape):
    assert "vis_patchs/0 is float32" in refusal(authors_file(tmp_path / "a.h5", shape=shape))


@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.uint16, bool])
def test_wrong_dtype_is_refused(tmp_path, dtype):
    assert np.dtype(dtype).name in refusal(authors_file(tmp_path / "a.h5", dtype=dtype))


def test_group_in_place_of_a_patch_is_refused(tmp_path):
    path = authors_file(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        del file["vis_patchs/0"]
        file["vis_patchs"].create_group("0")
    assert "vis_patchs/0 cannot be read" in refusal(path)


@pytest.mark.parametrize("value", [255, 1.002, -0.002, np.nan])
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
