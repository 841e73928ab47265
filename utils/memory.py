"""The C library's allocator, arranged for large tensors that come and go."""

import ctypes
import platform
import sys

# glibc's mallopt parameters, from malloc.h
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8


def keep_freed_memory() -> bool:
    """Have glibc keep large freed blocks instead of returning each to the system. True where it took effect.

    Without this every large tensor is mapped afresh and its pages are faulted in one by one, which is most of the
    time that an image takes on a CPU. Peak memory does not change; what was freed stays with the process. The
    settings belong together, and one arena makes them hold in threads too. Elsewhere than glibc this does nothing.
    """
    if not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    settings = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_TOP_PAD, 2**26), (M_ARENA_MAX, 1))
    return all(libc.mallopt(parameter, value) == 1 for parameter, value in settings)
