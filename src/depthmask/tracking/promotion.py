"""What the gate said of an exported model, what MLflow was told of it, and the record of both.

The record is no output of DVC, since a latency is a time. So DVC may restore a model from its
cache, or a threshold may change, and the record not follow: it says what it was made from, and
holds for nothing else.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from depthmask import tracking
from depthmask.config import Gate
from depthmask.data.scenes.files import read_json, replaced_file
from depthmask.errors import InputError
from depthmask.tracking import Registered
from depthmask.tracking.gate import Miss, check_gate, gate_figures, passed_words

_OUT_OF_REACH = "MLflow cannot be used; once it can, `depthmask gate --promote` makes up for it"
_NOT_EXPORTED = (
    "it came from DVC's cache, or something changed since export;"
    " `depthmask gate --promote` makes up for it"
)


@dataclass(frozen=True)
class Judgement:
    """One exported model before the gate.

    Attributes:
        experiment: that trained it.
        model_sha256: of the ONNX file.
        metrics_sha256: of the `metrics.json` that the figures were read from.
        scenes: the test set that they are of.
        unit: of its depth.
        gate: the thresholds.
        figures: under the names of the thresholds; None where there is none.
        published: whether MLflow was to be told.
        registered: what MLflow answered; None if it was not asked or could not be reached.
    """

    experiment: str
    model_sha256: str
    metrics_sha256: str
    scenes: str
    unit: str
    gate: Gate
    figures: Mapping[str, float | None]
    published: bool = False
    registered: Registered | None = None

    @property
    def misses(self) -> list[Miss]:
        return check_gate(self.gate, self.figures, scenes=self.scenes, unit=self.unit)

    def lines(self) -> list[str]:
        """What became of it, for people: one line if it passed, else a line a miss and one more."""
        if misses := self.misses:
            return [f"{self.experiment} is not promoted: {miss.words}" for miss in misses] + [
                self._champion_stays()
            ]
        registered = self.registered
        if registered is None:
            return [
                f"{self.experiment} passes the gate and is not promoted:"
                f" {_OUT_OF_REACH if self.published else _NOT_EXPORTED}"
            ]
        if not registered.is_champion:
            return [
                f"{self.experiment} passes the gate as DepthMaskNet version {registered.version};"
                f" a trial in a copy promotes nothing, {_kept(registered)}"
            ]
        return [
            f"promoted {self.experiment} as DepthMaskNet version {registered.version}, champion"
        ]

    def passed_words(self) -> str:
        """What was asked of it and what it has, where it passed."""
        figures = {name: value for name, value in self.figures.items() if value is not None}
        return passed_words(self.gate, figures, scenes=self.scenes, unit=self.unit)

    def _champion_stays(self) -> str:
        registered = self.registered
        if registered is None:
            return "MLflow was not told; its champion stays what it was"
        if registered.is_champion:
            return (
                f"version {registered.version}, promoted before, is the same model and stays the"
                " champion until another passes"
            )
        return (
            f"{_kept(registered)}; {self.experiment}, which lies in models/best, is version"
            f" {registered.version}, tagged `gate: refused`"
        )


def _kept(registered: Registered) -> str:
    if not registered.champion:
        return "there is no champion yet"
    name = f" ({registered.champion_experiment})" if registered.champion_experiment else ""
    return f"the champion stays version {registered.champion}{name}"


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
    metrics = read_json(metrics_path, ("best", "headline", "unit", "data"))
    headline = metrics["headline"]
    if not isinstance(headline, dict) or "set" not in headline:
        raise InputError(
            f"{metrics_path} is damaged (headline): run `dvc repro --single-item --force evaluate`"
        )
    for said, told, of in (
        (metrics["best"], metadata["experiment"], "the best"),
        (metrics["data"], metadata["data_hash"], "the data"),
    ):
        if said != told:
            raise InputError(
                f"{metrics_path} calls {said} {of} and {model} {told}: run `dvc repro`, then both"
                " are of one run"
            )
    return Judgement(
        experiment=metrics["best"],
        model_sha256=_sha256(model),
        metrics_sha256=_sha256(metrics_path),
        scenes=metrics["headline"]["set"],
        unit=metrics["unit"],
        gate=gate,
        figures=gate_figures(metrics, latency_ms, metadata.get("seed", "")),
    )


def register(
    judgement: Judgement,
    model: Path,
    metadata: Mapping[str, str],
    trained: Path,
    *,
    metrics: Mapping[str, float],
    data_source: str,
) -> Judgement:
    """Register the model in MLflow; it becomes the champion if nothing was missed.

    Args:
        judgement: of this model.
        model: the ONNX file.
        metadata: what it says about itself.
        trained: the folder of the network that it was exported from, or one above it.
        metrics: shown as the version's tags, beside the gate's figures.
        data_source: the folder of the data.

    Returns:
        The judgement with what MLflow answered.

    Raises:
        InputError: if that network is not in the folder.
    """
    folder = _trained_folder(trained, metadata.get("run_key", ""))
    card = read_json(folder / "model.json", ("model", "unit", "data_hash"))
    others = {name: judgement.figures[name] for name in ("leak_gap", "latency_ms")}
    registered = tracking.register_model(
        experiment=judgement.experiment,
        key=metadata["run_key"],
        onnx_path=model,
        metrics={**metrics, **others},
        refusals=[miss.words for miss in judgement.misses],
        params=read_json(folder / "settings.json"),
        tags={"model": card["model"], "depth_unit": card["unit"]},
        data_digest=card["data_hash"],
        data_source=data_source,
        curves=folder / "curves.csv",
    )
    return replace(judgement, published=True, registered=registered)


def write_record(path: Path, judgement: Judgement) -> None:
    """Write a judgement as JSON; a figure that is no number is written as text."""

    def number(value: float | None) -> float | str | None:
        return value if value is None or math.isfinite(value) else str(value)

    misses = [asdict(miss) | {"value": number(miss.value)} for miss in judgement.misses]
    content = asdict(judgement) | {
        "gate": judgement.gate.model_dump(),
        "figures": {name: number(value) for name, value in judgement.figures.items()},
        "passed": not misses,
        "misses": misses,
        "lines": judgement.lines(),
    }
    with replaced_file(path) as temporary:
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def read_record(path: Path, model: Path, metrics_path: Path, gate: Gate) -> Judgement | None:
    """The judgement of this model by these figures and thresholds.

    Returns:
        None if there is no record, or one of another model, other figures or thresholds.

    Raises:
        InputError: if the model or the figures are missing.
    """
    for needed in (model, metrics_path):
        if not needed.is_file():
            raise InputError(f"{needed} is missing: run `dvc repro` (or `dvc pull`) first")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        registered = content["registered"]
        judgement = Judgement(
            **{name: str(content[name]) for name in ("experiment", "scenes", "unit")},
            model_sha256=content["model_sha256"],
            metrics_sha256=content["metrics_sha256"],
            gate=Gate(**content["gate"]),
            figures={
                name: None if value is None else float(value)
                for name, value in content["figures"].items()
            },
            published=bool(content["published"]),
            registered=None if registered is None else Registered(**registered),
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None  # none, or another version's
    made_from = (judgement.model_sha256, judgement.metrics_sha256, judgement.gate)
    return judgement if made_from == (_sha256(model), _sha256(metrics_path), gate) else None


def _trained_folder(folder: Path, key: str) -> Path:
    for path in sorted(folder.rglob("model.json")):
        if read_json(path).get("key") == key:
            return path.parent
    raise InputError(
        f"{folder} lacks the network that the exported model was made from: run `dvc repro`"
        " (or `dvc pull`)"
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
