"""Writing the training file (h5), patch by patch in constant memory, in one of the forms of `data.patchfile`."""

import io
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import h5py
import numpy as np
from h5py import h5d, h5p, h5s, h5t

from data.files import hold, instead_of_file
from data.patchfile import ARRAY, DTYPES, GROUPS, MASK, PatchFileError, reason


class PatchWriter:
    """Write a patch file; it gets its name only when every patch is in it.

        with PatchWriter(path, size=128) as writer:
            writer.add(vis, ir, mask)

    While it grows it is `<path>.<process>.part`, which is removed if the block raises; what killed processes left is
    removed by the next one that writes the same file. Missing folders are made, an existing file is replaced.
    `attributes` (text and numbers) are stored with the file. Raises PatchFileError if the file cannot be written, if a
    patch has another shape, or if no patch was added.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        size: int = 128,
        dtype: str = "float32",
        attributes: Mapping[str, object] | None = None,
    ) -> None:
        if dtype not in DTYPES:
            raise PatchFileError(f"dtype '{dtype}'; expected {' or '.join(DTYPES)}")
        self.path, self.size, self.dtype, self.count = Path(path), size, dtype, 0
        about = {"format": "cmmdl-patches", "version": 1, "form": dtype, "patch_size": size}
        self._attributes = about | dict(attributes or {})
        self._part = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")

    def __enter__(self) -> "PatchWriter":
        try:
            self._begin()
        except BaseException:  # KeyboardInterrupt too
            with suppress(OSError):
                self._part.unlink()
            raise
        return self

    def _begin(self) -> None:
        try:
            if self.path.exists() and (found := instead_of_file(self.path)):
                raise PatchFileError(f"{self.path}: {found}; expected a file name for the patches")
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._remove_old_parts()
            self._disk = _Disk(self._part, "w+")
            hold(self._disk)
            self._file = h5py.File(self._disk, "w")
        except OSError as error:
            raise PatchFileError(f"{self.path}: cannot be written ({reason(error)})") from None
        self._groups = [self._file.create_group(name) for name in GROUPS]
        self._untimed = h5p.create(h5p.DATASET_CREATE)
        self._untimed.set_obj_track_times(False)  # the same patches make the same file
        if self.dtype == "uint8":
            self._arrays = {
                group: group.create_dataset(
                    ARRAY,
                    shape=(0, 1, self.size, self.size),
                    maxshape=(None, 1, self.size, self.size),
                    chunks=(1, 1, self.size, self.size),
                    dtype=np.uint8,
                    compression="gzip" if group.name == f"/{MASK}" else None,  # masks are nearly empty
                )
                for group in self._groups
            }

    def add(self, vis: np.ndarray, ir: np.ndarray, mask: np.ndarray) -> None:
        """Append one patch: three (S, S) arrays, `vis` and `ir` floats in [0, 1], `mask` salient where above 0."""
        shapes = {vis.shape, ir.shape, mask.shape}
        if shapes != {(self.size, self.size)}:
            raise PatchFileError(f"{self.path}: a patch of shape {shapes}; expected {(self.size, self.size)}")
        for group, patch in zip(self._groups, (vis, ir, mask > 0), strict=True):
            self._append(group, patch)
        self._check_disk()
        self.count += 1

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._file.close()
            self._disk.close()
            self._part.unlink(missing_ok=True)

    def _remove_old_parts(self) -> None:
        """Remove the parts that no process holds."""
        start, end = f"{self.path.name}.", ".part"
        with suppress(OSError):  # then they stay
            for part in list(self.path.parent.iterdir()):
                name = part.name
                if name.startswith(start) and name.endswith(end) and name[len(start) : -len(end)].isdecimal():
                    with part.open("r+b") as file:
                        if hold(file):
                            part.unlink()

    def _check_disk(self) -> None:
        if self._disk.error:
            raise PatchFileError(f"{self.path}: cannot be written ({reason(self._disk.error)})")

    def _append(self, group: h5py.Group, patch: np.ndarray) -> None:
        """All zeros, as most masks are, are not written: HDF5 reads zeros there, and allocates no space for them."""
        if self.dtype == "float32":  # what `create_dataset` does, in half its time: there are many small ones
            name, space = str(self.count).encode(), h5s.create_simple((1, *patch.shape))
            dataset = h5d.create(group.id, name, h5t.NATIVE_FLOAT, space, self._untimed)
            if patch.any():
                dataset.write(h5s.ALL, h5s.ALL, np.ascontiguousarray(patch[None], np.float32))
            return
        array = self._arrays[group]
        array.id.set_extent((self.count + 1, 1, self.size, self.size))
        if not patch.any():
            return
        levels = np.ascontiguousarray(np.rint(patch * np.float32(255)), np.uint8)
        if array.compression:
            array[self.count, 0] = levels
        else:
            array.id.write_direct_chunk((self.count, 0, 0, 0), levels)  # the same in half the time

    def _finish(self) -> None:
        if self.count == 0:
            raise PatchFileError(f"{self.path}: no patch to write; expected at least one")
        try:
            self._file.attrs.update(self._attributes)
            self._file.close()
            self._disk.close()
            self._check_disk()  # HDF5 writes its last bytes when it closes
            self._part.replace(self.path)
        except (OSError, RuntimeError) as error:
            raise PatchFileError(f"{self.path}: cannot be written ({reason(error)})") from None


class _Disk(io.FileIO):
    """The file under HDF5. HDF5 crashes after a failed write (a full disk), so the first error is kept here instead."""

    error: OSError | None = None

    def write(self, data: memoryview) -> int:
        try:
            done = 0
            while done < len(data):
                done += super().write(data[done:])
        except OSError as error:
            self.error = self.error or error
        return len(data)

    def truncate(self, size: int) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size
