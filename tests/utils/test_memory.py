"""The allocator's settings take effect where there is glibc, and are left alone elsewhere."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from utils import memory

GLIBC = sys.platform.startswith("linux") and platform.libc_ver()[0] == "glibc"
FAULTS = """
import resource, sys
from utils.memory import keep_freed_memory
import numpy
if sys.argv[1] == "keep":
    assert keep_freed_memory()
for _ in range(3):  # the first rounds map what the later ones use again
    numpy.ones(16 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    numpy.ones(16 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not GLIBC, reason="the C library is not glibc")
def test_large_tensors_are_not_faulted_in_again_and_again():
    def faults(mode: str) -> int:
        answer = subprocess.run(
            [sys.executable, "-c", FAULTS, mode], cwd=Path(memory.__file__).parents[1], env=os.environ,
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return int(answer.stdout)

    assert faults("keep") < faults("leave") / 5


def test_another_system_is_left_alone(monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", None)  # would fail if it were called
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    assert memory.keep_freed_memory() is False


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", None)
    monkeypatch.setattr(memory.sys, "platform", "linux")
    monkeypatch.setattr(memory.platform, "libc_ver", lambda: ("", ""))
    assert memory.keep_freed_memory() is False
