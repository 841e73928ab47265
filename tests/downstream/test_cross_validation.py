"""What a cross-validation trains and tests on, and what of it is done again, with a judge that only takes notes."""

import json
from argparse import Namespace

import numpy as np
import pytest
import torch

from downstream import detect, segment
from downstream.folds import scenes
from downstream.material import open_contenders, open_material
from downstream.runs import Store, conditions, cross_validate, open_store
from downstream.training import Budget
from tests.pictures import save

FOLDS, SEEDS = 3, 2


@pytest.fixture
def validate(labelled, fused, tmp_path):
    """Runs a cross-validation of all methods; what the judge was given, training by training, and what it said."""

    def run(**settings):
        notes = []

        def judge(pictures, on, part, seed, tick):  # noqa: ARG001
            notes.append((on, part, seed))
            return {"brightness": float(pictures[part].mean()), "seed": seed}

        material = open_material(labelled)
        store = Store(tmp_path / "runs", settings)
        contenders = open_contenders([f"{fused}=copied"])
        args, truth = Namespace(folds=FOLDS, seeds=SEEDS), [np.zeros(1, np.uint8)]
        found = list(cross_validate(material, contenders, truth, args, store, lambda count: count, judge))
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


def test_other_settings_are_trained_anew(validate):
    validate(rate=0.1)
    assert validate(rate=0.1)[1] == []
    assert len(validate(rate=0.2)[1]) == 5 * FOLDS * SEEDS


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
    assert conditions(args, (120, 160)) == "3 folds, one seed; 160x120, 45 epochs"
    args.seeds = 2
    assert conditions(args, (120, 160)) == "3 folds, 2 seeds; 160x120, 45 epochs"


@pytest.mark.parametrize("program", [segment, detect])
def test_a_judge_is_tested_on_what_it_was_not_trained_on(labelled, tmp_path, monkeypatch, program):
    tested = []

    def predict(trained, pictures, batch):  # noqa: ARG001
        on, part = ([hash(picture.tobytes()) for picture in of] for of in (trained, pictures))
        assert not set(on) & set(part) and len(on) + len(part) == 6
        tested.extend(part)
        return np.zeros(pictures.shape[:3], np.uint8)

    monkeypatch.setattr(program, "build", lambda budget: budget)
    monkeypatch.setattr(program, "train", lambda pictures, truth, *_, **__: pictures[: len(truth)])
    monkeypatch.setattr(program, "predict", predict)
    if program is detect:
        monkeypatch.setattr(detect, "check_size", lambda *_: None)
        monkeypatch.setattr(detect, "scores", lambda *_: {"AP": 1.0, "AP50": 1.0})
    assert program.main(["--data", str(labelled), "--out", str(tmp_path / "out")]) == 0
    assert len(tested) == 4 * 6 and len(set(tested)) == 4 * 6  # infrared, visible, average, maximum
