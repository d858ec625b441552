"""The charts of a run, for the page, for PNGs and, through templates, for DVC."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from depthmask.evaluation.robustness import CONDITIONS
from depthmask.evaluation.robustness_table import FALSE_PERSON
from depthmask.metrics import METRICS
from depthmask.visualization.charts import Look, condition_chart, dot_chart, line_chart, resizes
from depthmask.visualization.results import CHARTED, Figure, Results, plain, written
from depthmask.visualization.theme import BASELINE, LIGHT, SERIES, Chart, on_paper, spec_of

DISTRIBUTED = ("mask_iou", "depth_delta1", "person_distance_error")
COMPARED_SETS = ("unseen_unseen", "seen_seen")
"""Beside the headline set."""
CURVES = {
    "val/mask_iou": ("Mask IoU", "validation, higher is better"),
    "val/depth_delta1": ("Depth δ1", "validation, higher is better"),
    "val/depth_rmse": ("Depth RMSE", "validation, metres (relative depth: aligned)"),
    "val/loss": ("Validation loss", "each in its own terms: compare shapes, not heights"),
}
"""Columns of `curves.csv`: title and what to read from it."""
EPOCH_AXIS = alt.Axis(grid=False, tickMinStep=1, format="d", tickCount=8)
KEY = alt.Legend(orient="top", columns=4, symbolType="stroke", symbolStrokeWidth=3, symbolOpacity=1)


def _dot(results: Results, name: str, figure: Figure, set_name: str = "") -> dict[str, Any]:
    """A row of a dot chart."""
    who = f"{name}, {set_name}" if set_name else name
    words = f"{who}: {figure.text} {figure.interval}".strip()
    low, high = figure.bounds or (None, None)
    color = results.series.get(name, BASELINE).color
    return {"name": name, "set": set_name, "value": figure.number, "low": low, "high": high,
            "text": figure.text, "color": color, "about": words}  # fmt: skip


def comparison_charts(results: Results, *, legend: bool = False) -> list[Chart]:
    """Every experiment and baseline on the headline set and on pasted people, a chart a metric."""
    head, charts = results.headline, list[Chart]()
    for metric in results.columns(head, CHARTED):
        rows: list[dict[str, Any]] = []
        for name in (*results.experiments, *results.baselines):
            rows.append(_dot(results, name, results.figure(name, head, metric), head))
            for other in COMPARED_SETS:
                if other != head and results.figures(name, other):
                    value = results.figure(name, other, metric).value
                    figure = Figure(value, decimals=metric.decimals)
                    rows.append(_dot(results, name, figure, other) | {"text": None})
            seeds = results.at("seeds", name)
            for seed in seeds if len(seeds) > 1 else ():
                figure = Figure(results.at("seeds", name, seed, head).get(metric.name))
                about = {"text": None, "part": True, "about": f"{name}, seed {seed}"}
                rows.append(_dot(results, name, figure, head) | about)
        note, legend_here = f"{metric.better} is better", legend and not charts
        charts.append(dot_chart(rows, results, title=metric.title, note=note, legend=legend_here))
    return charts


def comparison(results: Results) -> Chart:
    charts = comparison_charts(results, legend=True)
    chart = alt.hconcat(*charts, spacing=30, title="Experiments and baselines")
    return chart.resolve_scale(shape="shared")


def difference_charts(results: Results) -> list[Chart]:
    """The best minus every rival, on the same scenes: the score that decides, and its two parts."""
    charts = []
    for key in ("score", *results.metrics.get("chosen_by", ())):
        metric, rows = METRICS.get(key), []
        for name in results.experiments:
            found = results.at("verdict", "differences", name)
            if "score" in found and (own := found.get(key)):
                bounds, decimals = (own["low"], own["high"]), metric.decimals if metric else 3
                figure = Figure(own["difference"], bounds, decimals=decimals, signed=True)
                rows.append(_dot(results, name, figure))
        title = metric.title if metric else "The score that decides"
        note = f"{metric.better} is better" if metric else "the mean of the two beside it"
        good = -1 if metric and not metric.higher_is_better else 1
        if rows:
            charts.append(dot_chart(rows, results, title=title, note=note, zero=True, good=good))
    return charts


def leak_charts(results: Results) -> list[Chart]:
    """What every experiment owes to rooms and people it has seen, a chart a metric."""
    charts = []
    for metric in results.columns(results.headline, CHARTED):
        excess = any(results.leak(name, metric).number is not None for name in results.experiments)
        figures = {name: results.leak(name, metric, excess=excess) for name in results.experiments}
        rows = [_dot(results, name, of) for name, of in figures.items() if of.number is not None]
        note = "less that of the difference threshold" if excess else "seen less unseen"
        if rows:
            charts.append(dot_chart(rows, results, title=metric.title, note=note, zero=True))
    return charts


def curve_charts(
    table: pd.DataFrame,
    results: Results,
    columns: Iterable[str] = CURVES,
    legend: alt.Legend | None = None,
) -> list[Chart]:
    """Columns of `curves.csv` over the epochs: the mean over seeds, and their range."""
    look, charts = Look.of(results.series, results.best, legend), []
    for column in columns:
        if column not in table or table[column].isna().all():
            continue
        groups = table[table[column].notna()].groupby(["experiment", "epoch"], sort=False)[column]
        data = groups.agg(value="mean", low="min", high="max", num="size").reset_index()
        many = data["num"] > 1
        data["about"] = [
            f"{row['experiment']}, epoch {row['epoch']:g}: {row['value']:.3f}"
            + f" (seeds {row['low']:.3f} to {row['high']:.3f})" * (row["num"] > 1)
            for row in data.to_dict("records")
        ]
        data[["low", "high"]] = data[["low", "high"]].where(many, None)
        least, most = data["value"].min(), data["value"].max()
        y_scale = alt.Scale(domain=[0, 1]) if 0 <= least <= most <= 1 else alt.Scale(zero=True)
        if column == "val/loss" and 0 < 6 * least < most:
            y_scale = alt.Scale(type="log")
        title, note = CURVES[column]
        chart = line_chart(
            look,
            x=alt.X("epoch:Q", title="epoch", axis=EPOCH_AXIS),
            y="value",
            y_scale=y_scale,
            band=("low", "high") if many.any() else None,
            about="about:N",
            under=resizes(table),
            title=title,
            note=note,
        )
        charts.append(chart.properties(data=data))
    return charts


def distribution_charts(scenes: pd.DataFrame, results: Results) -> list[Chart]:
    """Every scene's figure on the headline set, the scenes from the worst to the best."""
    look, charts = Look.of(results.series, results.best), []
    rows, shares = scenes[scenes["set"] == results.headline], np.linspace(0, 1, 41)
    for metric in (METRICS[name] for name in DISTRIBUTED if name in scenes):
        means = rows.groupby(["experiment", "scene"])[metric.name].mean()
        groups = means[np.isfinite(means)].groupby("experiment")
        places = shares if metric.higher_is_better else 1 - shares
        data = groups.quantile(places, interpolation="nearest").rename("value").reset_index()
        if data.empty:
            continue
        data["share"] = np.tile(100 * shares, len(data) // len(shares))
        unit = metric.suffix(results.unit)
        axis = alt.Axis(grid=False, values=[0, 25, 50, 75, 100])
        chart = line_chart(
            look,
            x=alt.X("share:Q", title="scenes, from the worst to the best, %", axis=axis),
            y="value",
            y_scale=alt.Scale() if metric.unit else alt.Scale(domain=[0, 1]),
            dots=False,
            title=metric.title + unit.replace(" ", ", "),
            note=f"{metric.better} is better",
        )
        charts.append(chart.properties(data=data[["experiment", "share", "value"]]))
    return charts


def condition_charts(
    table: pd.DataFrame, results: Results, name: str, legend: alt.Legend | None = None
) -> list[Chart]:
    """A metric over the strength of every condition with a person in it, all on one range.

    Of frames with nobody in them: what is found there, beside the mask's IoU only.
    """
    look = Look.of(results.series_in(table), results.best, legend)
    shown = [(condition, METRICS[name]) for condition in CONDITIONS if condition != "nobody"]
    if name == "mask_iou":
        shown += [("nobody", metric) for metric in FALSE_PERSON.values()]
    charts = []
    for condition, metric in shown:
        rows = table[table["condition"] == condition]
        if rows.empty or rows[metric.name].isna().all():
            continue
        rows = rows[rows[metric.name].notna()]
        about = [
            f"{row['experiment']} at {plain(row['strength'])}:"
            f" {written(row[metric.name], metric.decimals)}"
            + ", not trained for"
            * (not row["trained_for"])
            for row in rows.to_dict("records")
        ]
        note = f"{metric.label}, lower is better" if condition == "nobody" else ""
        chart = condition_chart(look, condition, metric.name, about="about:N", note=note)
        charts.append(chart.properties(data=rows.assign(about=about)))
    return charts


def conditions(table: pd.DataFrame, results: Results) -> Chart:
    charts = condition_charts(table, results, "mask_iou", KEY)
    title = "Mask IoU when frames get harder: shaded strengths are such as training drew"
    return alt.concat(*charts, columns=4, spacing=30, title=title)


def dvc_templates() -> dict[str, dict[str, Any]]:
    """The charts of the curves and of the conditions as templates of `dvc plots`, by name."""
    colors = alt.Scale(range=[LIGHT[name] for name in SERIES])
    look = Look(colors, alt.StrokeDash("rev:N", title="revision"), legend=KEY)
    x, y, title, label = (f"<DVC_METRIC_{word}>" for word in ("X", "Y", "TITLE", "Y_LABEL"))
    axis = alt.X(field=x, type="quantitative", title="<DVC_METRIC_X_LABEL>", axis=EPOCH_AXIS)
    lines = line_chart(
        look,
        x=axis,
        y=y,
        y_title=label,
        y_scale=alt.Scale(zero=False),
        detail="seed:N",
        title=title,
    )
    experiments = spec_of(lines)
    charts = []
    for name in CONDITIONS:
        found, note = y, "<DVC_METRIC_Y>"
        if name == "nobody":
            found, note = "false_area", "share taken for person"
        chart = condition_chart(look, name, found, x=x, note=note)
        charts.append(chart.properties(width=190, height=130))
    robustness = spec_of(alt.concat(*charts, columns=5, title=title, spacing=24))
    templates = {"experiments": experiments, "robustness": robustness}
    for name, spec in templates.items():
        spec["data"] = {"values": "<DVC_METRIC_DATA>"}
        spec["$schema"] = "https://vega.github.io/schema/vega-lite/v5.json"  # what DVC loads
        text = on_paper(json.dumps(spec)).replace('"Liberation Sans"', '"sans-serif"')
        templates[name] = json.loads(text)
    return templates


def write_templates(folder: Path) -> None:
    """Write those of DVC's templates in a folder that are no longer the charts'."""
    for name, spec in dvc_templates().items():
        path, text = folder / f"{name}.json", json.dumps(spec, ensure_ascii=False) + "\n"
        if path.is_file() and path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
