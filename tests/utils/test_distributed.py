"""One process is a world of its own; that several agree is tested with the training script."""

import pytest
import torch
import torch.distributed as dist

from utils import distributed
from utils.distributed import World

CPU = torch.device("cpu")


def test_under_python_a_process_is_alone_whatever_a_scheduler_says(monkeypatch):
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert distributed.join(CPU) == World(0, 1, CPU)
    assert not dist.is_initialized()
    distributed.leave()


def test_alone_everything_shared_is_ones_own(small):
    world = World(0, 1, CPU)
    assert world.is_main and not World(1, 2, CPU).is_main
    values = torch.tensor([1.0, float("nan")])
    assert torch.equal(world.mean(values)[:1], values[:1]) and world.mean(values).isnan()[1]
    assert world.gather({"a": 1}) == [{"a": 1}] and world.broadcast(None) is None
    assert world.wrap(small) is small


def test_more_processes_than_gpus_are_refused_with_the_number_that_fits(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("LOCAL_RANK", "2")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ValueError, match=r"more processes than the 2 GPUs here; expected --nproc_per_node 2"):
        distributed.join(torch.device("cuda"))


def test_on_gpus_batch_norm_statistics_are_shared_and_the_names_of_the_weights_stay(small, monkeypatch):
    monkeypatch.setattr(torch.nn.Module, "to", lambda module, _: module)
    monkeypatch.setattr(distributed, "DistributedDataParallel", lambda module, device_ids: (module, device_ids))
    names = list(small.state_dict())
    model, devices = World(0, 2, torch.device("cuda", 1)).wrap(small)
    norms = [layer for layer in model.modules() if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm)]
    assert norms and all(isinstance(layer, torch.nn.SyncBatchNorm) for layer in norms)
    assert devices == [1] and list(model.state_dict()) == names


@pytest.mark.usefixtures("torchrun")
def test_a_process_that_torchrun_started_joins_and_leaves(small):
    try:
        world = distributed.join(CPU)
        assert world == World(0, 1, CPU) and dist.is_initialized() and dist.get_backend() == "gloo"
        assert world.wrap(small) is small
    finally:
        distributed.leave()
    assert not dist.is_initialized()


def test_a_restarted_process_does_not_find_what_the_one_before_it_left(torchrun, monkeypatch):
    distributed.meeting_point().set("address", "of the dead")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert not distributed.meeting_point().check(["address"])
    assert torchrun.check(["attempt 0/address"])


def test_a_note_reaches_the_next_attempt(torchrun, monkeypatch):
    assert distributed.remembered() is None
    distributed.remember("runs/000")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert distributed.remembered() == "runs/000"
    monkeypatch.delenv("TORCHELASTIC_RUN_ID")  # under `python`
    assert distributed.remembered() is None
    distributed.remember("runs/001")
    assert torchrun.get(distributed.NOTE) == b"runs/000"
