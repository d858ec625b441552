"""Long work over the cores: how many there are, and how far it has come."""

import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_LINE_EVERY_S = 15.0


def num_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


@contextmanager
def progress(total: int, description: str) -> Iterator[Callable[[int], None]]:
    """Yield a function that is told how many more are done, and shows it on stderr: as a bar on a
    terminal, elsewhere as a line now and then."""
    if sys.stderr.isatty():
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
            task = bar.add_task(description, total=total)
            yield lambda count: bar.advance(task, count)
        return
    start, last, done = time.monotonic(), -math.inf, 0

    def advance(count: int) -> None:
        nonlocal done, last
        done, now = done + count, time.monotonic()
        if done == total or now - last >= _LINE_EVERY_S:
            last = now
            line = f"{description}: {done} of {total}, {now - start:.0f} s"
            print(line, file=sys.stderr, flush=True)

    yield advance
