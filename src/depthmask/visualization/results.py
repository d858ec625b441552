"""The results of a run: its files, its figures as text, and their table in Markdown."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import onnx
import pandas as pd

from depthmask.config import BASELINES
from depthmask.data.scenes.files import read_json, read_summary, read_table
from depthmask.data.scenes.scene import SETS
from depthmask.evaluation.measuring import KEYS as KEY_COLUMNS
from depthmask.evaluation.robustness_table import COLUMNS
from depthmask.metrics import METRICS, Metric
from depthmask.models.store import seed_folder, trained_seeds
from depthmask.tracking.notes import network_words
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


class Figure(NamedTuple):
    """A figure as a file holds it, perhaps missing or no finite number, with its interval's
    bounds and its standard deviation over seeds; a plus is written if `signed`."""

    value: Any
    bounds: Sequence[Any] = ()
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
        bounds = [written(bound, self.decimals, signed=self.signed) for bound in self.bounds]
        return f"[{', '.join(bounds)}]" if bounds and MISSING not in bounds else ""

    @property
    def below(self) -> list[str]:
        """What is written beneath it: its spread and its interval, where there are such."""
        spread = "" if known(self.spread) is None else f"± {written(self.spread, self.decimals)}"
        return [text for text in (spread, self.interval) if text and self.number is not None]


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
        place = name, set_name, metric.name
        bounds, spread = self.at("intervals", *place), self.at("spread", *place)
        value = self.figures(name, set_name).get(metric.name)
        return Figure(value, bounds or (), spread, metric.decimals)

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


class Run(Results):
    """A run's files; None for what the export has not yet made. InputError for another that is
    missing or damaged."""

    def __init__(self, root: Path) -> None:
        reports, exported = root / "reports", root / "models/best"
        super().__init__(Results.read(root).metrics)
        rows = read_table(reports / "scenes.csv", KEY_COLUMNS)
        rows = rows[(rows["experiment"] == self.best) & (rows["set"] == self.headline)]
        self.scenes = rows[rows["seed"] == self.metrics["best_seed"]].set_index("scene")
        self.robustness = read_table(reports / "robustness.csv", COLUMNS[:4])
        self.curves = read_table(reports / "curves.csv", ("experiment", "seed", "epoch"))
        self.tiles = read_json(reports / "tiles/index.json", ("groups", "scale"))
        self.summary = read_summary(root / "data/prepared")
        self.cards = {name: _cards(root / "models/experiments" / name) for name in self.experiments}
        self.best_card = self.cards[self.best][self.metrics["best_seed"]]
        self.latency, self.parity = (
            read_json(path) if path.is_file() else None
            for path in (reports / "latency.json", exported / "parity.json")
        )
        self.exported: dict[str, str] = {}
        if (path := exported / "model.onnx").is_file():
            self.exported = {each.key: each.value for each in onnx.load(path).metadata_props}

    @property
    def export_is_current(self) -> bool:
        """Whether the exported file is the best of these figures, not of an earlier run."""
        return self.exported.get("run_key") == self.best_card["key"]

    def about(self, name: str) -> str:
        """What a baseline does, or an experiment is: `depthmasknet8, mask: bce, depth: 2·ssim`."""
        if name not in self.cards:
            return BASELINES[name]
        first, *others = self.cards[name].values()
        return network_words(first) + (f", {1 + len(others)} seeds" if others else "")


def _cards(experiment: Path) -> dict[int, dict[str, Any]]:
    """`model.json` of every seed."""
    seeds = trained_seeds(experiment)
    return {seed: read_json(seed_folder(experiment, seed) / "model.json") for seed in seeds}


RELATIVE = (
    "Depth is relative: scale and shift are fitted to each image's truth before it is measured,"
    " and a constant becomes that image's own mean."
)
SIZES = "Mask IoU of {} on the smaller half of the people {}, on the larger {}."
LEAK = (
    "Leak gap of {}: mask IoU on rooms and people that it has seen, less that on unseen ones, less"
    " the same of the difference threshold, which remembers nothing: {}."
)


def results_table(results: Results) -> str:
    """Markdown for GitHub and MLflow: the verdict, the comparison (a star marks the exported
    experiment, each best figure is bold, two columns have intervals), and the leak."""
    head, best, unit = results.headline, results.best, results.unit
    second = "unseen_unseen" if head == "in_scene" else "seen_seen"
    columns = [(head, metric) for metric in results.columns(head, KEYS)]
    columns += [(second, METRICS[name]) for name in CHARTED[:2]]
    rows: dict[str, dict[str, str]] = {}
    for name in (*results.experiments, *results.baselines):
        trained = name in results.experiments
        label = f"**{name}** ★" if name == best else name if trained else f"_{name}_"
        row = rows[label] = {}
        for place, (set_name, metric) in enumerate(columns):
            figure = results.figure(name, set_name, metric)
            won = trained and figure.text == results.winner(set_name, metric)
            words = f"**{figure.text}**" if won else figure.text
            title = f"{SETS[set_name].label.lower()}: {metric.title},{metric.suffix(unit)}"
            row[title.strip(",")] = " ".join([words, *figure.below * (place < 2)])
    table = pd.DataFrame.from_dict(rows, orient="index")
    aligned = table.to_markdown(colalign=("left", *["right"] * len(columns)))
    leak = results.leak(best, METRICS["mask_iou"])
    halves = results.at("by_size", best, head)
    parts = [
        RELATIVE if unit == "relative" else "",
        results.verdict.get("sentence", ""),
        aligned,
        SIZES.format(best, *map(written, halves.values())) if halves else "",
        LEAK.format(best, " ".join([leak.text, *leak.below])) if leak.number is not None else "",
    ]
    return "\n\n".join(filter(None, parts)) + "\n"
