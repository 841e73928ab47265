"""A file that one process at a time may hold."""

from typing import IO


def hold(file: IO) -> bool | None:
    """Hold a file that is open for writing until this process closes it or ends, however it ends.

    Returns:
        True, or False where another process holds it, or None where files cannot be held: on Windows, and on network
        disks without locks.
    """
    try:
        import fcntl  # there is none on Windows

        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except (ImportError, OSError):
        return None
    return True
