"""How a failure reaches a person: in one sentence, and once, however many processes it ends."""

import argparse
import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn, ParamSpec

import torch
import torch.distributed as dist

from utils.distributed import meeting_point

USAGE, INTERRUPTED = 2, 130  # exit status of what cannot be used, and of Ctrl-C
Arguments = ParamSpec("Arguments")


class Parser(argparse.ArgumentParser):
    """Reads a command line; of the processes that find the same mistake in it, one says so."""

    def error(self, message: str) -> NoReturn:
        if first_to_fail():
            super().error(message)
        sys.exit(USAGE)


def command(main: Callable[Arguments, int]) -> Callable[Arguments, int]:
    """Make a command line's `main` say in one sentence, and with its exit status, why it could not go on."""

    @functools.wraps(main)
    def carried_out(*args: Arguments.args, **options: Arguments.kwargs) -> int:
        try:
            return main(*args, **options)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return INTERRUPTED
        except (ValueError, OSError) as error:
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
        MemoryError: the memory of the device is too small.
        ValueError: what a loader process reported, without its traceback.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError(too_large(error)) from error
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or "gloo" in str(error):
            raise ConnectionError("another process of this training ended or cannot be reached") from error
        if "can't allocate memory" in str(error):
            raise MemoryError(too_large(error)) from error
        if "DataLoader worker" in str(error):
            raise ChildProcessError("a loader process was ended; try fewer --workers") from error
        raise
    except (ValueError, OSError) as error:
        if "in DataLoader worker process" in str(error):
            raise ValueError(str(error).splitlines()[-1].partition(": ")[2]) from error
        raise


def sentence(error: Exception) -> str:
    """What to tell about an error: its message, or the file and the reason where the system gives no more."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def too_large(error: Exception) -> str:
    """What to do about a lack of memory."""
    return f"out of memory ({str(error).splitlines()[0]}); try a smaller --batch-size, --size or --dim"
