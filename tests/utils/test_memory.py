"""The allocator's settings take effect where there is glibc, and are left alone elsewhere."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy
import pytest

from utils import memory

GLIBC = sys.platform.startswith("linux") and platform.libc_ver()[0] == "glibc"
FAULTS = """
import resource, sys
from utils.memory import keep_freed_memory
import numpy
mode, megabytes = sys.argv[1], int(sys.argv[2])
if mode != "leave":
    assert keep_freed_memory(every_size=mode == "every size")
for _ in range(3):  # the first rounds map what the later ones use again
    numpy.ones(megabytes << 17)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    numpy.ones(megabytes << 17)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not GLIBC, reason="the C library is not glibc")
@pytest.mark.parametrize(
    ("mode", "megabytes", "kept"),
    [("leave", 99, False), ("keep", 16, True), ("keep", 99, False), ("every size", 16, True), ("every size", 99, True)],
)
def test_kept_blocks_are_not_faulted_in_again(mode, megabytes, kept):
    answer = subprocess.run(
        [sys.executable, "-c", FAULTS, mode, str(megabytes)], cwd=Path(memory.__file__).parents[1], env=os.environ,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (int(answer.stdout) < 1000) == kept


def test_another_system_is_left_alone(monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", None)  # would fail if it were called
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    assert memory.keep_freed_memory() is False


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", None)
    monkeypatch.setattr(memory.sys, "platform", "linux")
    monkeypatch.setattr(memory.platform, "libc_ver", lambda: ("", ""))
    assert memory.keep_freed_memory() is False


PEAK = """
import numpy
from utils.memory import peak_memory
before = peak_memory()
numpy.ones(100 << 17).sum()
print(before, peak_memory())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a program alone is known on Linux only")
def test_the_peak_is_of_this_process_and_lasts():
    numpy.ones(300 << 17).sum()  # the parent's, which is not counted
    answer = subprocess.run(
        [sys.executable, "-c", PEAK], cwd=Path(memory.__file__).parents[1], capture_output=True, text=True, check=True
    )
    before, after = map(float, answer.stdout.split())
    assert before < 150 and 90 < after - before < 150


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has both figures")
def test_the_other_systems_figure_is_in_the_same_unit(monkeypatch):
    alone = memory.peak_memory()
    monkeypatch.setattr(memory.Path, "exists", lambda _: False)
    assert 0.9 * alone < memory.peak_memory() < 100 * alone  # with what the parent had
