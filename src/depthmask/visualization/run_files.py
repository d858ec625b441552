"""What the files of a run say: everything that the report shows, read once."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import onnx
import pandas as pd

from depthmask.config import Params, read_params
from depthmask.data.scenes.files import read_json, read_table
from depthmask.errors import InputError
from depthmask.evaluation.measuring import BASELINES

_Read = TypeVar("_Read")
Metrics = dict[str, Any]
"""What `reports/metrics.json` holds."""

REPORTS, PREPARED, EXPERIMENTS = Path("reports"), Path("data/prepared"), Path("models/experiments")
MODEL, TILES, METRICS_PATH = (
    Path("models/best/model.onnx"),
    REPORTS / "tiles",
    REPORTS / "metrics.json",
)
READ = (
    "params.yaml",
    "reports/*.csv",
    "reports/*.json",
    "reports/plots/conditions.png",
    "reports/tiles/*",
    "data/prepared/summary.json",
    "data/prepared/contact_sheet.png",
    "models/experiments/*/seed_*/*.json",
    "models/best/*",
)  # fmt: skip
"""Where all that is read lies, as patterns."""


def compared(metrics: Metrics) -> list[str]:
    """The experiments in the one order of every table and chart.

    Those with depth as validation ranks them, then the others.
    """
    names = list(metrics["experiments"])
    first = [name for name in metrics.get("ranking", [metrics["best"]]) if name in names]
    return [*first, *(name for name in names if name not in first)]


def baselines_of(metrics: Metrics) -> list[str]:
    return [name for name in BASELINES if name in metrics.get("baselines", {})]


def figures_of(metrics: Metrics, name: str, set_name: str) -> dict[str, Any]:
    """An experiment's or baseline's figures on a set, by metric."""
    if set_name == "val" and name in metrics["experiments"]:
        own = metrics.get("validation", {}).get(name, {})
    else:
        own = (metrics["experiments"] | metrics.get("baselines", {}))[name].get(set_name, {})
    return dict(own)


@dataclass(frozen=True)
class ExportedModel:
    """The file that is exported: its metadata, and `parity.json` beside it."""

    sha256: str
    num_bytes: int
    metadata: dict[str, str]
    parity: dict[str, Any] | None


@dataclass(frozen=True)
class RunFiles:
    """A run's files; what is missing is None or empty.

    Attributes:
        scenes: a row an experiment, seed, set and scene.
        robustness: a row an experiment, condition and strength.
        curves: a row an experiment, seed and epoch.
        latency: of the exported file, on the machine that exported it.
        tiles: the index of the pictures of single scenes.
        summary: of the prepared data.
        cards, settings: `model.json` and `settings.json` of every seed, by experiment.
    """

    root: Path
    metrics: Metrics
    scenes: pd.DataFrame | None = None
    robustness: pd.DataFrame | None = None
    curves: pd.DataFrame | None = None
    latency: dict[str, Any] | None = None
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
        return str(self.metrics["best"])

    @property
    def headline(self) -> str:
        """The set that judges."""
        return str(self.metrics["headline"]["set"])

    @property
    def unit(self) -> str:
        return str(self.metrics.get("unit", "metre"))

    @property
    def experiments(self) -> list[str]:
        return compared(self.metrics)

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

    def count(self, column: str) -> int | None:
        """How many scenes, plates or cutouts the headline set has."""
        if self.scenes is None:
            return None
        return int(self.scenes[self.scenes["set"] == self.headline][column].nunique())


def read_run(root: Path) -> RunFiles:
    """Read a project's reports and what they were made from.

    Raises:
        InputError: if `reports/metrics.json` is missing, or a file that is there is damaged.
    """
    metrics = read_json(root / METRICS_PATH, ("best", "experiments", "headline"))

    def table(name: str, *columns: str) -> pd.DataFrame | None:
        path = root / REPORTS / name
        return _if_there(path, lambda path: read_table(path, ("experiment", *columns)))

    def json_of(path: Path, *keys: str) -> dict[str, Any] | None:
        return _if_there(root / path, lambda path: read_json(path, keys))

    def of_seeds(name: str) -> dict[str, list[dict[str, Any]]]:
        return {
            experiment: [read_json(path) for path in _seeds(root / EXPERIMENTS / experiment, name)]
            for experiment in metrics["experiments"]
        }

    return RunFiles(
        root=root,
        metrics=metrics,
        scenes=table("scenes.csv", "seed", "set", "scene", "plate", "cutout"),
        robustness=table("robustness.csv", "condition", "strength", "trained_for"),
        curves=table("curves.csv", "seed", "epoch"),
        latency=_if_readable(lambda: json_of(REPORTS / "latency.json", "sizes")),
        tiles=json_of(TILES / "index.json", "groups", "scale", "unit"),
        summary=json_of(PREPARED / "summary.json"),
        contact_sheet=_if_there(root / PREPARED / "contact_sheet.png", Path),
        conditions_sheet=_if_there(root / REPORTS / "plots/conditions.png", Path),
        cards=of_seeds("model.json"),
        settings=of_seeds("settings.json"),
        params=_if_there(root / "params.yaml", read_params),
        model=_if_readable(lambda: _if_there(root / MODEL, _read_model)),
    )


def hash_of_inputs(root: Path) -> str:
    """SHA-256 over the paths and bytes of all that `read_run` reads."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in READ for path in root.glob(pattern) if path.is_file()):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _if_there(path: Path, read: Callable[[Path], _Read]) -> _Read | None:
    return read(path) if path.is_file() else None


def _if_readable(read: Callable[[], _Read | None]) -> _Read | None:
    """None also of a damaged file that the next export writes anew: nothing is lost without it."""
    try:
        return read()
    except InputError:
        return None


def _seeds(folder: Path, name: str) -> Iterator[Path]:
    """A file of every seed of an experiment, in the order of the seeds."""
    found = {path.parent.name.removeprefix("seed_"): path for path in folder.glob(f"seed_*/{name}")}
    yield from (found[seed] for seed in sorted(filter(str.isdecimal, found), key=int))


def _read_model(path: Path) -> ExportedModel:
    content = path.read_bytes()
    try:
        metadata = {prop.key: prop.value for prop in onnx.load_from_string(content).metadata_props}
    except Exception:  # protobuf's own kinds, and protobuf is no dependency of ours
        raise InputError(f"{path} is damaged: run `dvc repro --force export`") from None
    parity = _if_there(path.with_name("parity.json"), read_json)
    return ExportedModel(hashlib.sha256(content).hexdigest(), len(content), metadata, parity)
