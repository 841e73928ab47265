"""A checkpoint takes a training back to where it was, and is whole or not there."""

import copy
import multiprocessing
import random

import numpy as np
import pytest
import torch

import net
from net.files.weights import WeightsError
from tests.kills import freeze_amid_writing
from tests.scripts.trainings import disk_of
from utils.distributed import World
from utils.training.checkpoints import Training, get_random_states, seed_everything, set_random_states, write
from utils.training.ema import MovingAverage

ALONE = World(0, 1, torch.device("cpu"))


def begin(*, average: bool = True, world: World = ALONE, dim: int = 16) -> Training:
    """A training whose weights, like everything else about it, are new."""
    model = net.build("cmmdl", dim=dim, depth=1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return Training("cmmdl", model, optimizer, MovingAverage(model, 0.9) if average else None, world)


def step(training: Training) -> None:
    """One step on random patches."""
    vis, ir = torch.rand(2, 2, 1, 8, 8)
    training.optimizer.zero_grad()
    loss = (training.model.train()(vis, ir) - ir).square().mean()
    loss.backward()
    training.end_step({"total": loss.item()})


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> dict:
    """The checkpoint of a training after one step, for copies with something else in them."""
    seed_everything(0)
    step(training := begin())
    training.save(path := tmp_path_factory.mktemp("saved") / "last.pth")
    return torch.load(path, weights_only=True)


def weights_of(training: Training) -> list[torch.Tensor]:
    return [*training.model.state_dict().values(), *training.result.state_dict().values()]


@pytest.mark.parametrize("average", [True, False])
def test_a_restored_training_goes_on_to_the_same_weights(tmp_path, average):
    seed_everything(1)
    undisturbed = begin(average=average)
    for _ in range(2):
        step(undisturbed)
    undisturbed.end_epoch()
    step(undisturbed)
    undisturbed.lr = [5e-4]
    undisturbed.save(tmp_path / "last.pth")
    step(undisturbed)

    seed_everything(2)
    restored = begin(average=average)
    restored.restore(tmp_path / "last.pth")
    assert (restored.epoch, restored.step, restored.steps, restored.lr) == (1, 1, 3, [5e-4])
    step(restored)
    assert all(torch.equal(a, b) for a, b in zip(weights_of(restored), weights_of(undisturbed), strict=True))
    restored.end_epoch()
    undisturbed.end_epoch()
    assert restored.history == undisturbed.history


def test_an_epochs_line_has_the_mean_of_each_term():
    training = begin()
    for total in (1.0, 2.0, 6.0):
        training.end_step({"total": total, "gradient": 2 * total})
    training.end_epoch()
    assert training.history[-1] == {"epoch": 1, "steps": 3, "lr": 1e-3, "total": 3.0, "gradient": 6.0}
    assert (training.epoch, training.step, training.steps, training.sums) == (1, 0, 3, {})
    training.end_step({"total": 5.0})
    training.end_epoch()
    assert training.history[-1] == {"epoch": 2, "steps": 4, "lr": 1e-3, "total": 5.0}


def test_the_average_counts_the_steps_of_all_epochs(monkeypatch):
    training, counted = begin(), []
    monkeypatch.setattr(training.average, "update", lambda _, steps: counted.append(steps))
    for _ in range(2):
        training.end_step({"total": 1.0})
        training.end_step({"total": 1.0})
        training.end_epoch()
    assert counted == [1, 2, 3, 4]


def test_a_checkpoint_holds_plain_containers_and_the_weights_to_fuse_with(tmp_path, pair):
    training = begin()
    step(training)
    training.save(tmp_path / "last.pth")
    training.save_weights(tmp_path / "weights.pth")
    state = torch.load(tmp_path / "last.pth", weights_only=True)
    assert {"method", "options", "model", "trained", "optimizer", "lr", "random", "epoch", "step"} <= state.keys()
    for name in ("last.pth", "weights.pth"):
        assert torch.equal(net.load(tmp_path / name)(*pair), training.result.eval()(*pair))
    assert (tmp_path / "weights.pth").stat().st_size < 0.3 * (tmp_path / "last.pth").stat().st_size


def test_the_options_of_the_optimiser_stay_this_runs(tmp_path):
    before = begin(average=False)
    step(before)
    before.optimizer.param_groups[0]["fused"] = True  # as on a GPU
    before.save(tmp_path / "last.pth")
    after = begin(average=False)
    after.restore(tmp_path / "last.pth")
    assert not after.optimizer.param_groups[0]["fused"]
    assert torch.equal(*(next(iter(t.optimizer.state.values()))["exp_avg"] for t in (before, after)))


def test_another_number_of_processes_goes_on_after_as_many_patches(tmp_path):
    training = begin()
    for _ in range(6):
        step(training)
    training.sums = {"total": 6.0}
    training.save(tmp_path / "last.pth")
    pair_of_processes = begin(world=World(0, 2, torch.device("cpu")))
    pair_of_processes.restore(tmp_path / "last.pth")
    assert pair_of_processes.processes == 1
    assert (pair_of_processes.step, pair_of_processes.steps, pair_of_processes.sums) == (3, 6, {"total": 3.0})


def test_another_batch_size_goes_on_after_as_many_patches(tmp_path):
    training = begin()
    training.count_in(2)
    for _ in range(6):
        step(training)
    training.sums = {"total": 6.0}
    training.save(tmp_path / "last.pth")
    again = begin()
    again.restore(tmp_path / "last.pth")
    again.count_in(4)
    assert (again.step, again.steps, again.sums) == (3, 6, {"total": 3.0})
    again.end_epoch()
    again.count_in(2)  # a stage of its own
    assert (again.step, again.batch) == (0, 2)


def test_less_than_a_step_of_the_new_size_is_done_again(tmp_path):
    training = begin()
    training.count_in(2)
    step(training)
    training.save(tmp_path / "last.pth")
    again = begin()
    again.restore(tmp_path / "last.pth")
    again.batch = 0  # as of a checkpoint that does not tell it
    again.count_in(2)
    assert (again.step, again.batch) == (1, 2)
    for _ in range(2):  # to see whether it fits, and to train
        again.count_in(4)
        assert (again.step, again.steps) == (0, 1)


def test_a_network_of_other_options_is_refused(tmp_path):
    training = begin()
    step(training)
    training.save(tmp_path / "last.pth")
    other = begin()
    other.model.options = other.model.options | {"coupling": "affine"}  # whose weights have the same names and shapes
    with pytest.raises(WeightsError, match="it is of a network with .*; here are .*affine"):
        other.restore(tmp_path / "last.pth")


def test_random_generators_go_back_to_where_they_were(tmp_path):
    def draw() -> list[float]:
        normal = float(np.random.normal())  # noqa: NPY002 - the global generator is what is tested
        return [random.random(), random.gauss(0, 1), normal, torch.rand(1).item(), torch.randn(1).item()]

    seed_everything(3)
    draw()  # leaves half of a pair of normal numbers behind
    write(tmp_path / "states.pth", {"random": get_random_states()})
    expected = [draw(), draw()]
    set_random_states(torch.load(tmp_path / "states.pth", weights_only=True)["random"])
    assert [draw(), draw()] == expected
    seed_everything(3)
    first = draw()
    seed_everything(4)
    assert all(a != b for a, b in zip(first, draw(), strict=True))


# What is refused


def test_weights_without_a_training_state_are_refused(tmp_path):
    begin().save_weights(tmp_path / "weights.pth")
    with pytest.raises(WeightsError, match="weights.pth: holds no training state; expected a checkpoint"):
        begin().restore(tmp_path / "weights.pth")


@pytest.mark.parametrize("content", [[1, 2], {"model": 3}, torch.zeros(2)])
def test_anything_else_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="other.pth: holds no training state"):
        begin().restore(tmp_path / "other.pth")


def test_a_checkpoint_of_another_width_is_refused_with_what_differs(tmp_path):
    begin(dim=24).save(tmp_path / "wide.pth")
    with pytest.raises(WeightsError, match=r"embed.weight has shape \(24, 1, 3, 3\), expected \(16, 1, 3, 3\)"):
        begin().restore(tmp_path / "wide.pth")


@pytest.mark.parametrize("average", [True, False])
def test_a_checkpoint_of_a_recipe_with_another_kind_of_average_is_refused(tmp_path, average):
    begin(average=average).save(tmp_path / "last.pth")
    with pytest.raises(WeightsError, match="moving average, unlike this recipe"):
        begin(average=not average).restore(tmp_path / "last.pth")


def test_a_checkpoint_of_another_method_is_told_by_its_name(tmp_path):
    training = begin()
    training.method = "mlfuse"
    training.save(tmp_path / "last.pth")
    with pytest.raises(WeightsError, match="last.pth: holds a training of mlfuse; expected one of cmmdl$"):
        begin(average=False).restore(tmp_path / "last.pth")


HUGE = {"python": (3, torch.zeros(625).long(), None), "numpy": ["MT19937", 10**30, 1, 0, 0.0]}  # found by `make fuzz`
NAN = float("nan")
LINE = {"epoch": 1, "steps": 1, "lr": 1e-3, "total": 1.0}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"epoch": -1}, "epoch -1, step 1"),
        ({"epoch": 10**9}, "epoch 1000000000, step 1"),
        ({"step": -1}, "step -1"),
        ({"steps": 10**15}, "steps in all; expected counts"),
        ({"epoch": 1, "history": []}, "does not have 1 line of figures, one for each epoch"),
        ({"epoch": 1, "history": [3]}, "1 line of figures"),
        ({"epoch": 1, "history": [{"epoch": 1}]}, "1 line of figures"),
        ({"epoch": 1, "history": [LINE | {"lr": "x"}]}, "1 line of figures"),
        ({"history": [LINE]}, "does not have 0 lines of figures"),
        ({"lr": [NAN]}, r"learning rate is \[nan\]; expected numbers from 0"),
        ({"lr": [-1e-3]}, "learning rate"),
        ({"lr": [1e-3, 1e-3]}, "."),
        ({"sums": {"total": NAN}}, "its loss terms are"),
        ({"random": []}, "no random states"),
        *(({"random": states}, ".") for states in ([3], [HUGE])),
        *(({key: value}, ".") for key, value in (("model", "text"), ("optimizer", {}), ("sums", 4), ("lr", "x"))),
        ({"step": 0.5}, "step is 0.5"),
    ],
)
def test_what_no_training_has_in_a_known_place_is_refused(saved, tmp_path, changed, words):
    torch.save(saved | changed, tmp_path / "last.pth")
    with pytest.raises(WeightsError, match=rf"last.pth: does not fit this network and recipe \(.*{words}"):
        begin().restore(tmp_path / "last.pth")


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ("model", torch.full((16, 1, 3, 3), NAN), "NaN or infinite values in encoder.embed.weight"),
        ("trained", torch.full((16, 1, 3, 3), NAN), "NaN or infinite values in encoder.embed.weight"),
        ("trained", torch.zeros(3), r"encoder.embed.weight has shape \(3,\)"),
        ("exp_avg", torch.zeros(3), "not of the weights' shapes"),
        ("exp_avg", torch.full((16, 1, 3, 3), NAN), "NaN or infinite"),
        ("exp_avg_sq", torch.full((16, 1, 3, 3), -1.0), "negative"),
        ("step", torch.tensor(-1.0), "negative"),
        ("more", torch.tensor(1.0), "not of the weights' shapes"),
    ],
)
def test_weights_and_moments_that_no_training_comes_to_are_refused(saved, tmp_path, place, value, words):
    state, training = copy.deepcopy(saved), begin()
    names = [name for name, _ in training.model.named_parameters()]
    if place in ("model", "trained"):
        state[place]["encoder.embed.weight"] = value
    else:
        state["optimizer"]["state"][names.index("encoder.embed.weight")][place] = value
    torch.save(state, tmp_path / "last.pth")
    with pytest.raises(WeightsError, match=rf"last.pth: does not fit this network and recipe \(.*{words}"):
        training.restore(tmp_path / "last.pth")


def test_half_a_file_is_refused(tmp_path):
    begin().save(tmp_path / "last.pth")
    whole = (tmp_path / "last.pth").read_bytes()
    (tmp_path / "last.pth").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match="last.pth: not a readable torch file, perhaps cut short"):
        begin().restore(tmp_path / "last.pth")


# A kill and a full disk


def test_a_kill_amid_writing_leaves_the_checkpoint_before(tmp_path):
    training = begin()
    training.save(tmp_path / "last.pth")

    def save_on_and_on() -> None:
        while True:
            training.steps += 1
            training.save(tmp_path / "last.pth")

    for _ in range(5):
        writer = multiprocessing.get_context("fork").Process(target=save_on_and_on)
        writer.start()
        freeze_amid_writing(writer.pid, tmp_path)
        writer.kill()
        writer.join()
        before = training.steps
        training.restore(tmp_path / "last.pth")
        assert training.steps >= before
        (half,) = tmp_path.glob(".*.part")
        half.unlink()


def test_a_full_disk_leaves_the_earlier_checkpoint_and_says_so(tmp_path):
    training = begin()
    training.save(tmp_path / "last.pth")
    before = (tmp_path / "last.pth").read_bytes()
    step(training)
    full = r"last.pth: could not be written \(File too large\); an earlier checkpoint is intact; make room there"
    for limit in (0, 10_000, len(before) - 100):
        with disk_of(limit), pytest.raises(OSError, match=full):
            training.save(tmp_path / "last.pth")
    assert (tmp_path / "last.pth").read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_promises_no_earlier_checkpoint_where_there_is_none(tmp_path):
    with disk_of(10_000), pytest.raises(OSError, match=r"last.pth: could not be written \(File too large\); make room"):
        begin().save(tmp_path / "last.pth")
    assert not list(tmp_path.iterdir())


def test_only_the_main_process_writes(tmp_path):
    class Second(World):
        def gather(self, value: object) -> list[object]:
            return [value, value]

    training = begin(world=Second(1, 2, torch.device("cpu")))
    training.save(tmp_path / "last.pth")
    assert not list(tmp_path.iterdir())
