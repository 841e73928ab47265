"""The training script in two processes under torchrun: interrupted, killed, and with one process in trouble."""

import json
import os
import signal
import socket
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

import CMMDL_train as script
from net.training.cmmdl_losses import stretched_maximum, structure_loss
from net.training.cmmdl_training import BEST as BEST_RECIPE
from net.training.recipe import batch_norms
from tests.scripts.launches import ONE_NODE, Launch, finish
from tests.scripts.trainings import SMALL, assert_one_sentence, assert_same_training, checkpoint, write_patches

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes in Linux's /proc"),
    pytest.mark.timeout(3600),  # a launch has limits of its own
]
BEST = ["--recipe", "best", "--epochs", "3"]


@pytest.fixture(scope="module")
def patches(tmp_path_factory) -> Path:
    """Sixteen patches: four steps of two for each of two processes."""
    return write_patches(tmp_path_factory.mktemp("patches") / "patches.h5", 16)


@pytest.fixture(scope="module")
def undisturbed_pair(patches, tmp_path_factory) -> Path:
    """The run folder of a training in two processes that nothing interrupted."""
    return finish(patches, tmp_path_factory.mktemp("undisturbed"), *BEST)


def test_two_processes_average_their_gradients_and_their_losses(patches, undisturbed_pair):
    recipe = BEST_RECIPE.override(epochs=3, batch_size=2, size=16)
    source = script.sources.PatchSource(patches, [stretched_maximum])
    script.seed_everything(42)
    model = script.net.build("cmmdl", dim=16)
    optimizer = torch.optim.Adam(model.parameters())
    for epoch, line in enumerate(checkpoint(undisturbed_pair / "last.pth")["history"]):
        shares = [script.sources.shuffled_batches(16, 2, rank, 2, 42, epoch) for rank in range(2)]
        losses = []
        recipe.set_mode(model, epoch)
        for step, batches in enumerate(zip(*shares, strict=True)):
            optimizer.param_groups[0]["lr"] = recipe.lr_at(epoch, step / 4)
            optimizer.zero_grad()
            for rank, batch in enumerate(batches):
                for layer in batch_norms(model):
                    layer.momentum = 0.0 if rank else 0.1  # statistics are those of the first process
                vis, ir, mask, stretched = map(torch.stack, zip(*(source.dataset[i] for i in batch), strict=True))
                losses.append(structure_loss(vis, ir, model(vis, ir), mask, stretched)["total"])
                (losses[-1] / 2).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
            optimizer.step()
        # the edge loss amplifies rounding on noise; with one process's gradients alone it would be 0.9 % off
        assert line["total"] == pytest.approx(torch.stack(losses).mean().item(), rel=1e-3)


def test_with_one_process_killed_and_then_both_terminated_it_ends_as_if_undisturbed(
    patches, tmp_path, undisturbed_pair
):
    with Launch(patches, tmp_path, *BEST, launcher=(*ONE_NODE, "--max-restarts", "1"), held=(2, 4)) as launch:
        launch.at(2, lambda: os.kill(launch.workers()["1"], signal.SIGKILL))
        launch.at(4, lambda: launch.interrupt(signal.SIGTERM))  # restarted, as no step was done alone
    assert_one_sentence(launch.errors, "another process of this training ended")
    assert "the same command goes on from here" in launch.errors
    assert checkpoint(launch.last)["steps"] == 5
    assert_same_training(finish(patches, tmp_path, *BEST), undisturbed_pair)


@pytest.mark.slow
@pytest.mark.parametrize("rank", ["0", "1"])
def test_if_one_process_dies_the_other_says_so_and_ends_within_a_minute(patches, tmp_path, rank):
    with Launch(patches, tmp_path, *BEST, held=(2,)) as launch:
        launch.at(2, lambda: os.kill(launch.workers()[rank], signal.SIGKILL))
        died = time.monotonic()
    print(f"ended {time.monotonic() - died:.1f} s later")
    assert launch.status == 1 and time.monotonic() - died < 60
    assert_one_sentence(launch.errors, "another process of this training ended")


@pytest.mark.slow
@pytest.mark.parametrize("resume", ["auto", "none"])
def test_torchrun_restarts_what_died_and_it_ends_as_if_undisturbed(patches, tmp_path, undisturbed_pair, resume):
    launcher = (*ONE_NODE, "--max-restarts", "2")
    with Launch(patches, tmp_path, *BEST, "--resume", resume, launcher=launcher, held=(2, 6)) as launch:
        launch.at(2, lambda: os.kill(launch.workers()["0"], signal.SIGKILL))
        launch.at(6, lambda: os.kill(launch.workers()["1"], signal.SIGKILL))
    assert launch.status == 0, launch.errors
    assert_same_training(launch.last.parent, undisturbed_pair)


@pytest.mark.slow
def test_two_nodes_of_one_process_train_as_one_node_of_two(patches, tmp_path, undisturbed_pair):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    node = ("--nnodes", "2", "--nproc_per_node", "1", "--rdzv_backend", "c10d", "--rdzv_endpoint", f"127.0.0.1:{port}")
    with (
        Launch(patches, tmp_path, *BEST, launcher=node) as first,
        Launch(patches, tmp_path, *BEST, launcher=node) as second,
    ):
        pass
    assert (first.status, second.status) == (0, 0), first.errors + second.errors
    assert [folder.name for folder in tmp_path.iterdir()] == ["000-cmmdl"]
    assert_same_training(first.last.parent, undisturbed_pair)


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_both_processes_with_one_message(patches, tmp_path):
    with Launch(patches, tmp_path, "--lr", "1e30") as launch:
        pass
    assert launch.status == 1
    assert_one_sentence(launch.errors, "not finite in epoch 1, step 2", "which is from before it")
    assert checkpoint(launch.last)["steps"] == 1
    kept = launch.last.parent / "not_finite_epoch_001_step_00002"
    assert str(kept) in launch.errors
    shares = [json.loads((kept / f"process_{rank}.json").read_text())["patches"] for rank in range(2)]
    assert len({patch["origin"] for share in shares for patch in share}) == 4  # two patches of each process


@pytest.mark.slow
def test_interrupted_by_ctrl_c_it_ends_as_if_undisturbed(patches, tmp_path, undisturbed_pair):
    with Launch(patches, tmp_path, *BEST, held=(5,)) as launch:
        launch.at(5, lambda: launch.interrupt(signal.SIGINT))
    assert "the same command goes on from here" in launch.errors and 'CMMDL_train.py", line' not in launch.errors
    assert_same_training(finish(patches, tmp_path, *BEST), undisturbed_pair)


@pytest.mark.slow
def test_trouble_in_one_process_ends_both_with_its_message_alone(patches, tmp_path):
    broken = tmp_path / "broken.h5"
    broken.write_bytes(patches.read_bytes())
    with h5py.File(broken, "r+") as file:
        file["vis_patchs/5"][:] = np.nan
    with Launch(broken, tmp_path) as launch:
        pass
    assert launch.status == 1
    assert_one_sentence(launch.errors, "broken.h5: vis_patchs/5 has values from nan")


@pytest.mark.slow
def test_a_mistake_in_the_command_line_is_told_once(patches, tmp_path):
    with Launch(patches, tmp_path, "--lr", "0") as launch:
        pass
    assert_one_sentence(launch.errors, "argument --lr: '0'; expected a number above 0, from 1e-30")


@pytest.mark.slow
def test_two_phases_in_two_processes_interrupted_in_each_end_as_if_undisturbed(patches, tmp_path):
    method = ("--method", "sfdfuse", "--epochs", "3")  # one epoch of phase 1, two of phase 2
    undisturbed = finish(patches, tmp_path / "undisturbed", *method, name="sfdfuse")
    for steps in (2, 6):
        with Launch(patches, tmp_path / "disturbed", *method, name="sfdfuse", held=(steps,)) as launch:
            launch.at(steps, launch.kill)
    assert checkpoint(launch.last)["epoch"] == 1
    again = finish(patches, tmp_path / "disturbed", *method, name="sfdfuse")
    assert_same_training(again, undisturbed, label="SFDFuse")


@pytest.mark.slow
def test_another_number_of_processes_goes_on_with_a_warning(patches, tmp_path, capsys):
    with Launch(patches, tmp_path, "--epochs", "2", held=(2,)) as launch:
        launch.at(2, launch.kill)
    before = checkpoint(launch.last)
    assert script.main(["--h5", str(patches), "--out", str(tmp_path), *SMALL, "--epochs", "2"]) == 0
    assert "begun with 2 processes" in capsys.readouterr().err
    after = checkpoint(launch.last)
    assert after["steps"] == before["steps"] + 16 - 2 * before["step"]  # eight steps an epoch now, half of them begun
