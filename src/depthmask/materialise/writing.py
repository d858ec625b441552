"""Paint and write scenes in threads, which share one library: OpenCV and the disk free the GIL."""

import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import torch

from depthmask.materialise.files import Encoding, Written, plate_name, scene_names, write_scene
from depthmask.materialise.painter import Painter
from depthmask.materialise.written import Chunk, WrittenLog
from depthmask.placement import Recipes
from depthmask.progress import progress

CHUNK = 32
"""Scenes a thread writes between two lines of the log: what a kill costs."""

Draw = Callable[[Sequence[int]], Recipes]
"""The recipes of the scenes of the given numbers, those left out that the set does not have."""


@dataclass(frozen=True)
class Job:
    """What the threads share.

    Attributes:
        out: the folder.
        painter, draw: scenes by their recipes, recipes by their numbers.
        varied: whether a plate is written with every scene, not once.
    """

    out: Path
    painter: Painter
    draw: Draw
    encoding: Encoding
    varied: bool


def write_missing(job: Job, log: WrittenLog, count: int, num_workers: int | None) -> int:
    """Write the chunks that the log lacks; returns the number of files."""
    missing = log.missing(count, CHUNK)
    if not missing:
        return 0
    for folder in job.encoding.folders:
        (job.out / folder).mkdir(exist_ok=True)
    num_workers = num_workers or _num_cores()
    stop, num_files = threading.Event(), 0
    tasks = iter(_tasks(job, log, missing, count, stop))
    rest = sum(min(start + CHUNK, count) - start for start in missing)
    there = f" ({count - rest} are there)" if rest < count else ""
    pool = ThreadPoolExecutor(num_workers)
    try:
        with _one_thread_each(), progress(rest, f"{job.out}{there}") as advance:
            pending: set[Future[Chunk | None]] = set()
            while True:
                # few ahead: a task holds its recipes, and Ctrl-C waits for what runs
                while len(pending) < 2 * num_workers and (task := next(tasks, None)):
                    pending.add(pool.submit(task))
                if not pending:
                    return num_files
                # a timeout keeps the main thread open to Ctrl-C
                done, pending = wait(pending, timeout=1.0, return_when=FIRST_COMPLETED)
                for future in done:
                    chunk = future.result()
                    if chunk is not None:
                        log.append(chunk)
                        num_files += sum(len(sizes) for sizes in chunk.num_bytes.values())
                        advance(len(chunk.names))
    except (KeyboardInterrupt, SystemExit):
        print(
            f"{log.num_scenes} of {count} scenes are in {job.out}: the same command goes on",
            file=sys.stderr,
        )
        raise
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _tasks(
    job: Job, log: WrittenLog, missing: list[int], count: int, stop: threading.Event
) -> Iterator[Callable[[], Chunk | None]]:
    """A call per chunk; who writes a plate that many scenes share is settled here, in order."""
    library = job.painter.compositor.library
    redone = set(missing)
    plates = {name for c in log.chunks.values() if c.start not in redone for name in c.bg_names}
    for start in missing:
        recipes = job.draw(range(start, start + CHUNK))
        names = scene_names(recipes, start, len(library.plates), len(library.cutouts))
        names = names[: count - start]
        bg_names: list[str | None] = list(names)
        if not job.varied:
            for number, name in enumerate(map(plate_name, names)):
                bg_names[number] = None if name in plates else name
                plates.add(name)
        yield functools.partial(_write_chunk, job, start, recipes, names, bg_names, stop)


def _write_chunk(
    job: Job,
    start: int,
    recipes: Recipes,
    names: list[str],
    bg_names: list[str | None],
    stop: threading.Event,
) -> Chunk | None:
    """Paint and write the first len(names) recipes; None if `stop` was set meanwhile."""
    written = Written()
    for scene, name, bg_name in zip(job.painter.paint(recipes), names, bg_names, strict=False):
        if stop.is_set():
            return None
        write_scene(job.out, scene, name, bg_name, job.encoding, written)
    bgs = [name for name in bg_names if name is not None]
    return Chunk(start, names, bgs, written.boxes, written.num_bytes, written.sums())


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """The threads are the parallelism: the libraries start none within an operation."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def _num_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
