"""What one watches while training is right, and never gets in the way of it."""

import csv
import threading
import time
from argparse import Namespace

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer.event_file_writer import _AsyncWriterThread

import net
from net.method import stretched
from tests.scripts.trainings import disk_of
from utils.distributed import World
from utils.metrics import METRICS, evaluate
from utils.training import board as module
from utils.training.board import Board
from utils.training.checkpoints import Training


@pytest.fixture
def training(small) -> Training:
    optimizer = torch.optim.Adam(small.parameters(), lr=1e-3)
    return Training("cmmdl", small.train(), optimizer, None, World(0, 1, torch.device("cpu")))


@pytest.fixture
def probe(pair) -> list[torch.Tensor]:
    return [*pair, torch.zeros_like(pair[0])]


def one_epoch(board: Board) -> dict[str, float]:
    """The line of an epoch of two steps that change nothing."""
    for total in (1.0, 3.0):
        board.training.end_step({"total": total})
        board.after_step({"total": total}, patches=4)
    board.training.end_epoch()
    board.after_epoch()
    return board.training.history[-1]


def test_held_out_images_are_scored_and_those_too_small_to_be_left_out(tmp_path, training, probe):
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (3, side, side), np.uint8) for side in (48, 8, 60)]
    with Board(tmp_path, training, 1, probe, images) as board:
        line = one_epoch(board)
        assert line["VIF"] > 0 and 0 < line["Qabf"] < 1 and not set(line) & (set(METRICS) - {"VIF", "Qabf"})
        training.model.eval()
        board.held_out.pop()
        assert 0 < abs(board.score()["VIF"] - line["VIF"]) < 0.1  # of one image instead of two
    assert line["total"] == 2.0


def test_the_scores_are_of_centres_of_images_spread_over_the_held_out_ones(tmp_path, training, monkeypatch):
    monkeypatch.setattr(module, "CHECKED", 3)
    monkeypatch.setattr(module, "CHECK_SIZE", 48)
    images = np.random.default_rng(0).integers(0, 256, (7, 3, 56, 41), np.uint8)
    small = images[0][:, :40]
    training.model.eval()
    with Board(tmp_path, training, 1, [], [small, *images]) as board:
        found = board.score()
    fuser = net.Fuser(training.model)
    each = [evaluate(fuser(vis, ir), ir, vis, protocol="cddfuse") for vis, ir, _ in images[[0, 3, 6], :, 4:52]]
    assert found == pytest.approx({name: np.mean([scores[name] for scores in each]) for name in ("VIF", "Qabf")})


def test_what_is_shown_is_luminance_whatever_the_network_gives(tmp_path, training, probe):
    training.method, training.model = "mlfuse", net.build("mlfuse", dim=4).eval()
    with Board(tmp_path, training, 1, probe) as board:
        assert torch.equal(board.fuse(*probe[:2]), stretched(training.model(*probe[:2])))


def test_without_held_out_images_there_are_no_scores(tmp_path, training, probe):
    with Board(tmp_path, training, 1, probe) as board:
        assert not (tmp_path / "history.csv").exists()
        assert one_epoch(board) == {"epoch": 1, "steps": 2, "lr": 1e-3, "total": 2.0}


def test_watching_changes_neither_the_network_nor_its_mode_nor_any_random_number(tmp_path, training, probe):
    before = {name: tensor.clone() for name, tensor in training.model.state_dict().items()}
    state = torch.get_rng_state()
    with Board(tmp_path, training, 1, probe, [np.zeros((3, 48, 48), np.uint8)]) as board:
        one_epoch(board)
        assert training.model.training and torch.equal(state, torch.get_rng_state())
        training.model.eval()  # as a moving average is
        one_epoch(board)
    assert not training.model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in training.model.state_dict().items())


def test_the_table_is_what_the_history_knows_whatever_was_there(tmp_path, training, probe):
    (tmp_path / "history.csv").write_text("an older table\n")
    training.history = [{"epoch": 1, "total": 2.5}, {"epoch": 2, "total": 1.25, "VIF": 0.5}]
    with Board(tmp_path, training, 3, probe):
        lines = list(csv.DictReader((tmp_path / "history.csv").open()))
    assert lines == [{"epoch": "1", "total": "2.5", "VIF": ""}, {"epoch": "2", "total": "1.25", "VIF": "0.5"}]


def test_curves_go_on_from_the_checkpoint_and_drop_what_an_interrupted_run_drew_beyond_it(tmp_path, training, probe):
    for start, stop in (0, 30), (20, 40):  # the checkpoint was written after step 20
        time.sleep(1.1)  # a later run's file is known by the second in its name
        training.steps = start
        with Board(tmp_path, training, 1, probe) as board:
            for training.steps in range(start + 1, stop + 1):
                board.after_step({"total": float(start)}, patches=4)
    points = EventAccumulator(str(tmp_path)).Reload().Scalars("loss/total")
    assert [(point.step, point.value) for point in points] == [(10, 0), (20, 0), (30, 20), (40, 20)]


def test_curves_end_with_one_warning_on_a_full_disk_and_the_training_goes_on(
    tmp_path, training, probe, monkeypatch, caplog, capfd
):
    told, threads, run = [], [], _AsyncWriterThread.run

    def ends_slowly(thread):
        threads.append(thread)
        try:
            run(thread)
        finally:
            time.sleep(0.3)  # as on a busy machine: meanwhile the error is known here

    before = lambda args: told.append(args.exc_type)  # noqa: E731
    monkeypatch.setattr(threading, "excepthook", before)
    monkeypatch.setattr(_AsyncWriterThread, "run", ends_slowly)
    with Board(tmp_path, training, 1, probe) as board, disk_of(0):
        other = threading.Thread(target=open, args=(tmp_path / "absent",))
        other.start()
        other.join()
        for training.steps in range(1, 400):
            board.after_step({"total": 1.0}, patches=4)
    assert caplog.messages == [f"{tmp_path}: its curves for TensorBoard end here (File too large)"]
    for thread in threads:
        thread.join()
    assert capfd.readouterr().err == "" and threading.excepthook is before
    assert told == [FileNotFoundError], "what ends another thread"


def test_processes_but_the_main_one_write_nothing(tmp_path, training, probe):
    training.world = World(1, 2, torch.device("cpu"))
    with Board(tmp_path, training, 1, probe) as board:
        one_epoch(board)
        board.write_history()
    assert not list(tmp_path.iterdir())


def test_speed_and_time_left_are_those_of_the_latest_epoch(tmp_path, training, probe, monkeypatch, caplog):
    now, (first, *others) = [100.0], training.model.parameters()
    training.optimizer = torch.optim.Adam([{"params": [first]}, {"params": others, "lr": 0.5}], lr=1e-3)
    monkeypatch.setattr(module, "time", Namespace(monotonic=lambda: now[0]))
    caplog.set_level("INFO", "cmmdl")
    with Board(tmp_path, training, 4, probe) as board:
        for seconds in (1, 2):
            for factor in [1, 3] * 5:
                now[0] += seconds * factor
                training.end_step({"total": 1.0})
                board.after_step({"total": 1.0}, patches=6)
            training.end_epoch()
            board.after_epoch()
    assert caplog.messages == ["epoch 1/4: lr 0.001, total 1, 3 patches/s, 01:00 left",
                               "epoch 2/4: lr 0.001, total 1, 1.5 patches/s, 01:20 left"]  # fmt: skip
    points = EventAccumulator(str(tmp_path)).Reload().Scalars
    assert [(point.step, point.value) for point in points("patches per second")] == [(10, 2), (20, 1)]
    assert [point.value for point in points("learning rate")] == pytest.approx([1e-3, 1e-3])


def test_the_time_left_grows_with_the_steps_left(tmp_path, training, probe):
    with Board(tmp_path, training, 1, probe) as board:
        board.steps, board.before = 10, board.began + 20
        assert [board.time_for(steps) for steps in (0, 30, 3600)] == ["00:00", "01:00", "2:00:00"]
