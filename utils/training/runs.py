"""Numbered run folders: arguments, log, checkpoints and curves of one training."""

import json
import logging
import re
import sys
from argparse import Namespace
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tqdm import tqdm

from data.files import hold, remove_parts
from data.words import counted
from utils import distributed
from utils.distributed import World
from utils.training import provenance
from utils.training.checkpoints import Training

LAST = "last.pth"
ARGUMENTS = "arguments.json"
FINISHED = "finished"  # the file that marks a training that came to its end
# arguments that do not change what is computed
UNIMPORTANT = ("resume", "out", "workers", "device", "save_seconds", "checkpoint_activations")
OFF = (None, False)  # of an option that was not given
NOT_OURS = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)  # damaged files raise these

log = logging.getLogger("cmmdl")


def find(args: Namespace, world: World) -> Path | None:
    """The checkpoint to go on from, the same in every process, or None to start anew.

    It is what `args.resume` asks for: "auto" takes that of the newest unfinished run below `args.out` with the same
    arguments, if there is one. Where `torchrun` starts a training anew it is the last one of that training. Raises
    FileNotFoundError where the named checkpoint is not there.
    """
    return world.broadcast(_find(args) if world.is_main else None)


def _find(args: Namespace) -> Path | None:
    if (folder := distributed.remembered()) and (Path(folder) / LAST).exists():
        return Path(folder) / LAST
    if args.resume == "none":
        return None
    if args.resume == "auto":
        return unfinished(args.out, plain(args))
    if not Path(args.resume).is_file():
        raise FileNotFoundError(f"{args.resume}: no such checkpoint; expected a file, or auto, or none")
    return Path(args.resume)


def unfinished(out: Path, arguments: dict[str, Any]) -> Path | None:
    """The last checkpoint of the newest run below `out` that did not end and was started with the same arguments."""
    for _, folder in sorted(numbered(out), reverse=True):
        if (folder / LAST).exists() and not (folder / FINISHED).exists() and started_with(folder, arguments):
            return folder / LAST
    return None


def started_with(folder: Path, arguments: dict[str, Any]) -> bool:
    """Whether a run computes what these arguments say. A warning tells of one that no longer says what it computes."""
    try:
        return important(begun_with(folder)["arguments"]) == important(arguments)
    except FileNotFoundError:
        return False
    except NOT_OURS:
        way = f"--resume {folder / LAST} goes on with it"
        log.warning("%s: damaged, what the run computes is not known; it is passed over, %s", folder / ARGUMENTS, way)
        return False


def other_arguments(folder: Path, arguments: dict[str, Any]) -> str:
    """How these arguments differ from those that a run began with, in words; "" where they compute the same."""
    try:
        before = dict(begun_with(folder)["arguments"])
    except NOT_OURS:
        return f"{folder / ARGUMENTS}: damaged, what this began with is not known; it is written anew"
    other = [name for name in arguments if name in before and name not in UNIMPORTANT]
    other = [name for name in other if before[name] != arguments[name]]
    changes = [f"--{name.replace('_', '-')} {arguments[name]} (before: {before[name]})" for name in other]
    return f"other arguments than this began with: {', '.join(changes)}" if changes else ""


def way_out(checkpoint: Path) -> str:
    """What to do where the last checkpoint cannot be used, in words."""
    kept = sorted(checkpoint.parent.glob("epoch_*.pth"), key=lambda path: (len(path.name), path.name))
    earlier = f"--resume {kept[-1]} goes on from an earlier one, " if kept else ""
    return f"{earlier}--resume none starts anew"


def begun_with(folder: Path) -> dict[str, Any]:
    """What a run's folder holds for repeating it. Raises OSError or ValueError where it holds none."""
    return json.loads((folder / ARGUMENTS).read_text(encoding="utf-8"))


def data_begun_with(folder: Path) -> dict[str, Any]:
    """What a run's folder tells of the data that it began with; empty where there is no such record."""
    try:
        return dict(begun_with(folder)["data"])
    except NOT_OURS:
        return {}


def enter(
    args: Namespace, checkpoint: Path | None, world: World, data: Callable[[], dict[str, Any]] = dict
) -> Path:
    """The run folder to write to, the same in every process: that of the checkpoint, or a new one where that run is
    finished, whose weights stay as they are, or where the checkpoint lies in none.

    The main process locks it against other trainings, lets the log go there too, and writes down what is needed to
    repeat the run. A warning tells of other data (`data()`) or arguments than the run began with. The record of the
    data stays that of the beginning; the arguments become the new ones where `args.resume` names the checkpoint.

    Raises OSError where it cannot be written, or another training is writing there.
    """
    return world.broadcast(_enter(args, checkpoint, world, data()) if world.is_main else None)


def _enter(args: Namespace, checkpoint: Path | None, world: World, data: dict[str, Any]) -> Path:
    home = checkpoint and checkpoint.parent
    goes_on = home is not None and (home / ARGUMENTS).exists() and not (home / FINISHED).exists()
    folder = home if goes_on else new(args.out, args.method)
    file = LogFile(folder / "log.txt")
    file.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    if hold(file.stream) is False:  # as after its `torchrun` was killed; two would spoil each other's files
        raise OSError(f"{folder}: another training writes there; wait for it, end it, or give --resume none")
    log.addHandler(file)
    begun = data_begun_with(folder) or data
    if begun != data:
        log.warning("the data have changed since this began: the weights will be others than without an interruption")
    if args.resume != "auto" or not goes_on:
        if goes_on and (other := other_arguments(folder, plain(args))):
            log.warning("%s", other)
        provenance.describe(folder / ARGUMENTS, plain(args), world, begun)
    distributed.remember(str(folder))
    remove_parts(folder.iterdir())
    return folder


def go_on(checkpoint: Path, folder: Path, training: Training) -> None:
    """Log where a training goes on. A checkpoint from before the last one replaces that at once:
    the steps between the two are given up, and must not be resumed later."""
    log.info("going on from %s: epoch %d, step %d", checkpoint, training.epoch + 1, training.step)
    if checkpoint.name != LAST:
        if (folder / LAST).exists():
            log.warning("%s, of the training as it went before, is replaced", folder / LAST)
        training.save(folder / LAST)
    if training.processes != training.world.size:
        begun = counted(training.processes, "process", "processes")
        log.warning("begun with %s: the weights will be others than without an interruption", begun)


def numbered(out: Path) -> list[tuple[int, Path]]:
    """The run folders below `out` with their numbers."""
    return [(int(match[1]), path) for path in out.glob("*-*") if (match := re.match(r"(\d{3,})-", path.name))]


def new(out: Path, name: str) -> Path:
    """Make the folder `<out>/<number>-<name>` with the number after the highest one there."""
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"{out}: a file; expected a folder for the runs")
    out.mkdir(parents=True, exist_ok=True)
    while True:
        number = max((number for number, _ in numbered(out)), default=-1) + 1
        folder = out / f"{number:03d}-{name}"
        try:
            folder.mkdir()
        except FileExistsError:  # another training took this number just now
            continue
        return folder


def plain(args: Namespace) -> dict[str, Any]:
    """Arguments as JSON holds them."""
    return json.loads(json.dumps(vars(args), default=str))


def important(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments that decide what a training computes. One that is off counts as not there: a run of a version that
    did not have it computes the same."""
    return {key: value for key, value in arguments.items() if key not in UNIMPORTANT and value not in OFF}


class StandardError(logging.Handler):
    """Prints messages above a progress bar. One logged with `extra={"silent": True}` is for the log file alone."""

    def emit(self, record: logging.LogRecord) -> None:
        if not getattr(record, "silent", False):
            tqdm.write(record.getMessage(), file=sys.stderr)


class LogFile(logging.FileHandler):
    """Appends messages to a file, in UTF-8 also those that name a file whose name is not. What cannot be written, as
    on a full disk, is dropped: it is on standard error, and no reason to end the work."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8", errors="backslashreplace")

    def handleError(self, record: logging.LogRecord) -> None:  # the name is logging's
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)

    def close(self) -> None:
        with suppress(OSError):  # the disk is still full
            super().close()


def open_log() -> None:
    """Send messages to standard error, and to the run folder's log once there is one."""
    log.addHandler(StandardError())


def close_log() -> None:
    """Undo `open_log`, which also unlocks the run folder."""
    for handler in list(log.handlers):
        log.removeHandler(handler)
        handler.close()
