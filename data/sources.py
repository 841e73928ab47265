"""Where training patches come from: a patch file, whole images to crop, or rendered scenes."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from data.crops import CropDataset, Triple, read_images
from data.pairs import Refusal
from data.patches import grey
from data.patchfile import PatchDataset
from data.scenes import pairs as rendered_pairs

PROBES = 4  # patches whose fused images are shown as training goes on


class PatchSource:
    """The patches of an h5 file, as they are, in every epoch."""

    held_out: Sequence[Triple] = ()
    refused: Sequence[Refusal] = ()

    def __init__(self, path: Path) -> None:
        self.path, self.dataset = path, PatchDataset(path)

    def __str__(self) -> str:
        return f"{len(self.dataset)} patches of {self.path}"

    @property
    def size(self) -> int:
        """The side of every patch, in pixels."""
        return self.dataset.patch_size

    def epoch(self, epoch: int, size: int) -> Dataset:  # noqa: ARG002 - ready-made patches know neither
        """The patches to draw in an epoch."""
        return self.dataset


class CropSource:
    """Random crops of whole images; other ones in every epoch.

    Args:
        images, held_out: what to train on, and what to watch the training with.
        refused: what could not be read.
        seed: chooses the crops.
        name: where the images come from.
    """

    size = None  # as the recipe wants

    def __init__(
        self, images: Sequence[Triple], held_out: Sequence[Triple], refused: Sequence[Refusal], *, seed: int, name: str
    ) -> None:
        self.images, self.held_out, self.refused, self.seed, self.name = images, held_out, refused, seed, name

    def __str__(self) -> str:
        refused = f", {len(self.refused)} refused" if self.refused else ""
        return f"crops of {len(self.images)} images of {self.name}, {len(self.held_out)} more held out{refused}"

    def epoch(self, epoch: int, size: int) -> Dataset:
        """The crops of `size` pixels to draw in an epoch."""
        return CropDataset(self.images, size=size, seed=self.seed, epoch=epoch)


Source = PatchSource | CropSource


def probe(dataset: Dataset) -> list[Tensor]:
    """`PROBES` patches spread over a data set as one batch (vis, ir, mask), each (N, 1, S, S)."""
    chosen = np.linspace(0, len(dataset) - 1, min(PROBES, len(dataset))).astype(int)
    return [torch.stack(parts) for parts in zip(*(dataset[int(i)] for i in chosen), strict=True)]


def shuffled_batches(length: int, batch_size: int, rank: int, ranks: int, seed: int, epoch: int) -> list[list[int]]:
    """A process's share of an epoch: batches of indices in an order that seed and epoch decide.

    Every index goes to one of the `ranks` processes at most; what does not fill a batch in every one is left out, so
    that no normalisation ever sees a batch of one.

    Raises:
        ValueError: there are fewer patches than one batch for each process takes.
    """
    order = torch.randperm(length, generator=torch.Generator().manual_seed(seed * 100_003 + epoch)).tolist()
    stride = batch_size * ranks
    if length < stride:
        raise ValueError(f"{length} patches; expected at least one batch of {batch_size} for {ranks} process(es)")
    firsts = range(rank * batch_size, length // stride * stride, stride)
    return [order[first : first + batch_size] for first in firsts]


def from_folders(roots: Iterable[Path], seed: int, *, progress: bool = True) -> CropSource:
    """Crops of every pair below the given folders. Raises PairError as `data.crops.read_images` does."""
    roots = list(roots)
    train, held_out, refused = read_images(roots, progress=progress)
    return CropSource(train, held_out, refused, seed=seed, name=", ".join(map(str, roots)))


def rendered(seed: int, count: int = 24, size: int = 160) -> CropSource:
    """Crops of rendered scenes, of which every tenth is held out."""
    scenes = rendered_pairs(count, seed=seed, height=size, width=size)
    images = [(np.rint(grey(scene.vis) * 255).astype(np.uint8), scene.ir, scene.mask) for scene in scenes]
    held_out = max(1, count // 10)
    return CropSource(images[held_out:], images[:held_out], (), seed=seed, name="rendered scenes")
