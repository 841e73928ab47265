"""The training script in one process: what it writes and what it refuses."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from trainings import SMALL, assert_one_sentence, assert_same_training, checkpoint, write_patches

import CMMDL_train as script
import net
from data.patchfile import PatchDataset
from net.training.cmmdl_training import PAPER
from net.training.objective import Phase
from utils.distributed import World
from utils.files import sha256

CROPS = ["--demo", "--size", "64", "--method", "cmmdl-lite", "--recipe", "alone", "--batch-size", "8", "--epochs", "1"]


def test_a_run_folder_holds_arguments_log_history_curves_and_checkpoints(train, h5, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(script, "KEEP_EVERY", 3)
    assert train("--epochs", 4) == 0
    folder = tmp_path / "000-cmmdl"
    assert {path.name.split(".")[0] for path in folder.iterdir()} == {
        "CMMDL", "arguments", "epoch_003", "events", "finished", "history", "last", "log"
    }  # fmt: skip
    arguments, data = map(json.loads((folder / "arguments.json").read_text()).get, ("arguments", "data"))
    assert (arguments["epochs"], arguments["batch_size"], arguments["lr"]) == (4, 2, 1e-4)
    assert data == {"patches": 8, "bytes": h5.stat().st_size, "sha256": sha256(h5)}
    log = (folder / "log.txt").read_text()
    assert "epoch 4/4: lr 0.0001, total" in log and "left" in log and "patches/s" in log
    assert log.count("epoch") == capsys.readouterr().err.count("epoch")
    lines = list(csv.DictReader((folder / "history.csv").open()))
    assert [line["epoch"] for line in lines] == [str(i) for i in range(1, 5)]
    assert float(lines[-1]["total"]) < float(lines[0]["total"])
    for line in lines:
        assert float(line["total"]) == pytest.approx(float(line["intensity"]) + 5 * float(line["gradient"]))
    assert checkpoint(folder / "epoch_003.pth")["epoch"] == 3 and checkpoint(folder / "last.pth")["epoch"] == 4


def test_tensorboard_shows_loss_terms_rate_speed_and_the_probe_batch(train, tmp_path):
    assert train("--epochs", 3) == 0
    events = EventAccumulator(str(tmp_path / "000-cmmdl")).Reload()
    tags = {"loss/total", "loss/intensity", "loss/gradient", "learning rate", "patches per second"}
    assert tags == set(events.Tags()["scalars"])
    assert [point.step for point in events.Scalars("learning rate")] == [10]
    pictures = events.Images("visible, infrared, fused")
    assert [(picture.step, picture.width, picture.height) for picture in pictures] == [(i, 48, 64) for i in (4, 8, 12)]


def test_a_checkpoint_is_complete_and_fuses_as_it_is(train, tmp_path, pair):
    assert train("--recipe", "best", "--epochs", 1) == 0
    state = checkpoint(tmp_path / "000-cmmdl" / "last.pth")
    assert state["epoch"] == 1 and state["step"] == 0 and state["steps"] == 4
    assert {"optimizer", "lr", "random", "history", "trained"} <= state.keys()
    assert not [key for key in state["model"] if key.startswith("module.")]
    last, final = (net.load(tmp_path / "000-cmmdl" / name) for name in ("last.pth", "CMMDL.pth"))
    assert torch.equal(last(*pair), final(*pair))
    assert not torch.equal(state["model"]["encoder.embed.weight"], state["trained"]["encoder.embed.weight"])


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(train, tmp_path):
    for seed in (1, 1, 2):
        assert train("--epochs", 1, "--lr", "1e-12", "--seed", seed) == 0
    first, again, other = (tmp_path / f"00{i}-cmmdl" for i in range(3))
    assert_same_training(first, again)
    a, b = (checkpoint(folder / "CMMDL.pth")["model"]["encoder.embed.weight"] for folder in (first, other))
    assert (a - b).abs().max() > 0.1  # they hardly changed since they were drawn


def test_every_process_begins_with_the_same_weights_and_draws_other_numbers(h5, tmp_path, shallow, monkeypatch):  # noqa: ARG001
    networks, drawn = [], []

    def begun(*_):
        drawn.append(torch.rand(8))
        raise InterruptedError

    monkeypatch.setattr(script, "Training", lambda _, network, *__: networks.append(network))
    monkeypatch.setattr(script.runs, "find", begun)
    args = script.parse(["--h5", str(h5), "--out", str(tmp_path), *SMALL])
    for rank in (0, 1, 1):
        with pytest.raises(InterruptedError):
            script.train(args, World(rank, 2, torch.device("cpu")))
    first, second, _ = (network.encoder.embed.weight for network in networks)
    assert torch.equal(first, second)
    assert torch.equal(drawn[1], drawn[2]) and not (drawn[0] == drawn[1]).any()


def test_patches_of_a_file_come_in_batches_of_one_size_throughout(train, tmp_path):
    assert train("--recipe", "best", "--epochs", 4, "--batch-size", 4) == 0
    lines = csv.DictReader((tmp_path / "000-cmmdl" / "history.csv").open())
    assert [line["steps"] for line in lines] == ["2", "4", "6", "8"]


def test_the_defaults_are_the_releases(h5):
    args = script.parse(["--h5", str(h5)])
    recipe = net.METHODS[args.method].recipes[args.recipe].override(args.epochs, args.batch_size, args.lr, args.size)
    assert recipe == PAPER
    assert (recipe.epochs, recipe.batch_size, recipe.lr, script.build(args, net.METHODS["cmmdl"]).options["dim"]) == (
        100, 4, 1e-4, 64
    )  # fmt: skip
    assert (args.seed, args.precision, args.resume, script.KEEP_EVERY) == (42, "fp32", "auto", 10)
    assert script.parse([]).h5 == Path("data/MSRS_train_imgsize_128_stride_200.h5")


def test_bf16_trains_close_to_fp32(train, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    for i, precision in enumerate(("fp32", "bf16")):
        assert train("--epochs", 2, "--precision", precision) == 0
        log = (tmp_path / f"00{i}-cmmdl" / "log.txt").read_text()
        assert ("no instructions for bf16" in log) == (precision == "bf16")
    exact, rough = (list(csv.DictReader((tmp_path / f"00{i}-cmmdl" / "history.csv").open())) for i in range(2))
    assert float(rough[-1]["total"]) == pytest.approx(float(exact[-1]["total"]), rel=0.02)
    assert rough[-1]["total"] != exact[-1]["total"]


def test_demo_trains_on_crops_of_rendered_scenes_and_scores_held_out_ones(tmp_path, shallow):  # noqa: ARG001
    assert script.main(["--demo", "--size", "32", "--epochs", "1", "--out", str(tmp_path), *SMALL]) == 0
    (line,) = csv.DictReader((tmp_path / "000-cmmdl" / "history.csv").open())
    assert float(line["VIF"]) > 0 and 0 < float(line["Qabf"]) < 1


def test_training_can_start_from_weights_whose_width_counts(train, tmp_path, small, capsys):
    torch.save({"options": small.options, "model": small.state_dict()}, tmp_path / "start.pth")
    assert train("--init", tmp_path / "start.pth", "--dim", "64") == 1
    assert_one_sentence(capsys.readouterr().err, "--dim 64", "start.pth has 16 channels; expected that or no --dim")
    assert train("--init", tmp_path / "start.pth", "--lr", "1e-12", "--epochs", 1) == 0
    state = checkpoint(tmp_path / "000-cmmdl" / "CMMDL.pth")
    assert state["options"] == small.options
    torch.testing.assert_close(state["model"]["encoder.embed.weight"], small.state_dict()["encoder.embed.weight"])


def test_the_statistics_of_given_weights_stay_where_that_is_asked_for(train, tmp_path, small):
    torch.save({"options": small.options, "model": small.state_dict()}, tmp_path / "start.pth")
    statistics = {key: value for key, value in small.state_dict().items() if "running_" in key}
    for options, stay in (["--keep-norms"], True), ([], False):
        assert train("--init", tmp_path / "start.pth", "--epochs", 1, *options) == 0
        state = checkpoint(max(tmp_path.glob("*-cmmdl")) / "CMMDL.pth")["model"]
        assert stay is all(torch.equal(state[key], value) for key, value in statistics.items())
        assert not torch.equal(state["hdfab.cbr_1.1.weight"], small.state_dict()["hdfab.cbr_1.1.weight"])


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
            path = tmp_path / "set" / folder / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            size = (40, 48) if (i, folder) == (2, "ir") else (48, 48)
            cv2.imwrite(str(path), random.integers(0, 256, size, np.uint8))
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
        (["--lr", "0"], 2, "--lr: '0'; expected a number above 0"),
        (["--lr", "nan"], 2, "--lr: 'nan'; expected a number above 0"),
        (["--lr", "1e300"], 2, "--lr: '1e300'; expected a number above 0 (1e-30 to 1e+30)"),
        (["--batch-size", "1"], 2, "--batch-size: '1'; expected a whole number from 2"),
        (["--epochs", "-3"], 2, "--epochs: '-3'; expected a whole number from 1"),
        (["--dim", "1000000"], 2, "--dim: '1000000'; expected a whole number from 2 to 1024"),
        (["--workers", "99999"], 2, "--workers: '99999'; expected"),
        (["--seed", "1.5"], 2, "--seed: '1.5'; expected"),
        (["--device", "tpu"], 2, "--device: invalid choice: 'tpu'"),
        (["--size", "32"], 2, "--size: goes with --data or --demo"),
        (["--passes", "2"], 2, "--passes: goes with --data or --demo"),
        (["--teacher", "{folder}/weights.pth"], 2, "--teacher: recipe paper of cmmdl has none"),
        (["--method", "mlfuse", "--without", "sdlb"], 2, "--without: mlfuse has no parts that can be left out"),
        (["--out", "o\udcff"], 2, "--out: 'o\\udcff'; expected a name in UTF-8"),
        (["--keep-norms"], 2, "--keep-norms: keeps the statistics of given weights; it goes with --init"),
        (["--h5", "a.h5", "--demo"], 2, "--demo: not allowed with argument --h5"),
        (["--dim", "20"], 1, "dim is 20; expected an even multiple of heads (8)"),
        (["--batch-size", "9"], 1, "8 patches; expected at least one batch of 9"),
        (["--init", "nowhere.pth"], 1, "nowhere.pth: no such weights file"),
        (["--init", "{folder}/empty"], 1, "empty: not a readable torch file"),
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
    try:
        found = train(*(option.format(folder=material) for option in options))
    except SystemExit as error:
        found = error.code
    assert found == status
    assert_one_sentence(capsys.readouterr().err, words)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "options, words",
    [
        (["--h5", "nowhere.h5"], "nowhere.h5: no such file; see python -m data.patches"),
        (["--h5", "{folder}"], "a folder; expected a patch file"),
        (["--data", "{folder}/small/ir"], "no pair folder; expected sub-folders"),
        (["--data", "{folder}/nowhere"], "nowhere: no such folder; expected a folder of pairs"),
        (["--data", "{folder}/small"], "crops of 128x128 pixels; expected at most 16, the largest image's side"),
        (["--data", "{folder}/small", "--size", "8"], "1 patches; expected at least one batch of 4"),
    ],
)
def test_unsuitable_data_are_refused_before_anything_is_written(tmp_path, capsys, options, words):
    for folder in ("ir", "vi"):
        (tmp_path / "small" / folder).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "small" / folder / "1.png"), np.eye(16, dtype=np.uint8) * 255)
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


def test_training_does_not_start_from_the_weights_of_another_method(train, tmp_path, capsys):
    torch.save({"method": "mlfuse", "model": net.build("mlfuse").state_dict()}, tmp_path / "mlfuse.pth")
    assert train("--init", tmp_path / "mlfuse.pth") == 1
    assert_one_sentence(capsys.readouterr().err, "mlfuse.pth: weights of MLFuse; expected those of CMMDL")


def test_a_network_without_a_part_trains_and_says_so_in_its_weights(train, tmp_path):
    assert train("--epochs", 1, "--without", "fdlb", "--without", "sdlb") == 0
    assert net.load(tmp_path / "000-cmmdl" / "CMMDL.pth").options["without"] == ["fdlb", "sdlb"]


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


def test_checkpointed_activations_train_the_same_weights(train, tmp_path):
    assert train("--epochs", 1) == 0
    assert train("--epochs", 1, "--checkpoint-activations", "--resume", "none") == 0
    assert_same_training(tmp_path / "000-cmmdl", tmp_path / "001-cmmdl")


def test_an_epoch_takes_as_many_steps_as_there_are_passes(tmp_path):
    options = [*CROPS, "--out", str(tmp_path), "--resume", "none"]
    for passes in ("1", "2"):
        assert script.main([*options, "--passes", passes]) == 0
    steps = [checkpoint(tmp_path / name / "last.pth")["steps"] for name in ("000-cmmdl-lite", "001-cmmdl-lite")]
    assert steps == [22 // 8, 2 * 22 // 8], "a crop of each of 22 scenes in a pass, in batches of 8"


def test_loader_processes_change_no_weight(train, tmp_path):
    for workers in ("0", "2"):
        assert train("--epochs", "1", "--workers", workers, "--resume", "none") == 0
    assert_same_training(tmp_path / "000-cmmdl", tmp_path / "001-cmmdl")


def test_loader_processes_draw_the_same_crops(tmp_path):
    for workers in ("0", "2"):
        assert script.main([*CROPS, "--out", str(tmp_path), "--workers", workers, "--resume", "none"]) == 0
    assert_same_training(tmp_path / "000-cmmdl-lite", tmp_path / "001-cmmdl-lite", label="CMMDL-lite")


@pytest.mark.slow
def test_a_compiled_training_follows_the_eager_one(train, tmp_path):
    assert train("--epochs", 1) == 0
    assert train("--epochs", 1, "--compile", "--resume", "none") == 0
    eager, compiled = (checkpoint(tmp_path / name / "CMMDL.pth")["model"] for name in ("000-cmmdl", "001-cmmdl"))
    assert eager.keys() == compiled.keys(), "no prefix of the compiler's"
    difference = torch.cat([(compiled[name] - tensor).flatten() for name, tensor in eager.items()])
    assert difference.abs().mean() < 5e-5  # half of what one step of Adam moves a weight: rounding turns small ones


@pytest.mark.slow
def test_a_compiled_training_goes_on_with_larger_crops(tmp_path):
    options = ["--demo", "--recipe", "best", "--dim", "8", "--epochs", "2", "--compile", "--out", str(tmp_path)]
    assert script.main(options) == 0
    assert (tmp_path / "000-cmmdl" / "CMMDL.pth").exists()
