"""Dot charts of a run: the comparison, what sets the best apart, what was seen before."""

from typing import Any

from depthmask.visualization.page.definitions import COMPARED, DEFINITIONS, Definition
from depthmask.visualization.page.dots import DotChart, Row, dot_chart
from depthmask.visualization.page.files import RunFiles
from depthmask.visualization.page.numbers import interval, known, written
from depthmask.visualization.page.styles import Style

Styles = dict[str, Style]

SCORE = "score"
"""In the verdict's differences: the mean of the two metrics that choose."""


def comparison_charts(run: RunFiles, styles: Styles) -> list[DotChart]:
    """Every experiment and baseline on the headline set, a chart a metric."""
    return [
        dot_chart(
            [*_rows(run, styles, metric), *_baseline_rows(run, metric)],
            title=metric.full,
            note=f"{metric.better} is better",
        )
        for metric in _compared(run)
    ]


def difference_charts(run: RunFiles, styles: Styles) -> list[DotChart]:
    """The best minus every other, on the same scenes: what decides, and its two parts."""
    differences = run.metrics.get("verdict", {}).get("differences", {})
    charts = []
    for key in (SCORE, *chosen_by(run)):
        rows = [
            _difference_row(name, styles[name], figures[key], key)
            for name in run.experiments
            if key in (figures := differences.get(name, {}))
        ]
        if rows:
            metric = DEFINITIONS.get(key)
            charts.append(
                dot_chart(
                    rows,
                    title=metric.full if metric else "The score that decides",
                    note=f"{metric.better} is better"
                    if metric
                    else "the mean of the two beside it",
                    zero=True,
                    good=-1 if metric and metric.better == "lower" else 1,
                )
            )
    return charts


def chosen_by(run: RunFiles) -> tuple[str, str]:
    """The two metrics whose mean ranks the experiments."""
    mask, depth = run.metrics.get("chosen_by", ("mask_iou", "depth_delta1"))
    return mask, depth


def leak_charts(run: RunFiles, styles: Styles) -> list[DotChart]:
    """What every experiment owes to rooms and people it has seen, a chart a metric."""
    leak, charts = run.metrics.get("leak", {}), []
    for metric in _compared(run):
        rows = []
        for name in run.experiments:
            gap = leak.get(name, {}).get(metric.name, {})
            value, low, high = (known(gap.get(key)) for key in ("gap", "low", "high"))
            if value is None:
                continue
            text = written(value, metric.decimals, signed=True)
            bounds = interval(low, high, metric.decimals, signed=True)
            rows.append(
                Row(
                    name, styles[name], value, text, f"{name}: {text} {bounds}", low, high,
                    heavy=name == run.best,
                )
            )  # fmt: skip
        if rows:
            note = "right of 0: easier where seen"
            charts.append(dot_chart(rows, title=metric.full, note=note, zero=True))
    return charts


def _compared(run: RunFiles) -> list[Definition]:
    """The metrics of the charts that some experiment has on the headline set."""
    rows = [sets.get(run.headline, {}) for sets in run.metrics["experiments"].values()]
    return [
        DEFINITIONS[name]
        for name in COMPARED
        if any(known(row.get(name)) is not None for row in rows)
    ]


def _rows(run: RunFiles, styles: Styles, metric: Definition) -> list[Row]:
    metrics, head = run.metrics, run.headline
    rows = []
    for name in run.experiments:
        value = known(metrics["experiments"][name].get(head, {}).get(metric.name))
        bounds = metrics.get("intervals", {}).get(name, {}).get(head, {}).get(metric.name)
        low, high = (known(bound) for bound in bounds or (None, None))
        seeds = metrics.get("seeds", {}).get(name, {})
        parts = [known(sets.get(head, {}).get(metric.name)) for sets in seeds.values()]
        text = written(value, metric.decimals)
        rows.append(
            Row(
                name,
                styles[name],
                value,
                text,
                f"{name}: {text} {interval(low, high, metric.decimals)}".strip(),
                low,
                high,
                [part for part in parts if part is not None] if len(parts) > 1 else (),
                heavy=name == run.best,
            )
        )
    return rows


def _baseline_rows(run: RunFiles, metric: Definition) -> list[Row]:
    rows = []
    for name, sets in run.metrics.get("baselines", {}).items():
        value = known(sets.get(run.headline, {}).get(metric.name))
        if value is not None:
            text = written(value, metric.decimals)
            rows.append(Row(name, None, value, text, f"{name}: {text}", muted=True))
    return rows


def _difference_row(name: str, style: Style, figures: dict[str, Any], key: str) -> Row:
    value, low, high = (known(figures.get(part)) for part in ("difference", "low", "high"))
    decimals = DEFINITIONS[key].decimals if key in DEFINITIONS else 3
    text = written(value, decimals, signed=True)
    bounds = interval(low, high, decimals, signed=True)
    return Row(name, style, value, text, f"against {name}: {text} {bounds}", low, high)
