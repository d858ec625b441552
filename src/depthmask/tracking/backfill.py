"""What is logged after training: figures of evaluate, and runs made where MLflow was not."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from filelock import Timeout

from depthmask.errors import InputError
from depthmask.tracking import comparison
from depthmask.tracking.comparison import BEST, VERDICT
from depthmask.tracking.connection import attempt, say
from depthmask.tracking.journal import (
    FILE,
    Journal,
    Record,
    copied_checkout,
    epoch_metrics,
    find_root,
    journal_at,
    metric_values,
)
from depthmask.tracking.mlflow_store import Store, tracking_uri, without_password
from depthmask.tracking.run import run_tags


def _curves(path: Path, experiment: str) -> dict[int, dict[str, float]]:
    """Metrics by epoch from curves.csv; cells that hold no numbers are left out."""
    steps: dict[int, dict[str, float]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row.pop("experiment", experiment) != experiment:
                continue
            row.pop("seed", None)
            metrics = {}
            for name, text in row.items():
                try:
                    metrics[name] = float(text)
                except (TypeError, ValueError):
                    continue
            steps[int(metrics["epoch"])] = epoch_metrics(metrics)
    return steps


def ensure_journal(
    root: Path,
    experiment: str,
    key: str,
    *,
    params: Mapping[str, Any] | None,
    tags: Mapping[str, str] | None,
    data_digest: str,
    data_source: str,
    curves: Path | None,
) -> tuple[Journal, Record]:
    """The journal of a trained model, made or completed from curves.csv if this checkout lacks it.

    It does when the model came from DVC's cache, or training was killed while offline.
    """
    journal = journal_at(root, experiment, key)
    if journal.record() is None:
        data = {"digest": data_digest, "source": data_source}
        journal.begin(experiment, key, params=params or {}, tags=run_tags(tags), data=data)
        if curves is None:
            journal.append("end", status="FINISHED")
    record = journal.record()
    assert record is not None
    if curves is not None:
        for step, metrics in _curves(curves, experiment).items():
            new = {name: v for name, v in metrics.items() if (name, step) not in record.steps}
            if new:
                journal.append("metrics", step=step, metrics=new)
        if record.status != "FINISHED":  # a model with all its curves is a finished training
            journal.append("end", status="FINISHED")
    return journal, record


def _told(tags: Mapping[str, str] | None, record: Record) -> dict[str, str]:
    """What an evaluation may say of a run: all, but for a trial in a copy made by DVC.

    Several trials may run at once, and share runs with their checkout: what that has said of a run
    stays, and no trial's run is the best of the checkout.
    """
    told = {name: str(value) for name, value in (tags or {}).items()}
    if copied_checkout(Path.cwd()) is None:
        return told
    if VERDICT in record.tags:
        return {}
    return {name: value for name, value in told.items() if name != BEST}


def _copy(
    store: Store, journal: Journal, *, same_key: bool, news: int | None = None
) -> tuple[str, int] | None:
    record = journal.record()
    if record is None:
        return None
    try:
        with journal.lock().acquire(timeout=0):
            return store.copy(journal, record, same_key=same_key, news=news)
    except Timeout:
        return None  # its training still runs, and carries the journal to MLflow itself


def log_evaluation(
    *,
    experiment: str,
    key: str,
    metrics: Mapping[str, Any],
    images: Iterable[Path] = (),
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    data_digest: str = "",
    data_source: str = "",
    curves: Path | None = None,
    root: Path | None = None,
) -> str | None:
    """Add the test figures and pictures of a model to the run that trained it.

    Where MLflow has no such run (its model came from DVC's cache, or the server was down), it is
    made from the journal, or else from the parameters and curves given here.

    Args:
        metrics: such as `test/in_scene/mask_iou`; nested mappings are joined with slashes.
        tags: replace those of the run; see `notes.run_view`.
        images: files, shown under `evaluation/`.
        curves: curves.csv with a column `epoch`; of several experiments if it has `experiment`.
        key, params, data_digest, data_source, root: as in `start_run`.

    Returns:
        MLflow's id of the run; None if it could not be reached.
    """
    root = root.resolve() if root else find_root()
    journal, record = ensure_journal(
        root,
        experiment,
        key,
        params=params,
        tags={},
        data_digest=data_digest,
        data_source=data_source,
        curves=curves,
    )
    _, news = journal.read()
    for path in images:
        journal.add_image(f"evaluation/{path.name}", path)
    journal.append("evaluation", metrics=metric_values(metrics), tags=_told(tags, record))
    copied = attempt(root, lambda store: _copy(store, journal, same_key=True, news=news))
    return copied[0] if copied else None


def import_journals(folder: Path, root: Path | None = None) -> list[str]:
    """Bring runs that were made without MLflow into it, and what they were compared to be.

    Importing again adds only what is new: each run carries an id of its own.

    Args:
        folder: a `.tracking` folder, the folder that holds it, or one with copies of its
            sub-folders.

    Returns:
        EXPERIMENT-KEY of every run that was made or added to.

    Raises:
        InputError: if the folder holds no journal, or MLflow cannot be used.
    """
    root = root.resolve() if root else find_root()
    if (folder / ".tracking").is_dir():
        folder /= ".tracking"
    journals = [Journal(path.parent) for path in sorted(folder.glob(f"*/{FILE}"))]
    if (folder / FILE).is_file():
        journals.append(Journal(folder))
    if not journals:
        raise InputError(f"{folder}: holds no */{FILE}; give the .tracking folder of that machine")

    def copy_all(store: Store) -> list[str]:
        imported = []
        for journal in journals:
            record = journal.record()
            if record is None:
                say(f"{journal.path}: is no journal, left out")
                continue
            copied = _copy(store, journal, same_key=False)
            if copied and copied[1]:
                imported.append(record.name)
        comparison.deliver(store, folder / comparison.FILE)
        return imported

    imported = attempt(root, copy_all)
    if imported is None:
        raise InputError(
            f"nothing imported: MLflow at {without_password(tracking_uri(root))} cannot be used"
        )
    return imported
