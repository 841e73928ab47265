"""What the tests of the training script share: its input, and what they ask of run folders and messages."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from data.patchwriter import PatchWriter
from utils.training.board import Board

SMALL = ["--dim", "16", "--batch-size", "2"]
BEST = ["--recipe", "best", "--epochs", "2"]


def write_patches(path: Path, count: int, size: int = 16) -> Path:
    """A patch file with `count` random patches of `size` pixels on a side."""
    random = np.random.default_rng(0)
    with PatchWriter(path, size=size) as writer:
        for _ in range(count):
            vis, ir, mask = random.random((3, size, size), np.float32)
            writer.add(vis, ir, mask > 0.9)
    return path


def checkpoint(path: Path) -> dict:
    return torch.load(path, weights_only=True)


def assert_equal(a, b) -> None:
    """Two nested containers of tensors and numbers are the same to the bit."""
    assert type(a) is type(b)
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_equal(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_equal(x, y)
    else:
        assert a == b


def assert_same_training(a: Path, b: Path, label: str = "CMMDL") -> None:
    """Two run folders hold the same weights, training state and history."""
    for name in (f"{label}.pth", "last.pth"):
        assert_equal(checkpoint(a / name), checkpoint(b / name))
    assert (a / "history.csv").read_text() == (b / "history.csv").read_text()


def assert_one_sentence(errors: str, *words: str) -> None:
    assert 'CMMDL_train.py", line' not in errors  # a traceback; torchrun has one of its own
    (line,) = [line for line in errors.splitlines() if "error: " in line]
    for word in words:
        assert word in line


def at_step(number: int, action: Callable[[], None]) -> Callable[..., None]:
    """`Board.after_step`, but with something happening after one of the steps."""
    original = Board.after_step

    def after_step(board: Board, *args, **kwargs) -> None:
        original(board, *args, **kwargs)
        if board.training.steps == number:
            action()

    return after_step


def send(number: signal.Signals) -> Callable[[], None]:
    """What sends this process a signal."""
    return lambda: os.kill(os.getpid(), number)


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """As if no file could grow beyond so many bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@contextmanager
def locked_elsewhere(log: Path) -> Iterator[None]:
    """As if another training wrote to a log."""
    hold = "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.lockf(f, fcntl.LOCK_EX); print(); sys.stdin.read()"
    command = [sys.executable, "-c", hold, log]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        yield
        other.stdin.close()
