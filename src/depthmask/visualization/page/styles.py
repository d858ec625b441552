"""How an experiment is drawn: its colour is a variable of the page, so that a dark one differs."""

from collections.abc import Iterable
from dataclasses import dataclass

from depthmask.visualization.theme import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    line_styles,
)

COLORS = {
    BLUE: "blue",
    VERMILION: "vermilion",
    GREEN: "green",
    PURPLE: "purple",
    ORANGE: "orange",
    SKY: "sky",
    INK: "ink",
}
"""From the figures' colours to the page's variables; `style.css` gives each its two values."""


@dataclass(frozen=True)
class Style:
    """An experiment's look, the same in every chart and table.

    Attributes:
        number: its own, for the page's key.
        color: a variable of the page, without its dashes.
        dash: of SVG's stroke-dasharray; empty for a solid line.
    """

    number: int
    color: str
    dash: str = ""


BASELINE = Style(-1, "muted", "2 3")
"""Of what needs no training, wherever it stands beside the experiments."""


def styles_of(names: Iterable[str]) -> dict[str, Style]:
    """Give each experiment a style; those of the figures in reports/plots."""
    styles = {}
    for number, (name, (color, dash)) in enumerate(sorted(line_styles(names).items())):
        gaps = () if dash == "-" else dash[1]
        text = " ".join(f"{1.8 * length:g}" for length in gaps)
        styles[name] = Style(number, COLORS[color], text)
    return styles
