"""One process or many: the same script under `python` and under `torchrun`."""

import os
import warnings
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from data.words import counted

NOTE = "note of the latest attempt"


@dataclass(frozen=True)
class World:
    """This process among its peers: `rank` of `size`, working on `device`.

    Whatever exchanges something (`mean`, `gather`, `broadcast`, `wrap` and the wrapped model) has to be called by
    every process, in the same order.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this is the one process that writes files and draws progress bars."""
        return self.rank == 0

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """The average of a tensor over all processes; NaN in one is NaN in all."""
        if self.size > 1:
            values = values.clone()
            dist.all_reduce(values)
            values /= self.size
        return values

    def gather(self, value: Any) -> list[Any]:
        """Every process's value, by rank, in every process."""
        values = [value]
        if self.size > 1:
            values = [None] * self.size
            dist.all_gather_object(values, value)
        return values

    def broadcast(self, value: Any) -> Any:
        """The main process's value, in every process."""
        box = [value]
        if self.size > 1:
            dist.broadcast_object_list(box, src=0)
        return box[0]

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model on this device; with peers, gradients averaged, and on GPUs BatchNorm statistics shared."""
        model = model.to(self.device)
        if self.size == 1:
            return model
        if self.device.type == "cuda":
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
            return DistributedDataParallel(model, device_ids=[self.device.index])
        # Gradients of 1x1 kernels name their strides in another order than the kernels, of the same memory.
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
        return DistributedDataParallel(model)


def join(device: torch.device) -> World:
    """Join the processes that `torchrun` started, over NCCL on GPUs and gloo on CPUs; alone under `python`.

    Raises ValueError for more processes on this machine than GPUs.
    """
    if not dist.is_torchelastic_launched():
        return World(0, 1, device)
    if device.type == "cuda":
        local, count = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if local >= count:
            raise ValueError(f"more processes than the {counted(count, 'GPU')} here; expected --nproc_per_node {count}")
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    backend = "nccl" if device.type == "cuda" else "gloo"
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    dist.init_process_group(backend, store=meeting_point(), rank=rank, world_size=size)
    return World(rank, size, device)


def meeting_point(seconds: float = 300) -> dist.Store:
    """The store through which the processes that `torchrun` started find each other; each waits so long for an entry.

    torchrun keeps one store for all its attempts. Each attempt has a part of its own, or a restarted process would wait
    for the address of a dead one. Raises RuntimeError where torchrun is gone.
    """
    return dist.PrefixStore(f"attempt {os.environ['TORCHELASTIC_RESTART_COUNT']}", _store(seconds))


def remember(note: str) -> None:
    """Leave a note for the attempts that `torchrun` may still make; `python` makes none."""
    if dist.is_torchelastic_launched():
        _store().set(NOTE, note)


def remembered() -> str | None:
    """What the latest attempt before this one left by `remember`, if there was one."""
    if dist.is_torchelastic_launched() and (store := _store()).check([NOTE]):
        return store.get(NOTE).decode()
    return None


def _store(seconds: float = 300) -> dist.Store:
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return dist.TCPStore(address, port, is_master=False, timeout=timedelta(seconds=seconds))


def leave() -> None:
    """Part from the peers, if there are any."""
    if dist.is_initialized():
        dist.destroy_process_group()
