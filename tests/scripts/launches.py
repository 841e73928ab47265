"""The training script under torchrun, as the tests of its processes start and disturb it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import CMMDL_train as script
from tests.kills import is_pending, state
from tests.scripts.trainings import SMALL, checkpoint

ONE_NODE = ("--standalone", "--nproc_per_node", "2")
SECONDS = 900  # the longest that anything here may take; on an idle machine it takes some five


class Launch:
    """The script in processes that torchrun starts as `launcher` says, two on this machine; what it says is in
    `errors` once it has ended. It trains on `h5`, or on rendered scenes if that is None. After each of the steps `held`
    it waits until `at` has done something, however slow the machine is.

        with Launch(h5, out, "--epochs", 3, held=(2,)) as launch:
            launch.at(2, ...)
    """

    def __init__(
        self,
        h5: Path | None,
        out: Path,
        *options: object,
        launcher: tuple[str, ...] = ONE_NODE,
        name: str = "cmmdl",
        held: tuple[int, ...] = (),
    ) -> None:
        self.last, self.errors, self.held = out / f"000-{name}" / "last.pth", "", held
        program = ["-m", "tests.scripts.held_training"] if held else ["CMMDL_train.py"]
        data = ("--h5", h5) if h5 else ("--demo", "--size", "16")
        script_and_options = [*program, *data, "--out", out, *SMALL, "--save-seconds", "0", *options]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "torch.distributed.run", *launcher, *map(str, script_and_options)],
            cwd=Path(script.__file__).parent, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "HELD": " ".join(map(str, held))},
        )  # fmt: skip

    def __enter__(self) -> "Launch":
        return self

    def __exit__(self, error: type | None, *_: object) -> None:
        if error:
            self.kill()
        try:
            self.errors += self.process.communicate(timeout=SECONDS)[1]
        finally:
            self.kill()

    @property
    def status(self) -> int:
        return self.process.returncode

    def workers(self) -> dict[str, int]:
        """The process of each rank."""
        return {rank_of(pid): pid for pid in children(self.process.pid)}

    def kill(self) -> None:
        """End every process at once, as a power cut does."""
        for pid in (*children(self.process.pid), self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def at(self, steps: int, action: Callable[[], None]) -> None:
        """Do something once a checkpoint has so many steps; every checkpoint on the way has to be a whole one."""
        seen, done, since = None, 0, time.monotonic()
        while done < steps or (steps in self.held and state(self.workers()["0"]) != "T"):
            in_time = self.process.poll() is None and time.monotonic() < since + SECONDS
            assert in_time, f"no checkpoint of step {steps} after that of step {done}"
            time.sleep(0.02)
            if self.last.exists() and (written := self.last.stat().st_mtime_ns) != seen:
                seen, done, since = written, checkpoint(self.last)["steps"], time.monotonic()
        main = self.workers()["0"] if steps in self.held else None
        action()
        if main:
            with suppress(ProcessLookupError):  # killed
                os.kill(main, signal.SIGCONT)

    def interrupt(self, number: signal.Signals) -> None:
        """Send a signal to torchrun, and wait until it has passed it on to a main process that is held."""
        self.process.send_signal(number)
        while not is_pending(number, self.workers()["0"]):
            time.sleep(0.02)


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def rank_of(pid: int) -> str:
    environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return next((entry[5:].decode() for entry in environment if entry.startswith(b"RANK=")), "")


def finish(h5: Path | None, out: Path, *options: object, name: str = "cmmdl") -> Path:
    """Train to the end; the run folder."""
    with Launch(h5, out, *options, name=name) as launch:
        pass
    assert launch.status == 0, launch.errors
    return launch.last.parent
