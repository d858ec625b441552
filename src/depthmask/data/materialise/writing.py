"""Paint and write scenes over the cores, chunk by chunk.

In processes where the system can fork them, for they share the library's memory; elsewhere in
threads, which wait for the interpreter between two short calls of OpenCV (on two cores at 224 px,
two processes wrote 517 scenes/s and two threads 412).
"""

import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import torch

from depthmask.data.materialise.files import Encoding, Written, plate_name, scene_names, write_scene
from depthmask.data.materialise.painter import Painter
from depthmask.data.materialise.written import Chunk, WrittenLog
from depthmask.data.processes import end_with_parent, num_cores
from depthmask.data.progress import progress
from depthmask.data.scenes.placement import Recipes
from depthmask.errors import InputError

CHUNK = 32
"""Scenes a worker writes between two lines of the log: what a kill costs."""

Draw = Callable[[Sequence[int]], Recipes]
"""The recipes of the scenes of the given numbers, those left out that the set does not have."""


@dataclass(frozen=True)
class Job:
    """What the workers share.

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


@dataclass(frozen=True)
class _Task:
    """A chunk to write: its first scene's number, what it is made of, what its files are called.

    Attributes:
        recipes: of a whole chunk, names: of those scenes of it that are asked for.
        bg_names: None where another scene writes the plate.
    """

    start: int
    recipes: Recipes
    names: list[str]
    bg_names: list[str | None]


def write_missing(job: Job, log: WrittenLog, count: int, num_workers: int | None) -> int:
    """Write the chunks that the log lacks; returns the number of files."""
    missing = log.missing(count, CHUNK)
    if not missing:
        return 0
    for folder in job.encoding.folders:
        (job.out / folder).mkdir(exist_ok=True)
    tasks = _tasks(job, log, missing, count)
    rest = sum(min(start + CHUNK, count) - start for start in missing)
    there = f" ({count - rest} are there)" if rest < count else ""
    num_workers, num_files = num_workers or num_cores(), 0
    pending: set[Future[Chunk]] = set()
    with _one_thread_each():
        pool = _start_pool(job, min(num_workers, len(missing)))

        def submit() -> None:
            # few ahead: Ctrl-C waits for what runs
            while len(pending) < 2 * num_workers and (task := next(tasks, None)):
                pending.add(pool.submit(_write_chunk, task))

        try:
            with progress(rest, f"{job.out}{there}") as advance:
                submit()
                while pending:
                    # a timeout keeps the main thread open to Ctrl-C
                    done, _ = wait(pending, timeout=1.0, return_when=FIRST_COMPLETED)
                    pending -= done
                    for chunk in (future.result() for future in done):
                        log.append(chunk)
                        num_files += sum(len(sizes) for sizes in chunk.num_bytes.values())
                        advance(len(chunk.names))
                    submit()
        except (KeyboardInterrupt, SystemExit):
            print(
                f"{log.num_scenes} of {count} scenes are in {job.out}: the same command goes on",
                file=sys.stderr,
            )
            raise
        except BrokenProcessPool:
            raise InputError(
                "a worker was ended from outside, perhaps for want of memory:"
                " the same command goes on, with --workers 1 in less memory"
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return num_files


def _tasks(job: Job, log: WrittenLog, missing: list[int], count: int) -> Iterator[_Task]:
    """A task per chunk; who writes a plate that many scenes share is settled here, in order."""
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
        yield _Task(start, recipes, names, bg_names)


_job: Job
"""The job of this worker, and of the threads of this process."""


def _start_pool(job: Job, num_workers: int) -> Executor:
    if num_workers > 1 and sys.platform == "linux":
        context = multiprocessing.get_context("fork")
        pool = ProcessPoolExecutor(num_workers, context, _start_worker, (job,))
        # forked here, before the bar starts a thread; Ctrl-C is for the parent, who ends them
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            pool.submit(int)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return pool
    return ThreadPoolExecutor(num_workers, initializer=_take, initargs=(job,))


def _take(job: Job) -> None:
    global _job
    _job = job


def _start_worker(job: Job) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_parent()
    _take(job)


def _write_chunk(task: _Task) -> Chunk:
    job, written = _job, Written()
    scenes = job.painter.paint(task.recipes)
    for scene, name, bg_name in zip(scenes, task.names, task.bg_names, strict=False):
        write_scene(job.out, scene, name, bg_name, job.encoding, written)
    bgs = [name for name in task.bg_names if name is not None]
    return Chunk(task.start, task.names, bgs, written.boxes, written.num_bytes, written.sums())


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """The workers are the parallelism: the libraries start no threads within an operation."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])
