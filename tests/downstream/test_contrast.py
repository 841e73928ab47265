"""What is told of objects without a training."""

import csv

import numpy as np
import pytest

from downstream import contrast
from downstream.material import open_labels, open_material


@pytest.fixture
def scene():
    """A grey image with one object of 30 levels more than its surround, and where it is."""
    where = np.zeros((60, 80), bool)
    where[20:30, 30:44] = True
    image = np.where(where, 130.0, 100.0)
    image[:, 70:] = 255  # far away
    return image, where


def test_contrast_is_the_difference_from_the_near_surround_in_grey_levels(scene):
    image, where = scene
    assert contrast.stand_out(image, where, where) == [30]
    assert contrast.stand_out(255 - image, where, where) == [30]


def test_the_surround_reaches_as_far_as_half_the_root_of_the_area(scene):
    image, where = scene  # 140 pixels, so 6 of surround
    for pixels, reached in ((((14, 37), (35, 37), (25, 24), (25, 49)), True),
                            (((13, 37), (36, 37), (25, 23), (25, 50), (35, 49)), False)):  # fmt: skip
        for pixel in pixels:  # the last is as far down and right of a corner
            other = image.copy()
            other[pixel] = 255
            assert (contrast.stand_out(other, where, where) != [30]) == reached, pixel


def test_a_small_object_has_a_surround_of_three_pixels():
    image, where = np.full((20, 20), 100.0), np.zeros((20, 20), bool)
    where[8:12, 8:12] = True
    image[where], image[:, 15:] = 110, 200
    assert contrast.stand_out(image, where, where) == [10]
    image[:, 14:] = 200
    assert contrast.stand_out(image, where, where) != [10]


def test_contrasts_are_averaged_and_edges_weighed_by_their_strength():
    assert contrast.summary("contrast car day", [10, 20, 90]) == 40
    assert contrast.summary("ir car day", [(1, 2), (3, 8)]) == 40
    assert np.isnan(contrast.summary("contrast car day", [])) and np.isnan(contrast.summary("ir car day", [(0, 0)]))


def test_each_object_counts_and_small_ones_do_not(scene):
    image, where = scene
    other = np.zeros_like(where)
    other[5:10, 5:11] = True
    image[other] = 90
    where[50:53, 10:15] = True  # fifteen pixels
    assert contrast.stand_out(image, where | other, where | other) == [10, 30]


def test_parts_that_touch_at_a_corner_are_one_object():
    image, where = np.full((40, 40), 100.0), np.zeros((40, 40), bool)
    where[10:14, 10:14] = where[14:18, 14:18] = True
    image[where] = 130
    assert contrast.stand_out(image, where, where) == [30]


def test_labelled_neighbours_are_no_surround(scene):
    image, where = scene
    beside = np.zeros_like(where)
    beside[20:30, 44:60] = True
    image[beside] = 0
    assert contrast.stand_out(image, where, where | beside) == [30]
    assert contrast.stand_out(image, where, np.ones_like(where)) == []  # nothing is left
    apart = np.zeros_like(where)
    apart[20:30, 47:60] = True  # another object of the class, as near as the surround reaches
    image[beside & ~apart] = 100
    assert contrast.stand_out(image, where | apart, where | apart) == [30, 100]


def test_an_object_at_the_border_of_the_image_has_what_is_there_as_its_surround():
    image, where = np.full((40, 40), 100.0), np.zeros((40, 40), bool)
    where[:10, 30:] = where[25:, :10] = True
    image[where] = 130
    image[0, 30:], image[25:, 0] = 230, 250  # the border itself belongs to the objects
    assert contrast.stand_out(image, where, where) == pytest.approx([30 + 10, 30 + 12])


def test_other_objects_are_no_surround_and_a_flat_image_keeps_no_edges(labelled):
    material, labels = open_material(labelled), np.zeros((6, 48, 64), np.uint8)
    labels[:, 20:30, 20:30], labels[:, 20:30, 30:44] = 2, 1  # a person beside a car
    pictures = np.full((6, 48, 64, 3), 100, np.uint8)
    pictures[labels == 2], pictures[labels == 1] = 130, 0
    found = contrast.contrasts(material, labels, pictures)
    assert found["contrast person day"] == pytest.approx(30) and found["contrast car night"] == pytest.approx(100)
    assert contrast.contrasts(material, labels, np.full_like(pictures, 9))["ir person day"] == pytest.approx(0, abs=1)


def test_of_the_edges_of_a_source_half_as_strong_not_quite_half_is_kept(labelled):
    material = open_material(labelled)
    halved = np.stack(material.ir)[..., None].repeat(3, axis=-1) // 2
    found = contrast.contrasts(material, open_labels(material), halved)
    kept = 0.9994 / 2 * 0.9879 / (1 + np.exp(-22 * (1 - 0.8)))  # Xydeas and Petrovic's curves
    assert found["ir car day"] == pytest.approx(100 * kept, abs=1)


def test_of_the_first_pairs_alone_there_is_nothing_by_night(labelled, tmp_path):
    assert contrast.main(["--data", str(labelled), "--limit", "2", "--out", str(tmp_path)]) == 0
    rows = list(csv.DictReader((tmp_path / "contrast.csv").open()))
    assert rows[0]["contrast person day"] and not rows[0]["contrast person night"]


def test_a_source_keeps_its_own_edges_and_a_flat_image_none(labelled, fused, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(contrast.tables, "plot", lambda _, results, *__: drawn.extend(results))
    assert contrast.main(["--data", str(labelled), "--fused", str(fused), "--out", str(tmp_path)]) == 0
    rows = {row["method"]: row for row in csv.DictReader((tmp_path / "contrast.csv").open())}
    assert list(rows) == ["infrared", "visible", "average", "max", "copied"]
    assert float(rows["infrared"]["ir car day"]) == pytest.approx(97.5, abs=0.5)
    assert float(rows["infrared"]["vi car day"]) < 90
    for column in contrast.columns(["1D", "1N"]):  # the fused images are the infrared ones
        assert rows["copied"][column] == rows["infrared"][column]
    assert "| copied |" in (tmp_path / "contrast.md").read_text()
    assert [result.method for result in drawn if not result.is_reference] == ["copied"]


def test_what_does_not_occur_is_left_empty(labelled, fused, tmp_path):
    for path in [*labelled.glob("*/*N.png"), *fused.glob("*N.png")]:
        path.unlink()
    assert contrast.main(["--data", str(labelled), "--out", str(tmp_path)]) == 0
    rows = list(csv.DictReader((tmp_path / "contrast.csv").open()))
    assert rows[0]["contrast person night"] == "" and rows[0]["contrast person day"] != ""


def test_where_names_tell_no_time_of_day_all_pairs_are_in_one_column(labelled, tmp_path, capsys):
    def figures(out):
        return list(csv.DictReader((tmp_path / out / "contrast.csv").open()))

    for path in labelled.glob("*/*N.*"):
        path.unlink()
    command = ["--data", str(labelled), "--out"]
    assert contrast.main([*command, str(tmp_path / "day")]) == 0
    for path in labelled.glob("*/00002D.*"):
        path.rename(path.with_stem("00002"))
    assert contrast.main([*command, str(tmp_path / "any")]) == 0
    for by_day, row in zip(figures("day"), figures("any"), strict=True):
        assert row == {column.replace(" day", ""): x for column, x in by_day.items() if not column.endswith("night")}
        assert row["contrast person"] and row["vi car"]
    assert capsys.readouterr().out.splitlines()[-6].split() == ["contrast", "person", "contrast", "car"]
