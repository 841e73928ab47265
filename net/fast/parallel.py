"""Parts of an image in as many threads as torch may use, each of which runs its operations alone.

An operation on one band is over in some microseconds. Sharing each out among the cores, one after the other, makes the
cores wait for each other thousands of times an image, and longer where other programs want them too. Here a core takes
a part of the rows through all of a block, and they wait for each other only at its end.
"""

import functools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

import torch

Item, Result = TypeVar("Item"), TypeVar("Result")
SHARES = 2  # for each thread: one that is held up leaves work to the others
MIN_ROWS = 16  # in a share; its filters read two rows more


def in_parallel(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """`[work(item) for item in items]`, in threads, without gradients; what `work` writes must not overlap."""
    threads = torch.get_num_threads()
    if threads == 1 or len(items) == 1:
        return [work(item) for item in items]
    inference = torch.is_inference_mode_enabled()
    shared = [work, items]

    def alone(index: int) -> Result:
        work, items = shared
        with torch.inference_mode(inference), torch.no_grad():
            return work(items[index])

    try:
        pool = _pool(threads, os.getpid())
        first = pool.submit(alone, 0)
    except RuntimeError:  # the system starts no thread, or the main thread has ended
        return [work(item) for item in items]
    try:
        others = pool.map(alone, range(1, len(items)))
        return [first.result(), *others]
    finally:
        shared.clear()  # a thread keeps its last call for a moment; that must not keep large tensors


def shares(height: int) -> list[slice]:
    """Rows 0 to `height` in parts of about one height, some for each thread."""
    threads = torch.get_num_threads()
    count = max(1, min(SHARES * threads, height // MIN_ROWS)) if threads > 1 else 1
    return evenly(slice(0, height), count)


def evenly(part: slice, count: int) -> list[slice]:
    """The rows of a part in `count` slices of about one height."""
    height = part.stop - part.start
    edges = [part.start + height * i // count for i in range(count + 1)]
    return [slice(top, bottom) for top, bottom in pairwise(edges)]


@functools.cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:  # noqa: ARG001 - a forked process needs its own
    """Threads whose operations are not shared out further."""
    ready = threading.Barrier(threads + 1)

    def begin() -> None:
        torch.set_num_threads(1)
        torch.get_num_threads()  # a thread takes over the number that was set when it first asks

    pool = ThreadPoolExecutor(threads, "bands", initializer=begin)
    try:
        for _ in range(threads):
            pool.submit(ready.wait)  # keeps each thread busy until all have begun
        ready.wait()
    except RuntimeError:
        ready.abort()  # frees the threads that wait for the rest
        pool.shutdown()
        raise
    finally:
        torch.set_num_threads(threads)  # other threads take over what was set last
    return pool
