"""Colours of every chart and of the page, and how a chart becomes SVG or PNG.

A chart's colours are CSS variables. They stay in the SVG, which follows the page into the dark; a
PNG and DVC's template have the colours of a light page in their place.
"""

import json
import re
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import vl_convert

from depthmask.data.scenes.files import replaced_file

COLORS = {
    "paper": ("#ffffff", "#101418"),
    "ground": ("#f4f6f8", "#181d23"),
    "ink": ("#1b1f24", "#e4e8ec"),
    "muted": ("#59636e", "#9aa5b0"),
    "rule": ("#d9dee4", "#2e363e"),
    "grid": ("#e8ecf0", "#252c33"),
    "accent": ("#0a5c99", "#6bb6ee"),
    "shade": ("#eaf1f7", "#1b2630"),
    "good": ("#e6f4ee", "#17291f"),
    "alarm": ("#b04a00", "#ff9a5c"),
    "blue": ("#0072b2", "#4ba3e3"),
    "vermilion": ("#d55e00", "#ff8038"),
    "green": ("#009e73", "#2cc596"),
    "purple": ("#b8578f", "#dd8cbb"),
    "orange": ("#d98e00", "#f2b33d"),
    "sky": ("#3d9ad1", "#8fd0f5"),
}
"""On a light page, on a dark one. The hues are Okabe and Ito's, safe for colour-blind readers."""

Chart: TypeAlias = Any
"""Of Altair, whose types do not tell a layered chart from a faceted one."""

LIGHT = {name: light for name, (light, _) in COLORS.items()}
SERIES = ("blue", "vermilion", "green", "purple", "orange", "sky", "ink")
DASHES = ((1, 0), (7, 3), (2, 2.5))
FONT = "Liberation Sans"
"""Comes with vl-convert: the same on any machine."""

_CONFIG = {
    "font": FONT,
    "background": None,
    "view": {"stroke": None},
    "axis": {
        "domainColor": "var(--rule)",
        "tickColor": "var(--rule)",
        "gridColor": "var(--grid)",
        "labelColor": "var(--muted)",
        "labelFontSize": 11,
        "labelLimit": 150,
        "titleColor": "var(--muted)",
        "titleFontSize": 11,
        "titleFontWeight": "normal",
    },
    "title": {
        "anchor": "start",
        "frame": "group",
        "color": "var(--ink)",
        "fontSize": 13,
        "subtitleColor": "var(--muted)",
        "subtitleFontSize": 11,
        "subtitlePadding": 4,
        "offset": 10,
    },
    "legend": {"labelColor": "var(--ink)", "labelFontSize": 12, "labelLimit": 260, "title": None},
    "text": {"color": "var(--ink)", "fontSize": 11},
}


class Series(NamedTuple):
    """How an experiment is drawn: the page's variable of its colour, what that is, its dashes."""

    number: int
    color: str
    base: str
    dash: tuple[float, ...]


BASELINE = Series(-1, "var(--muted)", "muted", (2, 3))
"""Of what needs no training."""


def series_of(names: Iterable[str]) -> dict[str, Series]:
    """Give each experiment a look by its name, the same in every figure with the same names and for
    any order of rows; dashes part the second and third seven."""
    return {
        name: Series(i, f"var(--s{i})", SERIES[i % 7], DASHES[i // 7 % len(DASHES)])
        for i, name in enumerate(sorted(set(names)))
    }


def on_paper(text: str) -> str:
    """A text with the colours of a light page in place of the variables."""
    text = re.sub(r"var\(--s(\d+)\)", lambda found: LIGHT[SERIES[int(found[1]) % 7]], text)
    return re.sub(r"var\(--([a-z]+)\)", lambda found: LIGHT[found[1]], text)


def spec_of(chart: Chart) -> dict[str, Any]:
    """A chart as Vega-Lite, its look included."""
    # a figure that is no number, which JSON does not know, is not drawn
    text = json.dumps(chart.to_dict(validate=False))
    spec: dict[str, Any] = json.loads(text, parse_constant=lambda _: None)
    return spec | {"config": _CONFIG}


def svg_of(chart: Chart, label: str) -> str:
    """A chart as an element of the page, `label` for who does not see it."""
    svg: str = vl_convert.vegalite_to_svg(spec_of(chart))
    svg = re.sub(r'(?: xmlns(?::xlink)?="[^"]*"| version="1.1"| font-family="[^"]*")', "", svg)
    shapes = r'(?<= )(?:d|transform|[xy]2)="[^"]*"'
    svg = re.sub(shapes, lambda found: re.sub(r"(\d\.\d\d)\d+", r"\1", found[0]), svg)
    return svg.replace('class="marks"', f'role="img" aria-label="{escape(label)}"', 1)


def save_png(chart: Chart, path: Path, *, scale: float = 1.5) -> None:
    """Write a chart on white as PNG, the same bytes each time."""
    spec = spec_of(chart) | {"background": "white", "padding": 16}
    with replaced_file(path) as temporary:
        content = vl_convert.vegalite_to_png(on_paper(json.dumps(spec)), scale=scale)
        temporary.write_bytes(content)
