"""The memory of a process: the C library's allocator, arranged for large tensors that come and go, and the peak."""

import ctypes
import os
import platform
import sys
from pathlib import Path

# glibc's mallopt parameters, from malloc.h
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -3, -4, -8
MB = 2**20


def keep_freed_memory(*, every_size: bool = False) -> bool:
    """Have glibc keep freed blocks instead of returning each to the system. True where it took effect.

    Without this every tensor of some size is mapped afresh and its pages are faulted in one by one, which is much of
    the time that an image takes on a CPU. The settings belong together. Elsewhere than glibc this does nothing.

    Each core may have an arena of its own, so that a thread of `net.fast.parallel` gets memory that its core has
    cached, not another's. A network that works on the whole image should run in the main thread: only the main arena
    grows without limit.

    Args:
        every_size: keep also blocks of more than 32 MB: training and most networks are up to twice as fast with it.
            Otherwise they go back: a hole that one left seldom fits the next, so that keeping them costs memory.
            Networks that fuse by bands keep their own, see `net.fast.reuse`.
    """
    if not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    arenas = {M_ARENA_MAX: 1 + (os.cpu_count() or 1)}
    if every_size:
        settings = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: -1, M_TOP_PAD: 64 * MB}  # -1: never
    else:  # glibc takes no threshold above 32 MB; with more free at the heap's end, large blocks would go there
        settings = {M_MMAP_THRESHOLD: 32 * MB, M_TRIM_THRESHOLD: 64 * MB, M_TOP_PAD: 32 * MB}
    return all(libc.mallopt(parameter, value) == 1 for parameter, value in (settings | arenas).items())


def peak_memory() -> float:
    """The most memory that this process has had, in MB.

    The kernel's figure for a process and what it ran before (`ru_maxrss`) counts the parent too, whose memory a new
    process shares at first; on Linux that of the program alone is read.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (kilobytes,) = (line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(kilobytes) / 1024
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (MB if sys.platform == "darwin" else 1024)
