"""Random crops of whole images, the same ones whenever the same epoch is asked for."""

import math
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from data.images import ImageError
from data.luminance import eight_bit_luminance
from data.masks import TARGETS, Masks, find_masks
from data.pairs import Pair, PairError, Refusal, find_sets, read_pair
from data.progress import progress_bar
from net.training.recipe import Crops

Planes = tuple[np.ndarray, ...]  # (vis, ir, mask) of one image, uint8 (H, W), perhaps with maps 0..255 after them

CROPS = Crops()  # the usual recipe's
HELD_OUT = 10  # one image in this many is held out


class Line(NamedTuple):
    """A straight line through the point (row, column) at an angle: fractions of the crop's side and of a full turn."""

    row: float
    column: float
    turn: float


class CropDataset(Dataset):
    """Crops of registered pairs as (vis, ir, mask) float32 tensors (1, S, S); vis and ir in [0, 1], mask 0 or 1.

    All images are kept in memory as 8-bit luminance. An image gives more crops the larger it is, up to a limit. Where
    a crop lies and how it is turned depends on nothing but seed, epoch and index, so a resumed training sees what an
    uninterrupted one sees, with any number of workers.

    Args:
        images: triples (vis, ir, mask) of uint8 (H, W); maps after them come as a fourth tensor (C, S, S), in [0, 1].
        names: of the images, for `origin`.
        size: side of a crop in pixels; smaller images are left out.
        seed, epoch: choose places and orientations.
        crops: how many there are of an image, in how many orientations.

    Raises:
        ValueError: there is no image, or every one is smaller than a crop.
    """

    def __init__(
        self,
        images: Sequence[Planes],
        names: Sequence[str],
        *,
        size: int,
        seed: int = 0,
        epoch: int = 0,
        crops: Crops = CROPS,
    ) -> None:
        large = [i for i, image in enumerate(images) if min(image[0].shape) >= size]
        if not large:
            largest = max((min(image[0].shape) for image in images), default=0)
            raise ValueError(f"crops of {size}x{size} pixels; expected at most {largest}, the largest image's side")
        self.images = [images[i] for i in large]
        self.names = [names[i] for i in large]
        self.size, self.seed, self.epoch, self.crops = size, seed, epoch, crops
        counts = [min(crops.most, crops_per_epoch(vis.shape, size)) for vis, *_ in self.images]
        self.source = [i for i, count in enumerate(counts) for _ in range(count)] * crops.passes

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        top, left, way, line = self._place(index)
        image = self.images[self.source[index]]
        crop = np.stack([part[top : top + self.size, left : left + self.size] for part in image])  # (3 or more, S, S)
        crop = np.ascontiguousarray(oriented(crop, way))
        if line:
            crop[:, beyond(line, self.size)] = 0
        vis, ir, mask, *maps = torch.from_numpy(crop).float()[:, None]  # each (1, S, S)
        return vis / 255, ir / 255, mask, *([torch.cat(maps) / 255] if maps else [])

    def origin(self, index: int) -> str:
        """Which image a crop is of, where it lies there, in pixels, and how it is turned (see `oriented`)."""
        top, left, way, line = self._place(index)
        corner = f"{self.size}x{self.size} pixels from row {top}, column {left}"
        black = ", black beyond a line" if line else ""
        return f"{self.names[self.source[index]]}: {corner}, orientation {way}{black}"

    def _place(self, index: int) -> tuple[int, int, int, Line | None]:
        """A crop's first row and column, its orientation, and the line beyond which it is black, if any."""
        rng = np.random.default_rng((self.seed, self.epoch, range(len(self))[index]))  # -1 is the last one
        height, width = self.images[self.source[index]][0].shape
        top, left = (int(rng.integers(0, length - self.size + 1)) for length in (height, width))
        way = self.crops.orientations - 1 - int(rng.random() * self.crops.orientations)
        line = Line(*rng.random(3)) if rng.random() < self.crops.black else None
        return top, left, way, line


def beyond(line: Line, size: int) -> np.ndarray:
    """The pixels of a square on one side of a line, (size, size) bool."""
    rows, columns = np.mgrid[:size, :size] + 0.5
    angle = 2 * math.pi * line.turn
    return (rows - line.row * size) * math.cos(angle) > (columns - line.column * size) * math.sin(angle)


def oriented(crop: np.ndarray, way: int) -> np.ndarray:
    """One of the eight ways in which a square (..., S, S) can lie; 0 leaves it, 1 mirrors it sideways."""
    if way & 1:
        crop = crop[..., ::-1]
    if way & 2:
        crop = crop[..., ::-1, :]
    return crop.swapaxes(-2, -1) if way & 4 else crop


def centre(height: int, width: int, size: int) -> tuple[slice, slice]:
    """Where the middle `size` pixels of an image are in either direction, less where it is smaller."""
    top, left = (max(0, length - size) // 2 for length in (height, width))
    return slice(top, top + size), slice(left, left + size)


def crops_per_epoch(shape: tuple[int, ...], size: int) -> int:
    """Crops taken of an (H, W) image in one epoch: half as many as fit along its mean side, at least one."""
    return max(1, round(math.sqrt(shape[0] * shape[1]) / size / 2))


class Images(NamedTuple):
    """Images (vis, ir, mask) to train on, with their names `<set>/<name>`, those held out, and what was refused."""

    train: list[Planes]
    held_out: list[Planes]
    refused: list[Refusal]
    names: list[str]


def read_images(
    roots: Iterable[Path], *, classes: tuple[int, ...] = TARGETS, hold_out: bool = True, progress: bool = True
) -> Images:
    """Read every pair below the given folders as 8-bit luminance.

    About one pair in ten is held out. Its name decides, which is its path in its folder without extension: a scene
    that two sets have under one name is held out of both or of neither.

    Args:
        classes: numbers of the label classes that a mask is made of, see `data.masks.CLASSES`.
        hold_out: keep some images from training; False trains on all.

    Raises:
        PairError: a root is no folder of pairs, its labels cannot be read, or not one pair could be read.
    """
    train, held_out, refused = [], [], []
    sets = [pair_set for root in roots for pair_set in find_sets(root)]
    total = sum(len(pair_set.pairs) for pair_set in sets)
    with progress_bar(total=total, unit="image", desc="reading", disable=not progress) as bar:
        for pair_set in sets:
            refused += pair_set.refused
            masks = find_masks(pair_set.folder, classes) if pair_set.pairs else None
            for pair in pair_set.pairs:
                bar.update()
                name = f"{pair_set.name}/{pair.name}"
                try:
                    image = read_planes(pair, masks)
                except ImageError as error:
                    refused.append(Refusal(name, str(error)))
                    continue
                (held_out if hold_out and is_held_out(pair.name) else train).append((name, image))
    if not train:
        train, held_out = held_out, []
    if not train:
        reasons = f"; {len(refused)} refused, the first {refused[0]}" if refused else ""
        raise PairError(f"no readable pair to train on; expected at least one{reasons}")
    names = [name for name, _ in train]
    return Images([image for _, image in train], [image for _, image in held_out], refused, names)


def is_held_out(name: str) -> bool:
    """Whether the pair of a name (see `Pair`) is kept from training. It need not be UTF-8 on disk: its bytes count."""
    return zlib.crc32(name.encode("utf-8", "surrogateescape")) % HELD_OUT == 0


def read_planes(pair: Pair, masks: Masks) -> Planes:
    """One pair and its mask, zeros where it has none. Raises ImageError for files that cannot be read or do not fit."""
    vis, ir = map(eight_bit_luminance, read_pair(pair))
    mask = masks.read(pair.name, vis.shape)
    return vis, ir, np.zeros_like(vis) if mask is None else mask.astype(np.uint8)
