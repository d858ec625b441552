"""The kinds of charts, as Vega-Lite: dots with intervals, lines, lines over a condition."""

import json
from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from depthmask.data.scenes.scene import SETS
from depthmask.evaluation.robustness import CONDITIONS
from depthmask.visualization.theme import Chart, Series

alt.utils.schemapi.disable_debug_mode()  # a test validates: here it would double the time

DOTS_WIDTH = 180
_SHAPES = ("circle", "diamond", "square")


def _title(text: str, note: str) -> alt.TitleParams:
    return alt.TitleParams(text=text, subtitle=note or alt.Undefined)


def dot_chart(
    rows: pd.DataFrame,
    best: str,
    *,
    title: str,
    note: str,
    zero: bool = False,
    legend: bool = False,
) -> Chart:
    """A row a name, in their order, with a dot a set, filled for the first, which has a bar for its
    interval and its figure: columns name, set, value, low, high, text, color; perhaps a mark at 0.
    """
    names, sets = (list(rows[column].unique()) for column in ("name", "set"))
    weight = alt.ExprRef(f"(datum.name || datum.value) == {json.dumps(best)} ? 'bold' : 'normal'")
    axis = alt.Axis(title=None, domain=False, ticks=False, labelPadding=8, labelFontWeight=weight)
    place = {
        "y": alt.Y("name:N", sort=names, scale=alt.Scale(domain=names), axis=axis),
        "yOffset": alt.YOffset("set:N", sort=sets, scale=alt.Scale(domain=sets, paddingOuter=0.2)),
    }
    color = alt.Color("color:N", scale=None)
    x_scale = alt.Scale(zero=zero, nice=not zero, padding=14 if zero else 6)
    x = alt.X("value:Q", title=None, scale=x_scale, axis=alt.Axis(tickCount=4, ticks=False))
    labels = json.dumps({name: SETS[name].label for name in sets}, ensure_ascii=False)
    key = alt.Legend(orient="top", labelExpr=f"{labels}[datum.label]", columns=1,
                     symbolFillColor="transparent", symbolStrokeColor="var(--ink)")  # fmt: skip
    shapes = alt.Scale(domain=sets, range=_SHAPES[: len(sets)])
    fills = rows["color"].where(rows["set"] == sets[0], "var(--paper)")
    known = alt.Chart(rows.assign(fill=fills)[rows["value"].notna()])
    layers = [
        known.transform_filter("isValid(datum.low) && isValid(datum.high)")
        .mark_rule(strokeWidth=2.4, strokeCap="round", opacity=0.55)
        .encode(x=alt.X("low:Q"), x2="high:Q", color=color, **place),
        known.mark_point(size=46, strokeWidth=1.5, opacity=1).encode(
            x=x, shape=alt.Shape("set:N", scale=shapes, legend=key if legend else None),
            stroke=alt.Stroke("color:N", scale=None), fill=alt.Fill("fill:N", scale=None), **place,
        ),
        alt.Chart(rows[rows["text"].notna()]).mark_text(align="right", fontWeight=weight)
        .encode(x=alt.value(DOTS_WIDTH + 48), y=place["y"], text="text:N"),
    ]  # fmt: skip
    if zero:
        layers.insert(0, alt.Chart().mark_rule(color="var(--muted)").encode(x=alt.datum(0)))
    step = alt.Step(24 if len(sets) == 1 else 30, **{"for": "position"})
    return alt.layer(*layers).properties(width=DOTS_WIDTH, height=step, title=_title(title, note))


def line_chart(
    series: dict[str, Series],
    best: str,
    *,
    x: alt.X,
    y: str,
    y_scale: alt.Scale,
    band: tuple[str, str] | None = None,
    hollow: str = "",
    legend: alt.Legend | None = None,
    under: Sequence[alt.Chart] = (),
    title: str = "",
    note: str = "",
) -> Chart:
    """A line an experiment, the best heavier: `y` over `x`, the best's interval `band`, rings where
    `hollow`; its data whoever draws it supplies, `under` lies beneath."""
    names, looks = list(series), series.values()
    colors = alt.Scale(domain=names, range=[look.color for look in looks])
    dashes = alt.Scale(domain=names, range=[list(look.dash) for look in looks])
    dash = alt.StrokeDash("experiment:N", scale=dashes, legend=None)
    axis = alt.Axis(domain=False, ticks=False, tickCount=5)
    figure = alt.Y(field=y, type="quantitative", title=None, scale=y_scale, axis=axis)
    color = alt.Color("experiment:N", scale=colors, legend=legend)
    base = alt.Chart().encode(x=x, color=color)
    known = base.transform_filter(f"isValid(datum[{json.dumps(y)}])")
    is_best = f"datum.experiment == {json.dumps(best)}"
    layers = list(under)
    if band:
        area = base.transform_filter(f"isValid(datum[{json.dumps(band[0])}])")
        low = alt.Y(field=band[0], type="quantitative", title=None)
        area = area.transform_filter(is_best)
        layers.append(area.mark_area(opacity=0.14).encode(y=low, y2=alt.Y2(field=band[1])))
    width = alt.condition(is_best, alt.value(2.7), alt.value(1.5))
    line = known.mark_line(strokeJoin="round", strokeCap="round")
    fill: Any = alt.Fill("experiment:N", scale=colors, legend=None)
    if hollow:
        fill = alt.when(hollow).then(alt.value("var(--paper)")).otherwise(fill)
    dots = known.mark_point(size=26, opacity=1, strokeWidth=1.3)
    layers += [line.encode(y=figure, strokeDash=dash, strokeWidth=width)]
    layers += [dots.encode(y=figure, fill=fill)]
    return alt.layer(*layers).properties(width=300, height=170, title=_title(title, note))


def condition_chart(
    series: dict[str, Series],
    best: str,
    condition: str,
    figure: str,
    *,
    legend: alt.Legend | None = None,
    note: str = "",
) -> Chart:
    """A figure over the strength of a condition, of its rows of `robustness.csv`; strengths that
    training drew are shaded and their dots filled."""
    words = CONDITIONS[condition]
    away = 6 if words.is_falling else -6
    shade = alt.Chart().mark_rect(color="var(--trained)", xOffset=away, x2Offset=-away)
    least, most = alt.X("min(strength):Q"), alt.X2("max(strength):Q")
    return line_chart(
        series,
        best,
        x=alt.X("strength:Q", title=words.unit,
                axis=alt.Axis(grid=False, tickCount=5),
                scale=alt.Scale(reverse=words.is_falling, zero=False, nice=False, padding=10)),
        y=figure,
        y_scale=alt.Scale() if condition == "nobody" else alt.Scale(domain=[0, 1]),
        band=(f"{figure}_low", f"{figure}_high") if figure in ("mask_iou", "false_area") else None,
        hollow="!datum.trained_for",
        legend=legend,
        under=[shade.transform_filter("datum.trained_for").encode(x=least, x2=most)],
        title=words.label,
        note=note,
    )  # fmt: skip
