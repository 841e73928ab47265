"""What is compared: networks and rules that fuse pairs here, and folders of images that another program fused."""

import os
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

import net
from data.files import is_folder
from data.images import EXTENSIONS, MAX_PIXELS, ImageError, read_image, write_image
from data.kinds import colour_source, is_role
from data.listing import composed, list_images
from data.options import UsageError
from data.pairs import Pair, PairSet
from data.words import size_of
from net.fuser import Fuser, to_uint8, to_unit
from utils.failures import limits_in_plain_words, tile_advice
from utils.inputs import eight_bit
from utils.journal import Journal
from utils.metrics import grey
from utils.tables import label

SHOWN = 5  # folders that a message lists


class Contender(Protocol):
    """Something that gives a fused 8-bit image of a pair; `folder` is where its images are written, if they are."""

    name: str
    folder: Path | None
    is_reference: bool
    journal: Journal | None

    def fuse(self, pair_set: PairSet, pair: Pair, vis: np.ndarray, ir: np.ndarray) -> np.ndarray: ...


@dataclass
class Network:
    """A network or rule that fuses pairs here.

    In protocol `cmmdl` its image has the colour that `data.kinds.colour_source` says, and is stretched as a whole. In
    `cddfuse` the sources are 8-bit grey to begin with (luminance rounded), and its image is the fused luminance,
    stretched by itself.
    """

    name: str
    fuser: Fuser
    protocol: str
    folder: Path | None = None
    is_reference: bool = False
    journal: Journal | None = None  # of what an earlier run did
    seconds: list[float] = field(default_factory=list, init=False, repr=False)  # that each image took

    def fuse(self, pair_set: PairSet, pair: Pair, vis: np.ndarray, ir: np.ndarray) -> np.ndarray:
        if self.journal:
            done = self.journal.find(self.name, pair_set, pair, place(self, pair_set, pair))
            if done is not None:
                return done
        began = time.monotonic()
        if self.protocol == "cddfuse":
            vis, ir = (grey(eight_bit(image)) for image in (vis, ir))
        with limits_in_plain_words("" if self.is_reference else tile_advice(self.fuser.tile)):
            vis, ir = map(to_unit, (vis, ir))
            colour_from = colour_source(pair_set.task, pair.words)
            fused = to_uint8(self.fuser.picture(vis, ir, colour_from=colour_from), stretch=True)
        self.seconds.append(time.monotonic() - began)
        return fused


@dataclass
class Folder:
    """Images that some other program fused: `<root>/<SET>/<stem>.*`, or `<root>/<stem>.*` for a single set.

    With several sets the latter would give each of them the same images. In images of 16 bits, 65535 is white.
    """

    name: str
    root: Path
    single: bool = True  # there is one set alone
    folder: None = None
    is_reference: bool = False
    journal: None = None
    homes: dict[str, Path] = field(default_factory=dict, init=False, repr=False)  # by set
    listed: dict[Path, dict[str, list[Path]]] = field(default_factory=dict, init=False, repr=False)  # by stem

    def fuse(self, pair_set: PairSet, pair: Pair, vis: np.ndarray, ir: np.ndarray) -> np.ndarray:  # noqa: ARG002
        file = self.file(pair_set, pair)
        image = as_written(file, read_image(file, max_pixels=max(MAX_PIXELS, ir.shape[0] * ir.shape[1])))
        if image.shape[:2] != ir.shape[:2]:
            sizes = f"{size_of(image)}, its pair {size_of(ir)}"
            raise ImageError(f"{file}: {sizes}; a fused image has its sources' size")
        return image

    def file(self, pair_set: PairSet, pair: Pair) -> Path:
        """The image of a pair. Raises ImageError where there is none, or two."""
        files = self.files(pair_set, pair)
        if len(files) != 1:
            what = " and ".join(path.name for path in files) or "no image"
            raise ImageError(f"{what} in {self.home(pair_set)}; expected one fused image called {pair.name}")
        return files[0]

    def home(self, pair_set: PairSet) -> Path:
        """The folder of a set's images: of a single set, only one that has some."""
        if pair_set.name not in self.homes:
            inside = self.root / pair_set.name
            own = not self.single or any(path.suffix.lower() in EXTENSIONS for path in inside.rglob("*"))
            self.homes[pair_set.name] = inside if own else self.root
        return self.homes[pair_set.name]

    def files(self, pair_set: PairSet, pair: Pair) -> list[Path]:
        """The images of a pair's name, of which one is expected. Raises ImageError for an unreadable folder."""
        home = self.home(pair_set) / Path(pair.name).parent
        try:
            if home not in self.listed:
                stems = defaultdict(list)
                for path in list_images(home) if is_folder(home) else ():
                    stems[composed(path.stem)].append(path)
                self.listed[home] = stems
        except OSError as error:
            raise ImageError(f"{home}: not readable ({error.strerror}); expected fused images") from None
        return self.listed[home].get(composed(Path(pair.name).name), [])


def as_written(path: Path, image: np.ndarray) -> np.ndarray:
    """A fused image, as read, as uint8 without alpha. Raises ImageError for float pixels."""
    if image.dtype == np.float32:
        raise ImageError(f"{path}: float pixels, of which nothing says what is white; expected 8 or 16 bits")
    image = image[..., :3] if image.ndim == 3 else image
    return image if image.dtype == np.uint8 else np.rint(image / 257).astype(np.uint8)


def named_folder(value: str) -> tuple[Path, str]:
    """The folder that `DIR` or `DIR=NAME` means, there or not, and its name, by default its own.

    Raises UsageError where DIR is empty, which would be the current folder.
    """
    path, name = value, ""
    if "=" in value and not Path(value).is_dir():
        path, _, name = value.rpartition("=")
    if not path:
        raise UsageError(f"--fused {value!r}: an empty name; expected DIR or DIR=NAME")
    return Path(path), name or Path(os.path.realpath(path)).name


def given_folders(values: Iterable[str], beside: Sequence[Contender], single: bool) -> list[Folder]:
    """The folders of `--fused`, `DIR` or `DIR=NAME` each, as methods; images of a `single` set may lie in DIR itself.

    Without NAME one has the folder's name, with " (given)" after it where a method in `beside`, those of the same run,
    or a source is called so. Scores and pictures are stored under the names, so no two are alike.

    Raises UsageError where there is no such folder, where a method is going to write there, or where tables would call
    two alike.
    """
    taken = {word for contender in beside for word in (contender.name, label(contender.name))}
    folders: dict[str, Folder] = {}
    for value in values:
        root, name = named_folder(value)
        if not is_folder(root):
            expected = "expected the folder of fused images, DIR or DIR=NAME"
            raise UsageError(f"--fused {value}: no such folder{neighbours(root)}; {expected}")
        if any(one.folder and os.path.realpath(one.folder) == os.path.realpath(root) for one in beside):
            raise UsageError(f"--fused {value}: is where a method is going to write; expected another --out")
        name = f"{name} (given)" if name in taken or is_role(name) else name
        if label(name) in folders or not name or "/" in name:
            raise UsageError(f"--fused {value}: {name!r} is empty or taken; expected a name for each, as DIR=NAME")
        folders[label(name)] = Folder(name, root, single)
    return [*folders.values()]


def neighbours(folder: Path) -> str:
    """What a message says of the folders beside one that is not there; nothing where there are none."""
    subs = sorted(sub.name for sub in folder.parent.glob("*") if sub.is_dir())
    return f" ({folder.parent} holds {', '.join(subs[:SHOWN])}{', ...' if len(subs) > SHOWN else ''})" if subs else ""


def reference_rules(protocol: str, beside: Sequence[str]) -> list[Network]:
    """The rules without learning that every table shows, but for those that are among the methods `beside`."""
    names = [method.name for method in net.METHODS.values() if not method.learns and method.name not in beside]
    return [Network(name, net.Fuser(net.build(name), device="cpu"), protocol, is_reference=True) for name in names]


def write(contender: Contender, pair_set: PairSet, pair: Pair, image: np.ndarray) -> Path | None:
    """Write a fused image where the contender's images go, if they go anywhere and it is not there already."""
    if contender.folder is None:
        return None
    file = place(contender, pair_set, pair)
    if contender.journal and (contender.name, pair_set.name, pair.name) in contender.journal.kept:
        return file
    write_image(file, image)
    if contender.journal:
        contender.journal.add(contender.name, pair_set, pair, file)
    return file


def place(contender: Contender, pair_set: PairSet, pair: Pair) -> Path:
    """Where a pair's fused image goes."""
    return contender.folder / pair_set.name / f"{pair.name}.png"
