"""Times of functions that are called in turn, so that what else the machine does meets all of them."""

import statistics
import time
from collections.abc import Callable
from typing import Any


def in_turn(repeats: int, *functions: Callable[[], Any], before: Callable[[], Any] = lambda: None) -> list[float]:
    """Median seconds of each function, called one after the other in every round; `before` each of them, untimed."""
    times = [[] for _ in functions]
    for _ in range(repeats):
        for function, seconds in zip(functions, times, strict=True):
            before()
            start = time.perf_counter()
            function()
            seconds.append(time.perf_counter() - start)
    return [statistics.median(seconds) for seconds in times]
