"""Masks of thermal targets, from labels or from masks beside the pairs, as a patch file gets them."""

import h5py
import numpy as np
import pytest

from data.patchfile import PatchDataset
from tests.data.cut_sets import cut, save_pair
from tests.pictures import save, written


@pytest.fixture
def folder(tmp_path):
    """A pair folder with one pair, called 1."""
    save_pair(tmp_path / "set", "1")
    return tmp_path / "set"


def first_mask(folder, *options):
    """The mask of the first patch that is cut from a pair folder."""
    _, out = cut(folder.parent, *options)
    return PatchDataset(out)[0][2][0]


def test_labels_become_masks_of_the_chosen_classes(folder):
    labels = np.tile(np.arange(60, dtype=np.uint8) % 9, (40, 1))
    save(folder / "Segmentation_labels" / "1.png", labels)
    for options, classes in (([], [1, 2, 3]), (["--mask-classes", "bump, Car-Stop,colour_cone"], [5, 7, 8])):
        np.testing.assert_array_equal(first_mask(folder, *options), np.isin(labels[:16, :16], classes))


def test_labels_with_three_equal_channels_are_understood(folder):
    save(folder / "labels" / "1.png", np.full((40, 60, 3), 2, np.uint8))
    assert first_mask(folder).min() == 1


def test_mask_folder_is_salient_where_not_zero(folder, tmp_path, capsys):
    save_pair(folder, "2", seed=7)
    mask = np.zeros((40, 60), np.uint8)
    mask[:8] = 1
    save(folder / "mask" / "1.png", mask)
    status, out = cut(tmp_path)
    assert status == 0
    patches = PatchDataset(out)
    np.testing.assert_array_equal(patches[0][2][0], mask[:16, :16])
    assert patches[6][2].max() == 0  # image 2 has no mask
    assert "2 images (1 with a mask)" in capsys.readouterr().out


@pytest.mark.parametrize("channels", [3, 4])
def test_a_mask_in_colour_is_salient_where_any_channel_is_not_zero_and_alpha_does_not_count(folder, channels):
    mask = np.zeros((40, 60, channels), np.uint8)
    mask[:8, :, 1], mask[..., 3:] = 1, 255
    save(folder / "mask" / "1.png", mask)
    np.testing.assert_array_equal(first_mask(folder), mask[:16, :16, 1])


def test_label_folder_of_text_files_does_not_hide_the_mask_folder(folder):
    save(folder / "mask" / "1.png", np.full((40, 60), 255, np.uint8))
    written(folder / "labels" / "1.txt", b"0 0.5 0.5 0.1 0.1")
    assert first_mask(folder).min() == 1


def test_labels_count_before_plain_masks_and_those_of_msrs_first(folder):
    whole, left = np.full((40, 60), 255, np.uint8), np.repeat(np.uint8([[2] * 10 + [0] * 50]), 40, axis=0)
    for name, marks in (("mask", whole), ("labels", left), ("Segmentation_labels", left[:, ::-1])):
        save(folder / name / "1.png", marks)
        np.testing.assert_array_equal(first_mask(folder), marks[:16, :16] > 0)


@pytest.mark.usefixtures("folder")
def test_without_labels_the_mask_is_zero(tmp_path):
    _, out = cut(tmp_path)
    assert PatchDataset(out).has_masks
    assert all(mask.max() == 0 for _, _, mask in PatchDataset(out))


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (np.zeros((20, 30), np.uint8), "30x20, its pair 60x40; expected one size"),
        (np.full((40, 60), 9, np.uint8), "up to 9; expected class numbers 0 to 8"),
        (np.full((40, 60), 255, np.uint8), "up to 255"),
        (np.full((40, 60, 3), (1, 2, 3), np.uint8), "colours"),
    ],
    ids=["size", "one too many", "values", "colours"],
)
def test_labels_that_do_not_fit_refuse_their_pair(folder, tmp_path, capsys, labels, reason):
    save_pair(folder, "2")
    save(folder / "labels" / "1.png", labels)
    status, out = cut(tmp_path)
    assert status == 1 and len(PatchDataset(out)) == 6
    error = capsys.readouterr().err
    assert "labels/1.png" in error and reason in error


def test_two_label_files_of_one_stem_refuse_their_pair_with_both_names(folder, tmp_path, capsys):
    save_pair(folder, "2")
    for name in ("1.bmp", "1.png"):
        save(folder / "labels" / name, np.zeros((40, 60), np.uint8))
    status, out = cut(tmp_path)
    assert status == 1 and len(PatchDataset(out)) == 6
    assert "labels holds 1.bmp and 1.png; a stem must name one image" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["labels", "mask"])
def test_a_folder_of_masks_that_cannot_be_read_refuses_its_set_and_no_other(tmp_path, capsys, lock, name):
    for place in ("bad", "good"):
        save_pair(tmp_path / "sets" / place, "1")
        save(tmp_path / "sets" / place / name / "1.png", np.zeros((40, 60), np.uint8))
    locked = tmp_path / "sets" / "bad" / name
    lock(locked)
    status, out = cut(tmp_path, root=tmp_path / "sets")
    assert status == 1 and len(PatchDataset(out)) == 6
    said = capsys.readouterr().err
    assert said == f"refused: bad: {locked}: not readable (Permission denied); expected labels or masks\n"
    with h5py.File(out) as file:
        assert file.attrs["sources"] == "good (1 pair)"
    assert cut(tmp_path, root=tmp_path / "sets" / "bad")[0] == 2
