"""The training script in one process: what it refuses, before it begins or on the way."""

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch

import CMMDL_train as script
import net
from data.patchfile import PatchDataset
from net.training.cmmdl_training import PAPER
from net.training.objective import Phase
from tests.pictures import save
from tests.scripts.trainings import SMALL, assert_one_sentence, checkpoint, write_patches


def test_a_loss_that_is_not_finite_stops_the_training_spares_the_checkpoint_and_keeps_the_batch(
    train, h5, tmp_path, capsys
):
    assert train("--epochs", 3, "--lr", "1e30", "--save-seconds", 0) == 1
    last = tmp_path / "000-cmmdl" / "last.pth"
    kept = last.parent / "not_finite_epoch_001_step_00002"
    assert_one_sentence(capsys.readouterr().err, "not finite in epoch 1, step 2", str(kept), str(last), "lower --lr")
    patches = json.loads((kept / "process_0.json").read_text())["patches"]
    source = PatchDataset(h5)
    for patch, vis in zip(patches, np.load(kept / "process_0.npz")["vis"], strict=True):
        assert patch["origin"] == f"{h5}: patch {patch['index']}" and np.array_equal(vis, source[patch["index"]][0])
    state = checkpoint(last)
    assert state["steps"] == 1 and all(x.isfinite().all() for x in state["model"].values())
    assert "not finite" in (tmp_path / "000-cmmdl" / "log.txt").read_text()
    assert train("--epochs", 3, "--lr", "1e-5", "--resume", last) == 1  # too late: the step before was too large


def test_a_gradient_that_is_not_finite_stops_the_training_before_it_reaches_the_weights(train, monkeypatch, capsys):
    def loss(fused, batch):
        terms = PAPER.phases[0].loss(fused, batch)
        return terms | {"total": terms["total"] + (fused - fused.detach()).abs().sqrt().sum()}  # 0, with slope inf

    monkeypatch.setitem(net.METHODS["cmmdl"].recipes, "best", replace(PAPER, phases=(Phase(loss),)))
    assert train("--recipe", "best") == 1
    assert_one_sentence(capsys.readouterr().err, "epoch 1, step 1 (total 8.", "gradient norm nan")


def test_patches_that_cannot_be_read_end_the_training_with_their_name(tmp_path, capsys, shallow):  # noqa: ARG001
    path = write_patches(tmp_path / "patches.h5", 8)
    with h5py.File(path, "r+") as file:
        file["vis_patchs/5"][:] = np.nan
    for workers in (0, 1):
        assert script.main(["--h5", str(path), "--out", str(tmp_path), "--workers", str(workers), *SMALL]) == 1
        assert_one_sentence(capsys.readouterr().err, str(path), "vis_patchs/5 has values from nan")


def test_refused_images_are_named_and_the_others_trained_on(tmp_path, capsys, shallow):  # noqa: ARG001
    random = np.random.default_rng(0)
    for i in range(4):
        for folder in ("ir", "vi"):
            size = (40, 48) if (i, folder) == (2, "ir") else (48, 48)
            save(tmp_path / "set" / folder / f"{i}.png", random.integers(0, 256, size, np.uint8))
    (tmp_path / "set" / "vi" / "3.png").write_bytes(b"")
    options = ["--data", str(tmp_path / "set"), "--size", "16", "--epochs", "1", "--out", str(tmp_path / "runs")]
    assert script.main([*options, *SMALL]) == 0
    errors = capsys.readouterr().err
    assert "refused: set/2: 2.png: infrared 48x40, visible 48x48" in errors and "refused: set/3: " in errors
    assert "2 refused" in (tmp_path / "runs" / "000-cmmdl" / "log.txt").read_text()


@pytest.mark.parametrize(
    "options, status, words",
    [
        (["--recipe", "secret"], 2, "--recipe: invalid choice: 'secret'"),
        (["--lr", "0"], 2, "--lr: '0'; expected a number above 0, from 1e-30"),
        (["--lr", "nan"], 2, "--lr: 'nan'; expected a number above 0, from 1e-30"),
        (["--lr", "1e300"], 2, "--lr: '1e300'; expected a number above 0, from 1e-30 to 1e+30"),
        (["--batch-size", "1"], 2, "--batch-size: '1'; expected a whole number from 2"),
        (["--epochs", "-3"], 2, "--epochs: '-3'; expected a whole number from 1"),
        (["--dim", "1000000"], 2, "--dim: '1000000'; expected a whole number from 2 to 1024"),
        (["--workers", "99999"], 2, "--workers: '99999'; expected"),
        (["--seed", "1.5"], 2, "--seed: '1.5'; expected"),
        (["--device", "tpu"], 2, "--device: invalid choice: 'tpu'"),
        (["--size", "32"], 2, "--size: goes with --data or --demo"),
        (["--passes", "2"], 2, "--passes: goes with --data or --demo"),
        (["--mask-classes", "person"], 2, "--mask-classes: goes with --data"),
        (["--no-held-out"], 2, "--no-held-out: goes with --data"),
        (["--mask-classes", "lorry"], 2, "'lorry'; expected names of unlabelled, car"),
        (["--teacher", "{folder}/weights.pth"], 2, "--teacher: recipe paper of cmmdl has none"),
        (["--method", "mlfuse", "--without", "sdlb"], 2, "--without: mlfuse has no parts that can be left out"),
        (["--out", "o\udcff"], 2, "--out: 'o\\udcff'; expected a name in UTF-8"),
        (["--keep-norms"], 2, "--keep-norms: keeps the statistics of given weights; it goes with --init"),
        (["--h5", "a.h5", "--demo"], 2, "--demo: not allowed with argument --h5"),
        (["--dim", "20"], 1, "dim is 20; expected an even number that is a multiple of heads (8)"),
        (["--batch-size", "9"], 1, "8 patches; expected at least one batch of 9"),
        (["--resume", "nowhere.pth"], 1, "nowhere.pth: no such checkpoint"),
        (["--resume", "{folder}/weights.pth"], 1, "weights.pth: holds no training state"),
        (["--out", "{folder}/empty"], 1, "empty: a file; expected a folder"),
        (["--out", "{folder}/empty/runs"], 1, "empty"),
    ],
)
def test_unsuitable_options_are_refused_before_anything_is_written(
    train, tmp_path, small, capsys, options, status, words
):
    material = tmp_path / "material"
    material.mkdir()
    (material / "empty").touch()
    torch.save({"options": small.options, "model": small.state_dict()}, material / "weights.pth")
    before = sorted(tmp_path.rglob("*"))
    assert train(*(option.format(folder=material) for option in options)) == status
    assert_one_sentence(capsys.readouterr().err, words)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "options, words",
    [
        (["--h5", "{folder}"], "a folder; expected a patch file"),
        (["--data", "{folder}/small/ir"], "no pair folder; expected sub-folders"),
        (["--data", "{folder}/nowhere"], "nowhere: no such folder; expected a folder of pairs"),
        (["--data", "{folder}/small"], "crops of 128x128 pixels; expected at most 16, the largest image's side"),
        (["--data", "{folder}/small", "--size", "8"], "1 patch; expected at least one batch of 4"),
    ],
)
def test_unsuitable_data_are_refused_before_anything_is_written(tmp_path, capsys, options, words):
    for folder in ("ir", "vi"):
        save(tmp_path / "small" / folder / "1.png", np.eye(16, dtype=np.uint8) * 255)
    options = [option.format(folder=tmp_path) for option in options]
    assert script.main([*options, "--out", str(tmp_path / "runs"), "--dim", "16"]) == 1
    assert_one_sentence(capsys.readouterr().err, words)
    assert not (tmp_path / "runs").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_missing_cuda_device_is_refused(train, capsys):
    assert train("--device", "cuda") == 1
    assert_one_sentence(capsys.readouterr().err, "torch sees no CUDA device here; expected cpu or auto")


def test_a_checkpoint_of_another_width_or_recipe_is_refused_and_its_folder_left_alone(train, tmp_path, capsys):
    assert train("--epochs", 1) == 0
    last = tmp_path / "000-cmmdl" / "last.pth"
    before = {path: path.read_bytes() for path in last.parent.iterdir()}
    capsys.readouterr()
    width = (("--dim", "32"), "encoder.embed.weight has shape (16, 1, 3, 3), expected (32, 1, 3, 3)")
    for option, words in (width, (("--recipe", "best"), "no moving average")):
        assert train("--epochs", 2, "--resume", last, *option) == 1
        assert_one_sentence(capsys.readouterr().err, str(last), words)
    assert {path: path.read_bytes() for path in last.parent.iterdir()} == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--without", "half"], "'half'; expected parts among sfca-frequency"),
        (["--method", "mlfuse", "--checkpoint-activations"], "--checkpoint-activations: MLFuse"),
    ],
)
def test_what_a_network_does_not_have_is_refused(train, capsys, options, words):
    assert train("--epochs", 1, *options) == 1
    assert_one_sentence(capsys.readouterr().err, words)
