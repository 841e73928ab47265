"""One set of pairs through one or more methods: fused, written, scored, and pictured for the report."""

import math
import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from data.ahead import ahead
from data.images import ImageError
from data.pairs import Pair, PairSet, Refusal
from data.progress import progress_bar
from utils.contenders import Contender, Network, write
from utils.failures import limits_in_plain_words, sentence
from utils.inputs import Inputs, Remarks, eight_bit, read_inputs
from utils.journal import Journal
from utils.metrics import Sources, TooSmall, grey
from utils.report import THUMBNAIL, Pictures
from utils.tables import Row


def usable_cores() -> int:
    """How many cores this process may use: of those that are there, what a scheduler or `taskset` leaves it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


WORKERS = max(2, usable_cores())  # threads that read, write and score
PENDING = 2 * WORKERS  # pairs whose scores may be outstanding while the next ones are fused
PENDING_PIXELS = 2**24  # of these pairs together, unless it is one alone: 3.4 GB, as scoring takes 200 bytes for each


Job = tuple[Pair, int, Future]  # a pair whose images are being written and scored, its pixels, and what `finish` gives


@dataclass
class Result:
    """What one set gave."""

    rows: list[Row]
    pictures: dict[str, Pictures] = field(default_factory=dict)
    refused: list[Refusal] = field(default_factory=list)
    remarks: Remarks = field(default_factory=Remarks)
    seconds: dict[str, list[float]] = field(default_factory=dict)  # of fusing a pair, by network

    def collect(self, job: Job) -> None:
        """Wait for what `finish` gives for a pair, and add it; a pair for which memory was too small is refused."""
        pair, _, finished = job
        try:
            with limits_in_plain_words():
                pictures, scores, refused = finished.result()
        except MemoryError as error:
            self.refused.append(Refusal(pair.name, str(error)))
            return
        self.pictures[pair.name] = pictures
        self.refused += refused
        for row in self.rows:
            if row.method in scores:
                row.images[pair.name] = scores[row.method]


def run_set(
    pair_set: PairSet,
    contenders: list[Contender],
    *,
    protocol: str | None,
    home: Path,
    read: Callable[[Pair], Inputs] = read_inputs,
    width: int = THUMBNAIL,
) -> Result:
    """Fuse and score every pair of a set by every contender.

    Reading the next pair, writing and scoring go on in threads while a network works. A pair that cannot be
    read, fused or scored, or for which memory is too small, is refused, and the rest goes on.

    Args:
        pair_set: the set.
        contenders: each gives a row; those with a folder have their images written to `<folder>/<set>/<stem>.png`.
        protocol: scoring convention; None only fuses.
        home: the folder that the report's links are relative to.
        read: how a pair is read, as by `read_inputs`, whose ImageError refuses it.
        width: of the report's pictures, in pixels at most.
    """
    result = Result([Row(c.name, is_reference=c.is_reference) for c in contenders], refused=list(pair_set.refused))
    jobs: deque[Job] = deque()
    journal = next((contender.journal for contender in contenders if contender.journal), None)
    prepared = partial(prepare, pair_set, read=read, journal=journal)
    bar = progress_bar(total=len(pair_set.pairs), desc=pair_set.name, unit="pair")
    with ThreadPoolExecutor(max_workers=WORKERS) as pool, bar:
        for pair, reading in ahead(pool, prepared, pair_set.pairs):
            try:
                inputs = reading.result()
            except (ImageError, MemoryError) as error:
                result.refused.append(Refusal(pair.name, str(error)))
                continue
            finally:
                bar.update()
            result.remarks.add(pair, inputs)
            images = inputs.vis, inputs.ir
            fused, refused = fuse(pair_set, pair, images, contenders)
            result.refused += refused
            pixels = math.prod(inputs.vis.shape[:2])
            while jobs and (jobs[0][2].done() or too_many(jobs, pixels)):  # done ones too: the queue stays short
                result.collect(jobs.popleft())
            job = pool.submit(finish, pair_set, pair, images, fused, protocol, home, width)
            jobs.append((pair, pixels, job))
        while jobs:
            result.collect(jobs.popleft())
    for contender in contenders:
        if isinstance(contender, Network) and not contender.is_reference and contender.seconds:
            result.seconds[contender.name] = contender.seconds.copy()
            contender.seconds.clear()
    return result


def prepare(pair_set: PairSet, pair: Pair, *, read: Callable[[Pair], Inputs], journal: Journal | None) -> Inputs:
    """The images of a pair, whose sources the journal notes first. Raises ImageError or MemoryError."""
    with limits_in_plain_words():
        if journal:
            journal.note_sources(pair_set, pair)
        return read(pair)


def fuse(
    pair_set: PairSet, pair: Pair, images: tuple[np.ndarray, np.ndarray], contenders: list[Contender]
) -> tuple[list[tuple[Contender, np.ndarray]], list[Refusal]]:
    """One pair's fused images, each with its contender, and why the other contenders give none."""
    fused, refused = [], []
    for contender in contenders:
        try:
            with limits_in_plain_words():
                fused.append((contender, contender.fuse(pair_set, pair, *images)))
        except (ValueError, MemoryError) as error:
            refused.append(Refusal(pair.name, f"{contender.name}: {error}"))
    return fused, refused


def too_many(jobs: Iterable[Job], pixels: int) -> bool:
    """Whether, with a further pair of so many pixels, the pairs that wait for scores would be too many or too large."""
    outstanding = [pixels, *(count for _, count, job in jobs if not job.done())]
    return len(outstanding) > PENDING or sum(outstanding) > PENDING_PIXELS


def finish(
    pair_set: PairSet,
    pair: Pair,
    images: tuple[np.ndarray, np.ndarray],
    fused: list[tuple[Contender, np.ndarray]],
    protocol: str | None,
    home: Path,
    width: int,
) -> tuple[Pictures, dict[str, dict[str, float]], list[Refusal]]:
    """Write and score one pair's fused images; its pictures, scores by method, and what was refused."""
    vis, ir = map(eight_bit, images)
    pictures, scores, refused, unscored = Pictures(width), {}, [], ""
    for word, image in zip(pair.words, (vis, ir), strict=True):
        pictures.add(word, image)
    sources = None
    for contender, image in fused:
        try:
            with limits_in_plain_words():
                file = write(contender, pair_set, pair, image)
                if not contender.is_reference:
                    pictures.add(contender.name, image, file.relative_to(home).as_posix() if file else "")
                if protocol:
                    sources = sources or Sources(grey(ir), grey(vis))
                    scores[contender.name] = sources.evaluate(grey(image), protocol)
        except TooSmall as error:
            but = "fused, but " if any(not contender.is_reference for contender, _ in fused) else ""
            unscored = f"{but}not scored: {error} (--no-metrics asks for no scores)"
        except (ValueError, MemoryError, OSError) as error:
            refused.append(Refusal(pair.name, f"{contender.name}: {sentence(error)}"))
    return pictures, scores, refused + ([Refusal(pair.name, unscored)] if unscored else [])
