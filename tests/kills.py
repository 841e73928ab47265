"""Ending a process at a chosen moment: while a file of its is only partly written."""

import os
import re
import signal
import time
from pathlib import Path


def freeze_amid_writing(pid: int, folder: Path, seconds: float = 900) -> None:
    """Stop a process (SIGSTOP) while what `data.files.replacing` writes to a folder has not got its name yet."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if any(folder.glob(".*.part")):
            os.kill(pid, signal.SIGSTOP)
            while state(pid) not in "TZ":  # still in a call of the system's
                time.sleep(0.001)
            if any(folder.glob(".*.part")):
                return
            os.kill(pid, signal.SIGCONT)
        time.sleep(0.0005)
    raise TimeoutError(f"process {pid} wrote nothing to {folder}")


def state(pid: int) -> str:
    """What Linux says of a process: T for stopped, Z for ended."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


def is_pending(number: signal.Signals, pid: int) -> bool:
    """Whether a process that is stopped has been sent a signal, which it will get when it goes on."""
    (mask,) = re.findall(r"^ShdPnd:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return bool(int(mask, 16) >> (number - 1) & 1)
