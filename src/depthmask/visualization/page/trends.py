"""Line charts of a run: over epochs, over scenes, over the strength of a disturbance."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from depthmask.visualization.page.axes import rounded_up, steps
from depthmask.visualization.page.definitions import (
    DEFINITIONS,
    FALSE_PERSON,
    NOBODY,
    Definition,
    condition_look,
)
from depthmask.visualization.page.files import RunFiles
from depthmask.visualization.page.lines import Line, LineChart, Point, line_chart
from depthmask.visualization.page.numbers import figure, interval, known, plain
from depthmask.visualization.page.styles import BASELINE, Style

Styles = dict[str, Style]

CURVES = {
    "val/mask_iou": ("Mask IoU", "higher is better", (0.0, 1.0)),
    "val/depth_delta1": ("Depth δ1", "higher is better", (0.0, 1.0)),
    "val/loss": ("Validation loss", "each in its own terms: not to be compared", None),
}
DISTRIBUTED = ("mask_iou", "depth_delta1", "person_distance_error")
NUM_PLACES = 41
"""Points of a curve over scenes."""


def curve_charts(run: RunFiles, styles: Styles) -> list[LineChart]:
    """How the experiments learned: the mean of their seeds, and the range of several."""
    table, charts = run.curves, []
    if table is None:
        return []
    for column, (title, note, y_range) in CURVES.items():
        lines = [
            Line(name, styles[name], points, heavy=name == run.best, banded=_have_bounds(points))
            for name in run.experiments
            if (points := list(_epochs(table, name, column)))
        ]
        if not lines:
            continue
        values = [point.y for line in lines for point in line.points]
        # as in reports/plots: ratios once the losses differ by more than a factor of six
        log = y_range is None and min(values) > 0 and max(values) > 6 * min(values)
        charts.append(
            line_chart(
                lines,
                title=title,
                note=note,
                x_label="epoch",
                x_values=_whole_steps(table["epoch"]),
                y_range=y_range or ((min(values) * 0.9, max(values) * 1.1) if log else None),
                log=log,
                marks=_resizes(table),
            )
        )
    return charts


def distribution_charts(run: RunFiles, styles: Styles) -> list[LineChart]:
    """Every scene's figure, the scenes from the worst to the best of each experiment."""
    charts = []
    for metric in (DEFINITIONS[name] for name in DISTRIBUTED):
        lines = [
            Line(name, styles[name], points, heavy=name == run.best, dots=False)
            for name in run.experiments
            if (points := _worst_to_best(scene_figures(run, name, metric.name), metric))
        ]
        if lines:
            unit = metric.unit(run.unit).strip()
            charts.append(
                line_chart(
                    lines,
                    title=f"{metric.full}, {unit}" if unit else metric.full,
                    note=f"{metric.better} is better",
                    x_label="scenes, from the worst to the best, %",
                    x_values=(0, 25, 50, 75, 100),
                    y_range=(0.0, _largest(lines)) if metric.metres else (0.0, 1.0),
                )
            )
    return charts


def _largest(lines: Sequence[Line]) -> float:
    return rounded_up(max(1e-3, *(point.y for line in lines for point in line.points)))


def _worst_to_best(values: np.ndarray, metric: Definition) -> list[Point]:
    """Some of the ascending figures, evenly spread, over the share of scenes up to each."""
    if not len(values):
        return []
    ordered = values if metric.better == "higher" else values[::-1]
    shares = np.linspace(0, 1, NUM_PLACES)
    places = np.round(shares * (len(values) - 1)).astype(int)
    return [
        Point(100 * float(share), float(value), "")
        for share, value in zip(shares, ordered[places], strict=True)
    ]


def scene_figures(run: RunFiles, experiment: str, metric: str) -> np.ndarray:
    """A metric of every scene of the headline set, ascending: the mean over the seeds."""
    table = run.scenes
    if table is None or metric not in table:
        return np.empty(0)
    rows = table[(table["experiment"] == experiment) & (table["set"] == run.headline)]
    values = rows.groupby("scene")[metric].mean().to_numpy(float)
    return np.sort(values[np.isfinite(values)])


def robustness_charts(run: RunFiles, styles: Styles, name: str) -> list[LineChart]:
    """A metric over the strength of every condition with a person in it, all on one range."""
    table, metric = run.robustness, DEFINITIONS[name]
    if table is None or name not in table:
        return []
    drawn = table[(table["condition"] != NOBODY) & np.isfinite(table[name])]
    if drawn.empty:
        return []
    y_range = (0.0, 1.0 if metric.better == "higher" else rounded_up(drawn[name].max() or 1.0))
    return [
        _condition_chart(run, styles, drawn[drawn["condition"] == condition], metric, y_range)
        for condition in dict.fromkeys(drawn["condition"])
    ]


def nobody_charts(run: RunFiles, styles: Styles) -> list[LineChart]:
    """What is found in frames with nobody in them, over the light of the plate."""
    table, charts = run.robustness, []
    for metric in FALSE_PERSON.values():
        if table is None or metric.name not in table:
            continue
        drawn = table[(table["condition"] == NOBODY) & np.isfinite(table[metric.name])]
        if not drawn.empty:
            high = rounded_up(max(drawn[metric.name].max(), 0.01))
            charts.append(_condition_chart(run, styles, drawn, metric, (0.0, high)))
    return charts


def _condition_chart(
    run: RunFiles,
    styles: Styles,
    part: pd.DataFrame,
    metric: Definition,
    y_range: tuple[float, float],
) -> LineChart:
    """A metric over the strengths of the one condition that `part` is of."""
    condition = part["condition"].iloc[0]
    words = condition_look(condition)
    lines = []
    for name in dict.fromkeys([*run.experiments, *part["experiment"]]):
        rows = part[part["experiment"] == name].sort_values("strength")
        points = [_strength_point(row, metric, run.unit) for row in rows.to_dict("records")]
        if points:
            style, best = styles.get(name, BASELINE), name == run.best
            lines.append(Line(name, style, points, best, best and _have_bounds(points)))
    trained = part.groupby("strength")["trained_for"].any()
    strengths = [float(value) for value in trained.index]
    return line_chart(
        lines,
        title=words.title,
        note=f"{metric.label}; {metric.better} is better" if condition == NOBODY else "",
        x_label=words.unit,
        x_values=strengths,
        y_range=y_range,
        falling=words.is_falling,
        shaded=list(_runs(strengths, trained.tolist())),
    )


def _strength_point(row: dict[str, Any], metric: Definition, unit: str) -> Point:
    value = float(row[metric.name])
    low, high = (known(row.get(f"{metric.name}_{end}")) for end in ("low", "high"))
    trained = bool(row["trained_for"])
    bounds = interval(low, high, metric.decimals)
    text = f"{row['experiment']} at {plain(row['strength'])}: {figure(value, metric, unit)}"
    text = " ".join([text, bounds]).strip() + ("" if trained else ", not trained for")
    return Point(float(row["strength"]), value, text, low, high, hollow=not trained)


def _runs(values: Sequence[float], chosen: Sequence[bool]) -> Iterator[tuple[float, float]]:
    """First and last of every stretch of chosen values."""
    stretch: list[float] = []
    for value, is_chosen in [*zip(values, chosen, strict=True), (0.0, False)]:
        if is_chosen:
            stretch.append(value)
        elif stretch:
            yield stretch[0], stretch[-1]
            stretch = []


def _epochs(table: pd.DataFrame, name: str, column: str) -> Iterator[Point]:
    if column not in table:
        return
    rows = table[(table["experiment"] == name) & np.isfinite(table[column])]
    for epoch, values in rows.groupby("epoch", sort=True)[column]:
        mean = float(values.mean())
        several = len(values) > 1
        low, high = (float(values.min()), float(values.max())) if several else (None, None)
        text = f"{name}, epoch {epoch:g}: {mean:.3f}"
        text += f" (seeds {low:.3f} to {high:.3f})" if several else ""
        yield Point(float(epoch), mean, text, low, high)


def _whole_steps(epochs: pd.Series) -> list[float]:
    """Round epochs to mark; every one where there are few."""
    first, last = float(epochs.min()), float(epochs.max())
    whole = [epoch for epoch in steps(first, last) if epoch.is_integer()]
    return whole if len(whole) > 1 else sorted(epochs.unique().astype(float).tolist())


def _have_bounds(points: Sequence[Point]) -> bool:
    return any(point.low is not None for point in points)


def _resizes(table: pd.DataFrame) -> list[tuple[float, str]]:
    """Where the training's images change size, and to what; the first size first."""
    if "size" not in table:
        return []
    sizes = table.groupby("epoch")["size"].max().sort_index()
    starts = sizes.index[sizes.ne(sizes.shift())]
    if len(starts) < 2:
        return []
    places = [float(epoch) - 0.5 * bool(number) for number, epoch in enumerate(starts)]
    return [(at, f"{sizes[epoch]:g} px") for at, epoch in zip(places, starts, strict=True)]
