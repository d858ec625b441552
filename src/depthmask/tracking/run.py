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

Point = tuple[str, float, int]  # a metric's name, its value and its epoch
Tags = Mapping[str, str]


class OpenRun:
    """A run that this process writes, and has locked; `steps` are the epochs that it holds."""

    def __init__(
        self,
        store: Store,
        key: str,
        found: "MlflowRun | None",
        params: Mapping[str, Any],
        tags: Tags,
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
        self.log([], own, {} if run.data.params else flat)
        if not run.data.params:
            data = Dataset("prepared", data_digest[:36], "local", '{"uri": "data/prepared"}')
            context = [InputTag("mlflow.data.context", "training")]
            self.client.log_inputs(self.run_id, [DatasetInput(data, context)])

    def log(self, points: Iterable[Point], tags: Tags, params: Mapping[Any, Any]) -> None:
        """Log metrics, tags and parameters, under dotted names, in one call."""
        from mlflow.entities import Metric, Param, RunTag

        now = int(time.time() * 1000)
        self.client.log_batch(
            self.run_id,
            metrics=[Metric(name, float(value), now, step) for name, value, step in points],
            params=[Param(name, str(value)) for name, value in params.items()],
            tags=[RunTag(name, value) for name, value in tags.items()],
        )

    def new_figures(self, epoch: int, row: Mapping[Any, Any]) -> dict[str, float]:
        """An epoch's, unless the run has them; what is not of `val` is of `train`."""
        names = row.keys() - {"epoch", "seed", "experiment"} if epoch not in self.steps else ()
        self.steps.add(epoch)
        return {
            name if "/" in name else f"train/{name}": float(row[name])
            for name in sorted(names)
            if pd.notna(row[name])
        }

    def end(self, status: str) -> None:
        """End it as MLflow calls it: FINISHED, FAILED or KILLED."""
        self.client.set_terminated(self.run_id, status)
        self.lock.release()


@contextmanager
def start_run(
    key: str, params: Mapping[str, Any], tags: Tags, data_digest: str
) -> Iterator[Callable[[int, Mapping[str, float]], None]]:
    """Record a training, or go on with the run of the same key, as far as MLflow answers; raises
    nothing of its own. Yields what records an epoch, by its number and its metrics."""
    root = find_root()

    def begin(store: Store) -> OpenRun | None:
        store.end_killed_runs()
        found = store.find_run(key)
        try:
            if found and found.info.status == "RUNNING":
                raise Timeout(found.data.tags.get(LOCK, ""))
            return OpenRun(store, key, found, params, tags, data_digest)
        except Timeout:
            say(f"{tags['mlflow.runName']} of the same key runs elsewhere; this is not recorded.")
            return None

    def record(epoch: int, row: Mapping[str, float]) -> None:
        if run := opened:
            points = [(*figure, epoch) for figure in run.new_figures(epoch, row).items()]
            attempt(root, lambda _: run.log(points, {}, {}))

    opened, status = attempt(root, begin), "FAILED"
    try:
        yield record
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):  # Lightning makes this of Ctrl-C, we of SIGTERM
        status = "KILLED"
        raise
    finally:
        if opened:
            attempt(root, lambda _: opened.end(status))
