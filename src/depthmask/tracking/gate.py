"""The gate: what the exported model must reach to become the champion, and the record of it.

The record is no output of DVC, since a latency is a time: it says what it was made from, and holds
for nothing else.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from depthmask.config import Gate
from depthmask.data.scenes.files import read_json, replaced_file
from depthmask.errors import InputError
from depthmask.tracking.registry import Registered, register_model
from depthmask.tracking.sync import sync


class Criterion(NamedTuple):
    """One threshold of `export.gate`: what it is of, and which side is right."""

    label: str
    at_least: bool
    of_scenes: bool = True  # of the hardest test set, which is then named
    unit: str = ""
    decimals: int = 3


CRITERIA = {
    "mask_iou": Criterion("mask IoU", at_least=True),
    "depth_delta1": Criterion("depth δ1", at_least=True),
    "depth_abs_rel": Criterion("depth AbsRel", at_least=False),
    "leak_gap": Criterion("leak gap", at_least=False, of_scenes=False),
    "latency_ms": Criterion("latency", at_least=False, of_scenes=False, unit=" ms", decimals=1),
}


@dataclass(frozen=True)
class Judgement:
    """One exported model before the gate.

    Attributes:
        made_from: hashes of the ONNX file and of `metrics.json`.
        scenes, unit: the test set that the figures are of, and the unit of its depth.
        figures: under the names of the thresholds; None where there is none.
        published: whether MLflow was to be told.
        registered: what MLflow answered; None if it was not asked or could not be reached.
    """

    experiment: str
    made_from: list[str]
    scenes: str
    unit: str
    gate: Gate
    figures: dict[str, float | None]
    published: bool = False
    registered: Registered | None = None

    def _asked(self) -> dict[str, float]:
        thresholds = {name: getattr(self.gate, name) for name in CRITERIA}
        return {name: each for name, each in thresholds.items() if each is not None}

    def _label(self, name: str) -> str:
        label = f"{self.scenes} " * CRITERIA[name].of_scenes + CRITERIA[name].label
        if name.startswith("depth_") and self.unit == "relative":
            label += ", scale and shift fitted,"
        return label

    @property
    def misses(self) -> dict[str, str]:
        """What was missed, in words, by the threshold's name; a missing figure is missed too."""
        misses = {}
        for name, threshold in self._asked().items():
            criterion, value = CRITERIA[name], self.figures.get(name)
            label, where = self._label(name), f"export.gate.{name}"
            if value is None or math.isnan(value):
                misses[name] = f"{label} is missing; {where} asks for {threshold:.12g}"
            elif value < threshold if criterion.at_least else value > threshold:
                by = abs(value - threshold)
                side = "below" if criterion.at_least else "above"
                decimals = criterion.decimals
                if 0 < by < math.inf:  # enough to tell the figure from the threshold
                    decimals = max(decimals, math.ceil(-math.log10(by)))
                found, short = (f"{each:.{decimals}f}{criterion.unit}" for each in (value, by))
                misses[name] = f"{label} {found} is {short} {side} {where} {threshold:.12g}"
        return misses

    def lines(self) -> list[str]:
        """What became of it: one line if it passed, else a line a miss and one on the champion."""
        registered, kept = self.registered, "there is no champion yet"
        if registered and registered.champion:
            kept = (
                f"the champion stays version {registered.champion}"
                f" ({registered.champion_experiment})"
            )
        if misses := self.misses:
            if registered is None:
                last = "MLflow was not told; its champion stays what it was"
            elif registered.is_champion:
                last = (
                    f"version {registered.version}, promoted before, is the same model and stays"
                    " the champion until another passes"
                )
            else:
                last = (
                    f"{kept}; {self.experiment}, which lies in models/best, is version"
                    f" {registered.version}, tagged `gate: refused`"
                )
            refused = [f"{self.experiment} is not promoted: {miss}" for miss in misses.values()]
            return [*refused, last]
        if registered is None:
            why = (
                "MLflow cannot be used; once it can, `depthmask gate --promote` makes up for it"
                if self.published
                else "it came from DVC's cache, or something changed since export;"
                " `depthmask gate --promote` makes up for it"
            )
            return [f"{self.experiment} passes the gate and is not promoted: {why}"]
        version = f"{self.experiment} as DepthMaskNet version {registered.version}"
        if registered.is_champion:
            return [f"promoted {version}, champion"]
        return [f"the gate passes {version}; a trial in a copy promotes nothing, {kept}"]

    def passed_words(self) -> str:
        """What was asked of a model that passed, and what it has."""
        words = [
            f"{self._label(name)} {self.figures[name]:.{criterion.decimals}f}{criterion.unit}"
            f" (at {'least' if criterion.at_least else 'most'} {threshold:.12g}{criterion.unit})"
            for name, threshold in self._asked().items()
            for criterion in (CRITERIA[name],)
        ]
        return ", ".join(words) or "export.gate asks for nothing"


def judge(
    model: Path, metadata: Mapping[str, str], metrics_path: Path, gate: Gate, latency_ms: float
) -> Judgement:
    """Hold an exported model against the gate; MLflow is not told.

    Args:
        model: the ONNX file.
        metadata: what it says about itself.
        metrics_path: `metrics.json`, in which it must be the best.
        latency_ms: of one pair at the training size.

    Raises:
        InputError: if the figures are missing, or another model's.
    """
    metrics = read_json(metrics_path, ("best", "headline", "unit", "data", "seeds", "leak"))
    best, scenes = metrics["best"], metrics["headline"]["set"]
    for said, told, of in (
        (best, metadata["experiment"], "the best"),
        (metrics["data"], metadata["data_hash"], "the data"),
    ):
        if said != told:
            raise InputError(
                f"{metrics_path} calls {said} {of} and {model} {told}: run `dvc repro`, then both"
                " are of one run"
            )
    own = metrics["seeds"][best][metadata["seed"]][scenes]
    figures = {name: own.get(name) for name, each in CRITERIA.items() if each.of_scenes}
    figures["leak_gap"] = metrics["leak"].get(best, {}).get("mask_iou", {}).get("excess")
    figures["latency_ms"] = latency_ms
    return Judgement(
        best, [_sha256(model), _sha256(metrics_path)], scenes, metrics["unit"], gate, figures
    )


def register(
    judgement: Judgement,
    model: Path,
    metadata: Mapping[str, str],
    *,
    experiments: Path,
    reports: Path,
) -> Judgement:
    """Register the model in MLflow, its run first; it is the champion if nothing was missed."""
    sync(experiments, reports)
    registered = register_model(
        experiment=judgement.experiment,
        key=metadata["run_key"],
        onnx_path=model,
        metrics=judgement.figures,
        refusals=list(judgement.misses.values()),
    )
    return replace(judgement, published=True, registered=registered)


def write_record(path: Path, judgement: Judgement) -> None:
    """Write a judgement as JSON."""
    registered = judgement.registered
    content = vars(judgement) | {
        "gate": judgement.gate.model_dump(),
        "registered": registered._asdict() if registered else None,
        "passed": not judgement.misses,
        "misses": judgement.misses,
        "lines": judgement.lines(),
    }
    with replaced_file(path) as temporary:
        text = json.dumps(content, indent=2, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def read_record(path: Path, model: Path, metrics_path: Path, gate: Gate) -> Judgement | None:
    """The judgement of this model by these figures and thresholds; None if there is none.

    Raises:
        InputError: if the model or the figures are missing.
    """
    for needed in (model, metrics_path):
        if not needed.is_file():
            raise InputError(f"{needed} is missing: run `dvc repro` (or `dvc pull`) first")
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        registered = content["registered"]
        judgement = Judgement(
            **{name: content[name] for name in ("experiment", "made_from", "scenes", "unit")},
            gate=Gate(**content["gate"]),
            figures=content["figures"],
            published=content["published"],
            registered=Registered(**registered) if registered else None,
        )
    except (OSError, ValueError, LookupError, TypeError):
        return None  # none, or another version's
    current = judgement.made_from == [_sha256(model), _sha256(metrics_path)]
    return judgement if current and judgement.gate == gate else None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
