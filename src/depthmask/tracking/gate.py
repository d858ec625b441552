"""The gate: what the exported model must reach to be promoted to champion."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from depthmask.config import Gate


@dataclass(frozen=True)
class Criterion:
    """One threshold of `export.gate`.

    Attributes:
        label: what it is of, in words.
        at_least: whether the figure must reach it; else the figure must not exceed it.
        of_scenes: whether the figure is of the hardest test set, which is then named.
        unit: written after a figure.
        decimals: of a figure, where no more are needed to tell it from the threshold.
    """

    label: str
    at_least: bool
    of_scenes: bool = True
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
class Miss:
    """A threshold that was not reached.

    Attributes:
        name: of the threshold in `export.gate`.
        value: the figure; None where it is missing.
        threshold: what was asked for.
        by: by how much the figure falls short of it, or exceeds it; None where it is no number.
        words: all of that in a sentence without a full stop.
    """

    name: str
    value: float | None
    threshold: float
    by: float | None
    words: str


def check_gate(
    gate: Gate, figures: Mapping[str, float | None], *, scenes: str, unit: str
) -> list[Miss]:
    """Compare a model's figures with the thresholds; a figure that is asked for must be there.

    Args:
        figures: under the names of the thresholds; those not asked for may be missing.
        scenes: the test set that the figures are of.
        unit: of the depth, one of `scene.UNITS`; the thresholds hold for the figures
            after alignment where it is relative.

    Returns:
        What was missed, in the order of `CRITERIA`; a missing figure or one that is no number
        is missed too.
    """
    misses = []
    for name, criterion, threshold in _asked(gate):
        value, where = figures.get(name), f"export.gate.{name}"
        label, bound = _label(name, scenes, unit), _bound(criterion, threshold)
        if value is None:
            words = (
                f"{label} is not in reports/metrics.json and {where} asks for {bound}: run"
                f" `dvc repro --single-item --force evaluate`, or set it to null"
            )
            misses.append(Miss(name, None, threshold, None, words))
        elif not math.isfinite(value):
            words = f"{label} is {value}, which is no number; {where} asks for {bound}"
            misses.append(Miss(name, value, threshold, None, words))
        elif value < threshold if criterion.at_least else value > threshold:
            by = abs(value - threshold)
            side = "below" if criterion.at_least else "above"
            decimals = max(criterion.decimals, math.ceil(-math.log10(by)))
            found, short = (f"{each:.{decimals}f}{criterion.unit}" for each in (value, by))
            words = f"{label} {found} is {short} {side} {where} {_exact(threshold)}"
            misses.append(Miss(name, value, threshold, by, words))
    return misses


def passed_words(gate: Gate, figures: Mapping[str, float], *, scenes: str, unit: str) -> str:
    """What a model that passed was asked for and has, in words; arguments as for `check_gate`."""
    found = [
        f"{_label(name, scenes, unit)} {figures[name]:.{criterion.decimals}f}{criterion.unit}"
        f" ({_bound(criterion, threshold)})"
        for name, criterion, threshold in _asked(gate)
    ]
    return ", ".join(found) or "export.gate asks for nothing"


def gate_figures(
    metrics: Mapping[str, Any], latency_ms: float, seed: str = ""
) -> dict[str, float | None]:
    """The figures that the gate looks at, from what `metrics.json` says of the best.

    Args:
        latency_ms: of one pair at the training size.
        seed: of the model, where its own figures are to be taken and not the experiment's mean.
    """
    best, headline = metrics["best"], metrics["headline"]
    own = metrics.get("seeds", {}).get(best, {}).get(seed, {}).get(headline["set"], headline)
    scored = {name: own.get(name) for name, criterion in CRITERIA.items() if criterion.of_scenes}
    leak = metrics.get("leak", {}).get(best, {}).get("mask_iou", {}).get("gap")
    return scored | {"leak_gap": leak, "latency_ms": latency_ms}


def _asked(gate: Gate) -> Iterator[tuple[str, Criterion, float]]:
    for name, criterion in CRITERIA.items():
        threshold = getattr(gate, name)
        if threshold is not None:
            yield name, criterion, threshold


def _label(name: str, scenes: str, unit: str) -> str:
    label = CRITERIA[name].label
    if CRITERIA[name].of_scenes:
        label = f"{scenes} {label}"
    if name.startswith("depth_") and unit == "relative":
        label += ", scale and shift fitted,"
    return label


def _bound(criterion: Criterion, threshold: float) -> str:
    return f"at {'least' if criterion.at_least else 'most'} {_exact(threshold)}{criterion.unit}"


def _exact(threshold: float) -> str:
    return f"{threshold:.12g}"
