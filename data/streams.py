"""Standard output and error that never end the work, though closed, full, unread, or without some letter."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO


class Steady:
    """A text stream that takes everything; what cannot be written is dropped."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream or nowhere()  # None where a shell closed it (`2>&-`)
        if hasattr(self._stream, "reconfigure"):
            self._stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except OSError:
            self._drop()
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            self._drop()

    def _drop(self) -> None:
        """Send the rest nowhere, and what is still in the stream's buffer, which Python writes when it ends."""
        lost, self._stream = self._stream, nowhere()
        with suppress(OSError):
            os.dup2(self._stream.fileno(), lost.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def nowhere() -> TextIO:
    """A stream that takes any text, also names that are none; for the rest of the run."""
    return open(os.devnull, "w", encoding="utf-8", errors="backslashreplace")  # noqa: PTH123


@contextmanager
def steady_streams() -> Iterator[None]:
    """While it lasts, standard output and error are `Steady`."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(Steady, before)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stdout, sys.stderr = before
