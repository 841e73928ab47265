"""Which fused images of an output folder are done, so that an interrupted run can be continued."""

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from data.files import hold, instead_of_file, remove_parts, sha256, write_text
from data.images import ImageError, read_image
from data.options import UsageError
from data.pairs import Pair, PairSet

NAME = "run.jsonl"
Key = tuple[str, str, str]  # method, set, image


class Journal:
    """The file `run.jsonl` in an output folder.

    Its first line has the settings that decide the images; each further line names an image, with the digests of its
    sources and of itself. It is added once the image is complete, so after a kill an image is either in the journal or
    fused again.

    Args:
        folder: the output folder.
        settings: what decides the images besides their sources, as JSON holds it.
        go_on: take over the images of an earlier run; False begins anew.

    Raises:
        UsageError: the earlier run had other settings, its journal cannot be read, or another run writes there.
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], *, go_on: bool) -> None:
        self.path, self.settings = folder / NAME, dict(settings)
        there = self.path.exists()
        self._lock = threading.Lock()
        self._sources: dict[tuple[str, str], str] = {}  # digests by set and image
        self.kept: set[Key] = set()  # what `find` found
        with self._held() as earlier:
            self.lines: dict[Key, list[str]] = self._lines_of(earlier) if go_on and there else {}
            if go_on:
                remove_parts(folder.rglob("*.part"))
            self._write()
        self._file = self._held()

    def note_sources(self, pair_set: PairSet, pair: Pair) -> None:
        """Note what a pair is going to be fused from, before it is read: what changes later is fused again."""
        if instead_of_file(pair.vis) or instead_of_file(pair.ir):  # reading a pipe may never end
            return
        with suppress(OSError):  # reading the image reports it
            self._sources[pair_set.name, pair.name] = digest_of_sources(pair_set, pair)

    def find(self, method: str, pair_set: PairSet, pair: Pair, file: Path) -> np.ndarray | None:
        """The fused image of a pair if it is done: there as it was written, from the same sources."""
        key = method, pair_set.name, pair.name
        line, origin = self.lines.get(key), self._sources.get(key[1:])
        try:
            if not line or line != [origin, sha256(file)]:
                return None
            image = read_image(file)
        except (ImageError, OSError):  # gone
            return None
        self.kept.add(key)
        return image

    def add(self, method: str, pair_set: PairSet, pair: Pair, file: Path) -> None:
        """Note that the fused image of a pair is done."""
        origin = self._sources.get((pair_set.name, pair.name), "")
        key, line = (method, pair_set.name, pair.name), [origin, sha256(file)]
        with self._lock:
            self.lines[key] = line
            self._file.write(json.dumps([*key, *line]) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Leave the file as a run without interruption does: its lines in order."""
        self.lines = dict(sorted(self.lines.items()))
        self._write()
        self._file.close()

    def _held(self) -> TextIO:
        """The file, made if it is not there, open for appending and locked against other runs."""
        file = self.path.open("a+", encoding="utf-8")
        try:  # another run may have put a new file in its place meanwhile
            if hold(file) is not False and os.path.samestat(os.fstat(file.fileno()), self.path.stat()):
                return file
        except FileNotFoundError:
            pass
        file.close()
        raise UsageError(f"{self.path.parent}: another run writes there; wait for it, end it, or give another --out")

    def _write(self) -> None:
        lines = [self.settings, *([*key, *line] for key, line in self.lines.items())]
        write_text(self.path, "".join(json.dumps(line) + "\n" for line in lines))

    def _lines_of(self, file: TextIO) -> dict[Key, list[str]]:
        """What an earlier run left in the file. Read through the locked handle: closing another would unlock it."""
        try:
            file.seek(0)
            first, *rest = file.read().splitlines()
            if rest and not rest[-1].endswith("]"):  # a kill cut it off
                rest.pop()
            settings, lines = json.loads(first), [json.loads(line) for line in rest]
            done = {(method, name, image): [origin, fused] for method, name, image, origin, fused in lines}
            names = sorted({*settings, *self.settings})
            other = [name for name in names if settings.get(name) != self.settings.get(name)]
        except (OSError, ValueError, TypeError, AttributeError):
            raise UsageError(f"{self.path}: not the journal of a run; leave out --continue to begin anew") from None
        if other:
            raise UsageError(
                f"--continue: the run in {self.path.parent} had another {' and '.join(other)}; expected the same "
                "command, or leave out --continue to begin anew"
            )
        return done


def digest_of_sources(pair_set: PairSet, pair: Pair) -> str:
    """A digest of what a pair is fused from."""
    return hashlib.sha256(f"{pair_set.task} {sha256(pair.vis)} {sha256(pair.ir)}".encode()).hexdigest()
