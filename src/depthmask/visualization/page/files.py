"""What the files of a run say: everything that the report shows, read once."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from depthmask.config import Params, read_params
from depthmask.data.scenes.files import read_json, read_table
from depthmask.errors import InputError
from depthmask.tracking.gate import read_record

_Read = TypeVar("_Read")

REPORTS, PREPARED, EXPERIMENTS = Path("reports"), Path("data/prepared"), Path("models/experiments")
MODEL = Path("models/best/model.onnx")
TILES = REPORTS / "tiles"


@dataclass(frozen=True)
class ExportedModel:
    """The file that is exported.

    Attributes:
        sha256: of its bytes, hexadecimal.
        num_bytes: its size.
        metadata: what the export wrote into it: experiment, run_key, git_commit, …
        parity: `parity.json` beside it.
    """

    sha256: str
    num_bytes: int
    metadata: dict[str, str]
    parity: dict[str, Any] | None


@dataclass(frozen=True)
class RunFiles:
    """A run's files; what is missing is None or empty.

    Attributes:
        root: the project's folder.
        metrics: `reports/metrics.json`.
        scenes: a row an experiment, seed, set and scene.
        robustness: a row an experiment, condition and strength.
        curves: a row an experiment, seed and epoch.
        latency: of the exported file, on the machine that exported it.
        gate: what `export` noted of its thresholds, if it is of these figures.
        tiles: the index of the pictures of single scenes.
        summary: of the prepared data.
        contact_sheet: the picture of the prepared data.
        conditions_sheet: the picture of what the strengths of the conditions look like.
        cards, settings: `model.json` and `settings.json` of every seed, by experiment.
        params: `params.yaml`, its profile merged in.
        model: the exported file.
    """

    root: Path
    metrics: dict[str, Any]
    scenes: pd.DataFrame | None = None
    robustness: pd.DataFrame | None = None
    curves: pd.DataFrame | None = None
    latency: dict[str, Any] | None = None
    gate: dict[str, Any] | None = None
    tiles: dict[str, Any] | None = None
    summary: dict[str, Any] | None = None
    contact_sheet: Path | None = None
    conditions_sheet: Path | None = None
    cards: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    settings: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    params: Params | None = None
    model: ExportedModel | None = None

    @property
    def best(self) -> str:
        return self.metrics["best"]

    @property
    def headline(self) -> str:
        """The set that judges."""
        return self.metrics["headline"]["set"]

    @property
    def unit(self) -> str:
        return self.metrics.get("unit", "metre")

    @property
    def experiments(self) -> list[str]:
        """The compared experiments: those with depth as they were ranked, then the others."""
        ranking = [name for name in self.metrics.get("ranking", [])]
        names = list(self.metrics["experiments"])
        first = [name for name in ranking if name in names] or [self.best]
        return [*first, *(name for name in names if name not in first)]

    @property
    def best_card(self) -> dict[str, Any]:
        """Of the best experiment's best seed; empty where there is none."""
        cards, seed = self.cards.get(self.best, []), self.metrics.get("best_seed", 0)
        own = [card for card in cards if card.get("seed", 0) == seed]
        return (own or cards or [{}])[0]

    @property
    def export_is_current(self) -> bool:
        """Whether the exported file is the best of these figures, not of an earlier run."""
        key = self.best_card.get("key")
        return self.model is not None and key in (None, self.model.metadata.get("run_key"))

    def counts(self, column: str) -> int | None:
        """How many scenes, plates or cutouts the headline set has."""
        if self.scenes is not None and column in self.scenes:
            rows = self.scenes[self.scenes["set"] == self.headline]
            return int(rows[column].nunique()) or None
        if column == "scene":
            return (self.summary or {}).get("num_scenes", {}).get(self.headline)
        return None


def read_run(root: Path) -> RunFiles:
    """Read a project's reports and what they were made from.

    Raises:
        InputError: if `reports/metrics.json` is missing, or a file that is there is damaged.
    """
    metrics_path = root / REPORTS / "metrics.json"
    metrics = read_json(metrics_path, ("best", "experiments", "headline"))
    params = _if_there(root / "params.yaml", read_params)
    names = list(metrics["experiments"])
    return RunFiles(
        root=root,
        metrics=metrics,
        scenes=_if_there(root / REPORTS / "scenes.csv", read_table),
        robustness=_if_there(root / REPORTS / "robustness.csv", read_table),
        curves=_if_there(root / REPORTS / "curves.csv", read_table),
        latency=_if_readable(root / REPORTS / "latency.json", read_json),
        gate=_gate(root, params),
        tiles=_if_there(root / TILES / "index.json", read_json),
        summary=_if_there(root / PREPARED / "summary.json", read_json),
        contact_sheet=_if_there(root / PREPARED / "contact_sheet.png", Path),
        conditions_sheet=_if_there(root / REPORTS / "plots/conditions.png", Path),
        cards={name: _of_seeds(root / EXPERIMENTS / name, "model.json") for name in names},
        settings={name: _of_seeds(root / EXPERIMENTS / name, "settings.json") for name in names},
        params=params,
        model=_if_readable(root / MODEL, _read_model),
    )


def _if_there(path: Path, read: Callable[[Path], _Read]) -> _Read | None:
    return read(path) if path.is_file() else None


def _if_readable(path: Path, read: Callable[[Path], _Read]) -> _Read | None:
    """None also of a damaged file that the next export writes anew: nothing is lost without it."""
    try:
        return _if_there(path, read)
    except InputError:
        return None


def _gate(root: Path, params: Params | None) -> dict[str, Any] | None:
    """What the gate said, if it was of this model, these figures and these thresholds."""
    record, model = root / REPORTS / "gate.json", root / MODEL
    if params is None or not (record.is_file() and model.is_file()):
        return None
    said = read_record(record, model, root / REPORTS / "metrics.json", params.export.gate)
    return None if said is None else {"passed": not said.misses, "lines": said.lines()}


def _of_seeds(folder: Path, name: str) -> list[dict[str, Any]]:
    """A file of every seed of an experiment, in the order of the seeds."""
    paths = [path for path in folder.glob(f"seed_*/{name}") if _seed_of(path) is not None]
    return [read_json(path) for path in sorted(paths, key=_seed_of)]


def _seed_of(path: Path) -> int | None:
    """None of a folder that only looks like a seed's, such as somebody's copy."""
    number = path.parent.name.removeprefix("seed_")
    return int(number) if number.isdecimal() else None


def _read_model(path: Path) -> ExportedModel:
    import onnx

    content = path.read_bytes()
    try:
        metadata = {prop.key: prop.value for prop in onnx.load_from_string(content).metadata_props}
    except Exception:  # protobuf's own kinds, and protobuf is no dependency of ours
        raise InputError(f"{path} is damaged: run `dvc repro --force export`") from None
    parity = _if_there(path.with_name("parity.json"), read_json)
    return ExportedModel(hashlib.sha256(content).hexdigest(), len(content), metadata, parity)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
