"""Which images are one scene, and that no scene is split."""

from pathlib import Path

import numpy as np
import pytest

from downstream import scenes
from downstream.material import open_labels, open_material


def test_names_that_count_on_are_one_run():
    stems = ["00001D", "00002D", "00030D", "00031N", "00060N", "00061N"]
    assert scenes.runs(stems) == [[0, 1], [2], [3], [4, 5]]
    assert scenes.runs(["a1", "a2", "b3", "b4", "street", "field"]) == [[0, 1], [2, 3], [4], [5]]


def test_long_runs_are_cut_where_neighbours_are_least_alike():
    alike = np.full(29, 0.9)
    alike[[11, 19]] = 0.1, 0.2  # between images 11 and 12, 19 and 20
    parts = scenes.cut(list(range(30)), alike)
    assert [i for part in parts for i in part] == list(range(30))
    assert [part[0] for part in parts][:2] == [0, 12] and 20 in [part[0] for part in parts]
    assert max(map(len, parts)) <= scenes.LONGEST


def test_folds_hold_whole_scenes_and_both_times_of_day():
    stems = [f"{i:05}{'DN'[i >= 30]}" for i in range(60)]
    found = [list(range(start, start + 5)) for start in range(0, 60, 5)]
    parts = scenes.folds(found, stems, 3)
    assert sorted(i for part in parts for i in part) == list(range(60))
    for scene in found:
        assert sum(bool(set(scene) & set(part)) for part in parts) == 1
    assert [sum(stems[i].endswith("D") for i in part) for part in parts] == [10, 10, 10]


def test_more_folds_than_scenes_are_refused():
    with pytest.raises(ValueError, match=r"1 scene\(s\) for 2 folds"):
        scenes.folds([[0, 1]], ["1", "2"], 2)


def test_an_image_is_like_itself_and_its_negative_is_not(labelled):
    material = open_material(labelled)
    same = type(material)(material.found, (material.vis[0],) * 2, (material.ir[0], 255 - material.ir[0]))
    assert scenes.likeness(same) == pytest.approx([0], abs=1e-3)  # +1 in visible, -1 in infrared


def test_neighbours_in_msrs_stay_in_one_fold_unless_they_differ(shared: Path):
    folder = shared / "data" / "test" / "MSRS"
    material = open_material(folder, limit=80)
    assert open_labels(material).max() <= 8
    found = scenes.scenes(material)
    alike = scenes.likeness(material)
    cuts = [alike[scene[0] - 1] for scene in found[1:]]
    assert np.mean(cuts) < np.mean(alike) - 0.1 and max(map(len, found)) <= scenes.LONGEST
