"""Experiment tracking in the MLflow store of a checkout, never in the pipeline's way."""

import importlib.util
import os
import platform
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

Result = TypeVar("Result")
SQLITE = "sqlite:///"
EXPERIMENT = "depthmask"
LOCK = "depthmask.lock"  # tag of a run: the file that the process which writes it has locked

# Set before mlflow is imported, unless the user has: by default a dead server costs minutes.
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "3",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}

_offline: set[str] = set()  # stores that have failed in this process


class Store(NamedTuple):
    root: Path
    uri: str
    client: "MlflowClient"
    experiment_id: str

    def find_run(self, key: str) -> "MlflowRun | None":
        return next(iter(self.search(f"tags.`depthmask.key` = '{key}'")), None)

    def search(self, condition: str) -> "list[MlflowRun]":
        """The runs that meet a condition, the latest first."""
        order = ["attributes.start_time DESC"]
        return self.client.search_runs([self.experiment_id], condition, order_by=order)

    def end_killed_runs(self) -> None:
        """End runs that MLflow believes to be running, but whose process on this host died."""
        host = platform.node()
        condition = f"attributes.status = 'RUNNING' and tags.`depthmask.host` = '{host}'"
        for run in self.search(condition):
            run_id, lock = run.info.run_id, Path(run.data.tags.get(LOCK, ""))
            if lock.is_file():  # else it is of a container of the same name, say
                with suppress(Timeout), FileLock(lock, timeout=0):
                    # it may have ended since the search
                    if self.client.get_run(run_id).info.status == "RUNNING":
                        self.client.set_terminated(run_id, "KILLED")


def copied_checkout() -> Path | None:
    """The checkout that DVC copied to make this folder (`exp run --temp`, the queue), or None."""
    copies = (each for each in Path.cwd().parents if each.parts[-3:] == (".dvc", "tmp", "exps"))
    return next((each.parents[2] for each in copies), None)


def find_root() -> Path:
    """The checkout where `mlflow.db` lies; for a copy made by DVC, that which it is a copy of."""
    folder = copied_checkout() or Path.cwd()
    return next((path for path in (folder, *folder.parents) if (path / ".git").exists()), folder)


def tracking_uri(root: Path) -> str:
    """MLFLOW_TRACKING_URI, or the SQLite file in the checkout; a relative SQLite path is ROOT's."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}mlflow.db"
    return f"{SQLITE}{root / uri.removeprefix(SQLITE)}" if uri.startswith(SQLITE) else uri


def without_password(text: str) -> str:
    return re.sub(r"//[^/@]*@", "//", text)


def file_lock(root: Path, name: str, timeout: float) -> FileLock:
    """A lock of the checkout; that of a run's key is held by the process that writes the run."""
    folder = root / ".tracking"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"{name}.lock", timeout=timeout)


def say(line: str) -> None:
    print(f"depthmask: {line}", file=sys.stderr, flush=True)


def attempt(root: Path, action: Callable[[Store], Result]) -> Result | None:
    """Do something with a checkout's store; None, and nothing more in this process, if it fails."""
    uri = tracking_uri(root)
    if uri in _offline:
        return None
    try:
        return action(open_store(root, uri))
    except Exception as error:  # whatever MLflow raises
        _offline.add(uri)
        lines = str(error).strip().splitlines() or [type(error).__name__]
        later = "the next evaluate, export or `make ui` makes up for it"
        said = without_password(lines[0])[:160]
        say(f"MLflow is left out: {said}. The outputs keep everything; {later}.")
        return None


@cache
def open_store(root: Path, uri: str) -> Store:
    """Open a store; the first use of it by several processes at once is serialised."""
    if importlib.util.find_spec("mlflow") is None:
        raise ConnectionError("mlflow is not installed")
    if uri.startswith("http"):  # a server that is not there is known before MLflow's slow import
        import requests

        try:
            requests.get(f"{uri.rstrip('/')}/health", timeout=2, stream=True).close()
        except requests.RequestException as error:
            if not isinstance(error, requests.exceptions.SSLError):  # MLflow knows whom to trust
                raise ConnectionError(f"{uri} does not answer") from None
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    with file_lock(root, "mlflow", timeout=120):
        client = MlflowClient(tracking_uri=uri)
        if experiment := client.get_experiment_by_name(EXPERIMENT):
            return Store(root, uri, client, experiment.experiment_id)
        location = (root / "mlartifacts").as_uri() if uri.startswith(SQLITE) else None
        try:
            return Store(root, uri, client, client.create_experiment(EXPERIMENT, location))
        except MlflowException:  # another checkout was faster
            if (experiment := client.get_experiment_by_name(EXPERIMENT)) is None:
                raise
            return Store(root, uri, client, experiment.experiment_id)
