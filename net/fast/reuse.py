"""Large tensors of inference, in memory that serves again and again: a caching allocator for the CPU.

The C library has a block of many megabytes mapped anew each time, and the system hands it out page by page, cleared,
which is a tenth of the time that an image takes. Within `reused_memory()` a tensor of `empty` takes the memory of an
earlier one that is gone: an image then needs as many blocks as it has tensors at a time.
"""

import contextlib
import weakref
from collections.abc import Iterator
from contextvars import ContextVar

import torch
from torch import Tensor

MIN_BYTES = 2**20  # smaller blocks are kept by the C library itself
SPARE = 1.05  # times what is asked for: a spectrum needs a little more than its image


class Blocks:
    """Memory of tensors that are gone, for those to come. One thread asks for it; any may be the last to use it."""

    def __init__(self) -> None:
        self._free: list[Tensor] = []  # (bytes,) uint8 each

    def lend(self, count: int) -> Tensor:
        """`count` bytes or more, (bytes,) uint8, which come back when no tensor uses them any more."""
        sizes = [len(block) for block in self._free]
        fitting = [i for i, size in enumerate(sizes) if size >= count]
        if fitting:
            block = self._free.pop(min(fitting, key=sizes.__getitem__))
        else:
            self._give_up(count)
            block = torch.empty(int(SPARE * count), dtype=torch.uint8, device="cpu")  # unwritten parts take no memory
        array = block.numpy()  # a new object each time; it dies with the last tensor that uses it
        weakref.finalize(array, self._free.append, block).atexit = False
        return torch.from_numpy(array)

    def _give_up(self, count: int) -> None:
        """Return free blocks to the system, `count` bytes or all, so that kept memory does not add to the peak."""
        while count > 0 and self._free:
            count -= len(self._free.pop(0))


_blocks: ContextVar[Blocks | None] = ContextVar("blocks", default=None)


@contextlib.contextmanager
def reused_memory() -> Iterator[None]:
    """While it lasts, tensors of `empty` in this thread take the memory of earlier ones that are gone."""
    token = _blocks.set(Blocks())
    try:
        yield
    finally:
        _blocks.reset(token)


def empty(x: Tensor, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
    """`x.new_empty(shape, dtype=dtype)` on the CPU; within `reused_memory()` in the memory of tensors that are gone."""
    dtype, blocks = dtype or x.dtype, _blocks.get()
    count = torch.Size(shape).numel()
    size = count * dtype.itemsize
    if blocks is None or size < MIN_BYTES:
        return x.new_empty(shape, dtype=dtype)
    return blocks.lend(size)[:size].view(dtype).view(shape)
