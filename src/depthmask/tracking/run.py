"""A run in MLflow: opened by its key, logged to while it trains."""

import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pandas as pd
from filelock import Timeout

from depthmask.tracking import LOCK, Store, attempt, file_lock, find_root, say
from depthmask.tracking.provenance import git_commit

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun

Point = tuple[str, float, int]
"""A metric's name, its value and its epoch."""


class OpenRun:
    """A run that this process writes, and has locked; `steps` are the epochs that it holds."""

    def __init__(
        self,
        store: Store,
        key: str,
        found: "MlflowRun | None",
        params: Mapping[str, Any],
        tags: Mapping[str, str],
        data_digest: str,
    ) -> None:
        """Go on with the run that was found, or begin one; Timeout if another process writes it."""
        from mlflow.entities import Dataset, DatasetInput, InputTag
        from mlflow.tracking.context.registry import resolve_tags

        self.client = store.client
        self.lock = file_lock(store.root.resolve(), key, timeout=0)
        self.lock.acquire()
        own = {"depthmask.key": key, "depthmask.host": platform.node(), LOCK: self.lock.lock_file}
        own |= tags
        source = {"mlflow.source.name": "depthmask", "git_commit": git_commit()}
        if name := os.environ.get("DVC_EXP_NAME"):  # as `dvc exp show` lists it
            source["dvc.experiment"] = name
        run = found or self.client.create_run(store.experiment_id, tags=resolve_tags(source | own))
        self.run_id, self.figures = run.info.run_id, run.data.metrics
        if found:
            self.client.update_run(self.run_id, status="RUNNING")
        history = self.client.get_metric_history(self.run_id, "val/loss") if found else []
        self.steps = {metric.step for metric in history}
        (flat,) = pd.json_normalize(dict(params)).to_dict(orient="records")
        self.log([], {} if run.data.params else flat, own)
        if not run.data.params:
            data = Dataset("prepared", data_digest[:36], "local", '{"uri": "data/prepared"}')
            context = [InputTag("mlflow.data.context", "training")]
            self.client.log_inputs(self.run_id, [DatasetInput(data, context)])

    def log(
        self, points: Iterable[Point], params: Mapping[Any, Any], tags: Mapping[str, str]
    ) -> None:
        """Log metrics, parameters, under dotted names, and tags in one call."""
        from mlflow.entities import Metric, Param, RunTag

        now = int(time.time() * 1000)
        self.client.log_batch(
            self.run_id,
            metrics=[Metric(name, float(value), now, step) for name, value, step in points],
            params=[Param(name, str(value)) for name, value in params.items()],
            tags=[RunTag(name, value) for name, value in tags.items()],
        )

    def new_epochs(self, rows: Iterable[Mapping[Any, Any]]) -> Iterator[Point]:
        """The figures of the curves that the run lacks; what is not of `val` is of `train`."""
        for row in rows:
            if (step := int(row["epoch"])) not in self.steps:
                self.steps.add(step)
                for name in sorted(row.keys() - {"epoch", "seed", "experiment"}):
                    if pd.notna(row[name]):
                        yield name if "/" in name else f"train/{name}", row[name], step

    def end(self, status: str) -> None:
        """End it as MLflow calls it: FINISHED, FAILED or KILLED."""
        self.client.set_terminated(self.run_id, status)
        self.lock.release()


@contextmanager
def start_run(
    key: str, params: Mapping[str, Any], tags: Mapping[str, str], data_digest: str
) -> Iterator[Callable[[int, Mapping[str, float]], None]]:
    """Record a training, or go on with the run of the same key, as far as MLflow answers.

    Yields what records an epoch: its number and its metrics. Raises nothing of its own.

    key: a hash of parameters, data and code: runs of one key give the same figures; params: may
    be nested; tags: of `notes.run_tags`; data_digest: of the prepared data.
    """
    root = find_root()

    def begin(store: Store) -> OpenRun | None:
        store.end_killed_runs()
        found = store.find_run(key)
        try:
            if found and found.info.status == "RUNNING":
                raise Timeout(found.data.tags[LOCK])
            return OpenRun(store, key, found, params, tags, data_digest)
        except Timeout:
            say(f"{tags['mlflow.runName']} of the same key runs elsewhere; this is not recorded.")
            return None

    def record(epoch: int, row: Mapping[str, float]) -> None:
        if run:
            log, points = run.log, run.new_epochs([{**row, "epoch": epoch}])
            attempt(root, lambda _: log(points, {}, {}))

    run, status = attempt(root, begin), "FAILED"
    try:
        yield record
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):  # Lightning makes this of Ctrl-C, we of SIGTERM
        status = "KILLED"
        raise
    finally:
        if run:
            attempt(root, lambda _: run.end(status))
