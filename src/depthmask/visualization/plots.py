"""The charts of a run, for the page and for PNGs."""

from collections.abc import Iterable, Iterator
from typing import Any

import altair as alt
import pandas as pd

from depthmask.evaluation.robustness import CONDITIONS
from depthmask.evaluation.robustness_table import BANDS, FALSE_PERSON
from depthmask.metrics import METRICS
from depthmask.visualization.charts import dot_chart, line_chart
from depthmask.visualization.results import CHARTED, Figure, Results
from depthmask.visualization.theme import BASELINE, Chart

COMPARED_SETS = ("unseen_unseen", "seen_seen")
"""Beside the headline set."""
SHARES = alt.Scale(domain=[0, 1])
CURVES = {
    "val/mask_iou": ("Mask IoU", "validation, higher is better", SHARES),
    "val/depth_delta1": ("Depth δ1", "validation, higher is better", SHARES),
    "val/depth_rmse": ("Depth RMSE", "validation, metres (relative depth: aligned)", alt.Scale()),
    "val/loss": ("Validation loss", "compare shapes, not heights", alt.Scale(type="log")),
}
"""Columns of `curves.csv`: title, what to read from it, scale."""
EPOCH_AXIS = alt.Axis(grid=False, tickMinStep=1, format="d", tickCount=8)
KEY = alt.Legend(orient="top", columns=4, symbolType="stroke", symbolStrokeWidth=3, symbolOpacity=1)


def _dot(results: Results, name: str, figure: Figure, set_name: str) -> dict[str, Any]:
    """A row of a dot chart."""
    color = results.series.get(name, BASELINE).color
    row = {"name": name, "set": set_name, "value": figure.number, "color": color}
    if set_name != results.headline:
        return row
    return row | {"text": figure.text, **dict(zip(("low", "high"), figure.bounds, strict=False))}


def comparison_charts(results: Results, *, legend: bool = False) -> Iterator[Chart]:
    """Every experiment and baseline on the headline set and on pasted people, a chart a metric;
    the `legend` is the first one's."""
    sets = dict.fromkeys((results.headline, *COMPARED_SETS))
    for metric in results.columns(results.headline, CHARTED):
        rows = [
            _dot(results, name, results.figure(name, set_name, metric), set_name)
            for name in (*results.experiments, *results.baselines)
            for set_name in sets
            if results.figures(name, set_name)
        ]
        dots, note = pd.DataFrame(rows), f"{metric.better} is better"
        yield dot_chart(dots, results.best, title=metric.title, note=note, legend=legend)
        legend = False


def curve_charts(
    table: pd.DataFrame,
    results: Results,
    columns: Iterable[str] = CURVES,
    legend: alt.Legend | None = None,
) -> Iterator[Chart]:
    """Columns of `curves.csv` over the epochs: the mean over seeds, and the best's range."""
    for column in columns:
        if column not in table or table[column].isna().all():
            continue
        title, note, y_scale = CURVES[column]
        groups = table.dropna(subset=[column]).groupby(["experiment", "epoch"], sort=False)[column]
        data = groups.agg(value="mean", low="min", high="max").reset_index()
        yield line_chart(
            data,
            results.series,
            results.best,
            x=alt.X("epoch:Q", title="epoch", axis=EPOCH_AXIS),
            y="value",
            y_scale=y_scale,
            band=("low", "high"),
            legend=legend,
            title=title,
            note=note,
        )


def condition_charts(
    table: pd.DataFrame, results: Results, name: str, legend: alt.Legend | None = None
) -> Iterator[Chart]:
    """A metric over the strength of every condition with a person in it, all on one range; beside
    the mask's IoU also what is found in frames with nobody in them."""
    shown = [(condition, METRICS[name], "") for condition in CONDITIONS if condition != "nobody"]
    if name == "mask_iou":
        found = FALSE_PERSON.values()
        shown += [("nobody", metric, f"{metric.label}, lower is better") for metric in found]
    for condition, metric, note in shown:
        rows = table[(table["condition"] == condition) & table[metric.name].notna()]
        if rows.empty:
            continue
        words, is_falling = CONDITIONS[condition], CONDITIONS[condition].is_falling
        scale = alt.Scale(reverse=is_falling, zero=False, nice=False, padding=10)
        axis = alt.Axis(grid=False, tickCount=5)
        bounds = f"{metric.name}_low", f"{metric.name}_high"
        yield line_chart(
            rows,
            results.series_in(table),
            results.best,
            x=alt.X("strength:Q", title=words.unit, axis=axis, scale=scale),
            y=metric.name,
            y_scale=alt.Scale() if condition == "nobody" else SHARES,
            band=bounds if metric.name in BANDS else None,
            legend=legend,
            title=words.label,
            note=note,
        )
