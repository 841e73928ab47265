"""Which images lie in a folder: by name, in natural order, with its sub-folders."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data.files import is_folder
from data.images import EXTENSIONS

# formats of pictures that are not read: such files in an input folder are reported, other files are ignored
UNREAD = frozenset({
    ".avif", ".dcm", ".dng", ".exr", ".gif", ".hdr", ".heic", ".heif", ".j2k", ".jp2", ".jxl", ".mat", ".npy", ".npz",
    ".pbm", ".pgm", ".pnm", ".ppm", ".raw", ".tga",
})  # fmt: skip


def list_images(folder: Path) -> list[Path]:
    """Files of `folder` with an image extension, in natural order (2 before 10); hidden ones are left out."""
    return _files(folder, EXTENSIONS)


def images_by_name(folder: Path) -> dict[str, list[Path]]:
    """Images of `folder` and all its sub-folders by their relative path without extension, in natural order.

    Hidden folders are left out, and a folder that a link leads back to is not entered again. Raises OSError for one
    that cannot be read.
    """
    found = look_into(folder)
    for error in found.unreadable.values():
        raise error
    return found.files


def composed(name: str) -> str:
    """A name in Unicode's composed form, by which names are compared; macOS may write an accent by itself."""
    return unicodedata.normalize("NFC", name)


def natural_key(path: Path) -> tuple:
    """Sorting key under which numbers count by value and case does not matter."""
    parts = re.split(r"(\d+)", path.name.casefold())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], path.name


@dataclass(frozen=True)
class Found:
    """What lies in a folder and its sub-folders: images as `images_by_name` gives them, and what is left out."""

    folder: Path
    files: dict[str, list[Path]]
    unread: list[Path]  # pictures in formats that are not read
    unreadable: dict[Path, OSError]  # sub-folders


def look_into(folder: Path) -> Found:
    """What lies in a folder. Raises OSError where that itself cannot be read."""
    found = Found(folder, defaultdict(list), [], {})
    for path in _walk(folder, frozenset(), found.unreadable):
        if path.suffix.lower() in EXTENSIONS:
            found.files[composed(path.relative_to(folder).with_suffix("").as_posix())].append(path)
        elif not _is_folder(path):
            found.unread.append(path)
    return found


def _walk(folder: Path, above: frozenset[Path], unreadable: dict[Path, OSError]) -> Iterator[Path]:
    yield from _files(folder, EXTENSIONS | UNREAD)
    above |= {folder.resolve()}
    for sub in sub_folders(folder):
        if sub.resolve() not in above and sub.suffix.lower() not in EXTENSIONS:
            try:
                yield from _walk(sub, above, unreadable)
            except OSError as error:
                unreadable[sub] = error


def sub_folders(folder: Path) -> list[Path]:
    """The folders directly in one, in natural order; hidden ones are left out."""
    found = [sub for sub in folder.iterdir() if not sub.name.startswith(".") and _is_folder(sub)]
    return sorted(found, key=natural_key)


def _is_folder(path: Path) -> bool:
    """Whether it is a folder, or a link into one that may not be read: that is reported when it is read."""
    try:
        return is_folder(path)
    except OSError:
        return True


def _files(folder: Path, extensions: frozenset[str]) -> list[Path]:
    names = [path for path in folder.iterdir() if path.suffix.lower() in extensions and not path.name.startswith(".")]
    return sorted(names, key=natural_key)
