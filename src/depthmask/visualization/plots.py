"""The charts of a run, for the page, for PNGs and, through templates, for DVC.

`python -m depthmask.visualization.plots` writes DVC's templates anew.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from depthmask.evaluation.robustness import CONDITIONS
from depthmask.evaluation.robustness_table import FALSE_PERSON
from depthmask.metrics import METRICS, Metric
from depthmask.visualization.charts import (
    BASELINE,
    color_of,
    condition_chart,
    curve_chart,
    dash_of,
    dot_chart,
    epoch_axis,
    line_chart,
)
from depthmask.visualization.numbers import interval, known, plain, written
from depthmask.visualization.run_files import Metrics, baselines_of, compared, figures_of
from depthmask.visualization.theme import LIGHT, SERIES, Chart, Series, on_paper, series_of, spec_of

CHARTED = ("mask_iou", "depth_delta1", "depth_abs_rel")
"""Metrics of the comparison's and the leak's charts."""
DISTRIBUTED = ("mask_iou", "depth_delta1", "person_distance_error")
COMPARED_SETS = ("unseen_unseen", "seen_seen")
"""Beside the headline set."""
DVC_TEMPLATES = Path(".dvc/plots")
_KEY: dict[str, Any] = dict(orient="top", symbolType="stroke", symbolStrokeWidth=3, symbolOpacity=1)


def series_in(metrics: Metrics) -> dict[str, Series]:
    """The look of every experiment."""
    return series_of(metrics["experiments"])


def _charted(metrics: Metrics) -> list[Metric]:
    head = metrics["headline"]["set"]
    rows = [figures_of(metrics, name, head) for name in metrics["experiments"]]
    return [
        METRICS[name] for name in CHARTED if any(known(row.get(name)) is not None for row in rows)
    ]


def comparison_charts(metrics: Metrics, *, legend: bool = False) -> list[Chart]:
    """Every experiment and baseline on the headline set and on pasted people, a chart a metric."""
    head, series = metrics["headline"]["set"], series_in(metrics)
    names, baselines = compared(metrics), baselines_of(metrics)
    sets = [head, *(name for name in COMPARED_SETS if name != head)]
    charts: list[Chart] = []
    for metric in _charted(metrics):
        rows: list[dict[str, Any]] = []
        for name in (*names, *baselines):
            color = series.get(name, BASELINE).color
            for set_name in sets:
                figures = figures_of(metrics, name, set_name)
                if not figures and set_name != head:
                    continue
                value = known(figures.get(metric.name))
                row = {"name": name, "set": set_name, "value": value, "color": color}
                about = f"{name}, {set_name}: {written(value, metric.decimals)}"
                if set_name == head:
                    bounds = metrics.get("intervals", {}).get(name, {}).get(head, {})
                    low, high = bounds.get(metric.name) or (None, None)
                    about = f"{about} {interval((low, high), metric.decimals)}".strip()
                    row |= {"low": low, "high": high, "text": written(value, metric.decimals)}
                rows.append(row | {"about": about})
            seeds = metrics.get("seeds", {}).get(name, {})
            if len(seeds) > 1:
                rows += [
                    {"name": name, "set": head, "value": known(of.get(head, {}).get(metric.name)),
                     "color": color, "part": True, "about": f"{name}, seed {seed}"}
                    for seed, of in seeds.items()
                ]  # fmt: skip
        charts.append(
            dot_chart(
                pd.DataFrame(rows),
                title=metric.title,
                note=f"{metric.better} is better",
                best=metrics["best"],
                baselines=baselines,
                legend=legend and not charts,
            )
        )
    return charts


def comparison(metrics: Metrics) -> Chart:
    charts = comparison_charts(metrics, legend=True)
    return alt.hconcat(*charts, spacing=30, title="Experiments and baselines").resolve_scale(
        shape="shared"
    )


def difference_charts(metrics: Metrics) -> list[Chart]:
    """The best minus every rival, on the same scenes: the score that decides, and its two parts."""
    differences = metrics.get("verdict", {}).get("differences", {})
    charts = []
    for key in ("score", *metrics.get("chosen_by", ())):
        metric = METRICS.get(key)
        found = {name: differences.get(name, {}) for name in compared(metrics)}
        chart = _signed_chart(
            metrics,
            {name: of[key] for name, of in found.items() if key in of and "score" in of},
            "difference",
            metric.decimals if metric else 3,
            title=metric.title if metric else "The score that decides",
            note=f"{metric.better} is better" if metric else "the mean of the two beside it",
            good=-1 if metric and not metric.higher_is_better else 1,
        )
        charts += [chart] if chart else []
    return charts


def leak_charts(metrics: Metrics) -> list[Chart]:
    """What every experiment owes to rooms and people it has seen, a chart a metric."""
    leak, charts = metrics.get("leak", {}), []
    for metric in _charted(metrics):
        key = (
            "excess" if any("excess" in of.get(metric.name, {}) for of in leak.values()) else "gap"
        )
        rows = {name: leak.get(name, {}).get(metric.name, {}) for name in compared(metrics)}
        if key == "excess":
            rows = {
                name: {"excess": of.get("excess"), "low": of.get("excess_low"),
                       "high": of.get("excess_high")}
                for name, of in rows.items()
            }  # fmt: skip
        note = "less that of the difference threshold" if key == "excess" else "seen less unseen"
        chart = _signed_chart(metrics, rows, key, metric.decimals, title=metric.title, note=note)
        charts += [chart] if chart else []
    return charts


def _signed_chart(
    metrics: Metrics,
    found: dict[str, dict[str, Any]],
    key: str,
    decimals: int,
    *,
    title: str,
    note: str,
    good: int = 0,
) -> Chart | None:
    """Differences from 0 with their intervals; None without any."""
    series, rows = series_in(metrics), []
    for name, figures in found.items():
        value, low, high = (known(figures.get(part)) for part in (key, "low", "high"))
        if value is not None:
            text = written(value, decimals, signed=True)
            about = f"{name}: {text} {interval((low, high), decimals, signed=True)}".strip()
            rows.append({"name": name, "set": "", "value": value, "low": low, "high": high,
                         "color": series[name].color, "text": text, "about": about})  # fmt: skip
    if not rows:
        return None
    return dot_chart(
        pd.DataFrame(rows), title=title, note=note, best=metrics["best"], zero=True, good=good
    )


def curves(table: pd.DataFrame, columns: Sequence[str], metrics: Metrics) -> Chart:
    """Training curves side by side, a legend above; columns that nobody has are left away."""
    shown = [name for name in columns if name in table and table[name].notna().any()]
    series, legend = series_in(metrics), alt.Legend(columns=4, **_KEY)
    charts = [
        curve_chart(table, name, series, best=metrics["best"], legend=legend) for name in shown
    ]
    return alt.hconcat(*charts, spacing=36)


def distribution_charts(scenes: pd.DataFrame, metrics: Metrics) -> list[Chart]:
    """Every scene's figure on the headline set, the scenes from the worst to the best."""
    series, charts = series_in(metrics), []
    shares = np.linspace(0, 1, 41)
    for metric in (METRICS[name] for name in DISTRIBUTED if name in scenes):
        rows = scenes[scenes["set"] == metrics["headline"]["set"]]
        means = rows.groupby(["experiment", "scene"])[metric.name].mean()
        parts = []
        for name, values in means[np.isfinite(means)].groupby("experiment"):
            ordered = np.sort(values)[:: 1 if metric.higher_is_better else -1]
            places = np.round(shares * (len(ordered) - 1)).astype(int)
            own = {"experiment": name, "share": 100 * shares, "value": ordered[places]}
            parts.append(pd.DataFrame(own))
        if not parts:
            continue
        unit = metric.suffix(metrics.get("unit", "metre"))
        axis = alt.Axis(grid=False, values=[0, 25, 50, 75, 100])
        chart = line_chart(
            x=alt.X("share:Q", title="scenes, from the worst to the best, %", axis=axis),
            y="value",
            y_scale=alt.Scale() if metric.unit else alt.Scale(domain=[0, 1]),
            color=color_of(series),
            dash=dash_of(series),
            best=metrics["best"],
            dots=False,
            title=metric.title + unit.replace(" ", ", "),
            note=f"{metric.better} is better",
        )
        charts.append(chart.properties(data=pd.concat(parts)))
    return charts


def condition_charts(
    table: pd.DataFrame, metrics: Metrics, name: str, *, legend: alt.Legend | None = None
) -> list[Chart]:
    """A metric over the strength of every condition with a person in it, all on one range.

    Of frames with nobody in them: what is found there, beside the mask's IoU only.
    """
    present = [name for name in CONDITIONS if (table["condition"] == name).any()]
    shown = [(condition, METRICS[name]) for condition in present if condition != "nobody"]
    if name == "mask_iou" and "nobody" in present:
        shown += [("nobody", metric) for metric in FALSE_PERSON.values()]
    own = series_in(metrics)
    series = {name: own.get(name, BASELINE) for name in dict.fromkeys(table["experiment"])}
    charts = []
    for condition, metric in shown:
        rows = table[(table["condition"] == condition) & table[metric.name].notna()]
        if rows.empty:
            continue
        about = [
            f"{row['experiment']} at {plain(row['strength'])}:"
            f" {written(row[metric.name], metric.decimals)}"
            + ("" if row["trained_for"] else ", not trained for")
            for row in rows.to_dict("records")
        ]
        chart = condition_chart(
            condition,
            metric.name,
            x="strength",
            y_scale=alt.Scale() if condition == "nobody" else alt.Scale(domain=[0, 1]),
            color=color_of(series, legend),
            dash=dash_of(series),
            best=metrics["best"],
            about="about:N",
            note=f"{metric.label}, lower is better" if condition == "nobody" else "",
        )
        charts.append(chart.properties(data=rows.assign(about=about)))
    return charts


def conditions(table: pd.DataFrame, metrics: Metrics) -> Chart:
    charts = condition_charts(table, metrics, "mask_iou", legend=alt.Legend(columns=4, **_KEY))
    title = "Mask IoU when frames get harder: shaded strengths are such as training drew"
    return alt.concat(*charts, columns=4, spacing=30, title=title)


def dvc_templates() -> dict[str, dict[str, Any]]:
    """The charts of the curves and of the conditions as templates of `dvc plots`, by name."""
    look = alt.Legend(**_KEY)
    colors = alt.Scale(range=[LIGHT[name] for name in SERIES])
    color = alt.Color("experiment:N", scale=colors, legend=look)
    revision = alt.StrokeDash("rev:N", title="revision")
    x, y, title, label = (f"<DVC_METRIC_{word}>" for word in ("X", "Y", "TITLE", "Y_LABEL"))
    chosen = {"name": "chosen", "select": {"type": "point", "fields": ["experiment"]},
              "bind": "legend"}  # fmt: skip
    lines = line_chart(
        x=epoch_axis(x, "<DVC_METRIC_X_LABEL>"), y=y, y_title=label, y_scale=alt.Scale(zero=False),
        color=color, dash=revision, detail="seed", title=title,
    )  # fmt: skip
    experiments = spec_of(lines)
    faded = {"condition": {"param": "chosen", "value": 1}, "value": 0.12}
    for layer in experiments["layer"]:
        layer["encoding"]["opacity"] = faded
    experiments["layer"][0]["params"] = [chosen]
    conditions = [
        condition_chart(
            name, "false_area" if name == "nobody" else y, x=x, color=color, dash=revision,
            y_scale=alt.Scale() if name == "nobody" else alt.Scale(domain=[0, 1]),
            note="share taken for person" if name == "nobody" else "<DVC_METRIC_Y>",
        ).properties(width=190, height=130)
        for name in CONDITIONS
    ]  # fmt: skip
    robustness = spec_of(alt.concat(*conditions, columns=5, title=title, spacing=24))
    for spec in (experiments, robustness):
        spec["data"] = {"values": "<DVC_METRIC_DATA>"}
        spec["$schema"] = "https://vega.github.io/schema/vega-lite/v5.json"  # what DVC loads
    return {
        name: json.loads(on_paper(json.dumps(spec)).replace('"Liberation Sans"', '"sans-serif"'))
        for name, spec in (("experiments", experiments), ("robustness", robustness))
    }


if __name__ == "__main__":
    for name, spec in dvc_templates().items():
        text = json.dumps(spec, ensure_ascii=False) + "\n"
        (DVC_TEMPLATES / f"{name}.json").write_text(text, encoding="utf-8")
