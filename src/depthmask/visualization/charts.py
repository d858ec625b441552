"""The kinds of charts, as Vega-Lite: dots with intervals, and lines."""

import json
from collections.abc import Sequence
from typing import Any, Literal

import altair as alt
import pandas as pd

from depthmask.data.scenes.scene import SETS
from depthmask.evaluation.robustness import CONDITIONS
from depthmask.visualization.theme import Chart, Series

WIDTH, HEIGHT = 300, 170
BASELINE = Series(-1, "var(--muted)", (2, 3))
"""Of what needs no training."""

CURVES = {
    "val/mask_iou": ("Mask IoU", "validation, higher is better"),
    "val/depth_delta1": ("Depth δ1", "validation, higher is better"),
    "val/depth_rmse": ("Depth RMSE", "validation, metres (relative depth: aligned)"),
    "val/loss": ("Validation loss", "each in its own terms: compare shapes, not heights"),
}
"""Columns of `curves.csv`: title and what to read from it."""

_SHAPES = {"in_scene": "circle", "unseen_unseen": "diamond", "seen_seen": "square"}


def _title(text: str, note: str) -> alt.TitleParams:
    return alt.TitleParams(text=text, subtitle=note or alt.Undefined)


def dot_chart(
    rows: pd.DataFrame,
    *,
    title: str = "",
    note: str = "",
    best: str = "",
    baselines: Sequence[str] = (),
    zero: bool = False,
    good: int = 0,
    legend: bool = False,
) -> Chart:
    """A row a name, in their order: dots for its figures, a bar for an interval, the figure.

    Args:
        rows: `name`, `set`, `value`, `color`, `about`; `low`, `high`, `text`, and `part` (whether
            it is one seed's) where there are such. The first set is filled, the others are hollow.
        baselines: names that are written paler.
        zero: whether 0 is marked; `good`: at which side of it the best is better, -1 or 1.
        legend: whether the sets are named.
    """
    rows = rows.reindex(columns=["name", "set", "value", "low", "high", "color", "text", "about",
                                 "part"])  # fmt: skip
    names, sets = list(dict.fromkeys(rows["name"])), list(dict.fromkeys(rows["set"]))
    rows["fill"] = rows["color"].where(rows["set"] == sets[0], "var(--paper)")
    seeds, rows = rows[rows["part"].eq(True)], rows[~rows["part"].eq(True)]
    axis = alt.Axis(
        title=None, domain=False, ticks=False, labelPadding=8, labelLimit=140,
        labelFontWeight=alt.condition(
            f"datum.value == {json.dumps(best)}", alt.value("bold"), alt.value("normal")
        ),
        labelColor=alt.condition(
            f"indexof({json.dumps(list(baselines))}, datum.value) >= 0",
            alt.value("var(--muted)"), alt.value("var(--ink)"),
        ),
    )  # fmt: skip
    y = alt.Y("name:N", sort=names, scale=alt.Scale(domain=names), axis=axis)
    offset = alt.YOffset("set:N", sort=sets, scale=alt.Scale(domain=sets, paddingOuter=0.2))
    x_scale = alt.Scale(zero=zero, nice=not zero, padding=14 if zero else 6)
    x = alt.X("value:Q", title=None, scale=x_scale, axis=alt.Axis(tickCount=4, ticks=False))
    color = alt.Color("color:N", scale=None)
    chart = alt.Chart(rows[rows["value"].notna()])
    shape: Any = alt.value("circle")
    if len(sets) > 1:
        key = alt.Legend(orient="top", labelExpr=_set_labels(sets), symbolFillColor="transparent",
                         symbolStrokeColor="var(--ink)", columns=1)  # fmt: skip
        shapes = alt.Scale(domain=sets, range=[_SHAPES[name] for name in sets])
        shape = alt.Shape("set:N", scale=shapes, legend=key if legend else None)
    layers: list[alt.Chart] = []
    if zero:
        if good:
            band = alt.Chart().mark_rect(color="var(--good)")
            layers.append(band.encode(x=alt.datum(0), x2=alt.value(WIDTH * 0.6 if good > 0 else 0)))
        layers.append(alt.Chart().mark_rule(color="var(--muted)").encode(x=alt.datum(0)))
    layers += [
        chart.transform_filter("isValid(datum.low) && isValid(datum.high)")
        .mark_rule(strokeWidth=2.4, strokeCap="round", opacity=0.55)
        .encode(x=alt.X("low:Q"), x2="high:Q", y=y, yOffset=offset, color=color),
        alt.Chart(seeds).mark_point(filled=True, size=12, opacity=0.55).encode(
            x="value:Q", y=y, yOffset=offset, color=color, description="about:N"),
        chart.mark_point(size=46, strokeWidth=1.5, opacity=1).encode(
            x=x, y=y, yOffset=offset, shape=shape, description="about:N",
            stroke=alt.Stroke("color:N", scale=None), fill=alt.Fill("fill:N", scale=None)),
    ]  # fmt: skip
    written = alt.Chart(rows[rows["text"].notna()])
    weights: dict[Literal["bold", "normal"], str] = {"bold": "==", "normal": "!="}
    for weight, is_best in weights.items():
        layers.append(
            written.transform_filter(f"datum.name {is_best} {json.dumps(best)}")
            .mark_text(align="right", fontWeight=weight)
            .encode(x=alt.value(WIDTH * 0.6 + 48), y=y, text="text:N")
        )
    return alt.layer(*layers).properties(
        width=WIDTH * 0.6,
        height=alt.Step(24 if len(sets) == 1 else 30, **{"for": "position"}),
        title=_title(title, note),
    )


def _set_labels(sets: Sequence[str]) -> str:
    labels = {name: SETS[name].label for name in sets}
    return f"{json.dumps(labels, ensure_ascii=False)}[datum.label]"


def color_of(series: dict[str, Series], legend: alt.Legend | None = None) -> alt.Color:
    """Of the column `experiment`."""
    scale = alt.Scale(domain=list(series), range=[look.color for look in series.values()])
    return alt.Color("experiment:N", scale=scale, legend=legend)


def dash_of(series: dict[str, Series]) -> alt.StrokeDash:
    scale = alt.Scale(domain=list(series), range=[list(look.dash) for look in series.values()])
    return alt.StrokeDash("experiment:N", scale=scale, legend=None)


def line_chart(
    *,
    x: alt.X,
    y: str,
    y_scale: alt.Scale,
    color: alt.Color,
    dash: alt.StrokeDash,
    y_title: str | None = None,
    y_format: str = "",
    band: tuple[str, str] | None = None,
    best: str | None = None,
    dots: bool = True,
    hollow: str = "",
    about: Any = alt.Undefined,
    detail: str = "",
    under: Sequence[alt.Chart] = (),
    title: Any = "",
    note: str = "",
) -> Chart:
    """A line an experiment, the best heavier, over data that whoever draws it supplies.

    Args:
        y, band: columns: of the figure, and of its interval's bounds.
        hollow: an expression: which dots are rings.
        detail: a column that parts lines of one experiment.
        under: layers beneath the lines.
    """
    axis = alt.Axis(domain=False, ticks=False, tickCount=5, format=y_format or alt.Undefined)
    figure = alt.Y(field=y, type="quantitative", title=y_title, scale=y_scale, axis=axis)
    common = {"x": x, "color": color} | ({"detail": f"{detail}:N"} if detail else {})
    known = f"isValid(datum[{json.dumps(y)}])"
    layers = list(under)
    if band:
        low = alt.Y(field=band[0], type="quantitative", title=y_title)
        area = alt.Chart().mark_area(opacity=0.14)
        if best:
            area = area.transform_filter(f"datum.experiment == {json.dumps(best)}")
        area = area.transform_filter(f"isValid(datum[{json.dumps(band[0])}])")
        layers.append(area.encode(y=low, y2=alt.Y2(field=band[1]), **common))
    heavy = f"datum.experiment == {json.dumps(best)}"
    width = alt.condition(heavy, alt.value(2.7), alt.value(1.5)) if best else alt.value(2)
    line = alt.Chart().transform_filter(known).mark_line(strokeJoin="round", strokeCap="round")
    layers.append(line.encode(y=figure, strokeDash=dash, strokeWidth=width, **common))
    if dots:
        points = alt.Chart().transform_filter(known).mark_point(size=26, opacity=1, strokeWidth=1.3)
        drawn: dict[str, Any] = dict(color.to_dict())  # type: ignore[arg-type]  # one channel
        fill: Any = alt.Fill(**drawn | {"legend": None})
        if hollow:
            fill = alt.when(hollow).then(alt.value("var(--paper)")).otherwise(fill)
        extra = {} if about is alt.Undefined else {"description": about}
        layers.append(points.encode(y=figure, fill=fill, **common, **extra))
    chart = alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)
    return chart.properties(title=_title(title, note) if title else alt.Undefined)


def curve_chart(
    table: pd.DataFrame,
    column: str,
    series: dict[str, Series],
    *,
    best: str,
    legend: alt.Legend | None = None,
) -> Chart:
    """A column of `curves.csv` over the epochs: the mean over seeds, and their range.

    Dotted uprights mark where progressive resizing goes on to another size.
    """
    rows = table[table[column].notna()]
    groups = rows.groupby(["experiment", "epoch"], sort=False)[column]
    data = groups.agg(value="mean", low="min", high="max", num="size").reset_index()
    many = data["num"] > 1
    data["about"] = [
        f"{row['experiment']}, epoch {row['epoch']:g}: {row['value']:.3f}"
        + (f" (seeds {row['low']:.3f} to {row['high']:.3f})" if row["num"] > 1 else "")
        for row in data.to_dict("records")
    ]
    data[["low", "high"]] = data[["low", "high"]].where(many, None)
    least, most = data["value"].min(), data["value"].max()
    if column.startswith("val/loss") and least > 0 and most > 6 * least:
        y_scale = alt.Scale(type="log")
    else:
        y_scale = alt.Scale(domain=[0, 1]) if 0 <= least <= most <= 1 else alt.Scale(zero=True)
    title, note = CURVES[column]
    chart = line_chart(
        x=epoch_axis("epoch"),
        y="value",
        y_scale=y_scale,
        color=color_of(series, legend),
        dash=dash_of(series),
        band=("low", "high") if many.any() else None,
        best=best,
        about="about:N",
        under=_resizes(table),
        title=title,
        note=note,
    )
    return chart.properties(data=data)


def epoch_axis(field: str, title: str = "epoch") -> alt.X:
    axis = alt.Axis(grid=False, tickMinStep=1, format="d", tickCount=8)
    return alt.X(field=field, type="quantitative", title=title, axis=axis)


def _resizes(table: pd.DataFrame) -> list[alt.Chart]:
    if "size" not in table:
        return []
    sizes = table.groupby("epoch")["size"].max().sort_index()
    starts = sizes.index[sizes.ne(sizes.shift())]
    if len(starts) < 2:
        return []
    at = [epoch - 0.5 * (number > 0) for number, epoch in enumerate(starts)]
    marks = pd.DataFrame({"epoch": at, "text": [f"{sizes[epoch]:g} px" for epoch in starts]})
    x = alt.X("epoch:Q")
    return [
        alt.Chart(marks[1:]).mark_rule(strokeDash=[1, 3], color="var(--muted)").encode(x=x),
        alt.Chart(marks)
        .mark_text(align="left", dx=3, dy=-5, fontSize=10, color="var(--muted)")
        .encode(x=x, y=alt.value(0), text="text:N"),
    ]


def condition_chart(
    condition: str,
    figure: str,
    *,
    x: str,
    y_scale: alt.Scale,
    color: alt.Color,
    dash: alt.StrokeDash,
    best: str | None = None,
    about: Any = alt.Undefined,
    detail: str = "",
    note: str = "",
) -> Chart:
    """A figure over the strength of a condition, out of all rows of `robustness.csv`.

    Strengths that training drew are shaded and their dots filled.

    Args:
        figure, x: columns.
    """
    words = CONDITIONS[condition]
    # DVC hands tables over as text
    trained = "lower(toString(datum.trained_for)) == 'true'"
    away = 6 if words.is_falling else -6
    shade = (
        alt.Chart()
        .transform_filter(trained)
        .mark_rect(color="var(--trained)", xOffset=away, x2Offset=-away)
        .encode(x=alt.X(field=x, type="quantitative", aggregate="min"),
                x2=alt.X2(field=x, aggregate="max"))
    )  # fmt: skip
    axis = alt.Axis(grid=False, tickCount=5)
    chart = line_chart(
        x=alt.X(field=x, type="quantitative", title=words.unit, axis=axis,
                scale=alt.Scale(reverse=words.is_falling, zero=False, nice=False, padding=10)),
        y=figure,
        y_scale=y_scale,
        color=color,
        dash=dash,
        band=(f"{figure}_low", f"{figure}_high") if figure in ("mask_iou", "false_area") else None,
        best=best,
        hollow=f"!({trained})",
        about=about,
        detail=detail,
        under=[shade],
        title=words.label,
        note=note,
    )  # fmt: skip
    return chart.transform_filter(f"datum.condition == '{condition}'")
