"""The comparison of all runs in MLflow: the experiment's note with the verdict, and a view.

As a run has its journal, the last comparison of a checkout lies in ROOT/.tracking/comparison.json
and is brought to MLflow when that answers; an older one never replaces a newer.
"""

import json
import time
from pathlib import Path
from typing import Any

from depthmask.data.scenes.files import replaced_file
from depthmask.tracking.connection import attempt
from depthmask.tracking.journal import FOLDER, copied_checkout, find_root
from depthmask.tracking.mlflow_store import KIND, Store
from depthmask.tracking.run_copy import cut
from depthmask.tracking.view import LINK, TAG, comparison_view

BEST, VERDICT = "best", "verdict"
"""Tags of a run that say how it compares."""

FILE = "comparison.json"
_TIME_TAG = "depthmask.compared"
_MAX_NOTE_LENGTH = 15000


def log_comparison(*, note: str, experiment: str, key: str, root: Path | None = None) -> str | None:
    """Make the verdict the note of MLflow's experiment, and its runs' comparison a view.

    A trial in a copy made by DVC leaves both as they are.

    Args:
        note: Markdown, see `notes.comparison_note`.
        experiment, key: of the best run; no other keeps the tag that says so.
        root: as in `start_run`.

    Returns:
        Where MLflow shows the view, below its address; None if it could not be reached.
    """
    if copied_checkout(Path.cwd()) is not None:
        return None
    root = root.resolve() if root else find_root()
    comparison = {
        "time": int(time.time() * 1000),
        "note": note,
        "experiment": experiment,
        "key": key,
    }
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    with replaced_file(root / FOLDER / FILE) as path:
        path.write_text(json.dumps(comparison, indent=2, ensure_ascii=False) + "\n")
    return attempt(root, lambda store: deliver(store, root / FOLDER / FILE))


def deliver(store: Store, path: Path) -> str | None:
    """Bring a recorded comparison to MLflow, if that has no newer one.

    Returns:
        Where MLflow shows the view; None if nothing was ever compared.
    """
    link = LINK.format(id=store.experiment_id)
    known = store.client.get_experiment(store.experiment_id).tags
    comparison = _read(path)
    if comparison is None:
        return link if TAG in known else None
    time_ms = int(comparison["time"])
    if time_ms <= int(known.get(_TIME_TAG, 0)):
        return link
    note = f"{cut(comparison['note'], _MAX_NOTE_LENGTH)}\n\n[The comparison, as charts]({link})"
    tags = {**KIND, TAG: comparison_view(time_ms), "mlflow.note.content": note}
    for name, value in {**tags, _TIME_TAG: str(time_ms)}.items():
        store.client.set_experiment_tag(store.experiment_id, name, value)
    for run in store.search(f"tags.`{BEST}` = 'yes'", 1000):
        its = run.data.tags
        now = (its.get("depthmask.experiment"), its.get("depthmask.key"))
        if now != (comparison["experiment"], comparison["key"]):
            store.client.set_tag(run.info.run_id, BEST, "no longer")
    return link


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    wanted = {"time", "note", "experiment", "key"}
    return content if isinstance(content, dict) and wanted <= content.keys() else None
