"""Fuzz everything that reads files for a bounded time.

    python -m tests.fuzz [--seconds 120] [--target images] [--seed 0] [--keep DIR]

Each target of `tests.fuzz.targets` runs in a process of its own, on files that `tests.fuzz.inputs` makes up. A finding
is an exception that is not documented, a crash, a wait of more than 20 seconds, or half a GB of memory. Each is reduced
and kept in a folder; fixed ones belong in `tests/corpus`, where `tests/test_corpus.py` reads them in every test run.
Exit status: 0 nothing found, 1 something.
"""

import argparse
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from data.options import Parser, named_path, not_negative, positive_number
from tests.fuzz.inputs import inputs
from tests.fuzz.targets import TARGETS, Target
from utils.memory import peak_memory

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 20  # seconds for one file
MEMORY = 512  # MB for one file
LIMIT = 8 * 2**30  # bytes of address space beyond what the process begins with
BATCH = 400  # files between looks at the clock


def main() -> int:
    """Share the time among the targets, and tell what came of it."""
    parser = Parser("python -m tests.fuzz", __doc__)
    parser.add_argument("--seconds", type=positive_number, default=120, help="time for all targets together")
    parser.add_argument("--target", choices=TARGETS, action="append", help="what to fuzz; repeatable (default: all)")
    parser.add_argument("--seed", type=not_negative, default=0, help="another one tries other files")
    parser.add_argument("--keep", type=named_path, default=Path("result/fuzz"), metavar="DIR",
                        help="where findings go")  # fmt: skip
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)  # the process of one target
    args = parser.parse_args()
    if args.work:
        hunt(TARGETS[args.target[0]], args)
        return 0
    names, found = args.target or list(TARGETS), 0
    for name in names:
        executions, refused, findings = watch(name, args.seconds / len(names), args)
        print(f"{name}: {executions} executions, {refused} refused, {len(findings)} findings", flush=True)
        for kept, what in findings.items():
            print(f"  {kept}: {what}")
        found += len(findings)
    return 1 if found else 0


def watch(name: str, seconds: float, args: argparse.Namespace) -> tuple[int, int, dict[str, str]]:
    """Run a target's process, and start it again after a crash; (executions, refused, findings by file)."""
    ends, number, totals, findings = time.monotonic() + seconds, args.seed, [0, 0], {}
    while (left := ends - time.monotonic()) > 0:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "tests.fuzz", "--work", folder, "--target", name,
                       "--seconds", str(left), "--seed", str(number)]  # fmt: skip
            with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace") as child:
                problem = wait(child, Path(folder), left)
            state = json.loads(text) if (text := read(Path(folder) / "state").decode()) else [0, 0, {}]
            totals = [a + b for a, b in zip(totals, state, strict=False)]
            found = {what: bytes.fromhex(data) for what, data in state[2].items()}
            if problem:
                found[problem] = read(Path(folder) / "now")
            for what, data in found.items():
                if what not in findings.values():
                    findings[str(keep(args.keep / name, TARGETS[name].suffix, data))] = what
        number += 1000
    return *totals, findings


def wait(child: subprocess.Popen, folder: Path, seconds: float) -> str:
    """Wait for a target's process; what it died of, or "" if it ended well."""
    began = time.time()
    while child.poll() is None:
        time.sleep(0.2)
        now = folder / "now"
        if time.time() - (now.stat().st_mtime if now.exists() else began + seconds) > PATIENCE:
            child.kill()
            child.wait()
            return f"no answer in {PATIENCE} seconds"
    if child.returncode < 0:
        return f"ended by {signal.Signals(-child.returncode).name}"
    return (child.stderr.read() or "no message").splitlines()[-1] if child.returncode else ""


def hunt(target: Target, args: argparse.Namespace) -> None:
    """Try files on one target until the time is over; `state` in the folder has the counts and findings."""
    began, folder = time.monotonic(), args.work
    counts, findings, last = [0, 0], {}, {}
    space = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (space + LIMIT, resource.RLIM_INFINITY))

    def attempt(data: bytes) -> None:
        if time.monotonic() - began > args.seconds:
            return
        (folder / "now").write_bytes(data)
        counts[0] += 1
        before = peak_memory()
        try:
            counts[1] += not target.accepts(data, folder)
            assert peak_memory() - before < MEMORY, "memory"
        except Exception as error:
            what = signature(error)
            if what not in findings:
                last[what] = data
                raise
        if counts[0] % 50 == 0:
            save(folder / "state", counts, findings)

    strategy, number = inputs(args.target[0]), args.seed
    while time.monotonic() - began < args.seconds:
        number += 1
        run = settings(max_examples=BATCH, deadline=None, database=None, phases=(Phase.generate, Phase.shrink),
                       suppress_health_check=list(HealthCheck), report_multiple_bugs=False)  # fmt: skip
        try:
            seed(number)(run(given(strategy)(attempt)))()
        except Exception:  # reduced as far as hypothesis could
            findings |= {what: data.hex() for what, data in last.items()}
            last.clear()
        save(folder / "state", counts, findings)


def signature(error: Exception) -> str:
    """The kind of a failure and the line of this project that it passed, which tell findings apart."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(str(ROOT))]
    place = [frame for frame in frames if "site-packages" not in frame.filename][-1]
    return f"{type(error).__name__} in {place.name}: {place.line}"


def keep(folder: Path, suffix: str, data: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{hashlib.sha256(data).hexdigest()[:12]}{suffix}"
    path.write_bytes(data)
    return path


def save(path: Path, counts: list[int], findings: dict[str, str]) -> None:
    part = path.with_suffix(".new")
    part.write_text(json.dumps([*counts, findings]))
    os.replace(part, path)  # noqa: PTH105


def read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


if __name__ == "__main__":
    sys.exit(main())
