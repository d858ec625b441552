"""The results of a run: its files, its figures as text, and their table in Markdown."""

import hashlib
import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import pandas as pd

from depthmask.data.scenes.files import read_json, read_table
from depthmask.data.scenes.scene import SETS
from depthmask.errors import InputError
from depthmask.evaluation.measuring import BASELINES
from depthmask.metrics import METRICS, Metric

Metrics = dict[str, Any]
"""What `reports/metrics.json` holds."""

MISSING, MINUS = "–", "\N{MINUS SIGN}"
KEYS = tuple(name for name, metric in METRICS.items() if metric.is_key)
CHARTED = ("mask_iou", "depth_delta1", "depth_abs_rel")
"""Metrics of the comparison's and the leak's charts."""
METRICS_KEYS = ("best", "experiments", "headline")
"""What `metrics.json` must have."""


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
    """A figure as a file holds it, perhaps missing or no finite number.

    Attributes:
        bounds: of its interval.
        spread: its standard deviation over seeds.
        signed: whether a plus is written.
    """

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


def compared(metrics: Metrics) -> list[str]:
    """The experiments in the one order of every table and chart.

    Those with depth as validation ranks them, then the others.
    """
    names = metrics["experiments"]
    ranked = [name for name in metrics.get("ranking", [metrics["best"]]) if name in names]
    return list(dict.fromkeys([*ranked, *names]))


def baselines_of(metrics: Metrics) -> list[str]:
    return [name for name in BASELINES if name in metrics.get("baselines", {})]


def found_in(metrics: Metrics, *keys: str) -> Any:
    """What lies at the end of the keys, an empty dictionary where one of them is missing."""
    found: Any = metrics
    for key in keys:
        found = found.get(key, {})
    return found


def figures_of(metrics: Metrics, name: str, set_name: str) -> dict[str, Any]:
    """An experiment's or baseline's figures on a set, by metric."""
    if name not in metrics["experiments"]:
        return dict(found_in(metrics, "baselines", name, set_name))
    where = ("validation", name) if set_name == "val" else ("experiments", name, set_name)
    return dict(found_in(metrics, *where))


def figure_of(metrics: Metrics, name: str, set_name: str, metric: Metric) -> Figure:
    value = figures_of(metrics, name, set_name).get(metric.name)
    bounds = found_in(metrics, "intervals", name, set_name, metric.name)
    spread = found_in(metrics, "spread", name, set_name, metric.name)
    return Figure(value, bounds, spread, metric.decimals)


def leak_of(metrics: Metrics, name: str, metric: Metric, *, excess: bool = True) -> Figure:
    """The leak gap: seen pair less unseen pair, positive where what was seen is easier.

    Args:
        excess: whether that of the difference threshold is taken off.
    """
    own = found_in(metrics, "leak", name, metric.name)
    value, *ends = ("excess", "excess_low", "excess_high") if excess else ("gap", "low", "high")
    bounds = [own.get(end) for end in ends]
    return Figure(own.get(value), bounds, decimals=metric.decimals, signed=True)


def columns_of(metrics: Metrics, set_name: str, wanted: Iterable[str] = METRICS) -> list[Metric]:
    """The metrics that an experiment has on a set."""
    rows = [figures_of(metrics, name, set_name) for name in metrics["experiments"]]
    return [METRICS[m] for m in wanted if any(known(row.get(m)) is not None for row in rows)]


def winner_of(metrics: Metrics, set_name: str, metric: Metric) -> str:
    """The best figure as it is written, so that equal digits win equally; none wins alone."""
    rows = [figures_of(metrics, name, set_name) for name in metrics["experiments"]]
    values = [value for row in rows if (value := known(row.get(metric.name))) is not None]
    if len(values) < 2:
        return ""
    return written((max if metric.higher_is_better else min)(values), metric.decimals)


class Run:
    """A run's files; what is missing is None or empty.

    Raises:
        InputError: if `reports/metrics.json` is missing, or a file that is there is damaged; not
            of what the next export writes anew.
    """

    def __init__(self, root: Path) -> None:
        reports = root / "reports"
        self.metrics = metrics = read_json(reports / "metrics.json", METRICS_KEYS)
        self.best, self.headline = str(metrics["best"]), str(metrics["headline"]["set"])
        self.unit = metrics.get("unit", "metre")
        self.experiments, self.baselines = compared(metrics), baselines_of(metrics)
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

    def figure(self, name: str, set_name: str, metric: Metric) -> "Figure":
        return figure_of(self.metrics, name, set_name, metric)

    def leak(self, metric: Metric, *, excess: bool = True) -> "Figure":
        return leak_of(self.metrics, self.best, metric, excess=excess)

    def marks(self, name: str) -> list[str]:
        """An experiment's part in the verdict."""
        verdict = self.metrics.get("verdict", {})
        named = {"best": [self.best], "runner-up": [verdict.get("runner_up")]}
        named |= {"tied": verdict.get("ties", []), "ahead": verdict.get("ahead", [])}
        return [mark for mark, names in named.items() if name in names]

    def about(self, name: str) -> str:
        """What a baseline does, or an experiment is: `depthmasknet8, mask: bce, depth: 2 ssim`."""
        cards = self.cards.get(name)
        if not cards:
            return BASELINES.get(name, "")
        words = [cards[0]["model"]]
        for head, terms in cards[0]["losses"].items():
            parts = [f"{weight:g} {term}".removeprefix("1 ") for term, weight in terms.items()]
            words += [f"{head}: {' + '.join(parts)}"] * bool(parts)
        words += ["no colour variants"] * (not cards[0]["augmented"])
        words += [f"{len(cards)} seeds"] * (len(cards) > 1)
        return ", ".join(words)


def _table(path: Path, *columns: str) -> pd.DataFrame:
    columns = ("experiment", *columns)
    return read_table(path, columns) if path.is_file() else pd.DataFrame(columns=columns)


def _json(path: Path, *keys: str) -> dict[str, Any] | None:
    return read_json(path, keys) if path.is_file() else None


def _cards(experiment: Path) -> list[dict[str, Any]]:
    """`model.json` of every seed, in their order, and whether it saw colour variants."""
    paths = experiment.glob("seed_*/model.json")
    cards = []
    for path in sorted(paths, key=lambda path: (len(path.parent.name), path)):
        settings = read_json(path.with_name("settings.json"))["experiment"]
        cards.append({"augmented": settings.get("augmented", True)} | read_json(path))
    return cards


def _exported(path: Path) -> dict[str, Any] | None:
    """What an ONNX file and `parity.json` beside it hold; None of a missing or damaged one."""
    try:
        content, parity = path.read_bytes(), _json(path.with_name("parity.json"))
        metadata = {prop.key: prop.value for prop in onnx.load_from_string(content).metadata_props}
    except Exception:  # protobuf's own kinds, and protobuf is no dependency of ours
        return None
    digest, megabytes = hashlib.sha256(content).hexdigest(), len(content) / 1e6
    return {"sha256": digest, "megabytes": megabytes, "metadata": metadata, "parity": parity}


def results_table(metrics: Metrics) -> str:
    """GitHub Markdown: the verdict, the comparison with the best of each figure bold, the leak.

    A star marks the experiment that is exported, the bounds of an interval stand beside the first
    two figures.
    """
    head, unit, best = metrics["headline"]["set"], metrics.get("unit", "metre"), metrics["best"]
    second = "unseen_unseen" if head == "in_scene" else "seen_seen"
    columns = [(head, METRICS[name]) for name in KEYS if METRICS[name].part != "person"]
    columns += [(head, METRICS["person_distance_error"])] * (unit == "metre")
    columns += [(second, METRICS[name]) for name in CHARTED[:2]]
    titles = [
        f"{SETS[set_name].label.lower()}: {metric.title}{metric.suffix(unit).replace(' ', ', ')}"
        for set_name, metric in columns
    ]
    rows = [["", *titles], [":--", *["--:"] * len(columns)]]
    for name in (*compared(metrics), *baselines_of(metrics)):
        trained = name in metrics["experiments"]
        row = [f"**{name}** ★" if name == best else name if trained else f"_{name}_"]
        for place, (set_name, metric) in enumerate(columns):
            figure = figure_of(metrics, name, set_name, metric)
            won = trained and figure.text == winner_of(metrics, set_name, metric)
            words = f"**{figure.text}**" if won else figure.text
            row.append(" ".join([words, *figure.below * (place < 2)]))
        rows.append(row)
    parts = ["\n".join(f"| {' | '.join(row)} |" for row in rows)]
    if sentence := found_in(metrics, "verdict", "sentence"):
        parts.insert(0, sentence)
    if unit == "relative":
        parts.insert(
            0,
            "Depth is relative: scale and shift are fitted to each image's truth before it is"
            " measured, and a constant becomes that image's own mean.",
        )
    leak = leak_of(metrics, best, METRICS["mask_iou"])
    if known(leak.value) is not None:
        parts.append(
            f"Leak gap of {best}: mask IoU on rooms and people that it has seen, less that on"
            " unseen ones, less the same of the difference threshold, which remembers nothing: "
            + f"{leak.text} {leak.interval}".strip()
            + "."
        )
    return "\n\n".join(parts) + "\n"
