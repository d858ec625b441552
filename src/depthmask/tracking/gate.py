"""The gate: what the exported model must reach to become the champion of MLflow's registry."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from pydantic import TypeAdapter

from depthmask.config import Gate
from depthmask.data.scenes.files import read_json, replaced_file
from depthmask.errors import InputError
from depthmask.metrics import METRICS
from depthmask.tracking import Store, attempt, copied_checkout, file_lock, find_root
from depthmask.tracking.sync import sync

MODEL = "DepthMaskNet"

CRITERIA = {
    "mask_iou": "{scenes} mask IoU",
    "depth_delta1": "{scenes} depth δ1{fitted}",
    "depth_abs_rel": "{scenes} depth AbsRel{fitted}",
    "leak_gap": "leak gap",
    "latency_ms": "latency",
}


class Registered(NamedTuple):
    """A model's version, as in `models:/DepthMaskNet/VERSION`, and the champion's, if any."""

    version: str
    champion: str = ""
    champion_experiment: str = ""


@dataclass(frozen=True)
class Judgement:
    """One exported model before the gate."""

    experiment: str
    made_from: list[str]  # hashes of the ONNX file and of `metrics.json`
    scenes: str  # the test set that the figures are of
    unit: str  # of its depth
    gate: Gate
    figures: dict[str, float | None]  # under the names of the thresholds
    registered: Registered | None = None  # what MLflow answered, if it was told

    def _checks(self) -> Iterator[tuple[str, bool, str]]:
        """Each threshold's name, whether it is reached, which a missing figure does not, in words
        by how much."""
        fitted = ", scale and shift fitted," if self.unit == "relative" else ""
        for name, threshold in self.gate.model_dump(exclude_none=True).items():
            label = CRITERIA[name].format(scenes=self.scenes, fitted=fitted)
            at_least = name in METRICS and METRICS[name].higher_is_better
            unit, asked = " ms" * (name == "latency_ms"), f"export.gate.{name}"
            value = self.figures.get(name)
            if value is None or math.isnan(value):
                yield name, False, f"{label} is missing; {asked} asks for {threshold:.12g}"
                continue
            lead = value - threshold
            words = f"{abs(lead):.3g}{unit} {'below' if lead < 0 else 'above'} {asked}"
            found = f"{label} {value:.6g}{unit} is {words} {threshold:.12g}"
            yield name, lead >= 0 if at_least else lead <= 0, found

    @property
    def misses(self) -> dict[str, str]:
        """What was missed, in words, by the threshold's name."""
        return {name: words for name, is_reached, words in self._checks() if not is_reached}

    def lines(self) -> list[str]:
        """What became of it: a line a miss, then one on the model and the champion."""
        name, told = self.experiment, self.registered
        refused = [f"{name} is not promoted: {miss}" for miss in self.misses.values()]
        remedy = "MLflow was not told; `depthmask gate --promote` tells it"
        if told is None:
            return [*refused, remedy] if refused else [f"{name} passes the gate; {remedy}"]
        if told.version == told.champion and not refused:
            return [f"promoted {name} as {MODEL} version {told.version}, champion"]
        champion = "there is no champion yet"
        if told.champion:
            champion = f"the champion stays version {told.champion} ({told.champion_experiment})"
        why = "" if refused else ": a trial in a copy promotes nothing"
        tag = f"version {told.version}, tagged `gate: {'refused' if refused else 'passed'}`"
        return [*refused, f"{name} in models/best is {MODEL} {tag}; {champion}{why}"]

    def passed_words(self) -> str:
        """What a model that passed has, beside what was asked."""
        return ", ".join(words for _, _, words in self._checks()) or "export.gate asks for nothing"


def judge(
    model: Path, metadata: Mapping[str, str], metrics_path: Path, gate: Gate, latency_ms: float
) -> Judgement:
    """Hold an ONNX file against the gate; InputError if it is not the best of `metrics.json`."""
    metrics = read_json(metrics_path, ("best", "headline", "unit", "data", "seeds", "leak"))
    best, scenes = metrics["best"], metrics["headline"]["set"]
    for name, key in (("best", "experiment"), ("data", "data_hash")):
        if metrics[name] != metadata[key]:
            both = f"{metrics_path} calls {metrics[name]} the {name} and {model} {metadata[key]}"
            raise InputError(f"{both}: run `dvc repro`, then both are of one run")
    own = metrics["seeds"][best][metadata["seed"]][scenes]
    leak = metrics["leak"].get(best, {}).get("mask_iou", {}).get("excess")
    figures = {name: own.get(name) for name in CRITERIA}
    figures |= {"leak_gap": leak, "latency_ms": latency_ms}
    return Judgement(best, _hashes(model, metrics_path), scenes, metrics["unit"], gate, figures)


def register(
    judgement: Judgement, model: Path, key: str, *, experiments: Path, reports: Path
) -> Judgement:
    """Register the model, its run of that key first, once for the same bytes of the same run; if
    nothing was missed it becomes the champion, but never from a copy made by DVC."""
    sync(experiments, reports)
    misses, figures = judgement.misses.values(), judgement.figures.items()
    tags = {name: f"{value:.6g}" for name, value in figures if value is not None}
    tags |= {"gate": "refused" if misses else "passed", "gate.reasons": "; ".join(misses)}
    tags |= {"depthmask.experiment": judgement.experiment, "depthmask.key": key}
    tags |= {"depthmask.sha256": judgement.made_from[0]}
    registered = attempt(find_root(), lambda store: _register(store, model, tags))
    return replace(judgement, registered=registered)


def _register(store: Store, onnx_path: Path, tags: dict[str, str]) -> Registered:
    from mlflow.exceptions import MlflowException

    run, client = store.find_run(tags["depthmask.key"]), store.client
    if run is None:
        raise ConnectionError("it has no run of the exported model")
    run_id, is_trial = run.info.run_id, copied_checkout() is not None
    with file_lock(store.root, "mlflow", timeout=120):
        if not client.search_registered_models(f"name = '{MODEL}'"):
            with suppress(MlflowException):  # another checkout was faster
                client.create_registered_model(MODEL, description="A person's mask and depth.")
        same = client.search_model_versions(f"name = '{MODEL}' and run_id = '{run_id}'")
        versions = {each.tags.get("depthmask.sha256"): str(each.version) for each in same}
        version = versions.get(tags["depthmask.sha256"])
        if version is None:
            source, model_id = _log_model(store, run_id, onnx_path)
            made = client.create_model_version(MODEL, source, run_id, tags, model_id=model_id)
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
    import numpy as np
    import onnx
    import onnxruntime
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    mlflow.set_tracking_uri(store.uri)  # there is no client's own for a model
    mlflow.set_experiment(experiment_id=store.experiment_id)
    # named here, or MLflow finds them by loading the model in another process
    requirements = [f"{each.__name__}=={each.__version__}" for each in (mlflow, onnx, onnxruntime)]
    # by which `mlflow models serve` makes the numbers of a request what the file takes
    images, planes = np.dtype(np.uint8), np.dtype(np.float32)
    inputs = Schema([TensorSpec(images, (-1, -1, -1, 3), name) for name in ("bg", "bg_fg")])
    outputs = Schema([TensorSpec(planes, (-1, -1, -1), name) for name in ("mask", "depth")])
    logged = Model.log(
        None,
        mlflow.onnx,
        name="onnx",
        model_type="onnx",
        run_id=run_id,
        onnx_model=onnx.load(onnx_path),
        signature=ModelSignature(inputs, outputs),
        pip_requirements=requirements,
        onnx_execution_providers=["CPUExecutionProvider"],  # the others warn where they lack
        save_as_external_data=False,
    )
    return logged.model_uri, logged.model_id


def write_record(path: Path, judgement: Judgement) -> None:
    """Write a judgement as JSON."""
    content, misses = TypeAdapter(Judgement).dump_python(judgement), judgement.misses
    content |= {"passed": not misses, "misses": misses, "lines": judgement.lines()}
    text = json.dumps(content, indent=2, ensure_ascii=False)
    with replaced_file(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_record(path: Path, model: Path, metrics_path: Path, gate: Gate) -> Judgement | None:
    """The judgement, if it is of these files and thresholds; InputError if a file is missing."""
    for needed in (model, metrics_path):
        if not needed.is_file():
            raise InputError(f"{needed} is missing: run `dvc repro` (or `dvc pull`) first")
    try:
        judgement = TypeAdapter(Judgement).validate_json(path.read_bytes())
    except (OSError, ValueError):
        return None  # none, or another version's
    current = judgement.made_from == _hashes(model, metrics_path)
    return judgement if current and judgement.gate == gate else None


def _hashes(*paths: Path) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
