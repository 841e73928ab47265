"""How a failure reaches a person: in one sentence, and once, however many processes it ends."""

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn, ParamSpec

import cv2
import torch
import torch.distributed as dist

from data.interrupt import INTERRUPTED
from data.options import Parser
from data.streams import steady_streams
from utils.distributed import meeting_point

USAGE = 2  # exit status of what cannot be used
NO_MEMORY = (  # words of torch (Linux, Windows, GPU), its libraries and OpenCV for too little memory
    "can't allocate memory", "not enough memory", "out of memory", "bad_alloc", "ALLOC_FAILED", "Insufficient memory",
)  # fmt: skip
LIMITS = {  # words of Python and torch for another limit of the system, and what helps
    "can't start new thread": "no thread can be started; it needs more memory or a higher limit (ulimit -u)",
    "Too many open files": "too many files are open; try fewer --workers, or a higher limit (ulimit -n)",
}
Arguments = ParamSpec("Arguments")


class OutOfMemory(MemoryError):
    """Memory, or another limit of the system, is too small; the message is one sentence, with what helps."""


class CannotCompile(OSError):
    """`torch.compile` failed, as it does where no compiler works."""


class DistributedParser(Parser):
    """Reads the command line of a program that `torchrun` may start; only one process reports a mistake in it."""

    def error(self, message: str) -> NoReturn:
        if first_to_fail():
            super().error(message)
        sys.exit(USAGE)


def command(main: Callable[Arguments, int]) -> Callable[Arguments, int]:
    """Make a command line's `main` say in one sentence, and with its exit status, why it could not go on."""

    @functools.wraps(main)
    def carried_out(*args: Arguments.args, **options: Arguments.kwargs) -> int:
        with steady_streams():
            try:
                with limits_in_plain_words():
                    return main(*args, **options)
            except KeyboardInterrupt as interrupt:  # it may say how to go on
                print(f"interrupted; {interrupt}" if interrupt.args else "interrupted", file=sys.stderr)
                return INTERRUPTED
            except (ValueError, OSError, MemoryError) as error:
                print(f"error: {sentence(error)}", file=sys.stderr)
                return USAGE

    return carried_out


def first_to_fail() -> bool:
    """Whether this process is the first one of its run to fail: it says why, those that follow it need not.

    Asks the store that `torchrun` keeps, which is there before its processes have met and after one of them is gone.
    """
    if not dist.is_torchelastic_launched():
        return True
    try:
        return meeting_point(seconds=5).add("failed", 1) == 1
    except RuntimeError:  # torchrun itself is gone
        return True


@contextmanager
def in_plain_words() -> Iterator[None]:
    """Turn torch's errors about its surroundings, rather than about the program, into a sentence.

    Raises:
        ConnectionError: another process is gone.
        ChildProcessError: a loader process is gone.
        OutOfMemory, CannotCompile: as `replacement` says.
        ValueError: what a loader process reported, without its traceback.
    """
    try:
        yield
    except (MemoryError, RuntimeError, cv2.error) as error:
        if told := replacement(error, out_of_memory_in_training(error)):
            raise told from error
        if isinstance(error, dist.DistError) or "gloo" in str(error):
            raise ConnectionError("another process of this training ended or cannot be reached") from error
        if "DataLoader worker" in str(error):
            raise ChildProcessError("a loader process was ended; try fewer --workers") from error
        raise
    except (ValueError, OSError) as error:
        if "in DataLoader worker process" in str(error):
            raise ValueError(str(error).splitlines()[-1].partition(": ")[2]) from error
        raise


@contextmanager
def limits_in_plain_words(advice: str = "") -> Iterator[None]:
    """Turn what says that there is too little memory into OutOfMemory, with `advice` on what would take less, and other
    errors as `replacement` does."""
    try:
        yield
    except OutOfMemory:
        raise
    except Exception as error:
        if told := replacement(error, f"out of memory; {advice}" if advice else "out of memory"):
            raise told from error
        raise


def replacement(error: Exception, out_of_memory: str) -> OutOfMemory | CannotCompile | None:
    """The sentence to raise in place of an error: `out_of_memory` where that says that memory is lacking, another where
    one of `LIMITS` is reached or `torch.compile` failed. None for any other error."""
    if lacks_memory(error):
        return OutOfMemory(out_of_memory)
    for said, words in LIMITS.items():
        if isinstance(error, RuntimeError) and said in str(error):
            return OutOfMemory(words)
    if of_compiler(error):
        inner = error.inner_exception
        found = f"{type(inner).__name__}: {inner}".partition("\n")[0]
        needs = "it needs a compiler that works, such as g++, or another that CXX names"
        return CannotCompile(f"--compile failed ({found}); {needs}; install one, or leave --compile out")
    return None


def of_compiler(error: Exception) -> bool:
    """Whether `torch.compile` raised an error, told by its name: importing its types takes seconds."""
    return any(kind.__name__ == "BackendCompilerFailed" for kind in type(error).__mro__)


def lacks_memory(error: Exception) -> bool:
    """Whether an error says that there is too little memory: by its type or, as OpenCV and most of torch, in words."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, (RuntimeError, cv2.error)) and any(words in str(error) for words in NO_MEMORY)


def tile_advice(tile: int) -> str:
    """What to do where memory is too small for tiles of so many pixels or, for 0, for whole images."""
    return "a smaller --tile N takes less" if tile else "CMMDL_test.py --tile N fuses in tiles"


def sentence(error: Exception) -> str:
    """What to tell about an error: its message, or the file and the reason where the system gives no more."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def out_of_memory_in_training(error: Exception) -> str:
    """What to do about a lack of memory in training."""
    found = str(error).partition("\n")[0]  # empty for Python's own MemoryError
    return f"out of memory{f' ({found})' if found else ''}; try a smaller --batch-size, --size or --dim"
