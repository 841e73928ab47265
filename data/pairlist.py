"""Pairs that are named one by one: in a list file of two paths a line, or two files on the command line."""

import csv
import os
from pathlib import Path

from data.files import instead_of_file
from data.images import EXTENSIONS
from data.kinds import Match, is_role, recognise, recognise_files
from data.pairs import Pair, PairError, PairSet, Refusal
from data.words import counted, one_line

EXPECTED = "expected two paths: visible, infrared"
Line = tuple[int, list[str]]  # its number in the file and its fields


def read_pairs(path: str | Path) -> PairSet:
    """The set that a csv file (UTF-8) lists, one pair a line: the visible image's path, then the infrared one's.

    Relative paths start at the file's own folder. Empty lines and lines that start with # are skipped, and a first line
    without image paths is a header, unless it names two files that are there. If a header has the names of two pair
    folders, such as `ir,vi` or `PET,MRI`, they say which column is which. A pair is named by its visible
    image's path below the folder that all of them share. A bad line becomes a refusal that names it. Raises PairError
    for a file that cannot be read or holds no line.
    """
    path = Path(path)
    lines = _read_lines(path)
    header = lines.pop(0)[1] if lines and _is_header(path.parent, lines[0][1]) else []
    found = recognise(*header) if header else None
    if any(is_role(name) for name in header) and not found:
        names = one_line(",".join(header))
        raise PairError(f"{path}: the header {names}; expected the names of two inputs, as visible,infrared")
    if not lines:
        raise PairError(f"{path}: lists no pair; {EXPECTED} on each line")
    rows: list[tuple[int, Path, Path]] = []
    refused: list[Refusal] = []
    for number, fields in lines:
        row = [path.parent / name for name in (fields if not found or found.in_order else fields[::-1])]
        if problem := _line_problem(path.parent, fields) or (not found and _order_problem(*row)):
            refused.append(Refusal(f"{path.name} line {number}", problem))
        else:
            rows.append((number, *row))
    task, words = _task(found, rows)
    pairs: dict[str, tuple[int, Pair]] = {}
    for (number, vis, ir), name in zip(rows, _names([vis for _, vis, _ in rows]), strict=True):
        if name in pairs:
            problem = f"{vis.name} gives its fused image the name {name}, which line {pairs[name][0]} has"
            refused.append(Refusal(f"{path.name} line {number}", f"{problem}; expected each visible image once"))
        else:
            pairs[name] = number, Pair(name, vis, ir, words)
    name = path.stem if path.stem.strip(".") else path.name  # names a folder; the stems of "..csv" and "...csv" cannot
    return PairSet(name, None, tuple(pair for _, pair in pairs.values()), tuple(refused), task)


def single_pair(vis: str | Path, ir: str | Path) -> PairSet:
    """The set `pair` of two files. Raises PairError if one is not there or their folders' names say the reverse."""
    vis, ir = Path(vis), Path(ir)
    for path in (vis, ir):
        if problem := instead_of_file(path):
            raise PairError(f"{path}: {problem}; expected an image")
    if problem := _order_problem(vis, ir):
        raise PairError(f"{vis} and {ir}: {problem}")
    task, words = _task(None, [(0, vis, ir)])
    return PairSet("pair", None, (Pair(vis.stem, vis, ir, words),), (), task)


def _read_lines(path: Path) -> list[Line]:
    if problem := instead_of_file(path):
        raise PairError(f"{path}: {problem}; expected a csv file of pairs")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, skipinitialspace=True)
            lines = [(reader.line_num, [field.strip() for field in fields]) for fields in reader]
    except OSError as error:
        raise PairError(f"{path}: not readable ({error.strerror}); expected a csv file of pairs") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise PairError(f"{path}: not a csv file in UTF-8 ({error}); {EXPECTED} on each line") from None
    return [
        (number, fields) for number, fields in lines
        if any(fields) and not (fields[0].startswith("#") and _line_problem(path.parent, fields))
    ]  # fmt: skip


def _is_header(home: Path, fields: list[str]) -> bool:
    names_images = any(Path(name).suffix.lower() in EXTENSIONS for name in fields)
    return len(fields) == 2 and not names_images and bool(_line_problem(home, fields))


def _line_problem(home: Path, fields: list[str]) -> str:
    if len(fields) != 2 or not all(fields):
        return f"{counted(len(fields), 'field')} ({one_line(', '.join(fields))}); {EXPECTED}"
    missing: dict[str, list[str]] = {}  # names by what is there instead of a file
    for name in fields:
        if problem := instead_of_file(home / name):
            missing.setdefault(problem, []).append(one_line(name))
    found = ", ".join(f"{problem}: {', '.join(names)}" for problem, names in missing.items())
    return f"{found}; {EXPECTED}" if found else ""


def _order_problem(vis: Path, ir: Path) -> str:
    """What is wrong if the names of the folders say that the two files are the other way round."""
    found = recognise_files(vis, ir)
    if not found or found.in_order:
        return ""
    first, second = found.names
    return f"the first lies in {first}, the second in {second}; expected {' first, '.join(found.words)} second"


def _task(header: Match | None, rows: list[tuple[int, Path, Path]]) -> tuple[str, tuple[str, str]]:
    """The task and the inputs' words by the header, else by the folders of the first pair."""
    found = header or (recognise_files(*rows[0][1:]) if rows else None)
    return (found.kind.task, found.words) if found else ("ivf", ("visible", "infrared"))


def _names(files: list[Path]) -> list[str]:
    """Each file's path below the folder that all of them share, with slashes and without extension."""
    files = [Path.cwd() / os.path.normpath(file) for file in files]  # not resolved: a link counts by its own name
    home = os.path.commonpath([file.parent for file in files]) if files else ""
    return [file.relative_to(home).with_suffix("").as_posix() for file in files]
