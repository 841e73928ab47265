"""One set of pairs through one or more methods: fused, written, scored, and pictured for the report."""

import math
import os
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

import net
from data.ahead import ahead
from data.images import MAX_PIXELS, ImageError, read_image, write_image
from data.kinds import BLENDED, is_role
from data.pairs import Pair, PairSet, Refusal, list_images, size_of
from data.progress import progress_bar
from net.fuser import Fuser, to_uint8, to_unit
from utils.failures import by_tiles, limits_in_plain_words, sentence
from utils.inputs import Inputs, Reader, Remarks, eight_bit
from utils.journal import Journal
from utils.metrics import Sources, TooSmall, grey
from utils.options import UsageError
from utils.report import Pictures
from utils.tables import Row, label


def usable_cores() -> int:
    """How many cores this process may use: of those that are there, what a scheduler or `taskset` leaves it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


WORKERS = max(2, usable_cores())  # threads that read, write and score
PENDING = 2 * WORKERS  # pairs whose scores may be outstanding while the next ones are fused
PENDING_PIXELS = 2**24  # of these pairs together, unless it is one alone: scoring takes 200 bytes for each, so 3.4 GB


class Contender(Protocol):
    """Something that gives a fused 8-bit image of a pair; `folder` is where its images are written, if they are."""

    name: str
    folder: Path | None
    is_reference: bool
    journal: Journal | None

    def fuse(self, found: PairSet, pair: Pair, vis: np.ndarray, ir: np.ndarray) -> np.ndarray: ...


@dataclass
class Network:
    """A network or rule that fuses pairs here.

    In protocol `cmmdl` its image has the colour of `vis`, or of both where the task has colour in both, and is
    stretched as a whole. In `cddfuse` the sources
    are 8-bit grey to begin with (luminance rounded), and its image is the fused luminance, stretched by itself.
    """

    name: str
    fuser: Fuser
    protocol: str
    folder: Path | None = None
    is_reference: bool = False
    journal: Journal | None = None  # of what an earlier run did
    seconds: list[float] = field(default_factory=list, init=False, repr=False)  # that each image took

    def fuse(self, found: PairSet, pair: Pair, vis: np.ndarray, ir: np.ndarray) -> np.ndarray:
        if self.journal and (done := self.journal.find(self.name, found, pair, place(self, found, pair))) is not None:
            return done
        began = time.monotonic()
        if self.protocol == "cddfuse":
            vis, ir = (grey(eight_bit(image, word)) for image, word in zip((vis, ir), pair.words, strict=True))
        with limits_in_plain_words("" if self.is_reference else by_tiles(self.fuser.tile)):
            vis, ir = (to_unit(image, word) for image, word in zip((vis, ir), pair.words, strict=True))
            fused = to_uint8(self.fuser.picture(vis, ir, blend=found.task in BLENDED), stretch=True)
        self.seconds.append(time.monotonic() - began)
        return fused


@dataclass
class Folder:
    """Images that some other program fused: `<root>/<SET>/<stem>.*`, or `<root>/<stem>.*` for a single set.

    With several sets the latter would give each of them the same images.
    """

    name: str
    root: Path
    single: bool = True  # there is one set alone
    folder: None = None
    is_reference: bool = False
    journal: None = None
    listed: dict[Path, dict[str, list[Path]]] = field(default_factory=dict, init=False, repr=False)  # by stem

    def fuse(self, found: PairSet, pair: Pair, vis: np.ndarray, ir: np.ndarray) -> np.ndarray:  # noqa: ARG002
        files = self.files(found, pair)
        if len(files) != 1:
            what = " and ".join(path.name for path in files) or "no image"
            raise ImageError(f"{what} in {self.home(found)}; expected one fused image called {pair.name}")
        image = eight_bit(read_image(files[0], max_pixels=max(MAX_PIXELS, ir.shape[0] * ir.shape[1])), "fused")
        if image.shape[:2] != ir.shape[:2]:
            sizes = f"{size_of(image)}, its pair {size_of(ir)}"
            raise ImageError(f"{files[0]}: {sizes}; a fused image has its sources' size")
        return image

    def home(self, found: PairSet) -> Path:
        """The folder of a set's images."""
        inside = self.root / found.name
        return self.root if self.single and not inside.is_dir() else inside

    def files(self, found: PairSet, pair: Pair) -> list[Path]:
        """The images of a pair's name, of which one is expected; extensions count in any case, as those of the inputs.

        Raises:
            ImageError: the folder cannot be read.
        """
        home = self.home(found) / Path(pair.name).parent
        try:
            if home not in self.listed:
                stems = defaultdict(list)
                for path in list_images(home) if home.is_dir() else ():
                    stems[path.stem].append(path)
                self.listed[home] = stems
        except OSError as error:
            raise ImageError(f"{home}: not readable ({error.strerror}); expected fused images") from None
        return self.listed[home].get(Path(pair.name).name, [])


def named_folder(value: str) -> tuple[Path, str]:
    """The folder that `DIR` or `DIR=NAME` means, there or not, and its name, by default its own.

    Raises:
        UsageError: DIR is empty, which would be the current folder.
    """
    path, sign, name = ("", "", value) if Path(value).is_dir() else value.rpartition("=")
    if not (path if sign else value):
        raise UsageError(f"--fused {value!r}: an empty name; expected DIR or DIR=NAME")
    root = Path(path if sign else value)
    return root, name if sign and name else root.resolve().name


def given(values: Iterable[str], beside: Sequence[Contender], single: bool) -> list[Folder]:
    """The images in folders, `DIR` or `DIR=NAME` each, without a name called as the folder, and "max (given)" where a
    method `beside` or a source is called so.

    Scores and pictures are kept by name: one of two of a name would be lost. `single`: there is one set alone.

    Raises:
        UsageError: no such folder, one in which a method is going to write, or two of one name.
    """
    taken = {word for contender in beside for word in (contender.name, label(contender.name))}
    folders: dict[str, Folder] = {}
    for value in values:
        root, name = named_folder(value)
        if not root.is_dir():
            raise UsageError(f"--fused {value}: no such folder; expected the folder of fused images, DIR or DIR=NAME")
        if any(contender.folder and contender.folder.resolve() == root.resolve() for contender in beside):
            raise UsageError(f"--fused {value}: is where a method is going to write; expected another --out")
        name = f"{name} (given)" if name in taken or is_role(name) else name
        if name in folders or not name or "/" in name:
            raise UsageError(f"--fused {value}: {name!r} is the name of two or of none; name them apart, as DIR=NAME")
        folders[name] = Folder(name, root, single)
    return [*folders.values()]


def reference_rules(protocol: str, beside: Sequence[str]) -> list[Network]:
    """The rules without learning that every table shows, but for those that are among the methods `beside`."""
    names = [method.name for method in net.METHODS.values() if not method.learns and method.name not in beside]
    return [Network(name, net.Fuser(net.build(name), device="cpu"), protocol, is_reference=True) for name in names]


@dataclass
class Result:
    """What one set gave."""

    rows: list[Row]
    pictures: dict[str, Pictures] = field(default_factory=dict)
    refused: list[Refusal] = field(default_factory=list)
    remarks: Remarks = field(default_factory=Remarks)
    seconds: dict[str, list[float]] = field(default_factory=dict)  # of fusing a pair, by network


def run_set(
    found: PairSet,
    contenders: list[Contender],
    *,
    protocol: str,
    metrics: bool,
    home: Path,
    read: Callable[[Pair], Inputs | ImageError] | None = None,
) -> Result:
    """Fuse and score every pair of a set by every contender.

    Reading the next pair, writing and scoring go on in threads while a network works. What cannot be read, fused or
    scored, or not in the memory that there is, becomes a refusal, and the rest goes on.

    Args:
        found: the set.
        contenders: each gives a row; those with a folder have their images written to `<folder>/<set>/<stem>.png`.
        protocol: scoring convention.
        metrics: False only fuses.
        home: the folder that the report's links are relative to.
        read: how a pair is read; by default two sizes are refused and the registration is checked.
    """
    result = Result([Row(c.name, is_reference=c.is_reference) for c in contenders], refused=list(found.refused))
    rows = dict(zip((c.name for c in contenders), result.rows, strict=True))
    jobs: deque[tuple[Pair, int, Future]] = deque()  # each with its pixels
    read = read or Reader()
    journal = next((contender.journal for contender in contenders if contender.journal), None)

    def prepare(pair: Pair) -> Inputs | ImageError | MemoryError:
        try:
            with limits_in_plain_words():
                if journal:
                    journal.note_sources(found, pair)
                return read(pair)
        except MemoryError as error:
            return error

    def collect() -> None:
        pair, _, job = jobs.popleft()
        try:
            with limits_in_plain_words():
                pictures, scores, refused = job.result()
        except MemoryError as error:
            result.refused.append(Refusal(pair.name, str(error)))
            return
        result.pictures[pair.name] = pictures
        result.refused += refused
        for name, values in scores.items():
            rows[name].images[pair.name] = values

    bar = progress_bar(total=len(found.pairs), desc=found.name, unit="pair")
    with ThreadPoolExecutor(max_workers=WORKERS) as pool, bar:
        for pair, inputs in ahead(pool, prepare, found.pairs):
            bar.update()
            if isinstance(inputs, Exception):
                result.refused.append(Refusal(pair.name, str(inputs)))
                continue
            result.remarks.add(pair, inputs)
            images = inputs.vis, inputs.ir
            fused: list[tuple[Contender, np.ndarray]] = []
            for contender in contenders:
                try:
                    with limits_in_plain_words():
                        fused.append((contender, contender.fuse(found, pair, *images)))
                except (ValueError, MemoryError) as error:
                    result.refused.append(Refusal(pair.name, f"{contender.name}: {error}"))
            pixels = math.prod(inputs.vis.shape[:2])
            while jobs and too_many(jobs, pixels):
                collect()
            job = pool.submit(finish, found, pair, images, fused, protocol if metrics else None, home)
            jobs.append((pair, pixels, job))
        while jobs:
            collect()
    for contender in contenders:
        if isinstance(contender, Network) and not contender.is_reference and contender.seconds:
            result.seconds[contender.name] = contender.seconds.copy()
            contender.seconds.clear()
    return result


def too_many(jobs: Iterable[tuple[Pair, int, Future]], pixels: int) -> bool:
    """Whether, with a pair of so many pixels more, scores of too many or too large pairs would be outstanding."""
    outstanding = [pixels, *(count for _, count, job in jobs if not job.done())]
    return len(outstanding) > PENDING or sum(outstanding) > PENDING_PIXELS


def finish(
    found: PairSet,
    pair: Pair,
    images: tuple[np.ndarray, np.ndarray],
    fused: list[tuple[Contender, np.ndarray]],
    protocol: str | None,
    home: Path,
) -> tuple[Pictures, dict[str, dict[str, float]], list[Refusal]]:
    """Write and score one pair's fused images; its pictures, scores by method, and what was refused."""
    vis, ir = (eight_bit(image, word) for image, word in zip(images, pair.words, strict=True))
    pictures, scores, refused, unscored = Pictures(), {}, [], ""
    for word, image in zip(pair.words, (vis, ir), strict=True):
        pictures.add(word, image)
    sources = None
    for contender, image in fused:
        try:
            with limits_in_plain_words():
                file = write(contender, found, pair, image)
                if not contender.is_reference:
                    pictures.add(contender.name, image, file.relative_to(home).as_posix() if file else "")
                if protocol and not unscored:
                    sources = sources or Sources(grey(ir), grey(vis))
                    scores[contender.name] = sources.evaluate(grey(image), protocol)
        except TooSmall as error:
            unscored = f"fused, but not scored: {error} (--no-metrics asks for no scores)"
        except (ValueError, MemoryError, OSError) as error:
            refused.append(Refusal(pair.name, f"{contender.name}: {sentence(error)}"))
    return pictures, scores, refused + ([Refusal(pair.name, unscored)] if unscored else [])


def write(contender: Contender, found: PairSet, pair: Pair, image: np.ndarray) -> Path | None:
    """Write a fused image where the contender's images go, if they go anywhere."""
    if contender.folder is None:
        return None
    file = place(contender, found, pair)
    write_image(file, image)
    if contender.journal:
        contender.journal.add(contender.name, found, pair, file)
    return file


def place(contender: Contender, found: PairSet, pair: Pair) -> Path:
    """Where a pair's fused image goes."""
    return contender.folder / found.name / f"{pair.name}.png"
