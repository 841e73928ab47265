"""Trainings that differ in one thing."""

import json
import re
from argparse import Namespace
from pathlib import Path

import pytest

import net
from benchmarks import choices
from data.scenes import write_folder
from net.training.recipe import Crops, constant
from tests.commands import status_of
from utils.metrics import evaluate


@pytest.fixture
def run(tmp_path):
    """Run the program on rendered pairs with the smallest training and what is given; the exit status."""
    write_folder(tmp_path / "pairs", 12, height=44, width=48)

    def given(*arguments):
        data = ["--data", tmp_path / "pairs", "--out", tmp_path / "out"]
        small = ["--dim", "8", "--epochs", "1", "--size", "16"]
        return status_of(choices.main, *data, *small, *arguments)

    return given


def test_each_variant_is_trained_once_and_has_its_row(run, capsys):
    before = dict(net.METHODS["cmmdl"].recipes)
    variants = ["--variant", "best", "--variant", "loss-paper", "--variant", "without-sdlb"]
    assert run(*variants) == 0
    first = capsys.readouterr()
    rows = [line.split() for line in first.out.splitlines()]
    scores = {row[0]: row[1:] for row in rows if row and row[0] in choices.VARIANTS}
    assert list(scores) == ["best", "loss-paper", "without-sdlb"]
    assert scores["best"] != scores["loss-paper"] != scores["without-sdlb"]
    assert net.METHODS["cmmdl"].recipes == before
    assert run(*variants) == 0
    again = capsys.readouterr()
    assert again.out == first.out and "epoch 1/1" in first.err and "epoch 1/1" not in again.err


def test_each_variant_differs_from_best_in_the_one_thing_that_its_name_says():
    recipes = {name: vars(recipe) for name, recipe in choices.RECIPES.items()}
    other = {name: {key: found[key] for key in found if found[key] != recipes["best"][key]}
             for name, found in recipes.items()}  # fmt: skip
    assert all(other.pop(f"loss-{name}").keys() == {"phases"} for name in choices.LOSS_NAMES)
    assert other == {"best": {}, "no-black": {"crops": Crops(black=0)}, "batch-norms": {"norms_until": 1},
                     "no-average": {"ema_decay": None}, "constant-rate": {"schedule": constant},
                     "no-clipping": {"clip_norm": float("inf")}}  # fmt: skip


def test_a_network_has_the_scores_of_what_it_makes_of_held_out_images(few_pairs):
    network = net.build("cmmdl-lite", dim=8).eval()
    row = choices.score("mine", network, few_pairs, 2)
    vis, ir, *_ = choices.centres(few_pairs, 2)[1]
    assert row.method == "mine" and list(row.images) == ["0", "1"]
    assert row.images["1"] == evaluate(net.Fuser(network)(vis, ir), ir, vis, protocol="cddfuse")


@pytest.mark.parametrize("limit", [1, 2])
def test_so_many_images_of_a_folder_are_scored(few_pairs, monkeypatch, capsys, limit):
    monkeypatch.setattr(choices, "train", lambda *_: few_pairs)
    monkeypatch.setattr(choices, "load_checked", lambda _: net.build("average"))
    options = ["--data", few_pairs, "--out", few_pairs, "--variant", "best", "--limit", limit]
    assert status_of(choices.main, *options) == 0
    assert f"The test result of pairs, {limit} held-out image{'s' * (limit > 1)} :" in capsys.readouterr().out


def test_unless_told_otherwise_narrow_networks_are_trained_for_two_epochs(few_pairs, monkeypatch):
    seen = []
    monkeypatch.setattr(choices, "train", lambda args, variant: seen.append((args, variant)) or 130)
    assert choices.main(["--data", str(few_pairs)]) == 130
    ((args, variant),) = seen
    assert (args.dim, args.epochs, args.size, args.limit, args.seed, variant) == (16, 2, 64, 6, 42, "best")
    assert re.fullmatch("result/choices/dim16-epochs2-size64-seed42-[0-9a-f]{8}", args.home.as_posix())


@pytest.mark.parametrize("status", [1, 130])
def test_a_training_that_was_stopped_ends_it_with_its_status(run, monkeypatch, status):
    monkeypatch.setattr(choices.CMMDL_train, "main", lambda _: status)
    assert run("--variant", "best", "--variant", "no-black") == status


def test_other_data_options_or_losses_are_trained_anew(tmp_path, monkeypatch):
    def digest(*folders, options=()):
        return choices.digest(Namespace(data=[tmp_path / folder for folder in folders], options=list(options)))

    before = digest("a", "b")
    assert digest("b", "a") == before != digest("a")
    assert digest("a", "b", options=["--passes", "2"]) != before
    for module in ("losses", "cmmdl_losses", "cmmdl_training", "objective", "recipe", "sobel", "ssim"):
        with monkeypatch.context() as patch:
            patch.setattr(choices, module, choices.net)
            assert digest("a", "b") != before
    with monkeypatch.context() as patch:
        patch.setattr(choices, "__name__", "net")  # this module's own code
        assert digest("a", "b") != before
    assert digest("a", "b") == before


def test_an_image_or_label_that_is_another_one_is_trained_anew(tmp_path, monkeypatch):
    write_folder(tmp_path / "pairs", 2, height=32, width=32)
    args = Namespace(data=[tmp_path / "pairs"], options=[])
    seen = [choices.digest(args)]
    for side in ("vi", "ir", "mask"):
        first, second = sorted((tmp_path / "pairs" / side).iterdir())
        first.write_bytes(second.read_bytes())
        seen.append(choices.digest(args))
    (tmp_path / "pairs" / "notes.txt").write_text("no image")
    monkeypatch.chdir(tmp_path)
    args.data.append(Path("pairs"))  # the same folder under another name
    assert len(set(seen)) == 4 and choices.digest(args) == seen[-1]


def test_other_options_go_to_the_training(run, tmp_path, capsys):
    assert run("--variant", "best", "--passes", "2", "--batch-size", "4", "--seed", "43") == 0
    (home,) = tmp_path.glob("out/*")
    assert home.name.startswith("dim8-epochs1-size16-seed43-")
    arguments = json.loads(next(home.glob("best/*/arguments.json")).read_text())["arguments"]
    names = "passes", "batch_size", "dim", "epochs", "size", "seed"
    assert [arguments[name] for name in names] == [2, 4, 8, 1, 16, 43]
    for option, said in (("--lightning", "unrecognized arguments: --lightning"), ("--no-held-out", "is scored")):
        assert run("--variant", "best", option) == 2
        assert said in capsys.readouterr().err


def test_a_folder_that_cannot_be_trained_on_or_scored_ends_it(run, tmp_path, monkeypatch, capsys):
    assert run("--data", str(tmp_path / "nowhere"), "--variant", "best") == 2
    assert "nowhere" in capsys.readouterr().err
    write_folder(tmp_path / "small", 12, height=32, width=32)
    monkeypatch.setattr(choices, "train", lambda *_: pytest.fail("what cannot be scored is told before"))
    assert run("--data", str(tmp_path / "small"), "--variant", "best") == 2
    assert "small: a held-out image has a side of 32 pixels; scores need 41" in capsys.readouterr().err
