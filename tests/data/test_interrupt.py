"""A signal is a request; the second Ctrl-C is an order."""

import os
import signal

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
