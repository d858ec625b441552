"""A run in MLflow: opened by its key, logged to while it trains."""

import getpass
import json
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import pandas as pd
from filelock import FileLock, Timeout

from depthmask.tracking.provenance import git_commit
from depthmask.tracking.store import EXPERIMENT, Store, attempt, find_root, run_lock, say

if TYPE_CHECKING:
    pass

MAX_DIGEST_LENGTH = 36


class OpenRun:
    """A run of MLflow that is being written, through Lightning's logger.

    Attributes:
        steps: the epochs whose metrics it holds already.
    """

    def __init__(self, store: Store, key: str, tags: Mapping[str, str], lock: FileLock) -> None:
        from lightning.pytorch.loggers import MLFlowLogger

        store.end_killed_runs()
        found, self.steps = store.find_run(key), set[int]()
        own = {
            "depthmask.key": key,
            "depthmask.host": platform.node(),
            "depthmask.lock": str(Path(lock.lock_file).resolve()),
            **tags,
        }
        self.store, self.known = store, found.data if found else None
        self.logger: MLFlowLogger = MLFlowLogger(
            EXPERIMENT,
            tracking_uri=store.uri,
            tags=_source_tags() | own,
            run_id=found.info.run_id if found else None,
        )
        self.run_id = str(self.logger.run_id)
        if found:
            self.set_tags(own)
            store.client.update_run(self.run_id, status="RUNNING")
            history = store.client.get_metric_history(self.run_id, "val/loss")
            self.steps = {metric.step for metric in history}

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags, in one call."""
        from mlflow.entities import RunTag

        batch = [RunTag(name, value[:8000]) for name, value in tags.items()]
        self.store.client.log_batch(self.run_id, tags=batch)

    def describe(self, params: Mapping[str, Any], data_digest: str, data_source: str) -> None:
        """Log nested parameters under dotted names, and the data set's lineage, once."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        if self.known and self.known.params:
            return
        (flat,) = pd.json_normalize(dict(params), sep=".").to_dict(orient="records")
        self.logger.log_hyperparams({str(name): value for name, value in flat.items()})
        source = json.dumps({"uri": data_source})
        data = Dataset("prepared", data_digest[:MAX_DIGEST_LENGTH], "local", source)
        context = [InputTag("mlflow.data.context", "training")]
        self.store.client.log_inputs(self.run_id, [DatasetInput(data, context)])

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Log an epoch's metrics, unless the run holds that epoch."""
        if step not in self.steps:
            self.steps.add(step)
            self.logger.log_metrics(epoch_metrics(metrics), step)


class Run:
    """A training that is being recorded as far as MLflow answers; a context manager ends it."""

    def __init__(self, root: Path, lock: FileLock | None, opened: OpenRun | None) -> None:
        self._root, self._lock, self._opened = root, lock, opened

    @property
    def run_id(self) -> str | None:
        """MLflow's id of the run; None offline."""
        return self._opened.run_id if self._opened else None

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Record an epoch's metrics; never raises."""
        if opened := self._opened:
            attempt(self._root, lambda _: opened.log_metrics(metrics, step))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Lightning turns Ctrl-C into SystemExit, and `exit_on_error` SIGTERM
        killed = error_type and issubclass(error_type, KeyboardInterrupt | SystemExit)
        status = "KILLED" if killed else "FAILED" if error_type else "FINISHED"
        if opened := self._opened:
            attempt(self._root, lambda _: opened.logger.finalize(status))
        if self._lock:
            self._lock.release()


def start_run(
    *,
    key: str,
    params: Mapping[str, Any],
    tags: Mapping[str, str],
    data_digest: str,
    data_source: str,
) -> Run:
    """Begin to record a training, or go on with the run of the same key; never raises.

    Args:
        key: a hash of parameters, data and code: runs of one key give the same figures.
        params: may be nested.
        tags: what is known of the run when it begins, see `notes.run_tags`.
        data_digest, data_source: of the prepared data, the run's lineage.
    """
    root, name = find_root(), tags["mlflow.runName"]
    lock = run_lock(root, key)
    try:
        lock.acquire()
    except Timeout:
        say(f"another process records {name} under the same key; this one records nothing.")
        return Run(root, None, None)

    def begin(store: Store) -> OpenRun | None:
        before = store.find_run(key)
        if before and before.info.status == "RUNNING" and not _is_ours(before.data.tags, lock):
            store.end_killed_runs()
            if store.client.get_run(before.info.run_id).info.status == "RUNNING":
                say(f"{name} of the same key runs elsewhere; this one records nothing.")
                return None
        opened = OpenRun(store, key, tags, lock)
        opened.describe(params, data_digest, data_source)
        return opened

    return Run(root, lock, attempt(root, begin))


def epoch_metrics(row: Mapping[str, float]) -> dict[str, float]:
    """A row of the curves under the names that MLflow shows; what is not of `val` is of `train`."""
    named = {name if "/" in name else f"train/{name}": value for name, value in row.items()}
    return {name: value for name, value in named.items() if name not in _NO_METRICS}


_NO_METRICS = ("train/epoch", "train/seed", "train/experiment")


def _is_ours(tags: Mapping[str, str], lock: FileLock) -> bool:
    return tags.get("depthmask.lock") == str(Path(lock.lock_file).resolve())


def _source_tags() -> dict[str, str]:
    """What MLflow's pages show of where a run comes from."""
    tags = {"mlflow.source.name": "depthmask", "mlflow.source.type": "LOCAL"}
    if (commit := git_commit()) != "unknown":
        tags |= {"git_commit": commit, "mlflow.source.git.commit": commit.partition("-")[0]}
    if name := os.environ.get("DVC_EXP_NAME"):  # as `dvc exp show` lists it
        tags["dvc.experiment"] = name
    with suppress(OSError, KeyError):  # a container's nameless user
        tags["mlflow.user"] = getpass.getuser()
    return tags
