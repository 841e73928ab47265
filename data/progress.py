"""How far long work is: a bar on a terminal; in a file or a pipe, where nobody sees it move, a line now and then."""

import sys
import time
from typing import Any

from tqdm import tqdm

SECONDS = 60.0  # from one line to the next, at least
LINES = 20  # of one piece of work, at most


def progress_bar(*args: Any, **options: Any) -> tqdm:
    """`tqdm(*args, **options)` as standard error can show it; where there is none, it shows nothing."""
    if sys.stderr is None:
        return tqdm(*args, **options | {"disable": True})
    return (tqdm if sys.stderr.isatty() else Lines)(*args, **options)


class Lines(tqdm):
    """Progress in lines that stay, so only where time has passed and much was done since the last."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._shown = time.monotonic(), options.get("initial", 0)
        super().__init__(*args, ncols=0, gui=True, **options)  # figures alone; tqdm writes nothing by itself

    def display(self, *_: Any, **__: Any) -> bool:
        seconds, done = self._shown
        now = time.monotonic()
        due = now - seconds >= SECONDS and self.n - done >= max(1, (self.total or 0) / LINES)
        if due:
            self._shown = now, self.n
            print(self, file=self.fp, flush=True)
        return due

    def clear(self, *_: Any, **__: Any) -> None:
        """A line is not taken back."""
