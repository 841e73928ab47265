"""What libjpeg, libpng and OpenCV print on file descriptor 2, caught while threads decode."""

import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

# A message of OpenCV's log may go on in lines that begin with >, and an empty one. A message may begin in the middle of
# a line, after another thread's progress bar
_MESSAGE = re.compile(
    rb"(?:Corrupt JPEG|Premature end|libpng)[^\n]*\n?|\[(?: WARN|ERROR):[^\n]*\n?(?:>[^\n]*\n)*\n?"
)
_WITHOUT_END = re.compile(rb"libpng[^\n]*\Z")  # libpng writes its line and the end of it separately


@contextmanager
def caught_messages() -> Iterator[list[str]]:
    """A list of what the decoders said while the block ran, in any thread; whole when the block has ended.

    What others write to file descriptor 2 meanwhile comes out when the next block begins or ends, byte for byte.
    Where there is no stderr or no place for a temporary file, or on Windows, the list may stay empty.
    """
    messages: list[str] = []
    with _lock:
        inside = _catcher.enter(messages)
    try:
        yield messages
    finally:
        if inside:
            with _lock:
                _catcher.leave(messages)


def _hold_stderr() -> bool:
    """Replace a stderr closed from the start (`2>&-`) by one that discards all; true if stderr is descriptor 2.

    Otherwise the next file that is opened would get descriptor 2 and what decoders say, and progress bars would fail.
    """
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - never closed; it gets the lowest free number
    return sys.__stderr__ is not None or sys.stderr.fileno() == 2


def _scratch_file() -> BinaryIO:
    """A file without a name: in memory, so that a full disk loses no message, or on disk where the system is not Linux.
    Raises OSError where no folder may be written to."""
    with suppress(AttributeError, OSError):
        return os.fdopen(os.memfd_create("decoder messages"), "w+b")
    return tempfile.TemporaryFile()


class _Catcher:
    """File descriptor 2, redirected to a file while any block of `caught_messages` runs."""

    def __init__(self) -> None:
        self._inside: list[list[str]] = []

    def enter(self, messages: list[str]) -> bool:
        """Whether what is said from now on can be caught."""
        if self._inside:
            self._hand_out(everything=False)
        else:
            try:
                if not hasattr(os, "pread") or not _hold_stderr():
                    return False
                self._saved = os.dup(2)  # first: the next file to be opened would get number 2 if that was free
            except OSError:  # closed meanwhile
                return False
            try:
                self._file = _scratch_file()  # the last block to end closes it
            except OSError:  # no folder may be written to
                os.close(self._saved)
                return False
            self._read, self._kept = 0, b""
            os.dup2(self._file.fileno(), 2)
        self._inside.append(messages)
        return True

    def leave(self, messages: list[str]) -> None:
        last = len(self._inside) == 1
        if last:
            os.dup2(self._saved, 2)
        self._hand_out(everything=last)
        self._inside = [other for other in self._inside if other is not messages]
        if last:
            os.close(self._saved)
            self._file.close()

    def _hand_out(self, *, everything: bool) -> None:
        new = os.pread(self._file.fileno(), os.fstat(self._file.fileno()).st_size - self._read, self._read)
        self._read += len(new)
        caught = self._kept + new
        begun = None if everything else _WITHOUT_END.search(caught)
        end = begun.start() if begun else len(caught)
        caught, self._kept = caught[:end], caught[end:]
        for message in _MESSAGE.findall(caught):
            for messages in self._inside:
                messages.append(message.decode(errors="replace"))
        if others := _MESSAGE.sub(b"", caught):
            with suppress(OSError):  # stderr is full, or nobody reads it
                os.write(self._saved, others)


_lock = threading.Lock()
_catcher = _Catcher()
