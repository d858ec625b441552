"""An MLflow store: reached, opened, and kept true to the journals.

Every function here may be slow or raise whatever MLflow raises; `run.Courier` and
`connection.attempt` keep both away from the stages.
"""

import http.client
import importlib.util
import logging
import os
import platform
import re
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from depthmask.tracking.journal import FOLDER, Journal, Record, journal_at
from depthmask.tracking.run_copy import RunCopy

EXPERIMENT = "depthmask"
PROBE_TIMEOUT_S = 2.0

KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Without this tag MLflow shows the pages for language models."""

# Set before mlflow is imported, unless the user has: by default a dead server costs minutes.
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


class Unreachable(Exception):
    """MLflow cannot be used; the message says why in a few words."""


def tracking_uri(root: Path) -> str:
    """MLFLOW_TRACKING_URI, or the SQLite file in the checkout; a relative SQLite path is ROOT's."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    prefix = "sqlite:///"
    if uri.startswith(prefix) and not Path(uri[len(prefix) :]).is_absolute():
        return f"{prefix}{root / uri[len(prefix) :]}"
    return uri


def without_password(uri: str) -> str:
    """A URI fit to be shown."""
    return re.sub(r"//[^/@]*@", "//", uri)


def is_local(uri: str) -> bool:
    return uri.startswith("sqlite:")


def probe(uri: str) -> None:
    """Ask an MLflow server for a sign of life.

    Raises:
        Unreachable: if it does not answer within two seconds; never for another kind of store.
    """
    if not uri.startswith(("http://", "https://")):
        return
    address = without_password(uri)  # urllib takes none
    try:
        urllib.request.urlopen(f"{address.rstrip('/')}/health", timeout=PROBE_TIMEOUT_S).close()
    except urllib.error.HTTPError:
        return  # it asks for a password, say: it lives
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLError):
            return  # it lives; which certificates to trust is set in mlflow's own variables
        raise Unreachable(f"{address} does not answer ({reason})") from None


def load(uri: str) -> None:
    """Probe the store, then import mlflow.

    Raises:
        Unreachable: if the server does not answer or mlflow is not installed.
    """
    if importlib.util.find_spec("mlflow") is None:
        raise Unreachable("mlflow is not installed")
    probe(uri)
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401

    # One line from us is enough; urllib3 would add one for each retry.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)


class Store:
    """An MLflow tracking store, opened; its first use by several processes is serialised."""

    def __init__(self, root: Path, uri: str) -> None:
        from mlflow import MlflowClient

        self.root = root
        self.uri = uri
        folder = root / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        self.lock = FileLock(folder / "mlflow.lock", timeout=120)
        with self.lock:
            self.client = MlflowClient(tracking_uri=uri)
            experiment = self.client.get_experiment_by_name(EXPERIMENT)
            self.experiment_id: str = (
                experiment.experiment_id if experiment else self._create_experiment()
            )

    def _create_experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        location = (self.root / "mlartifacts").as_uri() if is_local(self.uri) else None
        try:
            return self.client.create_experiment(EXPERIMENT, artifact_location=location, tags=KIND)
        except MlflowException:  # another machine was faster
            experiment = self.client.get_experiment_by_name(EXPERIMENT)
            if experiment is None:
                raise
            return experiment.experiment_id

    def search(self, condition: str, num: int) -> list[Any]:
        """At most so many runs that meet a condition, the latest first."""
        return self.client.search_runs(
            [self.experiment_id],
            condition,
            max_results=num,
            order_by=["attributes.start_time DESC"],
        )

    def find(self, record: Record, *, same_key: bool) -> Any | None:
        """The run of a journal; else, if `same_key`, the latest ended run of the same key."""
        found = self.search(f"tags.`depthmask.run` = '{record.run}'", 1)
        if not found and same_key:
            found = self.search(
                f"tags.`depthmask.key` = '{record.key}' and tags.`depthmask.experiment` ="
                f" '{record.experiment}' and attributes.status != 'RUNNING'",
                1,
            )
        return found[0] if found else None

    def attach(self, journal: Journal, record: Record, *, same_key: bool) -> RunCopy:
        """The copy of a journal's run, made if MLflow has none."""
        own = {
            "depthmask.experiment": record.experiment,
            "depthmask.key": record.key,
            "depthmask.host": record.host,
            "depthmask.pid": str(record.pid),
        }
        run = self.find(record, same_key=same_key)
        if run is None:
            tags = own | {"depthmask.run": record.run}
            run = self.client.create_run(
                self.experiment_id,
                start_time=record.started_ms,
                tags=tags,
                run_name=record.tags.get("mlflow.runName", record.experiment),
            )
        elif run.data.tags.get("depthmask.run") == record.run:
            for name in ("depthmask.host", "depthmask.pid"):
                if run.data.tags.get(name) != own[name]:
                    self.client.set_tag(run.info.run_id, name, own[name])
        copy = RunCopy(self.client, run, journal)
        copy.describe(record)
        return copy

    def copy(
        self, journal: Journal, record: Record, *, same_key: bool, news: int | None = None
    ) -> tuple[str, int]:
        """Bring MLflow up to the journal of a run that no process is writing.

        Args:
            news: files recorded after this place in the journal are sent whatever MLflow holds.

        Returns:
            The run's id, and how much was sent: 0 if MLflow held it all.
        """
        copy = self.attach(journal, record, same_key=same_key)
        num_sent = copy.send(journal.read()[0])
        if news is not None:
            num_sent += copy.send(journal.read(news)[0], again=True)
        copy.set_status(record.status or "KILLED", record.ended_ms)
        return copy.run_id, num_sent

    def reap(self, own: Record | None = None) -> None:
        """End the runs that MLflow believes to be running, but whose process on this host died.

        A living process holds the lock of its journal.

        Args:
            own: the run that this process holds the lock for.
        """
        condition = f"attributes.status = 'RUNNING' and tags.`depthmask.host` = '{platform.node()}'"
        for run in self.search(condition, 100):
            tags = run.data.tags
            experiment, key = tags.get("depthmask.experiment", ""), tags.get("depthmask.key", "")
            if own and tags.get("depthmask.run") == own.run:
                continue
            if own and (experiment, key) == (own.experiment, own.key):
                self.client.set_terminated(run.info.run_id, "KILLED")
                continue
            journal = journal_at(self.root, experiment, key)
            record = journal.record()
            if record is None:
                continue  # of another checkout
            try:
                with journal.lock().acquire(timeout=0):
                    if record.run == tags.get("depthmask.run"):
                        self.copy(journal, record, same_key=False)
                    else:
                        self.client.set_terminated(run.info.run_id, "KILLED")
            except Timeout:
                continue  # alive
