"""Files that are complete or not there at all, held by one process at a time, and known by their digests."""

import errno
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; what was written to it takes the final name if the block ends well.

    A reader sees the old file or the new one, never half of one; after an error the old one is still there. Missing
    folders are made. `remove_parts` removes what killed processes leave.

    Raises:
        OSError: it cannot be written, with the final path as its file name; or a folder, a device or a FIFO is there.
    """
    if mode_of(path) is not None and (found := instead_of_file(path)):
        raise OSError(f"{path}: {found}; expected a file, or a new name")
    temporary = path.with_name(f".{secrets.token_hex(4)}.part")  # short: the final name may be as long as any can be
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise NotADirectoryError(errno.ENOTDIR, "a file is where a folder should be") from None
        temporary.open("xb").close()  # its permissions are those of any new file
        yield temporary
        with temporary.open("r+b") as written:  # Windows syncs what may be written alone
            os.fsync(written.fileno())
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.errno is not None:
            raise type(error)(error.errno, os.strerror(error.errno), str(path)) from error
        raise


def remove_parts(paths: Iterable[Path]) -> None:
    """Remove those of the paths that `replacing` left when its process was killed."""
    for path in paths:
        if re.fullmatch(r"\.[0-9a-f]{8}\.part", path.name):
            path.unlink()


def hold(file: IO) -> bool | None:
    """Hold a file that is open for writing until this process closes it or ends, however it ends.

    Returns True, or False where another process holds it, or None where files cannot be held: on Windows, and on
    network disks without locks.
    """
    try:
        import fcntl  # there is none on Windows

        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except (ImportError, OSError):
        return None
    return True


def mode_of(path: Path) -> int | None:
    """The mode of what is at a path, a link followed, as `stat` reads it; None where nothing is.

    Raises OSError where that cannot be told, of which `Path.exists` and `Path.is_dir` say False from Python 3.14 on.
    """
    try:
        return path.stat().st_mode
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return None
        raise
    except ValueError:  # a null byte is in no name
        return None


def is_folder(path: Path) -> bool:
    """Whether a path is a folder, a link followed. Raises OSError as `mode_of`."""
    return stat.S_ISDIR(mode_of(path) or 0)


def instead_of_file(path: Path) -> str:
    """What a path is instead of a file, in words; "" where it is one. A pipe may never give a byte, a device never
    end."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, ValueError):  # a null byte is in no name
        return "no such file"
    except OSError as error:  # also links that lead in circles
        return f"not readable ({error.strerror})"
    return "" if stat.S_ISREG(mode) else "a folder" if stat.S_ISDIR(mode) else "a pipe or device"


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all; file names that are no text keep their bytes."""
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", "surrogateescape"))


def sha256(path: Path) -> str:
    """The SHA-256 digest of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def check_digest(path: Path) -> None:
    """Raise ValueError for a file that is not what `SHA256SUMS` beside it, written by `sha256sum`, says of its name."""
    lines = (path.parent / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    expected = {name: digest for digest, name in (line.split() for line in lines)}
    if path.name in expected and (found := sha256(path)) != expected[path.name]:
        wanted = f"{expected[path.name][:12]}..., as SHA256SUMS beside it says"
        raise ValueError(f"{path}: damaged or another file, its SHA-256 is {found[:12]}...; expected {wanted}")
