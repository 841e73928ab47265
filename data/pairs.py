"""Pair folders: which sub-folders are the two inputs, which files are one pair, and which are refused and why."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data.files import is_folder, mode_of
from data.images import EXTENSIONS, ImageError, read_image
from data.kinds import ACCEPTED, KINDS, Kind, is_among
from data.listing import Found, list_images, look_into, natural_key, sub_folders
from data.words import size_of

_IMAGE_FILES = f"{', '.join(sorted(EXTENSIONS))} files"


class PairError(ValueError):
    """A folder that cannot be used as pairs; the message is one sentence with what was found and what was expected."""


@dataclass(frozen=True)
class Pair:
    """One registered pair: `name` is the common stem, `vis` and `ir` the two files in the network's order.

    In nested folders the name is the common relative path, with slashes and without extension. `words` is what
    messages call the two.
    """

    name: str
    vis: Path
    ir: Path
    words: tuple[str, str] = field(default=("visible", "infrared"), compare=False)


@dataclass(frozen=True)
class Refusal:
    """Something that was left out: `name` says what (a file, a stem or a folder), `reason` why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True)
class PairSet:
    """A set of pairs; `task` is one of `data.kinds.TASKS`, as the folders' names tell it.

    `folder` is the pair folder. It is None for a set that was listed file by file, and for a folder that is no pair
    folder; the latter has no pairs and one refusal that says why.
    """

    name: str
    folder: Path | None
    pairs: tuple[Pair, ...]
    refused: tuple[Refusal, ...]
    task: str = "ivf"


def find_sets(root: str | Path) -> list[PairSet]:
    """Find the pair folders of `root`: itself, or else those directly in it, in natural order of their names.

    The two input folders may have sub-folders of their own, alike in both, as LLVIP's infrared/train and visible/train.

    Other sub-folders of a pair folder (labels, masks, boxes) are ignored. In a folder of pair folders, a sub-folder
    with half a pair, two candidates for one input, or loose images, or one that cannot be read, is refused: it is
    returned as a PairSet without pairs. Any other sub-folder is ignored. Raises PairError if `root` is missing, not
    readable, ambiguous or has no pair folder.
    """
    root = Path(root)
    try:
        if not is_folder(root):
            found = "no such folder" if mode_of(root) is None else "a file"
            raise PairError(f"{root}: {found}; expected a folder of pairs")
        match, problem = _match(root)
        if match and not problem:
            name = Path(os.path.abspath(root)).name or "root"  # noqa: PTH100 - of a link, not of where it leads
            return [_pair_up(name, root, *match)]
        sets = [] if match else [pair_set for folder in sub_folders(root) if (pair_set := _examine(folder))]
    except OSError as error:
        raise PairError(f"{error.filename}: not readable ({error.strerror}); expected a folder of pairs") from None
    if any(pair_set.folder for pair_set in sets):
        return sets
    if sets and not problem:
        problem = str(sets[0].refused[0])
    raise PairError(f"{root}: {problem or f'no pair folder; expected sub-folders {ACCEPTED}'}")


def read_pair(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """Read (vis, ir) as `read_image` does. Raises ImageError for a bad file or for two sizes."""
    vis, ir = read_image(pair.vis), read_image(pair.ir)
    check_sizes(pair, vis, ir)
    return vis, ir


def check_sizes(pair: Pair, vis: np.ndarray, ir: np.ndarray) -> None:
    """Raise ImageError for two images of different size."""
    if vis.shape[:2] != ir.shape[:2]:
        sizes = f"{pair.words[1]} {size_of(ir)}, {pair.words[0]} {size_of(vis)}"
        raise ImageError(f"{pair.vis.name}: {sizes}; a pair must have one size")


def _match(folder: Path) -> tuple[tuple[Kind, Path, Path] | None, str]:
    """The two input folders and their kind, if there are two, and what is wrong with them ("" if nothing)."""
    subs = sub_folders(folder)
    sides = [(kind, _named(subs, kind.vis), _named(subs, kind.ir)) for kind in KINDS]
    complete = [side for side in sides if side[1] and side[2]]
    if complete:
        candidates = [sub.name for _, vis, ir in complete for sub in vis + ir]
        names = ", ".join(dict.fromkeys(candidates))
        problem = f"{names} could be more than one pair; expected one of {ACCEPTED}" if len(candidates) > 2 else ""
        kind, vis, ir = complete[0]
        return (kind, vis[0], ir[0]), problem
    halves = dict.fromkeys(sub.name for _, vis, ir in sides for sub in vis + ir)
    return None, f"{', '.join(halves)} without a partner; expected {ACCEPTED}" if halves else ""


def _named(folders: list[Path], names: tuple[str, ...]) -> list[Path]:
    return [folder for folder in folders if is_among(folder.name, names)]


def _examine(folder: Path) -> PairSet | None:
    """A sub-folder of a folder of pair folders: its pairs, its refusal, or None if it has nothing to do with pairs."""
    try:
        match, problem = _match(folder)
        if match and not problem:
            return _pair_up(folder.name, folder, *match)
        if not problem and list_images(folder):
            problem = f"images that lie in no pair folder; expected sub-folders {ACCEPTED}"
    except OSError as error:
        problem = f"{error.filename}: not readable ({error.strerror}); expected a folder of pairs"
    return PairSet(folder.name, None, (), (Refusal(folder.name, problem),)) if problem else None


def _pair_up(name: str, home: Path, kind: Kind, vis_dir: Path, ir_dir: Path) -> PairSet:
    found = look_into(vis_dir), look_into(ir_dir)
    vis_files, ir_files = (inside.files for inside in found)
    refused = [refusal for inside in found for refusal in _refused(inside)]
    reason = ""
    empty = [folder.name for folder, files in ((vis_dir, vis_files), (ir_dir, ir_files)) if not files]
    if empty:
        reason = f"no image in {' and '.join(empty)}; expected {_IMAGE_FILES}"
    elif not vis_files.keys() & ir_files.keys():
        examples = f"{vis_dir.name} has {_first(vis_dir, vis_files)}, {ir_dir.name} has {_first(ir_dir, ir_files)}"
        reason = f"no two files have one stem ({examples}); a pair needs equal stems"
    if reason:
        return PairSet(name, home, (), (Refusal(name, reason), *refused), kind.task)
    pairs, words = [], kind.words(vis_dir.name, ir_dir.name)
    for stem in sorted(vis_files.keys() | ir_files.keys(), key=lambda stem: _path_key(Path(stem))):
        vis, ir = vis_files.get(stem, []), ir_files.get(stem, [])
        if reason := _stem_problem(vis_dir, vis, ir_dir, ir):
            first = (vis + ir)[0]
            refused.append(Refusal(first.relative_to(vis_dir if vis else ir_dir).as_posix(), reason))
        else:
            pairs.append(Pair(stem, vis[0], ir[0], words))
    return PairSet(name, home, tuple(pairs), tuple(refused), kind.task)


def _refused(found: Found) -> list[Refusal]:
    """What a pair folder's input folder has besides images that can be read."""
    refusals = []
    for sub, error in found.unreadable.items():
        reason = f"not readable ({error.strerror}); expected a folder of images"
        refusals.append(Refusal(sub.relative_to(found.folder.parent).as_posix(), reason))
    if found.unread:
        first = found.unread[0].relative_to(found.folder).as_posix()
        others = f"files in formats that are not read: {len(found.unread)}, first {first}"
        refusals.append(Refusal(found.folder.name, f"{others}; expected {_IMAGE_FILES}"))
    return refusals


def _path_key(path: Path) -> tuple:
    """Natural order of relative paths, what lies directly in a folder before its sub-folders."""
    return len(path.parts) > 1, [natural_key(Path(part)) for part in path.parts]


def _first(folder: Path, files: dict[str, list[Path]]) -> str:
    return next(iter(files.values()))[0].relative_to(folder).as_posix()


def _stem_problem(vis_dir: Path, vis: list[Path], ir_dir: Path, ir: list[Path]) -> str:
    for folder, files in ((vis_dir, vis), (ir_dir, ir)):
        if len(files) > 1:
            return f"{folder.name} holds {' and '.join(path.name for path in files)}; a stem must name one image"
    if vis and ir:
        return ""
    present, missing = (vis_dir, ir_dir) if vis else (ir_dir, vis_dir)
    return f"in {present.name} but not in {missing.name}; a pair needs an image of one stem in both"
