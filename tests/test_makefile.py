"""Which Python `make` sets up with, and what `make tables` does after each exit status of the program that it runs."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SUPPORTED = re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', (ROOT / "pyproject.toml").read_text())
LOWEST, BEYOND = map(int, SUPPORTED.groups())
PYTHON = """#!/bin/sh
test "$1" = -c || { echo "reached: $*"; exit 1; }
exec SYSTEM -c 'import sys; sys.version_info = (3, MINOR, 0); exec(sys.argv[1])' "$2"
"""
PROGRAM = """#!/bin/sh
echo "$*" >> calls.txt
case "$*" in
  *"--protocol cddfuse"*) exit {cddfuse} ;;
  *"--protocol cmmdl"*) exit {cmmdl} ;;
esac
"""

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


def make(folder: Path, *words: str) -> subprocess.CompletedProcess:
    """Run `make` in a folder by the project's Makefile."""
    outer = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}  # of `make test`, which may run this
    environment = {name: value for name, value in os.environ.items() if name not in outer} | {"LC_ALL": "C"}
    command = ["make", "-C", folder, "-f", ROOT / "Makefile", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("minor", [LOWEST - 1, LOWEST, BEYOND - 1, BEYOND])
def test_a_python_that_is_too_old_or_new_is_named_before_anything_is_set_up(tmp_path, minor):
    python = tmp_path / "python"
    python.write_text(PYTHON.replace("SYSTEM", sys.executable).replace("MINOR", str(minor)))
    python.chmod(0o755)
    for name in ("requirements.txt", "requirements.lock"):
        (tmp_path / name).touch()
    done = make(tmp_path, "demo", f"PYTHON={python}")
    if LOWEST <= minor < BEYOND:
        assert "reached: -m venv .venv" in done.stdout
    else:
        assert "reached" not in done.stdout
        assert f"{python} is not Python 3.{LOWEST} to 3.{BEYOND - 1}; please name one that is" in done.stderr


def test_the_readme_names_the_same_versions():
    assert f"\nPython 3.{LOWEST} to 3.{BEYOND - 1} " in (ROOT / "README.md").read_text()


@pytest.fixture
def tables(tmp_path):
    """Run `make tables` with a program that ends with the given status for each protocol."""

    def run(cddfuse: int, cmmdl: int) -> tuple[str, list[str]]:
        program = tmp_path / ".venv" / "bin" / "python"
        program.parent.mkdir(parents=True)
        program.write_text(PROGRAM.format(cddfuse=cddfuse, cmmdl=cmmdl))
        program.chmod(0o755)
        done = make(tmp_path, "-o", ".venv/ready", "tables", "DATA=TNO")
        end = done.stderr.strip().rpartition("] ")[2] if done.returncode else ""
        return end, (tmp_path / "calls.txt").read_text().splitlines()

    return run


@pytest.mark.parametrize(("statuses", "end"), [((0, 0), ""), ((1, 0), "Error 1"), ((0, 1), "Error 1")])
def test_refused_inputs_leave_both_protocols_their_tables_and_the_status_tells(tables, statuses, end):
    ended, calls = tables(*statuses)
    assert ended == end
    assert [call.partition("--out ")[2] for call in calls] == ["result/tables/cddfuse", "result/tables/cmmdl"]


@pytest.mark.parametrize("status", [2, 130])
def test_usage_and_ctrl_c_stop_at_once(tables, status):
    ended, calls = tables(status, 0)
    assert ended == f"Error {status}"
    assert len(calls) == 1
