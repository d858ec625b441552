"""How far a long piece of work has come: a bar on a terminal, elsewhere a line now and then."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_LINE_EVERY_S = 15.0


@contextmanager
def progress(total: int, description: str) -> Iterator[Callable[[int], None]]:
    """Yield a function that is told how many more are done; it shows them on stderr."""
    if sys.stderr.isatty():
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(description, total=total)
            yield lambda count: bar.advance(task, count)
        return
    start = last = time.monotonic()
    done = 0

    def advance(count: int) -> None:
        nonlocal done, last
        first, done, now = done == 0, done + count, time.monotonic()
        if first or done == total or now - last >= _LINE_EVERY_S:
            last = now
            print(
                f"{description}: {done} of {total}, {now - start:.0f} s",
                file=sys.stderr,
                flush=True,
            )

    yield advance
