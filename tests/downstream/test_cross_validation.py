"""What a cross-validation trains and tests on, and what of it is done again, with a judge that only takes notes."""

import csv
import json
from argparse import Namespace

import numpy as np
import pytest
import torch

from data.images import ImageError
from data.options import Parser
from downstream import cross_validation, detect, segment, tables
from downstream.cross_validation import Store, conditions, cross_validate, digest, open_store
from downstream.folds import scenes
from downstream.material import open_material
from downstream.training import Budget
from tests.commands import status_of
from tests.pictures import save

FOLDS, SEEDS = 3, 2


@pytest.fixture
def validate(labelled, fused, tmp_path):
    """Runs a cross-validation of all methods; what the judge was given, training by training, and what it said."""

    def run(folds=FOLDS, learnt=0, rate=0.1):
        notes = []

        def judge(pictures, on, part, seed, tick):
            notes.append((on, part, seed))
            tick()  # one of its steps
            return {"brightness": float(pictures[part].mean()), "seed": seed}

        material = open_material(labelled)
        budget = {"model": "small", "epochs": 1, "batch_size": 1, "lr": rate, "pretrained": ""}
        args = Namespace(folds=folds, seeds=SEEDS, fused=[f"{fused}=copied"], out=tmp_path, **budget)
        truth = [np.full(1, learnt, np.uint8)]
        found = list(cross_validate(args, "judge", torch.device("cpu"), material, truth, judge))
        return material, notes, {contender.name: outcomes for contender, _, outcomes in found}

    return run


def test_each_image_is_tested_once_for_each_seed_by_a_training_on_all_other_folds(validate):
    material, notes, found = validate()
    everything = list(range(len(material.stems)))
    assert len(notes) == len(found) * FOLDS * SEEDS and len({str(note) for note in notes}) == FOLDS * SEEDS
    for on, part, _ in notes:
        assert part and not set(on) & set(part) and sorted(on + part) == everything
        assert all(set(scene) <= set(on) or set(scene) <= set(part) for scene in scenes(material))
    for seed in range(SEEDS):
        for method in range(len(found)):
            of_method = notes[method * FOLDS * SEEDS :][: FOLDS * SEEDS]
            tested = [i for _, part, other in of_method if other == seed for i in part]
            assert sorted(tested) == everything
    for outcomes in found.values():
        assert list(outcomes) == [(fold, seed) for seed in range(SEEDS) for fold in range(FOLDS)]
        assert all(outcome["seed"] == seed for (_, seed), outcome in outcomes.items())


def test_if_one_fused_image_changes_the_trainings_of_its_method_alone_are_done_again(validate, fused):
    _, _, before = validate()
    _, again, same = validate()
    assert again == [] and same == before
    save(fused / "00030D.png", np.full((48, 64), 7, np.uint8))
    _, redone, after = validate()
    assert len(redone) == FOLDS * SEEDS
    assert [name for name in after if after[name] != before[name]] == ["copied"]
    assert validate()[1] == []


def test_a_picture_that_is_missing_is_told_before_anything_is_trained(validate, fused, tmp_path):
    (fused / "00030D.png").unlink()
    with pytest.raises(ImageError, match="expected one fused image called 00030D"):
        validate()
    assert not (tmp_path / "runs").exists()


def test_other_settings_are_trained_anew(validate):
    validate(rate=0.1)
    assert validate(rate=0.1)[1] == []
    assert len(validate(rate=0.2)[1]) == 5 * FOLDS * SEEDS


def test_the_bar_is_full_in_the_end_also_of_trainings_that_were_kept(validate, monkeypatch):
    bars, original = [], cross_validation.progress_bar
    monkeypatch.setattr(cross_validation, "progress_bar", lambda **how: bars.append(original(**how)) or bars[-1])
    for _ in range(2):
        validate()
        assert bars[-1].n == bars[-1].total == 5 * SEEDS * 6 * (FOLDS - 1)  # as many steps as images to train on


def test_other_labels_folds_and_files_that_are_no_trainings_are_trained_anew(validate, tmp_path):
    validate()
    for fold, text in enumerate(("[1]", '{"key": ')):
        (tmp_path / "runs" / f"max-fold{fold}-seed0.json").write_text(text)
    assert len(validate()[1]) == 2
    assert len(validate(learnt=1)[1]) == 5 * FOLDS * SEEDS and len(validate(learnt=1, folds=2)[1]) == 5 * 2 * SEEDS


def test_an_object_that_is_of_the_next_image_now_is_noticed():
    one, none = np.ones((1, 5), np.float32), np.ones((0, 5), np.float32)
    assert digest(one, none) != digest(none, one) == digest(none.copy(), one.copy())


def test_an_interrupt_tells_from_where_the_same_command_goes_on(validate, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Store, "get", interrupted)
    with pytest.raises(KeyboardInterrupt, match=f"the same command goes on from {tmp_path / 'runs'}"):
        validate()


def test_other_pretrained_weights_another_judge_or_device_are_other_settings(tmp_path):
    def settings(judge="segformer", device="cpu", **budget):
        given = Budget(**{"model": "small", "epochs": 1, "batch": 2, "rate": 0.1, "pretrained": str(weights), **budget})
        return json.dumps(open_store(Namespace(out=tmp_path, folds=3), judge, given, torch.device(device)).settings)

    weights = tmp_path / "weights"
    weights.write_bytes(b"one")
    found = [settings(), settings("rt-detr"), settings(device="cuda"), settings(epochs=2), settings(pretrained="")]
    weights.write_bytes(b"two")
    assert len({*found, settings()}) == 6 and settings() == settings()


def test_a_title_says_under_what_conditions_its_figures_were_found():
    args = Namespace(folds=3, seeds=1, epochs=45)
    assert conditions(args, (120, 160)) == "3 folds, 1 seed; 160x120, 45 epochs"
    args.seeds = 2
    assert conditions(args, (120, 160)) == "3 folds, 2 seeds; 160x120, 45 epochs"


@pytest.fixture
def without_extras(monkeypatch):
    """Both judges without a network, and detect without pycocotools."""
    for program in (segment, detect):
        monkeypatch.setattr(program, "build", lambda budget: budget)
    monkeypatch.setattr(detect, "coco_program", lambda: None)
    monkeypatch.setattr(detect, "check_size", lambda *_: None)


@pytest.mark.usefixtures("without_extras")
@pytest.mark.parametrize(("program", "option", "folder"), [
    (segment, "--labels", "Segmentation_labels"), (detect, "--boxes", "boxes"),
])  # fmt: skip
def test_what_is_learnt_comes_from_the_folder_that_is_named_in_three_folds_for_each_seed(
    labelled, tmp_path, monkeypatch, program, option, folder
):
    def predict(_, pictures, batch):  # noqa: ARG001
        guess = 2 if len(seeds) > 3 * 6 else 0  # people everywhere in the maximum, else nobody
        return np.full(pictures.shape[:3], guess, np.uint8)

    seeds = []
    monkeypatch.setattr(program, "train", lambda *_, seed, **__: seeds.append(seed))
    monkeypatch.setattr(program, "predict", predict)
    monkeypatch.setattr(detect, "scores", lambda *_: {"AP": 0.0, "AP50": -float(len(seeds))})
    (labelled / folder).rename(tmp_path / "elsewhere")
    out = tmp_path / "out"
    given = ["--data", labelled, option, tmp_path / "elsewhere", "--seeds", "2", "--out", out]
    assert program.main([str(word) for word in given]) == 0
    assert seeds == [0, 0, 0, 1, 1, 1] * 4  # infrared, visible, average, maximum
    rows = list(csv.DictReader((out / f"{program.__name__.split('.')[1]}.csv").open()))
    against = {row["method"]: float(row[tables.AGAINST]) for row in rows if row["fold"] == "all"}
    assert against["max"] == 0 < against["average"]


@pytest.mark.usefixtures("without_extras")
def test_images_smaller_than_a_segformer_takes_are_refused(labelled, monkeypatch, capsys):
    monkeypatch.setattr(segment, "SMALLEST", 49)
    assert segment.main(["--data", str(labelled)]) == 2
    assert "MSRS: images of 48 pixels; a SegFormer needs 49 a side" in capsys.readouterr().err


@pytest.mark.usefixtures("without_extras")
@pytest.mark.parametrize("program", [segment, detect])
def test_a_judge_is_tested_on_what_it_was_not_trained_on(labelled, tmp_path, monkeypatch, program):
    tested = []

    def predict(trained, pictures, batch):  # noqa: ARG001
        on, part = ([hash(picture.tobytes()) for picture in of] for of in (trained, pictures))
        assert not set(on) & set(part) and len(on) + len(part) == 6
        tested.extend(part)
        return np.zeros(pictures.shape[:3], np.uint8)

    monkeypatch.setattr(program, "train", lambda pictures, truth, *_, **__: pictures[: len(truth)])
    monkeypatch.setattr(program, "predict", predict)
    monkeypatch.setattr(detect, "scores", lambda *_: {"AP": 1.0, "AP50": 1.0})
    assert program.main(["--data", str(labelled), "--out", str(tmp_path / "out")]) == 0
    assert len(tested) == 4 * 6 and len(set(tested)) == 4 * 6  # infrared, visible, average, maximum


@pytest.mark.parametrize("judge", [detect, segment])
def test_one_fold_would_leave_nothing_to_train_on(judge, capsys):
    parser = Parser("judge", "")
    cross_validation.add_options(parser, "out", "labels", judge.MODELS, judge.BUDGET)
    assert parser.parse_args(["--data", "MSRS", "--folds", "2"]).folds == 2
    assert status_of(judge.main, "--data", "MSRS", "--folds", "1") == 2
    assert "--folds: '1'; expected a whole number from 2 to 100" in capsys.readouterr().err
