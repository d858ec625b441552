"""What one process knows of its MLflow store: the open store, or that it is no use."""

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from depthmask.tracking import mlflow_store
from depthmask.tracking.mlflow_store import Store, Unreachable, tracking_uri

Result = TypeVar("Result")

_lock = threading.Lock()
_stores: dict[str, Store] = {}
_offline: set[str] = set()


def say(line: str) -> None:
    print(f"depthmask: {line}", file=sys.stderr, flush=True)


def reason(error: BaseException) -> str:
    """The first line of an error, short enough for one line of ours."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return text if len(text) <= 160 else f"{text[:159]}…"


def go_offline(uri: str, why: str) -> None:
    """Use this store no more in this process, and say so once."""
    with _lock:
        if uri in _offline:
            return
        _offline.add(uri)
    say(f"MLflow is left out: {why}. The journals in .tracking/ keep everything.")


def usable_uri(root: Path) -> str | None:
    """The store's URI if mlflow is installed and the store answers; imports mlflow."""
    uri = tracking_uri(root)
    if uri in _offline:
        return None
    try:
        mlflow_store.load(uri)
    except Exception as error:
        go_offline(uri, reason(error))
        return None
    return uri


def open_store(root: Path, uri: str) -> Store:
    """The store, opened once a process; raises what MLflow raises."""
    if uri in _offline:
        raise Unreachable(f"{uri} has failed before")
    if uri not in _stores:
        _stores[uri] = Store(root, uri)
    return _stores[uri]


def attempt(root: Path, action: Callable[[Store], Result]) -> Result | None:
    """Do something with the store; None, after one line, if that cannot be."""
    uri = usable_uri(root)
    if uri is None:
        return None
    try:
        return action(open_store(root, uri))
    except Exception as error:  # whatever MLflow does, the pipeline goes on
        go_offline(uri, reason(error))
        return None
