"""The kinds of charts, as Vega-Lite: dots with intervals, lines, lines over a condition."""

import json

import altair as alt
import pandas as pd

from depthmask.data.scenes.scene import SETS
from depthmask.visualization.theme import Chart, Series

alt.utils.schemapi.disable_debug_mode()  # a test validates: here it would double the time

DOTS_WIDTH = 180
_SHAPES = ("circle", "diamond", "square")


def _title(text: str, note: str) -> alt.TitleParams:
    return alt.TitleParams(text=text, subtitle=note or alt.Undefined)


def dot_chart(
    rows: pd.DataFrame, best: str, *, title: str, note: str, legend: bool = False
) -> Chart:
    """A row a name, in their order, with a dot a set, filled for the first, which has a bar for its
    interval and its figure: columns name, set, value, low, high, text, color."""
    names, sets = (list(rows[column].unique()) for column in ("name", "set"))
    weight = alt.ExprRef(f"(datum.name || datum.value) == {json.dumps(best)} ? 'bold' : 'normal'")
    axis = alt.Axis(title=None, domain=False, ticks=False, labelPadding=8, labelFontWeight=weight)
    place = {
        "y": alt.Y("name:N", sort=names, scale=alt.Scale(domain=names), axis=axis),
        "yOffset": alt.YOffset("set:N", sort=sets, scale=alt.Scale(domain=sets, paddingOuter=0.2)),
    }
    color = alt.Color("color:N", scale=None)
    x_scale = alt.Scale(zero=False, padding=6)
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
    step = alt.Step(24 if len(sets) == 1 else 30, **{"for": "position"})
    return alt.layer(*layers).properties(width=DOTS_WIDTH, height=step, title=_title(title, note))


def line_chart(
    data: pd.DataFrame,
    series: dict[str, Series],
    best: str,
    *,
    x: alt.X,
    y: str,
    y_scale: alt.Scale,
    band: tuple[str, str] | None = None,
    legend: alt.Legend | None = None,
    title: str = "",
    note: str = "",
) -> Chart:
    """A line an experiment, the best heavier: `y` over `x`, and the best's interval `band`."""
    names, looks = list(series), series.values()
    colors = alt.Scale(domain=names, range=[look.color for look in looks])
    dashes = alt.Scale(domain=names, range=[list(look.dash) for look in looks])
    dash = alt.StrokeDash("experiment:N", scale=dashes, legend=None)
    axis = alt.Axis(domain=False, ticks=False, tickCount=5)
    figure = alt.Y(field=y, type="quantitative", title=None, scale=y_scale, axis=axis)
    base = alt.Chart(data).encode(x=x, color=alt.Color("experiment:N", scale=colors, legend=legend))
    known = base.transform_filter(f"isValid(datum[{json.dumps(y)}])")
    is_best = f"datum.experiment == {json.dumps(best)}"
    width = alt.condition(is_best, alt.value(2.7), alt.value(1.5))
    line = known.mark_line(strokeJoin="round", strokeCap="round")
    layers = [
        line.encode(y=figure, strokeDash=dash, strokeWidth=width),
        known.mark_point(size=26, opacity=1, filled=True).encode(y=figure),
    ]
    if band:
        area = base.transform_filter(f"isValid(datum[{json.dumps(band[0])}]) && {is_best}")
        low = alt.Y(field=band[0], type="quantitative", title=None)
        layers.insert(0, area.mark_area(opacity=0.14).encode(y=low, y2=alt.Y2(field=band[1])))
    return alt.layer(*layers).properties(width=300, height=170, title=_title(title, note))
