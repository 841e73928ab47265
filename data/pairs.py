"""Pair folders: which sub-folders are the two inputs, which files are one pair, and which are refused and why."""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.images import EXTENSIONS, ImageError, read_image

# Accepted sub-folder names (in any case), `vis` first. `vis` is the input whose colour the fused image keeps, and its
# brightness is fused with `ir`:
KINDS = (
    (("vi", "vis", "visible", "rgb"), ("ir", "infrared", "thermal", "lwir")),  # infrared has no colour to keep
    (("PET", "SPECT"), ("MRI",)),  # their colour is the measurement; MRI is grey
    (("MRI",), ("CT",)),  # both grey: MRI shows the texture, CT the bright bone, as visible and infrared do
    (("under",), ("over",)),  # the short exposure has the colour of the highlights, which the long one lost
    (("near",), ("far",)),  # equal in colour
)
ACCEPTED = "; ".join(f"{'|'.join(ir)} with {'|'.join(vis)}" for vis, ir in KINDS)
_WORDS = dict.fromkeys(KINDS[0][0], "visible") | dict.fromkeys(KINDS[0][1], "infrared")


class PairError(ValueError):
    """A folder that cannot be used as pairs; the message is one sentence with what was found and what was expected."""


@dataclass(frozen=True)
class Pair:
    """One registered pair: `name` is the common stem, `vis` and `ir` the two files in the network's order."""

    name: str
    vis: Path
    ir: Path


@dataclass(frozen=True)
class Refusal:
    """Something that was left out: `name` says what (a file, a stem or a folder), `reason` why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True)
class PairFolder:
    """A pair folder. One that was refused as a whole has no pairs, no `vis_dir`, no `ir_dir` and one refusal."""

    name: str
    vis_dir: Path | None
    ir_dir: Path | None
    pairs: tuple[Pair, ...]
    refused: tuple[Refusal, ...]


def find_sets(root: str | Path) -> list[PairFolder]:
    """Find the pair folders of `root`: itself, or else those directly in it, in natural order of their names.

    Other sub-folders of a pair folder (labels, masks, boxes) are ignored. In a folder of pair folders, a sub-folder
    with half a pair, two candidates for one input, or loose images is refused: it is returned as a PairFolder without
    pairs. Any other sub-folder is ignored. Raises PairError if `root` is missing, not readable, ambiguous or has no
    pair folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise PairError(f"{root}: {'a file' if root.exists() else 'no such folder'}; expected a folder of pairs")
    try:
        return _find_sets(root)
    except OSError as error:
        raise PairError(f"{error.filename}: not readable ({error.strerror}); expected a folder of pairs") from None


def list_images(folder: Path) -> list[Path]:
    """Files of `folder` with an image extension, in natural order (2 before 10); hidden ones are left out."""
    names = [path for path in folder.iterdir() if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")]
    return sorted(names, key=natural_key)


def natural_key(path: Path) -> tuple:
    """Sorting key under which numbers count by value and case does not matter."""
    parts = re.split(r"(\d+)", path.name.casefold())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], path.name


def read_pair(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """Read (vis, ir) as `read_image` does. Raises ImageError for a bad file or for two sizes."""
    vis, ir = read_image(pair.vis), read_image(pair.ir)
    if vis.shape[:2] != ir.shape[:2]:
        sizes = f"{_word(pair.ir)} {_size(ir)}, {_word(pair.vis)} {_size(vis)}"
        raise ImageError(f"{pair.vis.name}: {sizes}; a pair must have one size")
    return vis, ir


def _find_sets(root: Path) -> list[PairFolder]:
    vis_dir, ir_dir, problem = _match(root)
    if vis_dir and ir_dir:
        if problem:
            raise PairError(f"{root}: {problem}")
        return [_pair_up(root.resolve().name, vis_dir, ir_dir)]
    sets = [found for folder in _sub_folders(root) if (found := _examine(folder))]
    if any(found.vis_dir for found in sets):
        return sets
    if sets and not problem:
        problem = str(sets[0].refused[0])
    raise PairError(f"{root}: {problem or f'no pair folder; expected sub-folders {ACCEPTED}'}")


def _word(path: Path) -> str:
    return _WORDS.get(path.parent.name.lower(), path.parent.name)


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


def _sub_folders(folder: Path) -> list[Path]:
    return sorted((sub for sub in folder.iterdir() if sub.is_dir() and not sub.name.startswith(".")), key=natural_key)


def _match(folder: Path) -> tuple[Path | None, Path | None, str]:
    """The two input folders, if there are two, and what is wrong with them ("" if nothing)."""
    subs = _sub_folders(folder)
    sides = [(_named(subs, vis), _named(subs, ir)) for vis, ir in KINDS]
    complete = [(vis, ir) for vis, ir in sides if vis and ir]
    if complete:
        candidates = [sub.name for vis, ir in complete for sub in vis + ir]
        names = ", ".join(dict.fromkeys(candidates))
        problem = f"{names} could be more than one pair; expected one of {ACCEPTED}" if len(candidates) > 2 else ""
        return complete[0][0][0], complete[0][1][0], problem
    halves = dict.fromkeys(sub.name for vis, ir in sides for sub in vis + ir)
    return None, None, f"{', '.join(halves)} without a partner; expected {ACCEPTED}" if halves else ""


def _named(folders: list[Path], names: tuple[str, ...]) -> list[Path]:
    wanted = {name.lower() for name in names}
    return [folder for folder in folders if folder.name.lower() in wanted]


def _examine(folder: Path) -> PairFolder | None:
    """A sub-folder of a folder of pair folders: its pairs, its refusal, or None if it is none of our business."""
    vis_dir, ir_dir, problem = _match(folder)
    if not problem and vis_dir and ir_dir:
        return _pair_up(folder.name, vis_dir, ir_dir)
    if not problem and list_images(folder):
        problem = f"images that lie in no pair folder; expected sub-folders {ACCEPTED}"
    return PairFolder(folder.name, None, None, (), (Refusal(folder.name, problem),)) if problem else None


def _pair_up(name: str, vis_dir: Path, ir_dir: Path) -> PairFolder:
    vis_files, ir_files = _by_stem(vis_dir), _by_stem(ir_dir)
    empty = [folder.name for folder, files in ((vis_dir, vis_files), (ir_dir, ir_files)) if not files]
    if empty:
        reason = f"no image directly in {' and '.join(empty)}; expected {', '.join(sorted(EXTENSIONS))} files"
        return PairFolder(name, vis_dir, ir_dir, (), (Refusal(name, reason),))
    if not vis_files.keys() & ir_files.keys():
        examples = f"{vis_dir.name} has {_first(vis_files)}, {ir_dir.name} has {_first(ir_files)}"
        reason = f"no two files have one stem ({examples}); a pair needs equal stems"
        return PairFolder(name, vis_dir, ir_dir, (), (Refusal(name, reason),))
    pairs, refused = [], []
    for stem in sorted(vis_files.keys() | ir_files.keys(), key=lambda stem: natural_key(Path(stem))):
        reason = _stem_problem(vis_dir, vis_files[stem], ir_dir, ir_files[stem])
        if reason:
            refused.append(Refusal((vis_files[stem] + ir_files[stem])[0].name, reason))
        else:
            pairs.append(Pair(stem, vis_files[stem][0], ir_files[stem][0]))
    return PairFolder(name, vis_dir, ir_dir, tuple(pairs), tuple(refused))


def _by_stem(folder: Path) -> defaultdict[str, list[Path]]:
    files = defaultdict(list)
    for path in list_images(folder):
        files[path.stem].append(path)
    return files


def _first(files: dict[str, list[Path]]) -> str:
    return next(iter(files.values()))[0].name


def _stem_problem(vis_dir: Path, vis: list[Path], ir_dir: Path, ir: list[Path]) -> str:
    for folder, files in ((vis_dir, vis), (ir_dir, ir)):
        if len(files) > 1:
            return f"{folder.name} holds {' and '.join(path.name for path in files)}; a stem must name one image"
    if vis and ir:
        return ""
    present, missing = (vis_dir, ir_dir) if vis else (ir_dir, vis_dir)
    return f"in {present.name} but not in {missing.name}; a pair needs an image of one stem in both"
