"""The segmenter that judges: what it counts, that it learns, goes on after an interruption, and refuses."""

import csv
import json
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from downstream import segformer, segment, tables
from downstream.training import Budget, digest_of_pretrained

SHORT = ["--epochs", "1", "--batch-size", "4", "--folds", "2"]


@pytest.fixture
def transformers(monkeypatch):
    """The library, whose smallest network is made narrower still."""
    library = pytest.importorskip("transformers", reason="transformers is an extra: requirements-downstream.txt")
    tiny = {"hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 1, 1], "decoder_hidden_size": 16}
    monkeypatch.setitem(segformer.MODELS, "small", tiny)
    return library


def test_scores_between_the_places_that_the_network_scores_are_interpolated():
    step = Namespace(logits=torch.tensor([[[[0.0, 1.0]]]]))  # (1, 1, 1, 2)
    scores = segformer.Segmenter(lambda _: step, torch.nn.Identity())(torch.zeros(1, 3, 4, 8))
    assert scores[0, 0].tolist() == [[0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1]] * 4


def test_iou_is_in_percent_and_nothing_where_a_class_is_absent():
    confusion = np.zeros((9, 9), int)
    confusion[:2, :2] = [[90, 5], [5, 20]]
    found = segment.iou(confusion)
    assert found[:2] == pytest.approx([90, 100 * 20 / 30]) and np.isnan(found[2:]).all()


def test_figures_of_times_of_day_count_their_own_images_alone():
    truth = np.full((4, 4, 4), 2, np.uint8)
    found = truth.copy()
    found[1:3, :2] = 0
    figures = segment.scores(segment.confusions(["1D", "2N", "3D", "4D"], truth, found))
    assert (figures["person day"], figures["person night"], figures["person"]) == pytest.approx((250 / 3, 50, 75))
    assert np.isnan(figures["car day"]) and figures["mIoU"] == pytest.approx(75 / 2)


def test_folds_are_pooled_by_pixels_and_seeds_by_mean():
    def outcome(right, wrong):
        confusion = np.zeros((9, 9), int)
        confusion[2, 2], confusion[2, 0] = right, wrong
        return {"day": confusion.tolist()}

    outcomes = {(0, 0): outcome(30, 0), (1, 0): outcome(30, 60), (0, 1): outcome(0, 30), (1, 1): outcome(0, 90)}
    assert segment.pooled(outcomes)["person"] == pytest.approx((100 * 60 / 120 + 0) / 2)


def test_a_class_that_was_guessed_but_does_not_occur_counts_as_0_and_one_in_neither_is_left_out():
    truth, found = np.zeros((1, 4, 4), np.uint8), np.zeros((1, 4, 4), np.uint8)
    assert segment.scores(segment.confusions(["1D"], truth, found))["mIoU"] == 100
    found[0, 0] = 1
    figures = segment.scores(segment.confusions(["1D"], truth, found))
    assert (figures["unlabelled"], figures["car"], figures["mIoU"]) == (75, 0, 75 / 2) and np.isnan(figures["person"])


def test_a_class_that_one_seed_alone_has_is_its_figure():
    truth, other = np.zeros((1, 4, 4), np.uint8), np.zeros((1, 4, 4), np.uint8)
    other[0, 0] = 1
    outcomes = {(0, seed): segment.confusions(["1D"], truth, found) for seed, found in enumerate((truth, other))}
    pooled = segment.pooled(outcomes)
    assert (pooled["unlabelled"], pooled["car"], pooled["mIoU"]) == (175 / 2, 0, (100 + 75 / 2) / 2)
    assert np.isnan(pooled["person"]) and np.isnan(pooled["car night"])


def test_every_method_is_compared_with_the_maximum_run_by_run():
    low = tables.Result("max", {"mIoU": 25.0}, {(0, 0): {"mIoU": 10.0}, (1, 0): {"mIoU": 40.0}})
    high = tables.Result("mine", {"mIoU": 27.0}, {(0, 0): {"mIoU": 12.0}, (1, 0): {"mIoU": 43.0}})
    tables.compare([low, high], "mIoU")
    assert high.values[tables.AGAINST] == 2.5 and high.spread(tables.AGAINST) == pytest.approx(np.sqrt(0.5))
    assert tables.cell(high, tables.AGAINST) == "2.5 ± 0.7" and tables.cell(low, "car") == ""
    assert "**27.0 ± 21.9**" in tables.markdown([low, high], ["mIoU"], "t")
    assert "\n| A\\|B | " in tables.markdown([tables.Result("A|B", {"mIoU": 1.0}), low], ["mIoU"], "t")
    assert r"\textbf{27.0 $\pm$ 21.9}" in tables.latex([low, high], ["mIoU"], "t")


def test_no_difference_from_the_maximum_is_marked_as_the_best():
    results = [tables.Result("max", {"mIoU": 25.0, tables.AGAINST: 0.0})]
    results.append(tables.Result("mine", {"mIoU": 27.0, tables.AGAINST: 2.0}))
    columns = ["mIoU", tables.AGAINST]
    assert "| **27.0** | 2.0 |" in tables.markdown(results, columns, "t")
    assert r"\textbf{27.0} & 2.0 " in tables.latex(results, columns, "t")


def test_a_segmenter_learns_what_a_bright_object_is(transformers):  # noqa: ARG001
    labels = np.zeros((4, 48, 48), np.uint8)
    labels[:, 8:40, 8:32] = 2
    labels[:2] = labels[:2, :, ::-1]
    pictures = np.repeat((labels * 100)[..., None], 3, axis=-1)
    steps = []
    budget = Budget("small", epochs=25, batch=2, rate=3e-3)
    model = segformer.train(pictures, labels, budget, seed=0, device=torch.device("cpu"), tick=lambda: steps.append(1))
    assert len(steps) == budget.steps(4) == 50
    assert (segformer.predict(model, pictures, 3) == labels).mean() > 0.85 > (labels == 0).mean()


def test_the_network_for_gpus_is_trained_by_the_same_code(transformers):  # noqa: ARG001
    pictures, labels = np.zeros((2, 64, 64, 3), np.uint8), np.zeros((2, 64, 64), np.uint8)
    budget = Budget("b0", epochs=1, batch=2, rate=1e-4)
    model = segformer.train(pictures, labels, budget, seed=0, device=torch.device("cpu"), tick=lambda: None)
    assert sum(parameter.numel() for parameter in model.parameters()) > 3e6
    assert segformer.predict(model, pictures, 2).shape == labels.shape


def test_the_same_seed_sees_the_same_places_of_every_method(transformers):  # noqa: ARG001
    labels = np.arange(2 * 32 * 48).reshape(2, 32, 48).astype(np.uint8)
    pictures = np.repeat(labels[..., None], 3, axis=-1)
    crops = [segformer.augmented(pictures, labels, np.random.default_rng(seed)) for seed in (3, 3, 4)]
    assert (crops[0][0][..., 0] == crops[0][1]).all()  # labels move with their pictures
    assert (crops[0][0] == crops[1][0]).all() and not (crops[0][0] == crops[2][0]).all()


def test_one_command_judges_all_methods_and_goes_on_where_it_was(labelled, fused, tmp_path, transformers, monkeypatch):  # noqa: ARG001
    out = tmp_path / "out"
    command = ["--data", str(labelled), "--fused", f"{fused}=copied", "--out", str(out), *SHORT, "--contrast"]
    trained = []
    train = segformer.train

    def counting(*args, **options):
        if len(trained) == 7:
            raise KeyboardInterrupt
        trained.append(1)
        return train(*args, **options)

    monkeypatch.setattr(segment, "train", counting)
    assert segment.main(command) == 130 and not (out / "segment.csv").exists()
    monkeypatch.setattr(segment, "train", lambda *args, **options: trained.append(1) or train(*args, **options))
    assert segment.main(command) == 0 and len(trained) == 5 * 2
    rows = list(csv.DictReader((out / "segment.csv").open()))
    lines = {(row["method"], row["fold"]): row for row in rows}
    assert len(rows) == 5 * (2 + 2)
    assert lines["copied", "all"]["mIoU"] == lines["infrared", "all"]["mIoU"] != lines["visible", "all"]["mIoU"]
    assert lines["copied", "all"]["contrast person day"] and float(lines["max", "all"][tables.AGAINST]) == 0
    ours, theirs = (float(lines[method, "0"]["mIoU"]) for method in ("copied", "max"))
    assert float(lines["copied", "0"][tables.AGAINST]) == pytest.approx(ours - theirs)
    assert all((out / f"segment.{kind}").stat().st_size > 100 for kind in ("md", "tex", "png"))
    (out / "runs" / "max-fold0-seed0.json").write_text('{"key": ')  # cut off
    assert segment.main(command) == 0 and len(trained) == 11
    assert segment.main([*command, "--lr", "0.01"]) == 0 and len(trained) == 21
    key = json.loads((out / "runs" / "max-fold0-seed0.json").read_text())["key"]
    assert (key["rate"], key["judge"]) == (0.01, "segformer")


@pytest.mark.usefixtures("transformers")
def test_a_picture_that_is_not_there_is_told_before_a_training(labelled, fused, tmp_path, monkeypatch, capsys):
    missing = next(fused.rglob("*.png"))
    missing.unlink()
    monkeypatch.setattr(segment, "train", lambda *_, **__: pytest.fail("nothing is to be trained"))
    assert segment.main(["--data", str(labelled), "--fused", str(fused), "--out", str(tmp_path / "out"), *SHORT]) == 2
    assert f"expected one fused image called {missing.stem}" in capsys.readouterr().err


def test_other_weights_in_the_same_folder_are_other_weights(tmp_path, monkeypatch):
    (tmp_path / "of").mkdir()
    (tmp_path / "of" / "config").write_bytes(b"the same")
    (tmp_path / "of" / "model").write_bytes(b"one")
    before = digest_of_pretrained(str(tmp_path))
    (tmp_path / "of" / "model").write_bytes(b"two")
    after = digest_of_pretrained(str(tmp_path))
    assert before != after == digest_of_pretrained(str(tmp_path)) != ""
    listing = Path.rglob
    monkeypatch.setattr(Path, "rglob", lambda *where: reversed(list(listing(*where))))
    assert digest_of_pretrained(str(tmp_path)) == after, "in whatever order the system lists them"
    assert digest_of_pretrained("") == digest_of_pretrained("nvidia/mit-b0") == ""


def test_pretrained_weights_are_read_from_a_folder_below_a_fresh_head(tmp_path, transformers):
    config = transformers.SegformerConfig(num_labels=150, **segformer.MODELS["small"])
    before = transformers.SegformerForSemanticSegmentation(config)
    before.save_pretrained(tmp_path / "weights")
    after = segformer.build(replace(segformer.BUDGET, pretrained=str(tmp_path / "weights")))
    kept = {name for name, tensor in after.state_dict().items() if torch.equal(tensor, before.state_dict()[name])}
    assert {*before.state_dict()} - kept == {"decode_head.classifier.weight", "decode_head.classifier.bias"}
    assert after.decode_head.classifier.out_channels == 9


def test_what_cannot_be_begun_is_said_in_a_sentence(labelled, tmp_path, capsys, transformers):  # noqa: ARG001
    common = ["--data", str(labelled), "--out", str(tmp_path / "out")]
    (tmp_path / "weights").mkdir()
    for options, message in (
        (["--pretrained", str(tmp_path / "weights")], "no weights of a SegformerForSemanticSegmentation"),
        (["--folds", "9"], "4 scenes for 9 folds"),
        (["--device", "gpu"], "expected auto, cpu or cuda"),
    ):
        assert segment.main([*common, *options]) == 2
        said = capsys.readouterr().err
        assert message in said and "Traceback" not in said


def test_without_the_library_a_sentence_says_what_to_install(labelled, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert segment.main(["--data", str(labelled)]) == 2
    assert "pip install -r requirements-downstream.txt" in capsys.readouterr().err
