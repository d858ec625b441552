"""Bring MLflow up to what DVC's outputs hold, and register the exported model there.

After an outage, with a model from DVC's cache, and for trials in a copy and runs trained elsewhere
the run of a network's key is missing or partial, and its folder has all of it.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from filelock import Timeout

from depthmask import tracking
from depthmask.data.scenes.files import read_json, read_table
from depthmask.errors import InputError
from depthmask.evaluation.measuring import check_agreement
from depthmask.tracking import LOCK, Store, attempt, copied_checkout, find_root, is_held
from depthmask.tracking.notes import BEST, VERDICT, comparison_note, run_metrics, run_tags
from depthmask.tracking.provenance import run_key
from depthmask.tracking.run import OpenRun

MODEL = "DepthMaskNet"
SYNCED = "depthmask.synced"
"""Tag of a run: a hash of what was brought to it."""
CARD_KEYS = ("experiment", "seed", "key", "model", "losses", "source", "unit", "data_hash", "test")


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
        panel = self.panel.read_bytes().hex() if self.panel else ""
        return run_key(**self._asdict() | {"curves": self.curves.to_csv(), "panel": panel})


def sync(experiments: Path, reports: Path) -> list[str] | None:
    """Bring every network below `experiments`, and the comparison in `reports`, to MLflow.

    What MLflow holds already is left alone: a second call changes nothing. A network whose files
    are damaged is left out with a line; without `metrics.json` curves alone are brought. Returns
    the names of the runs that were made or changed; None if MLflow cannot be used.
    """
    is_trial = copied_checkout() is not None
    metrics = read_json(reports / "metrics.json") if (reports / "metrics.json").exists() else {}
    trained = []
    for card in sorted(experiments.glob("*/seed_*/model.json")):
        try:
            trained.append(_read(card.parent, metrics, reports, is_trial=is_trial))
        except InputError as error:
            tracking.say(f"{error}; MLflow is not told of this network.")

    def bring(store: Store) -> list[str]:
        store.end_killed_runs()
        brought = [each.tags["mlflow.runName"] for each in trained if _bring(store, each)]
        if metrics and not is_trial:  # of which several may run at once
            best = {each.card["key"] for each in trained if each.tags.get(BEST) == "yes"}
            _describe(store, metrics, best)
        return brought

    return attempt(find_root(), bring)


def _read(folder: Path, metrics: Mapping[str, Any], reports: Path, *, is_trial: bool) -> Trained:
    card = read_json(folder / "model.json", CARD_KEYS)
    settings = read_json(folder / "settings.json")
    curves = read_table(folder / "curves.csv", ("epoch",))
    name, seed = card["experiment"], str(card["seed"])
    tags, shown, panel = run_tags(card), dict[str, float](), None
    measured = metrics.get("seeds", {}).get(name, {}).get(seed, {}).get(card["test"]["set"], {})
    with suppress(InputError):  # these may be the figures of a training before this one
        check_agreement(card, {key: each for key, each in measured.items() if each is not None}, "")
        tags, shown = run_tags(card, metrics), run_metrics(metrics, name, seed)
        drawn = metrics["best_seed"] if name == metrics["best"] else min(metrics["seeds"][name])
        path = reports / "panels" / f"{name}.png"
        panel = path if str(drawn) == seed and path.exists() else None
    if is_trial:  # no trial's run is the checkout's best
        tags.pop(BEST, None)
    return Trained(card, settings, curves, shown, tags, panel)


def _bring(store: Store, trained: Trained) -> bool:
    """Bring a network to its run; whether anything was missing."""
    key, digest = trained.card["key"], trained.digest()
    found = store.find_run(key)
    known, status = (found.data.tags, found.info.status) if found else ({}, "")
    is_trial = BEST not in trained.tags and VERDICT in trained.tags
    if (
        (known.get(SYNCED) == digest and status == "FINISHED")
        or (is_trial and VERDICT in known)  # it leaves what the checkout has said
        or (status == "RUNNING" and is_held(Path(known[LOCK])))  # it records itself
    ):
        return False
    try:
        data = trained.card["data_hash"]
        run = OpenRun(store, key, found, trained.settings, trained.tags, data)
    except Timeout:
        return False
    if trained.panel:
        store.client.log_artifact(run.run_id, str(trained.panel), "panels")
    epochs = run.new_epochs(trained.curves.to_dict(orient="records"))
    figures = trained.metrics.items() - run.figures.items()
    run.log([*epochs, *((*figure, 0) for figure in figures)], {}, {SYNCED: digest})
    run.end("FINISHED")
    return True


def _describe(store: Store, metrics: Mapping[str, Any], best_keys: set[str]) -> None:
    """Make the verdict the experiment's note; no other run keeps the tag of the best."""
    note, tag = comparison_note(metrics), "mlflow.note.content"
    if store.client.get_experiment(store.experiment_id).tags.get(tag) != note:
        store.client.set_experiment_tag(store.experiment_id, tag, note)
    for run in store.search(f"tags.`{BEST}` = 'yes'"):
        if run.data.tags.get("depthmask.key") not in best_keys:
            store.client.set_tag(run.info.run_id, BEST, "no longer")


@dataclass(frozen=True)
class Registered:
    """A model's version, as in `models:/DepthMaskNet/VERSION`, and the champion's, if any."""

    version: str
    champion: str = ""
    champion_experiment: str = ""

    @property
    def is_champion(self) -> bool:
        return self.version == self.champion


def register_model(onnx_path: Path, tags: Mapping[str, str]) -> Registered | None:
    """Register an ONNX file as a version of DepthMaskNet; the champion if `gate` says `passed`.

    The same bytes of the same run, which `sync` has brought to MLflow, are registered once; later
    calls change the version's tags and move the alias. A trial in a copy made by DVC, of which
    several may run at once, never moves it. Returns None if MLflow could not be reached.

    tags: of the version, among them `depthmask.key`, `.experiment`, and the file's `.sha256`.
    """
    return attempt(find_root(), lambda store: _register(store, onnx_path, tags))


def _register(store: Store, onnx_path: Path, tags: Mapping[str, str]) -> Registered:
    run, client = store.find_run(tags["depthmask.key"]), store.client
    if run is None:
        raise ConnectionError("it has no run of the exported model")
    run_id, is_trial = run.info.run_id, copied_checkout() is not None
    with tracking.file_lock(store.root, "mlflow", timeout=120):
        if not client.search_registered_models(f"name = '{MODEL}'"):
            client.create_registered_model(MODEL, description="A person's mask, a scene's depth.")
        same = client.search_model_versions(f"name = '{MODEL}' and run_id = '{run_id}'")
        versions = {each.tags.get("depthmask.sha256"): str(each.version) for each in same}
        version = versions.get(tags["depthmask.sha256"])
        if version is None:
            source, model_id = _log_model(store, run_id, onnx_path)
            made = client.create_model_version(MODEL, source, run_id, dict(tags), model_id=model_id)
            version = str(made.version)
        elif not is_trial:  # which may ask for more than the checkout that made the version
            for name, value in tags.items():
                client.set_model_version_tag(MODEL, version, name, value)
        champion = str(client.get_registered_model(MODEL).aliases.get("champion", ""))
        if tags["gate"] == "passed" and not is_trial:
            client.set_registered_model_alias(MODEL, "champion", version)
            champion = version
        known = client.get_model_version(MODEL, champion).tags if champion else {}
        return Registered(version, champion, known.get("depthmask.experiment", ""))


def _log_model(store: Store, run_id: str, onnx_path: Path) -> tuple[str, str]:
    """Log the file as a model of MLflow's onnx flavour; returns the model's URI and id."""
    import mlflow.onnx
    import onnx
    import onnxruntime
    from mlflow.models import Model

    mlflow.set_tracking_uri(store.uri)  # there is no client's own for a model
    logged = Model.log(
        None,
        mlflow.onnx,
        name="onnx",
        model_type="onnx",
        run_id=run_id,
        onnx_model=onnx.load(onnx_path),
        # named here, or MLflow finds them by loading the model in another process
        pip_requirements=[
            f"{each.__name__}=={each.__version__}" for each in (mlflow, onnx, onnxruntime)
        ],
        onnx_execution_providers=["CPUExecutionProvider"],  # the others warn where they lack
        save_as_external_data=False,
    )
    return logged.model_uri, logged.model_id
