"""Dot charts: a row a name, a dot for its figure, a bar for its interval."""

from collections.abc import Sequence
from dataclasses import dataclass

from depthmask.visualization.page.axes import Scale, Tick, readable, spanning
from depthmask.visualization.page.styles import Style

WIDTH = 340
NAMES, VALUES = 124, 46
ROW, TOP, BOTTOM, GAP = 23, 8, 20, 10
STRETCH = 1.5
"""How many times the experiments' span the axis may reach for a baseline; then it is an arrow."""


@dataclass(frozen=True)
class Row:
    """A name's figure.

    Attributes:
        text: the figure, as written right of it.
        more: the interval and all there is to say, shown when the pointer rests on it.
        parts: the seeds' own figures.
        muted: of a baseline.
    """

    name: str
    style: Style | None
    value: float | None
    text: str
    more: str = ""
    low: float | None = None
    high: float | None = None
    parts: Sequence[float] = ()
    heavy: bool = False
    muted: bool = False


@dataclass(frozen=True)
class DrawnRow:
    """A row in px.

    Attributes:
        beyond: -1 or 1 if the figure lies left or right of the axis, else 0.
    """

    row: Row
    y: float
    x: float | None
    start: float | None
    end: float | None
    parts: list[float]
    beyond: int = 0


@dataclass(frozen=True)
class DotChart:
    """A chart in px of a drawing `width` x `height`.

    Attributes:
        zero: where 0 is, if the axis holds it and it means something.
        good: from, to of the part in which the figure speaks for the best, px.
    """

    title: str
    note: str
    label: str
    rows: list[DrawnRow]
    ticks: list[Tick]
    height: float
    zero: float | None = None
    good: tuple[float, float] | None = None
    rule: float | None = None
    width: int = WIDTH
    left: int = NAMES
    right: int = WIDTH - VALUES
    bottom: float = 0.0


def dot_chart(
    rows: Sequence[Row],
    *,
    title: str,
    note: str = "",
    zero: bool = False,
    good: int = 0,
) -> DotChart:
    """Lay out a chart, the rows from above.

    Args:
        zero: whether the figures are differences: the axis then holds 0, and it is marked.
        good: 1 or -1 shades the side of 0 that speaks for the best.
    """
    scale = Scale(*_range(rows, zero), NAMES + 6, WIDTH - VALUES - 6)
    drawn, y, rule = [], TOP + ROW / 2, None
    for number, row in enumerate(rows):
        if row.muted and number and not rows[number - 1].muted:
            rule = y - ROW / 2 + GAP / 2
            y += GAP
        drawn.append(_drawn(row, y, scale))
        y += ROW
    bottom = y - ROW / 2
    middle = scale.place(0.0) if zero else None
    sides = {0: None, 1: (middle, scale.end + 6), -1: (scale.start - 6, middle)}
    return DotChart(
        title=title,
        note=note,
        label=f"{title}: " + "; ".join(f"{row.name} {row.text}" for row in rows),
        rows=drawn,
        ticks=readable(scale.ticks(num=3)),
        height=bottom + BOTTOM,
        zero=middle,
        good=sides[good] if zero else None,
        rule=rule,
        bottom=bottom,
    )


def _range(rows: Sequence[Row], zero: bool) -> tuple[float, float]:
    """What the axis holds: every experiment with its interval, and baselines that are near."""
    own = [
        value
        for row in rows
        if not row.muted
        for value in (row.value, row.low, row.high, *row.parts)
        if value is not None
    ]
    if zero:
        own.append(0.0)
    low, high = spanning(own or [row.value for row in rows if row.value is not None], margin=0)
    reach = STRETCH * (high - low)
    near = [
        row.value
        for row in rows
        if row.muted and row.value is not None and low - reach <= row.value <= high + reach
    ]
    return spanning([*own, *near] or [low, high], margin=0.05)


def _drawn(row: Row, y: float, scale: Scale) -> DrawnRow:
    if row.value is None:
        return DrawnRow(row, y, None, None, None, [])
    beyond = (row.value > scale.high) - (row.value < scale.low)
    bounded = row.low is not None and row.high is not None
    return DrawnRow(
        row,
        y,
        scale.place(row.value),
        scale.place(row.low) if bounded else None,
        scale.place(row.high) if bounded else None,
        [scale.place(part) for part in row.parts],
        beyond,
    )
