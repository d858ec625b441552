"""Many renders over the cores, in order, with a progress bar."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from depthmask.data.processes import end_with_parent, num_cores
from depthmask.data.progress import progress


@dataclass(frozen=True)
class Job:
    """A call to make elsewhere: a picklable function and its arguments."""

    function: Callable[..., Any]
    args: tuple = ()
    kwargs: dict[str, Any] = field(default_factory=dict)


def run_jobs(jobs: Sequence[Job], *, description: str, num_workers: int | None = None) -> list:
    """Run the jobs in fresh processes and return their results in order.

    Jobs of one function and first argument (a room's seed) run one after another in one process,
    so that what the function caches serves them all. The results do not depend on `num_workers`
    (default: one a core). Ctrl-C or an error in a job ends the workers before it is raised here.
    """
    if not jobs:
        return []
    groups: dict[Any, list[int]] = {}
    for number, job in enumerate(jobs):
        groups.setdefault((job.function, *job.args[:1]), []).append(number)
    pool = ProcessPoolExecutor(
        min(num_workers or num_cores(), len(groups)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
    )
    results: list[Any] = [None] * len(jobs)
    try:
        with progress(len(jobs), description) as advance:
            with _interrupts_held():  # the workers start here, and inherit it
                pending = {
                    pool.submit(_run, [jobs[number] for number in numbers]): numbers
                    for numbers in groups.values()
                }
            while pending:
                # a timeout keeps the main thread open to Ctrl-C
                for done in wait(pending, timeout=1.0, return_when=FIRST_COMPLETED).done:
                    numbers = pending.pop(done)
                    for number, result in zip(numbers, done.result(), strict=True):
                        results[number] = result
                    advance(len(numbers))
        return results
    except BaseException:
        workers = list((pool._processes or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.terminate()
        raise
    finally:
        pool.shutdown(wait=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C waits until the block is left; processes started in it never see one."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends the workers
    end_with_parent()
    import drjit

    from depthmask.data.sources.museum import optics  # noqa: F401  chooses the variant

    drjit.set_thread_count(1)


def _run(jobs: list[Job]) -> list[Any]:
    return [job.function(*job.args, **job.kwargs) for job in jobs]
