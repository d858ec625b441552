"""Bring MLflow up to what DVC's outputs hold, where its runs are missing or partial."""

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import Timeout

from depthmask.data.scenes.files import read_json, read_table, read_text
from depthmask.errors import InputError
from depthmask.evaluation.measuring import check_agreement
from depthmask.tracking import Store, attempt, copied_checkout, find_root, say
from depthmask.tracking.notes import BEST, VERDICT, run_metrics, run_tags
from depthmask.tracking.provenance import run_key
from depthmask.tracking.run import OpenRun

SYNCED = "depthmask.synced"  # tag of a run: a hash of what was brought to it
CARD_KEYS = ("experiment", "seed", "key", "model", "losses", "source", "unit", "data_hash", "test")


def sync(experiments: Path, reports: Path) -> list[str] | None:
    """Bring the networks below `experiments`, and the comparison in `reports`, to MLflow, once; the
    names of the runs made or changed, None if MLflow cannot be used."""
    metrics = read_json(reports / "metrics.json") if (reports / "metrics.json").exists() else {}

    def bring(store: Store) -> list[str]:
        store.end_killed_runs()
        brought = []
        for card in sorted(experiments.glob("*/seed_*/model.json")):
            try:
                brought += _bring(store, card.parent, metrics, reports)
            except InputError as error:
                say(f"{error}; MLflow is not told of this network.")
        if metrics and not copied_checkout():  # of which several may run at once
            best = experiments / metrics["best"] / f"seed_{metrics['best_seed']}" / "model.json"
            with suppress(InputError):
                _describe(store, reports / "results.md", read_json(best, CARD_KEYS)["key"])
        return brought

    return attempt(find_root(), bring)


def _bring(store: Store, folder: Path, metrics: Mapping[str, Any], reports: Path) -> list[str]:
    """Bring a network to its run; the run's name, if anything was missing."""
    card = read_json(folder / "model.json", CARD_KEYS)
    settings = read_json(folder / "settings.json")
    curves = read_table(folder / "curves.csv", ("epoch",))
    name, seed, is_trial = card["experiment"], str(card["seed"]), copied_checkout() is not None
    tags, figures, panel = run_tags(card), dict[str, float](), None
    measured = metrics.get("seeds", {}).get(name, {}).get(seed, {}).get(card["test"]["set"], {})
    with suppress(InputError):  # these may be the figures of a training before this one
        check_agreement(card, {key: each for key, each in measured.items() if each is not None}, "")
        tags, figures = run_tags(card, metrics), run_metrics(metrics, name, seed)
        lowest = min(metrics["seeds"][name], key=int)
        drawn = metrics["best_seed"] if name == metrics["best"] else lowest
        path = reports / "panels" / f"{name}.png"
        panel = path if str(drawn) == seed and path.exists() else None
    if is_trial:  # no trial's run is the checkout's best
        tags.pop(BEST, None)
    content = {"curves": curves.to_csv(), "panel": panel.read_bytes().hex() if panel else ""}
    digest = run_key(card=card, settings=settings, figures=figures, tags=tags, **content)

    found = store.find_run(card["key"])
    known, status = (found.data.tags, found.info.status) if found else ({}, "")
    is_there = known.get(SYNCED) == digest and status == "FINISHED"
    # the checkout's word stays; what runs records itself
    if is_there or (is_trial and VERDICT in tags and VERDICT in known) or status == "RUNNING":
        return []
    try:
        run = OpenRun(store, card["key"], found, settings, tags, card["data_hash"])
    except Timeout:
        return []
    if panel:
        store.client.log_artifact(run.run_id, str(panel), "panels")
    points = [(*figure, 0) for figure in figures.items() - run.figures.items()]
    for row in curves.to_dict(orient="records"):
        epoch = int(row["epoch"])
        points += [(*figure, epoch) for figure in run.new_figures(epoch, row).items()]
    run.log(points, {SYNCED: digest}, {})
    run.end("FINISHED")
    return [tags["mlflow.runName"]]


def _describe(store: Store, table: Path, best_key: str) -> None:
    """Make the comparison the experiment's note; no other run keeps the tag of the best."""
    if table.is_file():
        # MLflow's tables have no space between their columns
        note = re.sub(r" +\|", "&ensp; |", read_text(table))
        store.client.set_experiment_tag(store.experiment_id, "mlflow.note.content", note)
    for run in store.search(f"tags.`{BEST}` = 'yes'"):
        if run.data.tags["depthmask.key"] != best_key:
            store.client.set_tag(run.info.run_id, BEST, "no longer")
