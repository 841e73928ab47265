"""Order, depth and errors of work that is done ahead."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from data.ahead import ahead


def test_results_come_in_order_whatever_finishes_first():
    first = threading.Event()

    def slow_start(item):
        if item == 0:
            first.wait(10)
        else:
            first.set()  # the second is done before the first
        return item * 10

    with ThreadPoolExecutor(2) as pool:
        results = [(item, work.result()) for item, work in ahead(pool, slow_start, range(5))]
    assert results == [(i, 10 * i) for i in range(5)]


@pytest.mark.parametrize("depth", [1, 3])
def test_no_more_than_the_depth_is_begun_before_it_is_wanted(depth):
    begun = []
    with ThreadPoolExecutor(1) as pool:  # which works in order
        results = ahead(pool, begun.append, range(10), depth)
        next(results)
        pool.submit(lambda: None).result()  # after all that was begun
    assert sorted(begun) == list(range(depth + 1))


def test_an_error_is_that_of_its_item_and_the_rest_goes_on():
    with ThreadPoolExecutor(2) as pool:
        first, second, third = (work for _, work in ahead(pool, lambda item: 1 // item, [1, 0, 1]))
    assert (first.result(), third.result()) == (1, 1)
    with pytest.raises(ZeroDivisionError):
        second.result()


def test_nothing_of_nothing():
    with ThreadPoolExecutor(1) as pool:
        assert list(ahead(pool, str, [])) == []
