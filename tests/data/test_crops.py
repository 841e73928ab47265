"""Crops are where seed, epoch and index put them, registered, and in range; images are read or refused by name."""

import os
import re
import zlib
from collections.abc import Sequence

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from data.crops import (
    CROPS,
    HELD_OUT,
    CropDataset,
    Line,
    beyond,
    centre,
    crops_per_epoch,
    is_held_out,
    oriented,
    read_images,
)
from data.pairs import PairError
from net.training.recipe import Crops
from tests.pictures import save


def ramp(height: int, width: int) -> tuple[np.ndarray, ...]:
    """An image whose three parts tell where a pixel was: row, column and a checkerboard."""
    rows, columns = np.mgrid[:height, :width].astype(np.uint8)
    return rows, columns, (rows + columns) % 2


def crops_of(images: Sequence[tuple[np.ndarray, ...]], **options: object) -> CropDataset:
    """Their crops; the images are called by their numbers."""
    return CropDataset(images, [f"image {i}" for i, _ in enumerate(images)], **options)


@pytest.fixture
def dataset() -> CropDataset:
    return crops_of([ramp(40, 60), ramp(10, 90), ramp(200, 250)], size=16, seed=7, epoch=2)


def test_a_crop_is_one_place_of_all_three_parts(dataset):
    for vis, ir, mask in dataset:
        rows, columns = (vis * 255).round().long(), (ir * 255).round().long()
        assert vis.shape == ir.shape == mask.shape == (1, 16, 16) and vis.dtype == mask.dtype == torch.float32
        assert torch.equal(mask, (rows + columns).float() % 2)
        assert (rows[0].diff(dim=0) == 1).all() and (columns[0].diff(dim=1).abs() == 1).all()


def test_crops_are_flipped_sideways_half_of_the_time_and_lie_all_over_the_image():
    places, flips = set(), []
    for epoch in range(100):
        vis, ir, _ = crops_of([ramp(20, 24)], size=16, epoch=epoch)[0]
        places.add((int(vis.min() * 255), int(ir.min() * 255)))
        flips.append(bool(ir[0, 0, 0] > ir[0, 0, 1]))
    assert {row for row, _ in places} == set(range(5)) and {column for _, column in places} == set(range(9))
    assert 30 < sum(flips) < 70


def test_seed_epoch_and_index_decide_where_a_crop_lies(dataset):
    images = [ramp(40, 60), ramp(10, 90), ramp(200, 250)]
    first = [crop[0] for crop in dataset]
    again = [crop[0] for crop in crops_of(images, size=16, seed=7, epoch=2)]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    for other in (crops_of(images, size=16, seed=7, epoch=3), crops_of(images, size=16, seed=8, epoch=2)):
        assert not all(torch.equal(a, b[0]) for a, b in zip(first, other, strict=True))
    assert len({tuple(crop[1].flatten().tolist()) for crop in dataset}) > 1


def test_some_crops_are_black_beyond_a_line_all_parts_of_them_and_otherwise_the_same():
    images = [(*np.full((3, 40, 60), 200, np.uint8), np.full((40, 60), 90, np.uint8))] * 300
    plain, some = (crops_of(images, size=16, seed=3, crops=Crops(most=1, black=share)) for share in (0, 0.25))
    cut = [index for index, (crop, *_) in enumerate(some) if (crop == 0).any()]
    assert 50 < len(cut) < 100
    for index in range(len(plain)):
        parts, whole = (torch.cat(dataset[index]) for dataset in (some, plain))  # (4, 16, 16)
        black = parts[0] == 0
        assert torch.equal(parts, whole * ~black) and ("black beyond a line" in some.origin(index)) == (index in cut)
        assert black.any() == (index in cut) and not whole.eq(0).any()
    assert 0.4 < np.mean([(some[index][0] == 0).float().mean() for index in cut]) < 0.6


def test_beyond_a_line_is_one_side_of_it():
    assert np.array_equal(beyond(Line(0.5, 0.5, 0), 4), np.repeat([[False], [False], [True], [True]], 4, axis=1))
    right = beyond(Line(0.5, 0.25, 0.75), 4)
    assert np.array_equal(right, np.repeat([[False, True, True, True]], 4, axis=0))
    assert np.array_equal(right, ~beyond(Line(0.5, 0.25, 0.25), 4))


def test_loader_processes_change_nothing(dataset):
    alone, helped = (list(DataLoader(dataset, batch_size=2, num_workers=workers)) for workers in (0, 1))
    assert len(alone) == len(helped) > 1
    for a, b in zip(alone, helped, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_images_smaller_than_a_crop_are_left_out_and_only_small_ones_are_an_error(dataset):
    assert len(dataset.images) == 2
    assert len(crops_of([ramp(16, 16)], size=16)) == 1
    with pytest.raises(ValueError, match="crops of 17x17 pixels; expected at most 16, the largest image's side"):
        crops_of([ramp(16, 90), ramp(3, 3)], size=17)


def test_larger_images_give_more_crops_up_to_a_limit():
    assert [crops_per_epoch((side, side), 16) for side in (16, 64, 128, 256)] == [1, 2, 4, 8]
    assert len(crops_of([ramp(255, 4096)], size=16)) == CROPS.most
    assert len(crops_of([ramp(255, 4096), ramp(20, 20)], size=16, crops=Crops(most=1))) == 2


def test_each_pass_goes_through_all_images_with_other_crops():
    images = [ramp(64, 96), ramp(40, 40)]
    once, thrice = (crops_of(images, size=24, crops=Crops(passes=passes)) for passes in (1, 3))
    assert len(thrice) == 3 * len(once)
    origins = [thrice.origin(i) for i in range(len(thrice))]
    assert [origin.split(":")[0] for origin in origins] == 3 * [once.origin(i).split(":")[0] for i in range(len(once))]
    assert len(set(origins)) > 2 * len(once)


@pytest.mark.parametrize("orientations", [1, 2, 8])
def test_crops_come_in_so_many_orientations_and_no_other(orientations):
    seen = set()
    for epoch in range(100):
        vis, ir, _ = crops_of([ramp(16, 16)], size=16, epoch=epoch, crops=Crops(orientations=orientations))[0]
        seen.add(torch.cat([vis, ir]).numpy().tobytes())
    assert len(seen) == orientations


def test_the_eight_orientations_are_eight_and_keep_the_square():
    square = np.arange(9).reshape(1, 3, 3)
    ways = [oriented(square, way) for way in range(8)]
    assert len({way.tobytes() for way in ways}) == 8 and all(sorted(way.ravel()) == list(range(9)) for way in ways)
    assert np.array_equal(ways[0], square) and np.array_equal(ways[1], square[..., ::-1])


def test_a_map_beside_the_images_is_cropped_with_them():
    vis, ir, mask = ramp(20, 24)
    vis_crop, _, _, extra = crops_of([(vis, ir, mask, vis)], size=16, crops=Crops(orientations=8))[0]
    assert torch.equal(vis_crop, extra)


# Reading folders


@pytest.fixture
def folder(tmp_path):
    """A pair folder of thirty images with labels, of which three have something wrong."""
    random = np.random.default_rng(0)
    for i in range(30):
        save(tmp_path / "set" / "vi" / f"{i}.png", random.integers(0, 256, (12, 14, 3), np.uint8))
        save(tmp_path / "set" / "ir" / f"{i}.png", random.integers(0, 256, (12, 14), np.uint8))
    label = np.zeros((12, 14), np.uint8)
    label[2:4], label[6:8] = 2, 6  # a person, a guardrail
    save(tmp_path / "set" / "Segmentation_labels" / "1.png", label)
    (tmp_path / "set" / "vi" / "2.png").write_bytes(b"no image")
    (tmp_path / "set" / "ir" / "3.png").unlink()
    save(tmp_path / "set" / "Segmentation_labels" / "4.png", label[:5])
    return tmp_path / "set"


def test_pairs_are_read_as_luminance_with_their_targets_as_masks(folder):
    train, held_out, *_ = read_images([folder])
    vis, ir, mask = train[[zlib.crc32(str(i).encode()) % HELD_OUT > 0 for i in range(2)].count(True) - 1]
    expected = cv2.imread(str(folder / "vi" / "1.png"))[..., ::-1] @ np.array([0.299, 0.587, 0.114])
    assert np.abs(vis - expected).max() < 0.501 and vis.dtype == ir.dtype == mask.dtype == np.uint8
    assert np.array_equal(ir, cv2.imread(str(folder / "ir" / "1.png"), cv2.IMREAD_GRAYSCALE))
    assert mask[2:4].all() and mask.sum() == 2 * 14
    assert sum(image[2].any() for image in train + held_out) == 1


def test_cars_people_and_bikes_are_the_targets_where_no_classes_are_named(tmp_path):
    labels = np.tile(np.arange(18, dtype=np.uint8) % 9, (12, 1))
    for name in ("vi", "ir", "Segmentation_labels"):
        save(tmp_path / name / "1.png", labels)
    train, held_out, *_ = read_images([tmp_path])
    np.testing.assert_array_equal((train + held_out)[0][2], np.isin(labels, [1, 2, 3]))


def test_other_classes_make_other_masks_and_every_image_can_be_trained_on(folder):
    train, held_out, *_ = read_images([folder], classes=(6,), hold_out=False)
    assert len(train) == 27 and held_out == []
    (mask,) = [image[2] for image in train if image[2].any()]
    assert mask[6:8].all() and mask.sum() == 2 * 14


def test_what_cannot_be_read_is_refused_by_name_and_the_rest_goes_on(folder):
    train, held_out, refused, names = read_images([folder])
    assert len(train) + len(held_out) == 27 and len(names) == len(train)
    assert sorted(refusal.name for refusal in refused) == ["3.png", "set/2", "set/4"]
    assert "expected one size" in next(refusal.reason for refusal in refused if refusal.name == "set/4")


def test_a_crop_tells_its_image_and_place(folder):
    train, _, _, names = read_images([folder])
    crops = CropDataset(train, names, size=8, seed=3, crops=Crops(orientations=8))
    for index in range(len(crops)):
        name, row, column, way = re.match(
            r"set/(\d+): 8x8 pixels from row (\d+), column (\d+), orientation (\d)", crops.origin(index)
        ).groups()
        ir = cv2.imread(str(folder / "ir" / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
        crop = oriented(ir[int(row) :, int(column) :][:8, :8], int(way))
        assert np.array_equal((crops[index][1][0] * 255).round(), crop)


def test_a_crop_of_a_larger_image_than_others_still_tells_its_own_name():
    assert CropDataset([ramp(4, 4), ramp(9, 9)], ["small", "large"], size=8).origin(0).startswith("large: 8x8 pixels")


def test_the_last_crop_is_the_one_before_the_first():
    crops = crops_of([ramp(9, 9), ramp(12, 12)], size=4)
    assert crops.origin(-1) == crops.origin(len(crops) - 1)
    assert all(torch.equal(a, b) for a, b in zip(crops[-1], crops[len(crops) - 1], strict=True))
    with pytest.raises(IndexError):
        crops[len(crops)]
    with pytest.raises(ValueError, match="expected at most 0, the largest image's side"):
        crops_of([], size=4)


def test_about_a_tenth_is_held_out_and_one_name_always_falls_on_one_side(folder, tmp_path):
    train, held_out, *_ = read_images([folder])
    assert 1 <= len(held_out) <= 6
    assert [i for i in range(60) if is_held_out(str(i))] == [6, 29, 37, 40, 48], "those of every version"
    (tmp_path / "again").mkdir()
    (folder / "vi").rename(tmp_path / "again" / "visible")
    (folder / "ir").rename(tmp_path / "again" / "infrared")
    again = read_images([tmp_path / "again"])
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(held_out, again[1], strict=True))


def test_in_nested_folders_the_path_decides_what_is_held_out(folder):
    for side in ("vi", "ir"):
        (folder / side / "a").mkdir()
        for path in list((folder / side).glob("*.png")):
            path.rename(folder / side / "a" / path.name)
    train, held_out, _, names = read_images([folder])
    kept = [f"a/{i}" for i in range(30) if i not in (2, 3) and zlib.crc32(f"a/{i}".encode()) % HELD_OUT > 0]
    assert sorted(names) == sorted(f"set/{name}" for name in kept) and len(train) + len(held_out) == 28
    assert kept != [f"a/{i}" for i in range(30) if i not in (2, 3) and zlib.crc32(str(i).encode()) % HELD_OUT > 0]


def test_names_that_are_not_utf_8_are_read_and_held_out_by_their_bytes(folder):
    names = [b"\xff%d" % i for i in range(30)]
    for i, name in enumerate(names):
        for side in ("vi", "ir"):
            if (path := folder / side / f"{i}.png").exists():
                path.rename(path.with_stem(os.fsdecode(name)))
    train, held_out, _, kept = read_images([folder])
    assert len(train) + len(held_out) == 28
    assert not [name for name in kept if zlib.crc32(os.fsencode(name).removeprefix(b"set/")) % HELD_OUT == 0]


def test_several_folders_are_read_together(folder):
    once, twice = read_images([folder]), read_images([folder, folder])
    assert [2 * len(part) for part in once] == [len(part) for part in twice]


def test_if_every_image_would_be_held_out_they_are_trained_on(folder):
    held_out = [str(i) for i in range(30) if zlib.crc32(str(i).encode()) % HELD_OUT == 0]
    for path in [*folder.glob("vi/*"), *folder.glob("ir/*")]:
        if path.stem not in held_out:
            path.unlink()
    train, rest, refused, _ = read_images([folder])
    assert len(train) == len(held_out) and not rest and not refused


def test_no_readable_pair_is_an_error_that_gives_a_reason(folder):
    for path in folder.glob("vi/*"):
        path.write_bytes(b"no image")
    with pytest.raises(PairError, match=r"no readable pair to train on.*30 refused, the first "):
        read_images([folder])


def test_a_folder_without_pairs_is_an_error(tmp_path):
    with pytest.raises(PairError, match="no pair folder"):
        read_images([tmp_path])


def test_the_centre_of_an_image_is_taken_and_small_ones_whole():
    image = np.arange(300 * 200).reshape(300, 200)
    assert np.array_equal(image[centre(300, 200, 128)], image[86:214, 36:164])
    assert np.array_equal(image[:50][centre(50, 200, 128)], image[:50, 36:164])
    assert centre(9, 4, 4) == (slice(2, 6), slice(0, 4)), "of an odd number left over one more after it"
