"""A signal is a request; the second Ctrl-C is an order."""

import os
import signal
import subprocess
import sys

import pytest

from data.interrupt import SIGNALS, StopRequest


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_noted_and_the_work_goes_on(number):
    with StopRequest() as stop:
        assert not stop.requested
        os.kill(os.getpid(), number)
        assert stop.requested


def test_a_second_ctrl_c_interrupts_at_once_and_a_second_termination_does_not():
    noted = []
    with StopRequest() as stop, pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        noted.append(stop.requested)
        os.kill(os.getpid(), signal.SIGINT)
    assert noted == [True]


@pytest.mark.parametrize("number", SIGNALS)
def test_what_is_left_ends_at_once_without_a_word(number):
    code = "import os; from data.interrupt import end_at_once; end_at_once(130)"
    killed = f"{code}; os.kill(os.getpid(), {int(number)}); 1 / 0"
    ended = subprocess.run([sys.executable, "-c", killed], capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (130, b"")


def test_the_handlers_from_before_come_back():
    def own(*_):
        """What a program has for signals."""

    usual = {number: signal.signal(number, own) for number in SIGNALS}
    try:
        with pytest.raises(ValueError), StopRequest():
            raise ValueError
        assert [signal.getsignal(number) for number in usual] == [own] * len(SIGNALS)
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


@pytest.mark.parametrize(("begun_by", "ends"), [("SIG_DFL", True), ("SIG_IGN", False)])  # the second is nohup's
def test_a_closed_terminal_is_a_signal_but_not_under_nohup(begun_by, ends):
    begin = f"import signal; signal.signal(signal.SIGHUP, signal.{begun_by}); from data.interrupt import SIGNALS"
    asked = [sys.executable, "-c", f"{begin}; print(signal.SIGHUP in SIGNALS)"]
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout == f"{ends}\n"


def test_a_helper_process_leaves_its_parents_group():
    code = "import os; from data.interrupt import leave_signals_to_parent; leave_signals_to_parent(0)"
    asked = [sys.executable, "-c", f"{code}; print(os.getpgrp() == os.getpid())"]
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout == "True\n"
