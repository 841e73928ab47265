"""Where training patches come from: a patch file, whole images to crop, or rendered scenes."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from data.crops import CROPS, CropDataset, Images, Planes
from data.luminance import eight_bit_luminance
from data.pairs import Refusal
from data.patchfile import ImageMap, PatchDataset
from data.progress import progress_bar
from data.scenes import pairs as rendered_pairs
from data.words import counted
from net.training.recipe import Crops

PROBES = 4  # patches whose fused images are shown as training goes on


class PatchSource:
    """The patches of an h5 file, as they are, in every epoch; maps are made of each, as the file has no whole image."""

    held_out: Sequence[Planes] = ()
    refused: Sequence[Refusal] = ()

    def __init__(self, path: Path, image_maps: Sequence[ImageMap] = ()) -> None:
        self.dataset = PatchDataset(path, image_maps)
        self.path, self.size, self.image_maps = path, self.dataset.patch_size, image_maps

    def __str__(self) -> str:
        of_patch = f", {called(self.image_maps)} of each patch, not of its whole image" if self.image_maps else ""
        return f"{counted(len(self.dataset), 'patch', 'patches')} of {self.path}{of_patch}"

    def epoch(self, epoch: int, size: int) -> Dataset:  # noqa: ARG002 - patches of a file are always the same
        """The patches to draw in an epoch."""
        return self.dataset

    def smaller_than(self, size: int) -> str:  # noqa: ARG002 - nothing is cut
        """Which images are smaller than a crop, as `CropSource` says it: none."""
        return ""


class CropSource:
    """Random crops of whole images; other ones in every epoch.

    Args:
        found: what to train on, and what to watch the training with.
        seed: chooses the crops.
        name: where the images come from.
        crops: how many there are of an image, in how many orientations.
        image_maps: give a fourth tensor, made of each whole pair and cropped with it.
        progress: show how far it is with the maps.
    """

    size = None  # the recipe decides

    def __init__(
        self,
        found: Images,
        *,
        seed: int,
        name: str,
        crops: Crops = CROPS,
        image_maps: Sequence[ImageMap] = (),
        progress: bool = True,
    ) -> None:
        self.held_out, self.refused, self.names = found.held_out, found.refused, found.names
        self.seed, self.name, self.crops, self.image_maps = seed, name, crops, image_maps
        self.images = with_maps(found.train, image_maps, progress=progress) if image_maps else found.train

    def __str__(self) -> str:
        refused = f", {len(self.refused)} refused" if self.refused else ""
        of_image = f", with {called(self.image_maps)} of each whole pair" if self.image_maps else ""
        found = f"crops of {counted(len(self.images), 'image')} of {self.name}"
        return f"{found}, {len(self.held_out)} more held out{refused}{of_image}"

    def smaller_than(self, size: int) -> str:
        """How many images are smaller than a crop of `size` pixels, and the first of them; "" if none is."""
        small = [name for name, image in zip(self.names, self.images, strict=True) if min(image[0].shape) < size]
        return f"{len(small)} of {counted(len(self.images), 'image')}, first {small[0]}" if small else ""

    def epoch(self, epoch: int, size: int) -> Dataset:
        """The crops of `size` pixels to draw in an epoch."""
        return CropDataset(self.images, self.names, size=size, seed=self.seed, epoch=epoch, crops=self.crops)


Source = PatchSource | CropSource


def with_maps(images: Sequence[Planes], image_maps: Sequence[ImageMap], *, progress: bool) -> list[Planes]:
    """The images (vis, ir, mask), each with the maps of its pair after them, uint8 (H, W) all, 0..255 for [0, 1]."""
    result = []
    for image in progress_bar(images, unit="image", desc=called(image_maps), disable=not progress):
        pair = [torch.from_numpy(source)[None, None] / 255 for source in image[:2]]
        result.append((*image, *((made(*pair) * 255).round().byte()[0, 0].numpy() for made in image_maps)))
    return result


def called(functions: Sequence[Callable]) -> str:
    """What functions compute, as the log says it; objects without a name are called as their class."""
    names = (getattr(function, "__name__", type(function).__name__) for function in functions)
    return " and ".join(name.replace("_", " ") for name in names)


def probe(dataset: Dataset) -> list[Tensor]:
    """`PROBES` patches spread over a data set as one batch (vis, ir, mask, perhaps maps), each (N, 1 or more, S, S)."""
    chosen = np.linspace(0, len(dataset) - 1, min(PROBES, len(dataset))).astype(int)
    return [torch.stack(parts) for parts in zip(*(dataset[int(i)] for i in chosen), strict=True)]


def full_batches(length: int, batch_size: int, ranks: int) -> int:
    """How many batches each of the `ranks` processes has in an epoch of so many patches.

    What does not fill a batch in every one is left out, so that no normalisation ever sees a batch of one. Raises
    ValueError where there are fewer patches than one batch for each process takes.
    """
    if length < batch_size * ranks:
        expected = f"expected at least one batch of {batch_size} for {counted(ranks, 'process', 'processes')}"
        raise ValueError(f"{counted(length, 'patch', 'patches')}; {expected}")
    return length // (batch_size * ranks)


def shuffled_batches(length: int, batch_size: int, rank: int, ranks: int, seed: int, epoch: int) -> list[list[int]]:
    """A process's share of an epoch: its `full_batches` of indices, in an order that seed and epoch decide.

    Every index goes to one of the processes at most. Raises ValueError as `full_batches` does.
    """
    count, stride = full_batches(length, batch_size, ranks), batch_size * ranks
    order = torch.randperm(length, generator=torch.Generator().manual_seed(seed * 100_003 + epoch)).tolist()
    firsts = range(rank * batch_size, count * stride, stride)
    return [order[first : first + batch_size] for first in firsts]


def rendered(
    seed: int, count: int = 24, size: int = 160, *, crops: Crops = CROPS, image_maps: Sequence[ImageMap] = ()
) -> CropSource:
    """Crops of rendered scenes, of which one in ten is held out."""
    scenes = rendered_pairs(count, seed=seed, height=size, width=size)
    images = [(eight_bit_luminance(scene.vis), scene.ir, scene.mask) for scene in scenes]
    held_out = max(1, count // 10)
    found = Images(images[held_out:], images[:held_out], [], [f"scene {i}" for i in range(held_out, count)])
    return CropSource(found, seed=seed, name="rendered scenes", crops=crops, image_maps=image_maps)
