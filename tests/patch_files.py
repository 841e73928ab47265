"""Small training files for tests."""

import h5py
import numpy as np

from data.patchfile import GROUPS
from data.patchwriter import PatchWriter


def stored(path, count=4, size=8, dtype="float32"):
    """A patch file whose patch i is filled with i / 255, and whose mask is its upper half."""
    mask = np.zeros((size, size))
    mask[: size // 2] = 1
    with PatchWriter(path, size=size, dtype=dtype) as writer:
        for i in range(count):
            writer.add(np.full((size, size), i / 255), np.full((size, size), 1 - i / 255), mask)
    return path


def authors_file(path, groups=GROUPS, names=("0", "1", "2"), shape=(1, 8, 8), dtype=np.float32):
    """A file made as the authors make theirs, without the code under test; patch "7" is filled with 0.07."""
    with h5py.File(path, "w") as file:
        for group in groups:
            for name in names:
                file.create_group(group) if group not in file else None
                file[group].create_dataset(name, data=np.full(shape, int(name) / 100, dtype))
    return path
