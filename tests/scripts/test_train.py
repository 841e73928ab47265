"""The training script in one process: what it writes, and that how it computes changes no weight."""

import csv
import json
import multiprocessing
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import CMMDL_train as script
import net
from data.files import sha256
from net.training.cmmdl_training import BEST, PAPER
from net.training.lite_training import DISTILLED
from tests.pictures import picture, save
from tests.scripts.trainings import SMALL, assert_one_sentence, assert_same_training, checkpoint
from utils.distributed import World

ALONE = World(0, 1, torch.device("cpu"))
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


def test_however_many_epochs_there_are_so_many_checkpoints_stay_at_most(train, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "KEEP_EVERY", 1)
    monkeypatch.setattr(script, "KEPT", 2)
    assert train("--epochs", 4) == 0
    kept = sorted(file.name for file in (tmp_path / "000-cmmdl").glob("epoch_*.pth"))
    assert kept == ["epoch_002.pth", "epoch_004.pth"]


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


@pytest.fixture
def begun(h5, tmp_path, shallow, monkeypatch):  # noqa: ARG001
    """Begin a training, up to its first random number; what it consists of, and that number."""

    def interrupt(*_):
        raise InterruptedError

    def begin(world, *options):
        parts = []
        monkeypatch.setattr(script, "Training", lambda *given: parts.extend(given))
        monkeypatch.setattr(script.runs, "find", interrupt)
        with pytest.raises(InterruptedError):
            script.train(script.parse(["--h5", str(h5), "--out", str(tmp_path), *SMALL, *options]), world)
        return parts, torch.rand(8)

    return begin


def test_every_process_begins_with_the_same_weights_and_draws_other_numbers(begun):
    trainings, drawn = zip(*(begun(World(rank, 2, torch.device("cpu"))) for rank in (0, 1, 1)), strict=True)
    first, second, _ = (network.encoder.embed.weight for _, network, *_ in trainings)
    assert torch.equal(first, second)
    assert torch.equal(drawn[1], drawn[2]) and not (drawn[0] == drawn[1]).any()


def test_patches_of_a_file_come_in_batches_of_one_size_throughout(train, tmp_path):
    assert train("--recipe", "best", "--epochs", 4, "--batch-size", 4) == 0
    lines = csv.DictReader((tmp_path / "000-cmmdl" / "history.csv").open())
    assert [line["steps"] for line in lines] == ["2", "4", "6", "8"]


def test_every_epoch_draws_its_own_patches_in_the_size_of_its_stage():
    asked, recipe = [], BEST.override(epochs=3)
    source = Namespace(epoch=lambda epoch, size: asked.append((epoch, size)) or range(64))
    for epoch in range(3):
        training = Namespace(world=ALONE, epoch=epoch, step=0, batch=8, count_in=lambda _: None)
        script.open_loader(script.parse(["--demo"]), source, recipe, training)
    assert asked == [(0, 64), (1, 64), (2, 128)]


@pytest.mark.parametrize("rendered", [True, False])
@pytest.mark.usefixtures("scenes_once")
def test_crops_are_drawn_by_the_runs_seed_as_the_recipe_says(tmp_path, rendered):
    for side in ("vi", "ir"):
        save(tmp_path / side / "1.png", picture(16, 16, channels=1))
    args = script.parse(["--seed", "5", *(["--demo"] if rendered else ["--data", str(tmp_path)])])
    source = script.open_source(args, replace(BEST, image_map=None), ALONE)
    assert (source.seed, source.crops) == (5, BEST.crops) and BEST.crops.black > 0


def test_the_map_of_a_recipe_comes_before_its_teachers(h5, monkeypatch):
    monkeypatch.setattr("utils.training.setup.open_teacher", lambda *_: torch.minimum)
    source = script.open_source(script.parse(["--h5", str(h5)]), DISTILLED, ALONE)
    assert source.image_maps == [DISTILLED.image_map, torch.minimum]


def test_the_average_of_the_weights_follows_them_as_slowly_as_the_recipe_says(begun):
    (*_, average, _), _ = begun(ALONE, "--recipe", "best")
    assert average.decay == BEST.ema_decay == 0.999


def test_the_defaults_are_the_releases(h5):
    args = script.parse(["--h5", str(h5)])
    assert net.METHODS[args.method].recipes[args.recipe] is PAPER and args.size is None
    assert (args.epochs, args.batch_size, args.lr) == (100, 4, 1e-4)
    assert script.open_network(args, net.METHODS["cmmdl"]).options["dim"] == 64
    assert (args.seed, args.precision, args.resume, script.KEEP_EVERY) == (42, "fp32", "auto", 10)
    assert script.parse([]).h5 == Path("data/MSRS_train_imgsize_128_stride_200.h5")


def test_the_help_gives_each_default_that_is_a_value_and_no_other(capsys):
    with pytest.raises(SystemExit):
        script.parse(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for default in ("fp32", "auto", "42", "0", "300", "runs", "cmmdl"):
        assert f"(default: {default})" in text
    assert "None" not in text and "False" not in text


@pytest.mark.usefixtures("light", "scenes_once")
def test_demo_trains_on_crops_of_rendered_scenes_and_scores_held_out_ones(tmp_path):
    assert script.main(["--demo", "--size", "32", "--epochs", "1", "--out", str(tmp_path), *SMALL]) == 0
    (line,) = csv.DictReader((tmp_path / "000-cmmdl" / "history.csv").open())
    assert float(line["VIF"]) > 0 and 0 < float(line["Qabf"]) < 1


def test_training_can_start_from_weights_whose_width_counts(train_whole, tmp_path, small, capsys):
    torch.save({"options": small.options, "model": small.state_dict()}, tmp_path / "start.pth")
    assert train_whole("--init", tmp_path / "start.pth", "--dim", "64") == 1
    assert_one_sentence(capsys.readouterr().err, "--dim 64", "start.pth has 16 channels; expected that or no --dim")
    assert train_whole("--init", tmp_path / "start.pth", "--lr", "1e-12", "--epochs", 1) == 0
    state = checkpoint(tmp_path / "000-cmmdl" / "CMMDL.pth")
    assert state["options"] == small.options
    torch.testing.assert_close(state["model"]["encoder.embed.weight"], small.state_dict()["encoder.embed.weight"])


def test_the_statistics_of_given_weights_stay_where_that_is_asked_for(train_whole, tmp_path, small):
    torch.save({"options": small.options, "model": small.state_dict()}, tmp_path / "start.pth")
    statistics = {key: value for key, value in small.state_dict().items() if "running_" in key}
    for options, stay in (["--keep-norms"], True), ([], False):
        assert train_whole("--init", tmp_path / "start.pth", "--epochs", 1, *options) == 0
        state = checkpoint(max(tmp_path.glob("*-cmmdl")) / "CMMDL.pth")["model"]
        assert stay is all(torch.equal(state[key], value) for key, value in statistics.items())
        assert not torch.equal(state["hdfab.cbr_1.1.weight"], small.state_dict()["hdfab.cbr_1.1.weight"])


def test_a_network_without_a_part_trains_and_says_so_in_its_weights(train, tmp_path):
    assert train("--epochs", 1, "--without", "fdlb", "--without", "sdlb") == 0
    assert net.load(tmp_path / "000-cmmdl" / "CMMDL.pth").options["without"] == ["fdlb", "sdlb"]


def test_checkpointed_activations_train_the_same_weights(train_whole, tmp_path):
    assert train_whole("--epochs", 1) == 0
    assert train_whole("--epochs", 1, "--checkpoint-activations", "--resume", "none") == 0
    assert_same_training(tmp_path / "000-cmmdl", tmp_path / "001-cmmdl")


@pytest.mark.usefixtures("scenes_once")
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


@pytest.mark.usefixtures("scenes_once")
def test_loader_processes_draw_the_same_crops(tmp_path):
    for workers in ("0", "2"):
        assert script.main([*CROPS, "--out", str(tmp_path), "--workers", workers, "--resume", "none"]) == 0
    assert_same_training(tmp_path / "000-cmmdl-lite", tmp_path / "001-cmmdl-lite", label="CMMDL-lite")


@pytest.mark.skipif(sys.platform != "linux", reason="a fork is safe on Linux only")
def test_loader_processes_are_given_no_copy_of_the_images_whatever_way_python_begins_them():
    class Images(list):
        def __reduce__(self):
            raise AssertionError("copied")

    images = Images(torch.arange(16.0)[:, None])
    training = Namespace(world=ALONE, epoch=0, step=0, batch=8, count_in=lambda _: None)
    args = script.parse(["--demo", "--workers", "1"])
    multiprocessing.set_start_method("forkserver", force=True)  # Python 3.14's
    try:
        batches = list(script.open_loader(args, Namespace(epoch=lambda *_: images), PAPER, training))
    finally:
        multiprocessing.set_start_method(None, force=True)
    assert sorted(torch.cat(batches).flatten().tolist()) == list(range(16))


@pytest.mark.slow
def test_a_compiled_training_follows_the_eager_one(train_whole, tmp_path):
    assert train_whole("--epochs", 1) == 0
    assert train_whole("--epochs", 1, "--compile", "--resume", "none") == 0
    eager, compiled = (checkpoint(tmp_path / name / "CMMDL.pth")["model"] for name in ("000-cmmdl", "001-cmmdl"))
    assert eager.keys() == compiled.keys(), "no prefix of the compiler's"
    difference = torch.cat([(compiled[name] - tensor).flatten() for name, tensor in eager.items()])
    assert difference.abs().mean() < 5e-5  # half of what one step of Adam moves a weight: rounding turns small ones


@pytest.mark.slow
def test_a_compiled_training_goes_on_with_larger_crops(tmp_path):
    options = ["--demo", "--recipe", "best", "--dim", "8", "--epochs", "2", "--compile", "--out", str(tmp_path)]
    assert script.main(options) == 0
    assert (tmp_path / "000-cmmdl" / "CMMDL.pth").exists()
