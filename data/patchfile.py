"""The training file (h5), and the data set that reads it; `data.patchwriter` writes it.

Three groups, spelled as the authors spell them: `ir_patchs`, `vis_patchs`, `mask_patches`. In the float32 form, theirs,
each group has one data set "0", "1", ... per patch, float32 (1, S, S) in [0, 1]. In the uint8 form each group has one
array "patches", uint8 (N, 1, S, S) with 0..255 for [0, 1], one chunk per patch: a quarter of the bytes.
The attributes of the file say which form it has and where it comes from; reading needs none of them.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import torch
from torch.utils.data import Dataset

from data.files import instead_of_file
from data.words import one_line

VIS, IR, MASK = "vis_patchs", "ir_patchs", "mask_patches"
GROUPS = (VIS, IR, MASK)
ARRAY = "patches"  # the array's name in each group of the uint8 form
DTYPES = ("float32", "uint8")
MAX_SIZE = 4096  # pixels on a side; a file that claims larger patches is refused before any is read
ImageMap = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # of vis and ir (1, 1, H, W) in [0, 1], the same form
_SLACK = 1e-3  # a luminance of white can exceed 1 by a rounding error


class PatchFileError(ValueError):
    """A patch file that cannot be used; the message is one sentence with what was found and what was expected."""


class PatchDataset(Dataset):
    """Patches of a file of either form, or of the authors' own, as (vis, ir, mask) float32 tensors (1, S, S).

    `vis` and `ir` are in [0, 1], `mask` is 0 or 1. A file without the mask group, as other fusion repositories
    distribute them, has zero masks (`has_masks` is False): that is what this project does wherever there are no labels.
    `image_maps` give a fourth tensor (C, S, S), made of each vis and ir.
    Every process opens the file for itself when it first reads, so workers may be forked or spawned.
    The constructor raises PatchFileError for a file that is no such file; reading raises it for a damaged patch.
    """

    def __init__(self, path: str | Path, image_maps: Sequence[ImageMap] = ()) -> None:
        self.path, self.image_maps = Path(path), image_maps
        self._file: h5py.File | None = None
        self._pid = 0
        with _open(self.path) as file, _whole(self.path):
            self.has_masks = MASK in file
            self._groups = GROUPS if self.has_masks else (VIS, IR)
            self._indices = self._check_groups(file)
            first = file[VIS][ARRAY if isinstance(self._indices, range) else self._indices[0]]
            self.patch_size = (getattr(first, "shape", ()) or (0,))[-1]
            if self.patch_size > MAX_SIZE:
                raise PatchFileError(f"{self.path}: patches of {self.patch_size} pixels; expected at most {MAX_SIZE}")
            for index in (0, -1):
                self._read(file, index)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, ...]:
        vis, ir, mask = self._read(self._own_file(), index)
        maps = [made(vis[None], ir[None])[0] for made in self.image_maps]
        return vis, ir, mask, *([torch.cat(maps)] if maps else [])

    def origin(self, index: int) -> str:
        """Which patch of which file it is."""
        return f"{self.path}: patch {self._indices[index]}"

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_file": None, "_pid": 0}

    def _own_file(self) -> h5py.File:
        if self._pid != os.getpid():
            if self._file is not None:  # inherited by fork: it shares its position with the parent's
                self._file.close()
            self._file, self._pid = _open(self.path), os.getpid()
        return self._file

    def _check_groups(self, file: h5py.File) -> range | list[str]:
        """How patches are addressed: a range for arrays, names in numeric order for one data set per patch."""
        for name in self._groups:
            if not isinstance(file.get(name), h5py.Group):
                found = one_line(", ".join(file)) or "nothing"
                raise PatchFileError(f"{self.path}: no group {name} (found {found}); expected {', '.join(GROUPS)}")
        if all(ARRAY in file[name] for name in self._groups):
            return self._array_indices([file[name][ARRAY] for name in self._groups])
        names = [set(file[name]) for name in self._groups]
        self._check_counts([len(found) for found in names])
        odd = [name for name in set().union(*names) if not name.isdecimal()]
        if odd or any(found != names[0] for found in names):
            example = one_line(odd[0] if odd else min(set.union(*names) - set.intersection(*names)))
            raise PatchFileError(f'{self.path}: a data set "{example}"; expected "0", "1", ... in every group')
        return sorted(names[0], key=int)

    def _array_indices(self, arrays: list[h5py.Dataset]) -> range:
        shapes = [getattr(array, "shape", None) for array in arrays]
        if any(shape is None or len(shape) != 4 for shape in shapes):
            raise PatchFileError(f"{self.path}: '{ARRAY}' of shape {shapes[0]}; expected arrays (N, 1, S, S)")
        self._check_counts([shape[0] for shape in shapes])
        return range(shapes[0][0])

    def _check_counts(self, counts: list[int]) -> None:
        if len(set(counts)) > 1 or counts[0] == 0:
            found = ", ".join(f"{count} in {name}" for name, count in zip(self._groups, counts, strict=True))
            raise PatchFileError(f"{self.path}: {found}; expected equally many patches, at least one")

    def _read(self, file: h5py.File, index: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        key = self._indices[index]
        vis, ir = self._patch(file, VIS, key), self._patch(file, IR, key)
        mask = (self._patch(file, MASK, key) > 0).float() if self.has_masks else torch.zeros_like(vis)
        return vis, ir, mask

    def _patch(self, file: h5py.File, group: str, key: int | str) -> torch.Tensor:
        where = f"{self.path}: {group}/{key}"
        expected = (1, self.patch_size, self.patch_size)
        try:
            source = file[group][ARRAY] if isinstance(key, int) else file[group][key]
            shape = source.shape[isinstance(key, int) :]
            values = source[key if isinstance(key, int) else ()] if shape == expected else None
        except (OSError, RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise PatchFileError(f"{where} cannot be read ({reason(error)}); expected a patch") from None
        if values is None or not values.size or values.dtype.name not in DTYPES:
            raise PatchFileError(
                f"{where} is {source.dtype} {shape}; expected {' or '.join(DTYPES)} {expected}, all of one size"
            )
        patch = torch.from_numpy(values).float()
        if values.dtype == np.uint8:
            patch /= 255
        low, high = patch.aminmax()
        if group != MASK and not (low >= -_SLACK and high <= 1 + _SLACK):
            raise PatchFileError(f"{where} has values from {low:g} to {high:g}; expected 0 to 1")
        return patch.clamp_(0, 1)


def _open(path: Path) -> h5py.File:
    if problem := instead_of_file(path):
        raise PatchFileError(f"{path}: {problem}; expected a patch file (h5)")
    try:
        if path.stat().st_size == 0:
            raise PatchFileError(f"{path}: an empty file; expected a patch file (h5)")
        if not h5py.is_hdf5(path):
            raise PatchFileError(f"{path}: not an h5 file; expected a patch file with {', '.join(GROUPS)}")
        return h5py.File(path, "r", locking=False)  # it is never written in place; some network disks have no locks
    except (OSError, RuntimeError) as error:
        raise PatchFileError(f"{path}: a damaged or cut-off h5 file ({reason(error)}); expected a whole one") from None


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Turn what HDF5 reports of a damaged file, whatever its kind, into a PatchFileError."""
    try:
        yield
    except PatchFileError:
        raise
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise PatchFileError(f"{path}: a damaged h5 file ({reason(error)}); expected a whole one") from None


def reason(error: Exception) -> str:
    """The part of an h5py message that a person can use."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else one_line(str(error).strip("'\""))
