"""Work on the next items while one is being used."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

Item = TypeVar("Item")


def ahead(
    pool: Executor, function: Callable[[Item], object], items: Iterable[Item], depth: int = 1
) -> Iterator[tuple[Item, Future]]:
    """Yield each item, in order, with its future: `result()` waits for function(item), or raises what that raised.

    The pool meanwhile works on up to `depth` of the next items.
    """
    waiting: deque[tuple[Item, Future]] = deque()
    for item in items:
        waiting.append((item, pool.submit(function, item)))
        if len(waiting) > depth:
            yield waiting.popleft()
    while waiting:
        yield waiting.popleft()
