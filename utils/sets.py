"""The sets of pairs that a command line asks for: folders, list files, a single pair, each under a name of its own."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from data.kinds import TASKS, colour_source
from data.options import UsageError
from data.pairlist import read_pairs, single_pair
from data.pairs import PairError, PairSet, find_sets


def open_sets(
    folders: Iterable[Path],
    lists: Iterable[Path],
    pair: Sequence[Path] | None,
    *,
    task: str | None,
    limit: int,
) -> tuple[list[PairSet], list[PairError]]:
    """The sets, and why some folders or list files give none.

    Args:
        folders: pair folders, or folders of pair folders.
        lists: csv files of pairs.
        pair: the visible and the infrared file of one pair.
        task: one of `TASKS`, whatever the folders' names say; None believes them.
        limit: only so many pairs of each set; 0 takes all.

    Raises:
        UsageError: there is no pair at all.
    """
    sets: dict[str, PairSet] = {}
    refused: list[PairError] = []
    for each in _found(folders, lists, pair, refused):
        name, number = each.name, 2
        while name in sets:
            name, number = f"{each.name}_{number}", number + 1
        pairs = each.pairs[:limit] if limit else each.pairs
        sets[name] = replace(each, name=name, pairs=pairs, task=task or each.task)
    if not any(pair_set.pairs for pair_set in sets.values()):
        reasons = [str(error) for error in refused] + [str(r) for pair_set in sets.values() for r in pair_set.refused]
        way_out = "" if lists or pair else " (or --pairs with a list of files, whatever their folders and names)"
        raise UsageError(f"no pair to fuse: {'; '.join(reasons)}{way_out}")
    return list(sets.values()), refused


def describe(pair_set: PairSet, protocol: str) -> str:
    """A set's task, which input is which, and the colour of the fused images, in one line."""
    vis, ir = pair_set.pairs[0].words
    sources = {"vis": f"colour of {vis}", "ir": f"colour of {ir}", "both": "colour blended from both"}
    colour = sources[colour_source(pair_set.task, (vis, ir))]
    if protocol == "cddfuse":
        colour = f"grey, as protocol {protocol} scores (cmmdl keeps the colour)"
    return f"Task of {pair_set.name}: {pair_set.task} ({TASKS[pair_set.task]}): vis = {vis}, ir = {ir}, {colour}"


def _found(
    folders: Iterable[Path], lists: Iterable[Path], pair: Sequence[Path] | None, refused: list[PairError]
) -> Iterator[PairSet]:
    sources = [(find_sets, (folder,)) for folder in folders]
    sources += [(lambda path: [read_pairs(path)], (path,)) for path in lists]
    sources += [(lambda vis, ir: [single_pair(vis, ir)], tuple(pair))] if pair else []
    for function, arguments in sources:
        try:
            yield from function(*arguments)
        except PairError as error:
            refused.append(error)
