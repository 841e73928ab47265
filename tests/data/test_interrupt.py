"""A signal is a request; the second Ctrl-C is an order."""

import os
import signal
import subprocess
import sys

import pytest

from data.interrupt import StopRequest, leave_signals_to_parent


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_noted_and_the_work_goes_on(number):
    with StopRequest() as stop:
        assert not stop.requested
        os.kill(os.getpid(), number)
        assert stop.requested


def test_a_second_ctrl_c_interrupts_at_once_and_a_second_termination_does_not():
    with StopRequest() as stop, pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.requested
        os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_left_ends_at_once_without_a_word(number):
    code = "import os; from data.interrupt import end_at_once; end_at_once(130)"
    killed = f"{code}; os.kill(os.getpid(), {int(number)}); 1 / 0"
    ended = subprocess.run([sys.executable, "-c", killed], capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (130, b"")


def test_the_handlers_from_before_come_back():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(ValueError), StopRequest():
        raise ValueError
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_helper_process_leaves_its_parents_group():
    if (child := os.fork()) == 0:
        leave_signals_to_parent(0)
        os._exit(int(os.getpgrp() != os.getpid()))
    assert os.waitpid(child, 0)[1] == 0
