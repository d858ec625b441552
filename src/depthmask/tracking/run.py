"""A run while it trains: written to its journal at once, carried to MLflow in the background."""

import getpass
import os
import platform
import subprocess
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from filelock import FileLock, Timeout

from depthmask.errors import InputError
from depthmask.tracking.connection import go_offline, open_store, reason, say, usable_uri
from depthmask.tracking.journal import Journal, Record, epoch_metrics, find_root, journal_at
from depthmask.tracking.mlflow_store import is_local

# How long `close` waits for what is still to be sent. The first use of a SQLite store makes its
# tables, which takes seconds, but always ends.
CLOSE_TIMEOUT_S = 4.0
CLOSE_TIMEOUT_LOCAL_S = 30.0


def git_commit() -> str | None:
    """The commit of the current folder's checkout; None without git."""
    try:
        return subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def run_tags(tags: Mapping[str, str] | None) -> dict[str, str]:
    """The caller's tags, and those that MLflow's pages show."""
    own = {"mlflow.source.name": "depthmask", "mlflow.source.type": "LOCAL"}
    if commit := git_commit():
        own["mlflow.source.git.commit"] = commit
    if name := os.environ.get("DVC_EXP_NAME"):  # as `dvc exp show` lists it
        own["dvc.experiment"] = name
    try:
        own["mlflow.user"] = getpass.getuser()
    except (OSError, KeyError):
        pass  # a container's nameless user
    return own | {name: str(value) for name, value in (tags or {}).items()}


class Courier(threading.Thread):
    """Carries a journal to MLflow as it grows; the journal is the queue, so nothing is lost."""

    def __init__(
        self, root: Path, uri: str, journal: Journal, record: Record, *, same_key: bool
    ) -> None:
        super().__init__(name="depthmask-tracking", daemon=True)
        self.run_id: str | None = None
        self._root, self._uri, self._journal, self._record = root, uri, journal, record
        self._same_key = same_key
        self._news = threading.Event()
        self._closing = threading.Event()
        self._abandoned = threading.Event()

    def notify(self) -> None:
        self._news.set()

    def finish(self, timeout_s: float) -> bool:
        """Let the thread send the rest; False if that took longer than the timeout."""
        self._closing.set()
        self._news.set()
        self.join(timeout_s)
        if self.is_alive():
            self._abandoned.set()
            return False
        return True

    def run(self) -> None:
        try:
            self._carry()
        except Exception as error:  # whatever MLflow does, training goes on
            if not self._abandoned.is_set():
                go_offline(self._uri, reason(error))

    def _carry(self) -> None:
        store = open_store(self._root, self._uri)
        copy = store.attach(self._journal, self._record, same_key=self._same_key)
        self.run_id = copy.run_id
        copy.set_status("RUNNING")
        store.reap(self._record)
        offset, history = 0, True
        while not self._abandoned.is_set():
            closing = self._closing.is_set()  # before reading: what came earlier is then read
            self._news.clear()
            events, offset = self._journal.read(offset)
            copy.send(events, again=not history)
            history = False
            if closing:
                record = self._journal.record()
                copy.set_status((record and record.status) or "KILLED", record and record.ended_ms)
                return
            if not self._closing.is_set():
                self._news.wait()


class Run:
    """A run that is being recorded; a context manager that closes it.

    Attributes:
        name: EXPERIMENT-KEY.
        folder: of its journal; None if another process records the same key.
    """

    def __init__(
        self,
        name: str,
        *,
        journal: Journal | None = None,
        lock: FileLock | None = None,
        courier: Courier | None = None,
        uri: str = "",
        steps: Iterable[tuple[str, int]] = (),
    ) -> None:
        self.name = name
        self.folder = journal.folder if journal else None
        self._journal, self._lock, self._courier, self._uri = journal, lock, courier, uri
        self._steps = set(steps)

    @property
    def run_id(self) -> str | None:
        """MLflow's id of the run; None before it is known, and offline."""
        return self._courier.run_id if self._courier else None

    def log_metrics(self, metrics: Mapping[str, Any], step: int) -> None:
        """Record metrics of an epoch; a name's step that is on record already stays as it is.

        Args:
            metrics: numbers by name; nested mappings are joined with slashes. A name without one
                comes under `train/`.
            step: the epoch.
        """
        new = {
            name: value
            for name, value in epoch_metrics(metrics).items()
            if (name, step) not in self._steps
        }
        if self._journal and new:
            self._steps |= {(name, step) for name in new}
            self._journal.append("metrics", step=int(step), metrics=new)
            self._notify()

    def log_image(self, name: str, image: Path | str | np.ndarray) -> None:
        """Record a picture, such as `panels/epoch_003.png`; a file, or u8[H,W,3] or u8[H,W]."""
        if self._journal:
            self._journal.add_image(name, image)
            self._notify()

    def log_artifact(self, path: Path | str, name: str | None = None) -> None:
        """Record a copy of a file, under its own name if none is given."""
        if self._journal:
            self._journal.add_artifact(path, name)
            self._notify()

    def _notify(self) -> None:
        if self._courier:
            self._courier.notify()

    def close(self, status: str = "FINISHED") -> None:
        """End the run as FINISHED, FAILED or KILLED; waits a few seconds for MLflow at most."""
        if self._journal is None:
            return
        self._journal.append("end", status=status)
        if self._courier:
            timeout_s = CLOSE_TIMEOUT_LOCAL_S if is_local(self._uri) else CLOSE_TIMEOUT_S
            if not self._courier.finish(timeout_s):
                go_offline(self._uri, f"it took longer than {timeout_s:.0f} s")
        self._journal = None
        if self._lock:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error_type is None:
            self.close("FINISHED")
        else:
            # Lightning turns Ctrl-C into SystemExit, and `exit_on_error` SIGTERM
            killed = issubclass(error_type, KeyboardInterrupt | SystemExit)
            self.close("KILLED" if killed else "FAILED")


def start_run(
    *,
    experiment: str,
    key: str,
    params: Mapping[str, Any],
    tags: Mapping[str, str] | None = None,
    data_digest: str = "",
    data_source: str = "",
    resumed: bool = True,
    root: Path | None = None,
) -> Run:
    """Begin to record a training run, or go on with the one of the same key.

    Args:
        experiment: its name in params.yaml.
        key: a hash of parameters, data and code: runs of one key give the same figures.
        params: may be nested.
        tags: added to ours; `mlflow.source.git.commit` is set if missing, and `mlflow.runName` is
            the run's name, by default the experiment's.
        data_digest: of the prepared data, such as DVC's md5; the run's data set lineage.
        data_source: where the prepared data lies.
        resumed: go on with the run that this checkout recorded under the key, if there is one;
            False if training starts anew, which makes a new run.
        root: the checkout; found from the current folder if None.

    Raises:
        InputError: if the journal's folder cannot be written.
    """
    root = root.resolve() if root else find_root()
    journal = journal_at(root, experiment, key)
    lock = journal.lock()
    try:
        journal.folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=1)
    except Timeout:
        say(f"another process records {experiment} under the same key; this one records nothing.")
        return Run(journal.folder.name)
    except OSError as error:
        raise InputError(
            f"{journal.folder}: cannot be written ({error.strerror}); remove it or mend its rights"
        ) from None
    before = journal.record() if resumed else None
    if before:
        journal.append("resume", host=platform.node(), pid=os.getpid())
    else:
        data = {"digest": data_digest, "source": data_source}
        journal.begin(experiment, key, params=params, tags=run_tags(tags), data=data)
    record = journal.record()
    assert record is not None
    uri = usable_uri(root)
    courier = None
    if uri:
        courier = Courier(root, uri, journal, record, same_key=resumed)
        courier.start()
    return Run(
        journal.folder.name,
        journal=journal,
        lock=lock,
        courier=courier,
        uri=uri or "",
        steps=record.steps,
    )
