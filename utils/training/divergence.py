"""A loss or gradient that is no longer a number: the batch that led to it is kept, and a sentence says where."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from data.files import replacing, write_text
from data.images import ImageError, write_image
from net.fuser import to_uint8
from net.training.objective import Batch, Terms
from utils.failures import sentence
from utils.training.checkpoints import Training
from utils.training.runs import LAST


def diverged(
    found: Mapping[str, float], own: Terms, batch: Batch, patches: Mapping[int, str], training: Training, folder: Path
) -> ValueError:
    """The error to stop with, after the batch of each process that met it has been written below `folder`.

    A process met it if its own loss is not finite. Where only the gradient is not, all did: it is an average by then.
    Every process has to call this.

    Args:
        found: the loss terms and the gradient's norm over all processes.
        own: this process's loss terms, of `batch`.
        patches: where each patch of the batch comes from, by index.
        training: as it is before the step.
        folder: of the run.
    """
    world, terms, problem = training.world, {name: value.item() for name, value in own.items()}, ""
    place = folder / f"not_finite_epoch_{training.epoch + 1:03d}_step_{training.step + 1:05d}"
    met = world.gather(not all(map(math.isfinite, terms.values())))
    if met[world.rank] or not any(met):
        try:
            write_batch(place, world.rank, batch, patches, terms)
        except (OSError, ImageError) as error:
            problem = sentence(error)
    problems = [problem for problem in world.gather(problem) if problem]  # waits until all have written
    kept = f"its batch could not be written ({problems[0]})" if problems else f"its batch is in {place}"

    figures = ", ".join(f"{name} {value:g}" for name, value in found.items())
    last = folder / LAST
    way_out = f"go on from {last}, which is from before it, with" if last.exists() else "try"
    return ValueError(
        f"the loss or its gradient is not finite in epoch {training.epoch + 1}, step {training.step + 1} ({figures}); "
        f"{kept}; {way_out} a lower --lr or --precision fp32"
    )


def write_batch(folder: Path, rank: int, batch: Batch, patches: Mapping[int, str], terms: Mapping[str, float]) -> None:
    """Write one process's batch: `process_<rank>.npz` with the tensors by name, float32 (B, C, S, S), a png for each
    patch with all their channels side by side, and `process_<rank>.json` with loss terms, indices and origins.

    Raises OSError or ImageError where it cannot be written.
    """
    tensors = {name: x.float().cpu() for name, x in batch._asdict().items() if x is not None}
    about = {
        "loss": {name: f"{value:g}" for name, value in terms.items()},  # as text: JSON has no nan
        "patches": [{"index": index, "origin": origin} for index, origin in patches.items()],
        "side by side": list(tensors),
    }
    name = f"process_{rank}"
    write_text(folder / f"{name}.json", json.dumps(about, indent=2) + "\n")
    with replacing(folder / f"{name}.npz") as temporary, temporary.open("wb") as file:
        np.savez(file, **{key: x.numpy() for key, x in tensors.items()})
    channels = [channel for x in tensors.values() for channel in x.split(1, dim=1)]  # (B, 1, S, S) each
    for number, row in enumerate(torch.cat(channels, dim=3).nan_to_num(0)):  # (1, S, n S); what is no number is black
        write_image(folder / f"{name}_patch_{number}.png", to_uint8(row[None], stretch=False))
