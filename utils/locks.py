"""A file that one process at a time may hold."""

from typing import TextIO


def hold(stream: TextIO) -> bool:
    """Hold an open file until this process closes it or ends, however it ends; False where another process does."""
    try:
        import fcntl  # there is none on Windows
    except ImportError:
        return True
    try:
        fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
