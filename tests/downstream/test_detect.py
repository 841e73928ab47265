"""The detector that judges: what average precision is, that it learns, and one command for all methods."""

import csv

import numpy as np
import pytest
import torch

from downstream import detect, detector
from downstream.detector import Found
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


def test_what_is_found_where_it_is_has_full_precision(coco):  # noqa: ARG001
    figures = detect.average_precision([TWO, TWO], [seen(TWO)] * 2, SHAPE)
    assert figures["AP"] == figures["AP50"] == figures["AP50 person"] == pytest.approx(100)
    assert np.isnan(figures["AP bicycle"])  # none occurs


def test_a_box_beside_the_object_counts_at_small_overlap_alone(coco):  # noqa: ARG001
    moved = TWO.copy()
    moved[:, 1] += 0.24 * moved[:, 3]  # overlap 0.76 / 1.24 = 0.61
    figures = detect.average_precision([TWO], [seen(moved)], SHAPE)
    assert figures["AP50"] == pytest.approx(100) and figures["AP"] == pytest.approx(30)  # 0.50, 0.55 and 0.60


def test_the_wrong_class_and_nothing_at_all_have_none(coco):  # noqa: ARG001
    swapped = TWO.copy()
    swapped[:, 0] = [2, 0]
    nothing = Found(np.zeros(0), np.zeros(0), np.zeros((0, 4)))
    for found in (seen(swapped), nothing):
        figures = detect.average_precision([TWO], [found], SHAPE)
        assert figures["AP"] == figures["AP50 car"] == 0 and np.isnan(figures["AP50 bicycle"])


def test_day_and_night_count_their_own_images_alone(coco):  # noqa: ARG001
    nothing = Found(np.zeros(0), np.zeros(0), np.zeros((0, 4)))
    figures = detect.figures(["day", "night"], [TWO, TWO[:1]], [seen(TWO), nothing], SHAPE)
    assert figures["AP50 person day"] == pytest.approx(100) and figures["AP50 person night"] == 0
    assert "AP50 car night" not in figures and "AP50 bicycle" not in figures


def test_objects_are_mirrored_with_their_pictures():
    pictures = np.zeros((8, 10, 20, 3), np.uint8)
    pictures[:, 2:8, 2:6] = 255
    boxes = [np.array([[0, 0.2, 0.5, 0.2, 0.6]], np.float32)] * 8
    images, found = detector.mirrored(pictures, boxes, np.random.default_rng(0))
    assert len({float(objects[0, 1]) for objects in found}) == 2  # some are, some are not
    for image, objects in zip(images, found, strict=True):
        assert image[5, round(objects[0, 1] * 20) - 1, 0] == 255
    assert (pictures[:, 5, 3] == 255).all() and all(objects[0, 1] == np.float32(0.2) for objects in boxes)


def test_a_detector_learns(transformers):  # noqa: ARG001
    pictures = np.zeros((2, 64, 64, 3), np.uint8)
    pictures[:, 16:48, 8:24] = 255
    boxes = [np.array([[0, 0.25, 0.5, 0.25, 0.5]], np.float32)] * 2
    device, losses = torch.device("cpu"), []
    for epochs in (1, 25):
        budget = Budget("small", epochs=epochs, batch=2, rate=1e-3)
        model = detector.train(pictures, boxes, budget, seed=0, device=device, tick=lambda: None)
        targets = [{"class_labels": torch.tensor([0]), "boxes": torch.from_numpy(boxes[0][:, 1:])}]
        with torch.inference_mode():
            losses.append(float(model(detector.to_tensor(pictures[:1], device), targets).loss))
    assert losses[1] < losses[0] / 2


def test_one_command_judges_all_methods(labelled, fused, tmp_path, transformers, capsys):  # noqa: ARG001
    out = tmp_path / "out"
    command = ["--data", str(labelled), "--fused", f"{fused}=copied", "--out", str(out), "--epochs", "1"]
    assert detect.main(command) == 0
    rows = list(csv.DictReader((out / "detect.csv").open()))
    whole = {row["method"]: row for row in rows if row["fold"] == "all"}
    assert list(whole) == ["infrared", "visible", "average", "max", "copied"] and len(rows) == 5 * (3 + 2)
    assert whole["copied"]["AP50"] == whole["infrared"]["AP50"] != ""
    assert "Average precision in percent" in capsys.readouterr().out
    (labelled / "boxes" / "00001D.txt").unlink()
    assert detect.main(command) == 2
    assert "00001D.txt: not readable" in capsys.readouterr().err


def test_pretrained_weights_are_read_from_a_folder_below_a_fresh_head(tmp_path, transformers):
    before = detector.build(detector.BUDGET)
    config = type(before.config).from_dict(before.config.to_dict() | {"num_labels": 80})
    transformers.RTDetrForObjectDetection(config).save_pretrained(tmp_path / "weights")
    after = detector.build(Budget("small", 1, 1, 1e-4, str(tmp_path / "weights")))
    assert after.config.num_labels == 3
    picture = torch.rand(1, 3, 64, 64)
    assert after.eval()(picture).logits.shape == (1, 10, 3)
