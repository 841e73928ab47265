"""Which images are one scene, and that no scene is split."""

from pathlib import Path

import numpy as np
import pytest

from downstream import folds
from downstream.material import open_labels, open_material


def test_names_that_count_on_are_one_run():
    stems = ["00001D", "00002D", "00030D", "00031N", "00060N", "00061N"]
    assert folds.runs(stems) == [[0, 1], [2], [3], [4, 5]]
    assert folds.runs(["a1", "a2", "b3", "b4", "street", "field"]) == [[0, 1], [2, 3], [4], [5]]


def test_names_that_interleave_count_on_for_each_time_of_day():
    assert folds.runs(["00001D", "00002N", "00003D", "00004N"]) == [[0, 2], [1, 3]]
    assert folds.runs(["00001D", "00002N", "00011D", "00022D", "00023N", "00030N"]) == [[0, 2], [1], [3], [4, 5]]
    assert folds.runs(["a1", "b1", "street", "a2", "street", "b2"]) == [[0, 3], [1, 5], [2], [4]]


def test_of_names_as_in_msrs_what_counts_on_without_a_break_is_a_run():
    """The published tables rest on these folds: by night, by day, and by night again."""
    numbers = [4, 8, 12, 47, 51, 55, 59, 81, 85, 91, 681, 685, 689, 693]
    stems = [f"{number:05}{'D' if 52 < number < 600 else 'N'}" for number in numbers]
    assert folds.runs(stems) == [[0, 1, 2], [3, 4], [5, 6], [7, 8, 9], [10, 11, 12, 13]]


def test_images_of_a_run_are_compared_with_their_neighbours_in_it(labelled):
    material = open_material(labelled)
    one, other = material.vis[0], 255 - material.vis[0]
    images = (one, other) * 2
    mixed = type(material)(material.pair_set, images, images)
    assert folds.likeness(mixed, [0, 2]) == pytest.approx([1], abs=1e-3)
    assert folds.likeness(mixed, [0, 1, 3]) == pytest.approx([-1, 1], abs=1e-3)


def test_long_runs_are_cut_where_neighbours_are_least_alike():
    alike = np.full(29, 0.9)
    alike[[11, 19]] = 0.1, 0.2  # between images 11 and 12, 19 and 20
    parts = folds.cut(list(range(30)), alike)
    assert [i for part in parts for i in part] == list(range(30))
    assert [part[0] for part in parts][:2] == [0, 12] and 20 in [part[0] for part in parts]
    assert max(map(len, parts)) <= folds.LONGEST


def test_runs_of_twelve_stay_whole_and_longer_ones_are_cut_in_their_middle_half():
    assert folds.cut(list(range(12)), np.zeros(11)) == [list(range(12))]
    assert len(folds.cut(list(range(13)), np.zeros(12))) == 2
    alike = np.full(15, 0.9)
    alike[[2, 3, 11]] = 0.1, 0.5, 0.1  # before images 3, 4 and 12, of which the middle half has 4 alone
    assert [len(part) for part in folds.cut(list(range(16)), alike)] == [4, 12]


def test_a_copy_of_one_grey_is_like_nothing_and_colour_and_transparency_do_not_count():
    assert not folds.thumbnail(np.full((48, 64), 7, np.uint8)).any()
    rgba = np.random.default_rng(0).integers(0, 256, (48, 64, 4), np.uint8)
    grey = rgba[..., 0]
    np.testing.assert_allclose(folds.thumbnail(np.dstack([grey] * 3)), folds.thumbnail(grey), atol=1e-5)
    np.testing.assert_array_equal(folds.thumbnail(rgba), folds.thumbnail(rgba[..., :3]))


def test_folds_hold_whole_scenes_and_both_times_of_day():
    stems = [f"{i:05}{'DN'[i >= 30]}" for i in range(60)]
    found = [list(range(start, start + 5)) for start in range(0, 60, 5)]
    parts = folds.folds(found, stems, 3)
    assert sorted(i for part in parts for i in part) == list(range(60))
    for scene in found:
        assert sum(bool(set(scene) & set(part)) for part in parts) == 1
    assert [sum(stems[i].endswith("D") for i in part) for part in parts] == [10, 10, 10]


def test_each_fold_has_its_share_of_both_times_of_day_however_many_images_their_scenes_have():
    stems = ["1D"] * 8 + ["1N"] * 4
    parts = folds.folds([list(range(6)), [6, 7], [8, 9], [10, 11]], stems, 2)
    assert parts == [[0, 1, 2, 3, 4, 5, 10, 11], [6, 7, 8, 9]]  # the first has more images, and yet as many by night


def test_large_scenes_come_first_and_a_fold_has_its_images_in_order():
    assert folds.folds([[0], [1], [2, 3, 4, 5], [6, 7]], ["1D"] * 8, 2) == [[2, 3, 4, 5], [0, 1, 6, 7]]


def test_more_folds_than_scenes_are_refused():
    with pytest.raises(ValueError, match=r"1 scene for 2 folds"):
        folds.folds([[0, 1]], ["1", "2"], 2)
    assert folds.folds([[0], [1]], ["1", "2"], 2) == [[0], [1]]


def test_an_image_is_like_itself_and_its_negative_is_not(labelled):
    material = open_material(labelled)
    same = type(material)(material.pair_set, (material.vis[0],) * 2, (material.ir[0], 255 - material.ir[0]))
    assert folds.likeness(same, [0, 1]) == pytest.approx([0], abs=1e-3)  # +1 in visible, -1 in infrared


def test_neighbours_in_msrs_stay_in_one_fold_unless_they_differ(shared: Path):
    folder = shared / "data" / "test" / "MSRS"
    material = open_material(folder, limit=80)
    assert open_labels(material).max() <= 8
    found = folds.scenes(material)
    alike = folds.likeness(material, range(80))
    cuts = [alike[scene[0] - 1] for scene in found[1:]]
    assert np.mean(cuts) < np.mean(alike) - 0.1 and max(map(len, found)) <= folds.LONGEST
