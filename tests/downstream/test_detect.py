"""The detector that judges: what average precision is, that it learns, and one command for all methods."""

import csv
import json
import re
import sys
import warnings
from argparse import Namespace

import numpy as np
import pytest
import torch

from data.options import UsageError
from downstream import detect, detector
from downstream.detector import Found
from downstream.precision import in_pixels
from downstream.training import Budget

TWO = np.array([[0, 0.25, 0.5, 0.2, 0.4], [2, 0.75, 0.5, 0.3, 0.3]], np.float32)  # a person and a car
SHAPE = (96, 128)


@pytest.fixture
def coco():
    return pytest.importorskip("pycocotools", reason="pycocotools is an extra: requirements-downstream.txt")


@pytest.fixture
def transformers(monkeypatch, coco):  # noqa: ARG001
    """The library, whose smallest network has fewer queries still."""
    library = pytest.importorskip("transformers", reason="transformers is an extra: requirements-downstream.txt")
    monkeypatch.setitem(detector.MODELS["small"], "num_queries", 10)
    monkeypatch.setitem(detector.MODELS["small"], "num_denoising", 5)
    return library


def seen(boxes, score=0.9):
    return Found(boxes[:, 0], np.full(len(boxes), score), boxes[:, 1:])


def test_boxes_in_pixels_begin_at_their_left_upper_corner():
    assert in_pixels(np.array([[0.5, 0.5, 0.25, 0.5]]), (100, 200)) == [[75, 25, 50, 50]]


def test_what_is_found_where_it_is_has_full_precision(coco, capsys):  # noqa: ARG001
    figures = detect.average_precision([TWO, TWO], [seen(TWO)] * 2, SHAPE)
    assert figures["AP"] == figures["AP50"] == figures["AP50 person"] == pytest.approx(100)
    assert np.isnan(figures["AP bicycle"])  # none occurs
    assert capsys.readouterr().out == ""
    nothing = [np.zeros((0, 5), np.float32)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan([*detect.average_precision(nothing, [seen(TWO)], SHAPE).values()]).all()


def test_of_many_objects_of_a_class_in_an_image_all_count(coco):  # noqa: ARG001
    people = np.array([[0, x, 0.5, 0.05, 0.4] for x in np.linspace(0.1, 0.9, 12)], np.float32)
    assert detect.average_precision([people], [seen(people)], SHAPE)["AP"] == pytest.approx(100)


@pytest.mark.parametrize(("overlap", "ap50", "ap"), [(0.61, 100, 30), (0.52, 100, 10), (0.48, 0, 0)])
def test_a_box_beside_the_object_counts_at_small_overlap_alone(coco, overlap, ap50, ap):  # noqa: ARG001
    moved = TWO.copy()
    moved[:, 1] += moved[:, 3] * (1 - overlap) / (1 + overlap)
    figures = detect.average_precision([TWO], [seen(moved)], SHAPE)
    assert figures["AP50"] == pytest.approx(ap50) and figures["AP"] == pytest.approx(ap)  # of 0.50, 0.55, ..., 0.95


def test_the_wrong_class_and_nothing_at_all_have_none(coco):  # noqa: ARG001
    swapped = TWO.copy()
    swapped[:, 0] = [2, 0]
    nothing = Found(np.zeros(0), np.zeros(0), np.zeros((0, 4)))
    for found in (seen(swapped), nothing):
        figures = detect.average_precision([TWO], [found], SHAPE)
        assert figures["AP"] == figures["AP50 car"] == 0 and np.isnan(figures["AP50 bicycle"])


def test_day_and_night_count_their_own_images_alone(coco):  # noqa: ARG001
    nothing = Found(np.zeros(0), np.zeros(0), np.zeros((0, 4)))
    figures = detect.scores(["day", "night"], [TWO, TWO[:1]], [seen(TWO), nothing], SHAPE)
    assert figures["AP50 person day"] == pytest.approx(100) and figures["AP50 person night"] == 0
    assert "AP50 car night" not in figures and "AP50 bicycle" not in figures


def test_a_figure_that_some_trainings_have_is_their_mean():
    runs = {(0, 0): {"AP": 10.0, "AP50 car": 40.0}, (1, 0): {"AP": 30.0}, (2, 0): {}}
    assert detect.averaged(runs) == {"AP": 20, "AP50 car": 40}


def test_objects_go_with_their_pictures():
    pictures = np.zeros((40, 60, 80, 3), np.uint8)
    pictures[:, 30:42, 14:22] = 255
    box = np.array([[2, 18 / 80, 36 / 60, 8 / 80, 12 / 60]], np.float32)
    images, found = detector.augmented(pictures, [box] * 40, np.random.default_rng(0))
    assert (pictures[:, 36, 18] == 255).all() and (box[0, 1:3] == np.float32([18 / 80, 36 / 60])).all()  # as they were
    assert len({float(objects[0, 1] > 0.5) for objects in found if len(objects)}) == 2  # some are mirrored, some not
    assert len({objects[0, 3].round(3) for objects in found if len(objects)}) > 10  # of many sizes
    for image, objects in zip(images, found, strict=True):
        rows, columns = np.nonzero(image[..., 0] > 127)
        if not len(objects):
            assert len(rows) < 6 * 19  # no more than half of an object at its largest
            continue
        assert objects.dtype == np.float32 and objects[0, 0] == 2
        edges = [columns.min() / 80, rows.min() / 60, (columns.max() + 1) / 80, (rows.max() + 1) / 60]
        centre, half = objects[0, 1:3], objects[0, 3:] / 2
        np.testing.assert_allclose([*(centre - half), *(centre + half)], edges, atol=0.02)


def test_the_network_sees_images_enlarged_to_multiples_of_32_without_steps():
    ramp = torch.arange(40.0).expand(1, 3, 20, 40)
    seen = detector.Detector(lambda pixel_values, labels: pixel_values, torch.nn.Identity())(ramp)  # noqa: ARG005
    assert seen.shape == (1, 3, 32, 64) and len(seen[0, 0, 0].unique()) > 60


def test_objects_whose_centres_are_cut_off_are_left_out():
    boxes = np.array([[kind, 0.02 + 0.48 * kind, 0.5, 0.02, 0.9] for kind in range(3)], np.float32)
    picture, random = np.zeros((40, 40, 3), np.uint8), np.random.default_rng(0)
    left = [set(detector.zoomed(picture, boxes, random)[1][:, 0]) for _ in range(50)]
    assert all(1 in kinds for kinds in left) and {0, 2} == set.union(*({0, 2} - kinds for kinds in left))


def test_images_need_as_many_places_as_objects_are_looked_for(tmp_path):
    def network(objects):
        return Namespace(config=Namespace(feat_strides=[8, 16], num_queries=objects))

    detector.check_size(network(20), (30, 20), tmp_path)  # which are shown at 32x32
    with pytest.raises(UsageError, match="images of 20x30; this RT-DETR looks for 21 objects and sees 20 places"):
        detector.check_size(network(21), (30, 20), tmp_path)


def bright(count, seed):
    """Pictures (count, 64, 64, 3) with a bright person somewhere, and where."""
    random = np.random.default_rng(seed)
    pictures, objects = random.integers(0, 60, (count, 64, 64, 3)).astype(np.uint8), []
    for picture in pictures:
        size = random.integers(10, 24, 2)
        start = random.integers(0, 64 - size)
        (left, top), (right, bottom) = start, start + size
        picture[top:bottom, left:right] += 150
        objects.append(np.array([[0, *((start + size / 2) / 64), *(size / 64)]], np.float32))
    return pictures, objects


def test_bright_people_are_learnt_and_those_of_other_pictures_are_not(transformers):  # noqa: ARG001
    (pictures, objects), (unseen, truth) = bright(32, 0), bright(12, 1)
    budget, found = Budget("small", epochs=40, batch=4, rate=2e-3), []
    for told in (objects, objects[::-1]):
        model = detector.train(pictures, told, budget, seed=0, device=torch.device("cpu"), tick=lambda: None)
        seen = detector.predict(model, unseen, 4)
        found.append(detect.average_precision(truth, seen, (64, 64))["AP50 person"])
    assert found[0] > 40 and found[1] < 10


def test_a_batch_without_objects_can_be_learnt_from(transformers):  # noqa: ARG001
    pictures, _ = bright(2, 0)
    budget = Budget("small", epochs=1, batch=2, rate=1e-3)
    nothing = [np.zeros((0, 5), np.float32)] * 2
    model = detector.train(pictures, nothing, budget, seed=0, device=torch.device("cpu"), tick=lambda: None)
    assert len(detector.predict(model, pictures, 2)) == 2


def test_all_of_the_small_network_is_small_and_can_be_trained(transformers):  # noqa: ARG001
    network = detector.build(detector.BUDGET)
    assert sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad) < 600_000
    assert sum(isinstance(layer, torch.nn.BatchNorm2d) for layer in network.model.backbone.modules()) > 5


def test_the_network_for_gpus_is_trained_by_the_same_code(transformers):  # noqa: ARG001
    pictures, objects = np.zeros((2, 128, 128, 3), np.uint8), [TWO, TWO]
    budget = Budget("r50", epochs=1, batch=2, rate=1e-4)
    model = detector.train(pictures, objects, budget, seed=0, device=torch.device("cpu"), tick=lambda: None)
    assert sum(parameter.numel() for parameter in model.parameters()) > 40e6
    assert [found.boxes.shape for found in detector.predict(model, pictures, 2)] == [(100, 4)] * 2


def test_one_command_judges_all_methods(labelled, fused, tmp_path, transformers, capsys):  # noqa: ARG001
    out = tmp_path / "out"
    command = ["--data", str(labelled), "--fused", f"{fused}=copied", "--out", str(out), "--epochs", "1"]
    assert detect.main(command) == 0
    rows = list(csv.DictReader((out / "detect.csv").open()))
    whole = {row["method"]: row for row in rows if row["fold"] == "all"}
    assert list(whole) == ["infrared", "visible", "average", "max", "copied"] and len(rows) == 5 * (3 + 2)
    kinds, times = ("person", "bicycle", "car"), ("person day", "person night", "car day", "car night")
    each = [*(f"{what} {kind}" for what in ("AP", "AP50") for kind in kinds), *(f"AP50 {time}" for time in times)]
    header = (out / "detect.csv").read_text().splitlines()[0]
    assert header.split(",") == ["method", "fold", "seed", "AP", "AP50", "against maximum", *each]
    assert whole["max"]["against maximum"] == "0.0"
    assert whole["copied"]["AP50"] == whole["infrared"]["AP50"] != ""
    assert json.loads((out / "runs" / "max-fold0-seed0.json").read_text())["key"]["judge"] == "rt-detr"
    title, columns = capsys.readouterr().out.splitlines()[1:3]
    assert title.startswith("Average precision in percent")
    assert re.split("  +", columns.strip()) == ["AP", "AP50", "against maximum", *(f"AP50 {time}" for time in times)]
    assert detect.main([*command, "--model", "r50"]) == 2
    assert "images of 64x48; this RT-DETR looks for 300 objects and sees 84 places" in capsys.readouterr().err
    (labelled / "boxes" / "00001D.txt").unlink()
    assert detect.main(command) == 2
    assert "00001D.txt: not readable" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["transformers", "pycocotools.coco"])
def test_a_package_that_is_missing_is_told_before_anything_is_read(tmp_path, monkeypatch, capsys, name):
    if name != "transformers":
        monkeypatch.setattr(detect, "build", lambda _: None)
    monkeypatch.setitem(sys.modules, name, None)  # importing it now fails
    assert detect.main(["--data", str(tmp_path / "missing")]) == 2
    assert "pip install -r requirements-downstream.txt" in capsys.readouterr().err


def test_pretrained_weights_are_read_from_a_folder_below_a_fresh_head(tmp_path, transformers):
    before = detector.build(detector.BUDGET)
    config = type(before.config).from_dict(before.config.to_dict() | {"num_labels": 80})
    transformers.RTDetrForObjectDetection(config).save_pretrained(tmp_path / "weights")
    after = detector.build(Budget("small", 1, 1, 1e-4, str(tmp_path / "weights")))
    assert after.config.num_labels == 3
    picture = torch.rand(1, 3, 64, 64)
    assert after.eval()(picture).logits.shape == (1, 10, 3)
