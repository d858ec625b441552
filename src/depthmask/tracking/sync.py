"""Bring MLflow up to what DVC's outputs hold: whatever kept a run from it, this makes up for it.

An outage, a model from DVC's cache, a trial in a copy, the queue and runs trained elsewhere are
all the same: the run of a trained network's key is missing or partial, and its folder has the
parameters, curves and figures.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from filelock import Timeout

from depthmask.data.scenes.files import read_json, read_table
from depthmask.tracking.notes import BEST, VERDICT, comparison_note, run_metrics, run_tags
from depthmask.tracking.run import OpenRun, epoch_metrics
from depthmask.tracking.store import Store, attempt, copied_checkout, find_root, run_lock

SYNCED = "depthmask.synced"
"""Tag of a run: a hash of what was brought to it."""


class Trained(NamedTuple):
    """What the outputs hold of one trained network."""

    card: dict[str, Any]
    settings: dict[str, Any]
    curves: pd.DataFrame
    metrics: dict[str, float]
    tags: dict[str, str]
    panel: Path | None

    def digest(self) -> str:
        """A hash of all of it."""
        parts = [self.card, self.settings, self.curves.to_csv(), self.metrics, self.tags]
        content = json.dumps(parts, sort_keys=True).encode()
        panel = self.panel.read_bytes() if self.panel else b""
        return hashlib.sha256(content + panel).hexdigest()[:16]


def sync(experiments: Path, reports: Path, *, data_source: str = "data/prepared") -> list[str]:
    """Bring every network below `experiments`, and the comparison in `reports`, to MLflow.

    What MLflow holds already is left alone: a second call changes nothing.

    Args:
        experiments: a folder with NAME/seed_N/{model.json, settings.json, curves.csv}.
        reports: the folder of `metrics.json` and `panels/`; without it curves alone are brought.
        data_source: where the prepared data lies.

    Returns:
        The names of the runs that were made or changed.

    Raises:
        InputError: if one of these files is damaged.
    """
    root, is_trial = find_root(), copied_checkout(Path.cwd()) is not None
    metrics = read_json(reports / "metrics.json") if (reports / "metrics.json").exists() else {}
    trained = [
        _read(folder.parent, metrics, reports)
        for folder in sorted(experiments.glob("*/seed_*/model.json"))
    ]

    def bring(store: Store) -> list[str]:
        names = [
            each.tags["mlflow.runName"]
            for each in trained
            if _bring(store, each, is_trial=is_trial, data_source=data_source)
        ]
        if metrics and not is_trial:  # of which several may run at once
            _describe(store, metrics, {each.card["key"] for each in trained if _is_best(each)})
        return names

    return attempt(root, bring) or []


def _read(folder: Path, metrics: Mapping[str, Any], reports: Path) -> Trained:
    card = read_json(folder / "model.json", ("experiment", "seed", "key", "model", "losses"))
    name, seed = card["experiment"], str(card["seed"])
    tags, figures, panel = run_tags(card), dict[str, float](), None
    if seed in metrics.get("seeds", {}).get(name, {}):
        tags |= run_tags(card, metrics)
        figures = run_metrics(metrics, name, seed)
        drawn = metrics["best_seed"] if name == metrics["best"] else min(metrics["seeds"][name])
        if str(drawn) == seed and (reports / "panels" / f"{name}.png").exists():
            panel = reports / "panels" / f"{name}.png"
    return Trained(
        card,
        read_json(folder / "settings.json"),
        read_table(folder / "curves.csv", ("epoch",)),
        figures,
        tags,
        panel,
    )


def _is_best(trained: Trained) -> bool:
    return trained.tags.get(BEST) == "yes"


def _bring(store: Store, trained: Trained, *, is_trial: bool, data_source: str) -> bool:
    key, tags = trained.card["key"], dict(trained.tags)
    found, digest = store.find_run(key), trained.digest()
    known = found.data.tags if found else {}
    if is_trial:
        # what the checkout has said of a run stays, and no trial's run is its best
        tags.pop(BEST, None)
        if VERDICT in known:
            return False
    if found and known.get(SYNCED) == digest and found.info.status == "FINISHED":
        return False
    lock = run_lock(store.root, key)
    try:
        with lock:
            run = OpenRun(store, key, tags, lock)
            run.describe(trained.settings, trained.card.get("data_hash", ""), data_source)
            _log(store, run, trained, dict(found.data.metrics) if found else {})
            run.set_tags({SYNCED: digest})
            run.logger.finalize("FINISHED")
    except Timeout:
        return False  # its training still runs, and records itself
    return True


def _log(store: Store, run: OpenRun, trained: Trained, known: Mapping[str, float]) -> None:
    """Log curves, figures and the panel, as far as the run lacks them; in one batch or few."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    numbers = trained.curves.select_dtypes("number")
    batch = [
        Metric(name, float(value), now, int(row["epoch"]))
        for row in numbers.to_dict(orient="records")
        if int(row["epoch"]) not in run.steps
        for name, value in epoch_metrics({str(column): row[column] for column in row}).items()
        if pd.notna(value)
    ]
    batch += [
        Metric(name, value, now, 0)
        for name, value in trained.metrics.items()
        if known.get(name) != value
    ]
    for start in range(0, len(batch), 1000):
        store.client.log_batch(run.run_id, metrics=batch[start : start + 1000])
    if trained.panel:
        store.client.log_artifact(run.run_id, str(trained.panel), "panels")


def _describe(store: Store, metrics: Mapping[str, Any], best_keys: set[str]) -> None:
    """Make the verdict the experiment's note; no other run keeps the tag of the best."""
    note = comparison_note(metrics)
    experiment = store.client.get_experiment(store.experiment_id)
    if experiment.tags.get("mlflow.note.content") != note:
        client = store.client
        client.set_experiment_tag(store.experiment_id, "mlflow.note.content", note)
    for run in store.search(f"tags.`{BEST}` = 'yes'"):
        if run.data.tags.get("depthmask.key") not in best_keys:
            store.client.set_tag(run.info.run_id, BEST, "no longer")
