"""A run in MLflow: opened by its key, logged to while it trains."""

import getpass
import json
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import pandas as pd
from filelock import Timeout

from depthmask.tracking import EXPERIMENT, LOCK, Store, attempt, file_lock, find_root, say
from depthmask.tracking.provenance import git_commit

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun


class OpenRun:
    """A run that this process writes, through Lightning's logger, and has locked.

    `steps` are the epochs whose metrics it holds already.
    """

    def __init__(
        self, store: Store, key: str, found: "MlflowRun | None", tags: Mapping[str, str]
    ) -> None:
        """Go on with the run that was found, or begin one; Timeout if another process writes it."""
        from lightning.pytorch.loggers import MLFlowLogger

        self.store, self.steps = store, set[int]()
        self.lock = file_lock(store.root.resolve(), key, timeout=0)
        self.lock.acquire()
        self.has_params = bool(found and found.data.params)
        own = {"depthmask.key": key, "depthmask.host": platform.node(), LOCK: self.lock.lock_file}
        own |= tags
        run_id = found.info.run_id if found else None
        self.logger = MLFlowLogger(
            EXPERIMENT, tracking_uri=store.uri, tags=_source_tags() | own, run_id=run_id
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

        if self.has_params:
            return
        (flat,) = pd.json_normalize(dict(params), sep=".").to_dict(orient="records")
        self.logger.log_hyperparams({str(name): value for name, value in flat.items()})
        data = Dataset("prepared", data_digest[:36], "local", json.dumps({"uri": data_source}))
        context = [InputTag("mlflow.data.context", "training")]
        self.store.client.log_inputs(self.run_id, [DatasetInput(data, context)])

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Log an epoch's metrics, in one call, unless the run holds that epoch."""
        if step not in self.steps:
            self.steps.add(step)
            self.logger.log_metrics(epoch_metrics(metrics), step)

    def end(self, status: str) -> None:
        """End it as MLflow calls it: FINISHED, FAILED or KILLED."""
        self.logger.finalize(status)
        self.lock.release()


class Run(NamedTuple):
    """A training that is being recorded, as far as MLflow answers; a context manager ends it."""

    root: Path
    opened: OpenRun | None

    @property
    def run_id(self) -> str | None:
        """MLflow's id of the run; None offline."""
        return self.opened.run_id if self.opened else None

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Record an epoch's metrics; never raises."""
        if opened := self.opened:
            attempt(self.root, lambda _: opened.log_metrics(metrics, step))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error_type: type[BaseException] | None, *_: object) -> None:
        # Lightning turns Ctrl-C into SystemExit, and `exit_on_error` SIGTERM
        killed = error_type and issubclass(error_type, KeyboardInterrupt | SystemExit)
        status = "KILLED" if killed else "FAILED" if error_type else "FINISHED"
        if opened := self.opened:
            attempt(self.root, lambda _: opened.end(status))


def start_run(
    *,
    key: str,
    params: Mapping[str, Any],
    tags: Mapping[str, str],
    data_digest: str,
    data_source: str,
) -> Run:
    """Begin to record a training, or go on with the run of the same key; never raises.

    key: a hash of parameters, data and code: runs of one key give the same figures; params: may
    be nested; tags: of `notes.run_tags`; data_digest, data_source: of the prepared data.
    """

    def begin(store: Store) -> OpenRun | None:
        store.end_killed_runs()
        found = store.find_run(key)
        try:
            if found and found.info.status == "RUNNING":
                raise Timeout(found.data.tags[LOCK])
            opened = OpenRun(store, key, found, tags)
        except Timeout:
            say(f"{tags['mlflow.runName']} of the same key runs elsewhere; this is not recorded.")
            return None
        opened.describe(params, data_digest, data_source)
        return opened

    root = find_root()
    return Run(root, attempt(root, begin))


def epoch_metrics(row: Mapping[str, float]) -> dict[str, float]:
    """A row of the curves under the names that MLflow shows; what is not of `val` is of `train`."""
    shown = row.keys() - {"epoch", "seed", "experiment"}
    return {name if "/" in name else f"train/{name}": row[name] for name in sorted(shown)}


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
