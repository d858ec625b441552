"""Bring MLflow up to what DVC's outputs hold, whatever kept a run from it.

After an outage, with a model from DVC's cache, and for trials in a copy and runs trained elsewhere
the run of a network's key is missing or partial, and its folder has all of it.
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
from depthmask.errors import InputError
from depthmask.evaluation.measuring import check_agreement
from depthmask.tracking.notes import BEST, VERDICT, comparison_note, run_metrics, run_tags
from depthmask.tracking.run import OpenRun, epoch_metrics
from depthmask.tracking.store import LOCK, Store, attempt, copied_checkout, find_root, is_held, say

SYNCED = "depthmask.synced"
"""Tag of a run: a hash of what was brought to it."""
CARD_KEYS = ("experiment", "seed", "key", "model", "losses", "source", "unit", "data_hash")


class Trained(NamedTuple):
    """What the outputs hold of one trained network; `metrics` are its test figures."""

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


def sync(
    experiments: Path, reports: Path, *, data_source: str = "data/prepared"
) -> list[str] | None:
    """Bring every network below `experiments`, and the comparison in `reports`, to MLflow.

    What MLflow holds already is left alone: a second call changes nothing. A network whose files
    are damaged is left out with a line.

    Args:
        experiments: a folder with NAME/seed_N/{model.json, settings.json, curves.csv}.
        reports: the folder of `metrics.json` and `panels/`; without it curves alone are brought.
        data_source: where the prepared data lies.

    Returns:
        The names of the runs that were made or changed; None if MLflow cannot be used.
    """
    root, is_trial = find_root(), copied_checkout(Path.cwd()) is not None
    metrics = read_json(reports / "metrics.json") if (reports / "metrics.json").exists() else {}
    trained = []
    for card in sorted(experiments.glob("*/seed_*/model.json")):
        try:
            trained.append(_read(card.parent, metrics, reports, is_trial=is_trial))
        except InputError as error:
            say(f"{error}; MLflow is not told of this network.")

    def bring(store: Store) -> list[str]:
        store.end_killed_runs()
        brought = [each for each in trained if _bring(store, each, data_source)]
        if metrics and not is_trial:  # of which several may run at once
            best = {each.card["key"] for each in trained if each.tags.get(BEST) == "yes"}
            _describe(store, metrics, best)
        return [each.tags["mlflow.runName"] for each in brought]

    return attempt(root, bring)


def _read(folder: Path, metrics: Mapping[str, Any], reports: Path, *, is_trial: bool) -> Trained:
    card = read_json(folder / "model.json", CARD_KEYS)
    name, seed = card["experiment"], str(card["seed"])
    tags, shown, panel = run_tags(card), dict[str, float](), None
    if _is_measured(card, metrics.get("seeds", {}).get(name, {}).get(seed)):
        tags, shown = run_tags(card, metrics), run_metrics(metrics, name, seed)
        drawn = metrics["best_seed"] if name == metrics["best"] else min(metrics["seeds"][name])
        if str(drawn) == seed and (reports / "panels" / f"{name}.png").exists():
            panel = reports / "panels" / f"{name}.png"
    if is_trial:  # no trial's run is the checkout's best
        tags.pop(BEST, None)
    settings, curves = folder / "settings.json", folder / "curves.csv"
    return Trained(card, read_json(settings), read_table(curves, ("epoch",)), shown, tags, panel)


def _is_measured(card: Mapping[str, Any], figures: Mapping[str, Any] | None) -> bool:
    """Whether figures of this name and seed are this network's, not those of one before it."""
    if figures is None:
        return False
    own = figures.get(card.get("test", {}).get("set"), {})
    try:
        check_agreement(card, {name: each for name, each in own.items() if each is not None}, "")
    except InputError:
        return False
    return True


def _bring(store: Store, trained: Trained, data_source: str) -> bool:
    """Bring a network to its run; whether anything was missing."""
    key, digest = trained.card["key"], trained.digest()
    found = store.find_run(key)
    known, status = (found.data.tags, found.info.status) if found else ({}, "")
    if known.get(SYNCED) == digest and status == "FINISHED":
        return False
    if VERDICT in known and BEST not in trained.tags and VERDICT in trained.tags:
        return False  # a trial leaves what the checkout has said
    if status == "RUNNING" and is_held(Path(known[LOCK])):
        return False  # its training goes on, and records itself
    try:
        run = OpenRun(store, key, found, trained.tags)
    except Timeout:
        return False
    run.describe(trained.settings, trained.card["data_hash"], data_source)
    _log(store, run, trained, dict(found.data.metrics) if found else {})
    run.set_tags({SYNCED: digest})
    run.end("FINISHED")
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
