"""Ctrl-C, termination and a closed terminal as a request that long work answers at its next safe point."""

import os
import signal
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # not on Windows, nor under nohup
    SIGNALS += (signal.SIGHUP,)
INTERRUPTED = 130  # exit status after one of these signals


class StopRequest:
    """While active, `SIGNALS` set `requested`; a second SIGINT interrupts at once.

        with StopRequest() as stop:
            for item in work:
                ...
                if stop.requested: save and leave
    """

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> "StopRequest":
        self._before = {number: signal.signal(number, self._ask) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise KeyboardInterrupt if it was requested."""
        if self.requested:
            raise KeyboardInterrupt

    def _ask(self, number: int, _: FrameType | None) -> None:
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.requested = True


def end_at_once(status: int) -> None:
    """Let `SIGNALS` end the process at once, with this status; files that it is writing have no name yet."""
    for number in SIGNALS:
        signal.signal(number, lambda *_: os._exit(status))


def leave_signals_to_parent(_: int = 0) -> None:
    """Called first in a helper process: signals that a terminal or `torchrun` sends to a group of processes then reach
    the parent alone, which still needs its helper on the way to the safe point and ends it afterwards."""
    if hasattr(os, "setpgrp"):  # Windows has neither such groups nor such signals
        os.setpgrp()
