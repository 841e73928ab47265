"""Parts of an image in threads of their own."""

import os
import threading
from concurrent.futures import thread as executors

import pytest
import torch

from net.fast.parallel import MIN_ROWS, _pool, in_parallel, shares


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_results_come_in_order_and_each_thread_works_alone(threads):
    def work(item):
        return item, torch.get_num_threads()

    for _ in range(3):
        results = in_parallel(work, range(50))
        assert [item for item, _ in results] == list(range(50))
        assert {inside for _, inside in results} == {1}
        assert torch.get_num_threads() == threads  # here nothing has changed


def test_threads_that_begin_later_share_their_operations_out_as_before(threads):
    _pool.cache_clear()  # as in a program that has not worked in parallel yet
    in_parallel(abs, range(4))
    found = []
    later = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert found == [threads]


def test_the_work_has_no_gradients_and_the_mode_of_the_caller():
    x = torch.ones(1, requires_grad=True)

    def work(_):
        return (x * 2).requires_grad, torch.is_inference_mode_enabled()

    for mode in (torch.no_grad(), torch.inference_mode()):
        with mode:
            assert in_parallel(work, range(8)) == [(False, torch.is_inference_mode_enabled())] * 8


@pytest.mark.usefixtures("threads")
def test_an_error_reaches_the_caller_and_the_threads_go_on():
    def work(item):
        if item == 5:
            raise MemoryError("no memory")
        return item

    with torch.no_grad(), pytest.raises(MemoryError, match="no memory"):
        in_parallel(work, range(9))
    with torch.no_grad():
        assert in_parallel(work, range(5)) == list(range(5))


@pytest.mark.usefixtures("threads")
def test_several_callers_share_the_threads():
    results = {}

    def call(caller):
        with torch.no_grad():
            results[caller] = in_parallel(lambda item: caller * item, range(20))

    callers = [threading.Thread(target=call, args=(n,)) for n in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert results == {n: [n * item for item in range(20)] for n in range(4)}


@pytest.mark.usefixtures("threads")
def test_threads_that_outlive_the_main_thread_go_on(monkeypatch):
    with torch.no_grad():
        in_parallel(abs, range(5))
        monkeypatch.setattr(executors, "_shutdown", True)  # as it is after the main thread's end
        assert in_parallel(abs, range(5)) == list(range(5))


def test_where_the_system_starts_no_more_threads_one_does_the_work(monkeypatch, threads):
    _pool.cache_clear()
    start, begun = threading.Thread.start, []

    def start_one(thread):
        if begun:
            raise RuntimeError("can't start new thread")
        begun.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_one)
    with torch.no_grad():
        assert in_parallel(abs, range(5)) == list(range(5))
    assert not any(thread.is_alive() for thread in begun) and torch.get_num_threads() == threads


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own():
    with torch.no_grad():
        in_parallel(abs, range(4))
        child = os.fork()
        if child == 0:  # its parent's threads are not here: waiting for them would never end
            os._exit(0 if in_parallel(abs, range(4)) == list(range(4)) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("height", [1, 3, MIN_ROWS, 2 * MIN_ROWS, 33, 480])
def test_shares_cover_each_row_once_and_are_not_too_low(height):
    parts = shares(height)
    assert [row for part in parts for row in range(part.start, part.stop)] == list(range(height))
    assert len(parts) == 1 or all(part.stop - part.start >= MIN_ROWS for part in parts)
