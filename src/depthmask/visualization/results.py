"""The results of a run: its files, its figures as text, and their table in Markdown."""

import hashlib
import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import onnx
import pandas as pd

from depthmask.data.scenes.files import read_json, read_table
from depthmask.data.scenes.scene import SETS
from depthmask.errors import InputError
from depthmask.evaluation.measuring import BASELINES
from depthmask.metrics import METRICS, Metric
from depthmask.visualization.theme import BASELINE, Series, series_of

MISSING, MINUS = "–", "\N{MINUS SIGN}"
KEYS = tuple(name for name, metric in METRICS.items() if metric.is_key)
CHARTED = ("mask_iou", "depth_delta1", "depth_abs_rel")
"""Metrics of the comparison's and the leak's charts."""


def known(value: Any) -> float | None:
    """A finite number, or None for anything else that a file may hold in its place."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def written(value: Any, decimals: int = 3, *, signed: bool = False) -> str:
    """A number with so many decimals and a true minus, or a dash; never a negative zero."""
    number = known(value)
    if number is None:
        return MISSING
    text = f"{number:{'+' if signed else ''}.{decimals}f}"
    return (text if text.strip("+-0.") else text.lstrip("+-")).replace("-", MINUS)


def plain(value: float) -> str:
    """A setting or a strength as short as it can be: 4, 0.25, −1."""
    return f"{value:g}".replace("-", MINUS)


@dataclass(frozen=True)
class Figure:
    """A figure as a file holds it, perhaps missing or no finite number, with its interval's
    bounds and its standard deviation over seeds; a plus is written if `signed`."""

    value: Any
    bounds: Sequence[Any] | None = None
    spread: Any = None
    decimals: int = 3
    signed: bool = False

    @property
    def number(self) -> float | None:
        return known(self.value)

    @property
    def text(self) -> str:
        return written(self.value, self.decimals, signed=self.signed)

    @property
    def interval(self) -> str:
        """`[low, high]`, or nothing where a bound is missing."""
        bounds = [written(bound, self.decimals, signed=self.signed) for bound in self.bounds or ()]
        return f"[{', '.join(bounds)}]" if bounds and MISSING not in bounds else ""

    @property
    def below(self) -> list[str]:
        """What is written beneath it: its spread and its interval, where there are such."""
        spread = written(self.spread, self.decimals)
        words = "" if spread == MISSING else f"± {spread}"
        return [text for text in (words, self.interval) if text and self.text != MISSING]


class Results:
    """What `metrics.json` says. `headline` is the set that judges; `experiments` have the one order
    of every table and chart: those with depth as validation ranks them, then the others."""

    def __init__(self, metrics: dict[str, Any]) -> None:
        self.metrics, self.best, names = metrics, metrics["best"], metrics["experiments"]
        self.headline, self.unit = metrics["headline"]["set"], metrics.get("unit", "metre")
        self.verdict = metrics.get("verdict", {})
        self.experiments = list(dict.fromkeys([*metrics.get("ranking", [self.best]), *names]))
        self.baselines = [name for name in BASELINES if name in metrics.get("baselines", {})]
        self.series = series_of(names)

    def series_in(self, table: pd.DataFrame) -> dict[str, Series]:
        """The looks of the experiments and baselines of a table."""
        return {name: self.series.get(name, BASELINE) for name in table["experiment"]}

    @classmethod
    def read(cls, root: Path) -> Self:
        """Read `reports/metrics.json`; InputError if it is missing or damaged."""
        return cls(read_json(root / "reports/metrics.json", ("best", "experiments", "headline")))

    def at(self, *keys: str) -> Any:
        """What lies at the end of the keys, an empty dictionary where one of them is missing."""
        found: Any = self.metrics
        for key in keys:
            found = found.get(key, {})
        return found

    def figures(self, name: str, set_name: str) -> dict[str, Any]:
        """An experiment's or baseline's figures on a set, by metric."""
        if name in self.baselines:
            return dict(self.at("baselines", name, set_name))
        keys = ("validation", name) if set_name == "val" else ("experiments", name, set_name)
        return dict(self.at(*keys))

    def figure(self, name: str, set_name: str, metric: Metric) -> Figure:
        bounds, spread = (
            self.at(key, name, set_name, metric.name) for key in ("intervals", "spread")
        )
        value = self.figures(name, set_name).get(metric.name)
        return Figure(value, bounds, spread, metric.decimals)

    def leak(self, name: str, metric: Metric, *, excess: bool = True) -> Figure:
        """The seen pair less the unseen pair, positive where what was seen is easier; the `excess`
        is it less that of the difference threshold."""
        keys = ("excess", "excess_low", "excess_high") if excess else ("gap", "low", "high")
        value, *bounds = (self.at("leak", name, metric.name).get(key) for key in keys)
        return Figure(value, bounds, decimals=metric.decimals, signed=True)

    def columns(self, set_name: str, wanted: Iterable[str] = METRICS) -> list[Metric]:
        """The metrics that an experiment has on a set."""
        rows = [self.figures(name, set_name) for name in self.experiments]
        return [METRICS[m] for m in wanted if any(known(row.get(m)) is not None for row in rows)]

    def winner(self, set_name: str, metric: Metric) -> str:
        """The best figure as it is written, so that equal digits win equally; none wins alone."""
        values = [self.figure(name, set_name, metric).number for name in self.experiments]
        found = [value for value in values if value is not None]
        best = max if metric.higher_is_better else min
        return written(best(found), metric.decimals) if len(found) > 1 else ""

    def marks(self, name: str) -> list[str]:
        """An experiment's part in the verdict."""
        said = {"best": [self.best], "runner-up": [self.verdict.get("runner_up")]}
        said |= {"tied": self.verdict.get("ties", []), "ahead": self.verdict.get("ahead", [])}
        return [mark for mark, names in said.items() if name in names]


class Run(Results):
    """A run's files; what is missing is None or empty. InputError without `metrics.json` or of a
    damaged file, but for what the next export writes anew."""

    def __init__(self, root: Path) -> None:
        reports = root / "reports"
        super().__init__(Results.read(root).metrics)
        self.scenes = _table(reports / "scenes.csv", "seed", "set", "scene", "plate", "cutout")
        self.robustness = _table(reports / "robustness.csv", "condition", "strength", "trained_for")
        self.curves = _table(reports / "curves.csv", "seed", "epoch")
        self.tiles = _json(reports / "tiles/index.json", "groups", "scale", "unit")
        self.summary = _json(root / "data/prepared/summary.json")
        self.cards = {name: _cards(root / "models/experiments" / name) for name in self.experiments}
        self.latency, self.model = None, _exported(root / "models/best/model.onnx")
        with suppress(InputError):
            self.latency = _json(reports / "latency.json", "sizes")

    @property
    def best_card(self) -> dict[str, Any]:
        """Of the best experiment's best seed; empty where there is none."""
        cards, seed = self.cards[self.best], self.metrics.get("best_seed", 0)
        return next((card for card in cards if card["seed"] == seed), {})

    @property
    def export_is_current(self) -> bool:
        """Whether the exported file is the best of these figures, not of an earlier run."""
        key = self.best_card.get("key")
        return self.model is not None and key in (None, self.model["metadata"].get("run_key"))

    def count(self, column: str) -> int:
        """How many scenes, plates or cutouts the headline set has, as far as is known."""
        return int(self.scenes[self.scenes["set"] == self.headline][column].nunique())

    def about(self, name: str) -> str:
        """What a baseline does, or an experiment is: `depthmasknet8, mask: bce, depth: 2 ssim`."""
        cards = self.cards.get(name)
        if not cards:
            return BASELINES.get(name, "")
        words = [cards[0]["model"]]
        for head, terms in cards[0]["losses"].items():
            parts = [f"{weight:g} {term}".removeprefix("1 ") for term, weight in terms.items()]
            words += [f"{head}: {' + '.join(parts)}"] * bool(parts)
        words += [f"{len(cards)} seeds"] * (len(cards) > 1)
        return ", ".join(words)


def _table(path: Path, *columns: str) -> pd.DataFrame:
    columns = ("experiment", *columns)
    return read_table(path, columns) if path.is_file() else pd.DataFrame(columns=columns)


def _json(path: Path, *keys: str) -> dict[str, Any] | None:
    return read_json(path, keys) if path.is_file() else None


def _cards(experiment: Path) -> list[dict[str, Any]]:
    """`model.json` of every seed, in their order."""
    paths = experiment.glob("seed_*/model.json")
    return [read_json(path) for path in sorted(paths, key=lambda path: (len(str(path)), path))]


def _exported(path: Path) -> dict[str, Any] | None:
    """What an ONNX file and `parity.json` beside it hold; None of a missing or damaged one."""
    try:
        content, parity = path.read_bytes(), _json(path.with_name("parity.json"))
        metadata = {prop.key: prop.value for prop in onnx.load_from_string(content).metadata_props}
    except Exception:  # protobuf's own kinds, and protobuf is no dependency of ours
        return None
    digest, megabytes = hashlib.sha256(content).hexdigest(), len(content) / 1e6
    return {"sha256": digest, "megabytes": megabytes, "metadata": metadata, "parity": parity}


RELATIVE = (
    "Depth is relative: scale and shift are fitted to each image's truth before it is measured,"
    " and a constant becomes that image's own mean."
)
SIZES = "Mask IoU of {} on the smaller half of the people {}, on the larger {}."
LEAK = (
    "Leak gap of {}: mask IoU on rooms and people that it has seen, less that on unseen ones, less"
    " the same of the difference threshold, which remembers nothing: {}."
)
BARS = """```mermaid
xychart-beta horizontal
    title "mask IoU on the hardest test set"
    x-axis [{}]
    y-axis "mask IoU" 0 --> 1
    bar [{}]
```"""


def results_table(results: Results) -> str:
    """GitHub Markdown: the verdict, the comparison (a star marks the exported experiment, each best
    figure is bold, two columns have intervals), the leak, and bars that GitHub draws."""
    head, best, unit = results.headline, results.best, results.unit
    second = "unseen_unseen" if head == "in_scene" else "seen_seen"
    names = [name for name in KEYS if name != "person_distance_error" or unit == "metre"]
    columns = [(head, METRICS[name]) for name in names]
    columns += [(second, METRICS[name]) for name in CHARTED[:2]]
    titles = [
        f"{SETS[set_name].label.lower()}: {metric.title}{metric.suffix(unit).replace(' ', ', ')}"
        for set_name, metric in columns
    ]
    rows = [["", *titles], [":--", *["--:"] * len(columns)]]
    names = [*results.experiments, *results.baselines]
    for name in names:
        trained = name in results.experiments
        row = [f"**{name}** ★" if name == best else name if trained else f"_{name}_"]
        for place, (set_name, metric) in enumerate(columns):
            figure = results.figure(name, set_name, metric)
            won = trained and figure.text == results.winner(set_name, metric)
            words = f"**{figure.text}**" if won else figure.text
            row.append(" ".join([words, *figure.below * (place < 2)]))
        rows.append(row)
    ious = {name: results.figure(name, head, METRICS["mask_iou"]) for name in names}
    bars = {f'"{name}"': figure.text for name, figure in ious.items() if figure.number is not None}
    leak = results.leak(best, METRICS["mask_iou"])
    halves = results.at("by_size", best, head)
    parts = [
        RELATIVE if unit == "relative" else "",
        results.verdict.get("sentence", ""),
        "\n".join(f"| {' | '.join(row)} |" for row in rows),
        SIZES.format(best, *map(written, halves.values())) if halves else "",
        LEAK.format(best, " ".join([leak.text, *leak.below])) if leak.number is not None else "",
        BARS.format(", ".join(bars), ", ".join(bars.values())),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"
