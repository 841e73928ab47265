"""What `make tables` does after each exit status of the program that makes them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).resolve().parents[1] / "Makefile"
PROGRAM = """#!/bin/sh
echo "$*" >> calls.txt
case "$*" in
  *"--protocol cddfuse"*) exit {cddfuse} ;;
  *"--protocol cmmdl"*) exit {cmmdl} ;;
esac
"""

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


@pytest.fixture
def tables(tmp_path):
    """Run `make tables` with a program that ends with the given status for each protocol."""

    def run(cddfuse: int, cmmdl: int) -> tuple[str, list[str]]:
        program = tmp_path / ".venv" / "bin" / "python"
        program.parent.mkdir(parents=True)
        program.write_text(PROGRAM.format(cddfuse=cddfuse, cmmdl=cmmdl))
        program.chmod(0o755)
        outer = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}  # of `make test`, which may run this
        environment = {name: value for name, value in os.environ.items() if name not in outer} | {"LC_ALL": "C"}
        command = ["make", "-C", tmp_path, "-f", MAKEFILE, "-o", ".venv/ready", "tables", "DATA=TNO"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
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
