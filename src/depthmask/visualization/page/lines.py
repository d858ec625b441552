"""Line charts: figures over epochs, strengths or scenes, as geometry that the template draws."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from depthmask.visualization.page.axes import Scale, Tick, readable, spanning
from depthmask.visualization.page.styles import Style

WIDTH, HEIGHT = 340, 214
LEFT, RIGHT, TOP, BOTTOM = 40, 10, 12, 38


@dataclass(frozen=True)
class Point:
    """A figure, in the units of the axes.

    Attributes:
        text: shown when the pointer rests on it.
        low, high: of its interval, or None.
        hollow: drawn as a ring: what training never saw.
    """

    x: float
    y: float
    text: str
    low: float | None = None
    high: float | None = None
    hollow: bool = False


@dataclass(frozen=True)
class Line:
    """An experiment's figures, by rising x.

    Attributes:
        banded: whether its intervals are drawn.
        dots: whether its points are; without them the line is a curve of many.
    """

    name: str
    style: Style
    points: Sequence[Point]
    heavy: bool = False
    banded: bool = False
    dots: bool = True


@dataclass(frozen=True)
class Dot:
    x: float
    y: float
    text: str
    hollow: bool


@dataclass(frozen=True)
class Drawn:
    """A line in px: its path, the outline of its band, its points."""

    name: str
    style: Style
    heavy: bool
    path: str
    band: str
    dots: list[Dot]


@dataclass(frozen=True)
class Span:
    """A part of the x axis that is set apart, px, or a single upright where both ends meet."""

    start: float
    end: float
    text: str = ""


@dataclass(frozen=True)
class LineChart:
    """A chart in px of a drawing `width` x `height`.

    Attributes:
        label: what it shows, for who does not see it.
        area: left, top, right, bottom of the plot.
    """

    title: str
    note: str
    label: str
    x_label: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    lines: list[Drawn]
    shaded: list[Span] = field(default_factory=list)
    marks: list[Span] = field(default_factory=list)
    width: int = WIDTH
    height: int = HEIGHT
    area: tuple[int, int, int, int] = (LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM)


def line_chart(
    lines: Sequence[Line],
    *,
    title: str,
    note: str = "",
    x_label: str = "",
    x_values: Sequence[float] | None = None,
    y_range: tuple[float, float] | None = None,
    log: bool = False,
    falling: bool = False,
    shaded: Sequence[tuple[float, float]] = (),
    marks: Sequence[tuple[float, str]] = (),
) -> LineChart:
    """Lay out a chart.

    Args:
        title, note: above it.
        x_values: where the x axis is marked; round numbers if None.
        y_range: of the y axis; what the lines span if None.
        log: whether the y axis goes in ratios; its range must be above 0.
        falling: whether larger x stand further left.
        shaded: from, to on the x axis.
        marks: uprights on the x axis and what is written at them.
    """
    xs = [point.x for line in lines for point in line.points]
    ys = [y for line in lines for p in line.points for y in (p.y, *_bounds(line, p))]
    low, high = y_range or spanning(ys)
    left, top, right, bottom = LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM
    ends = (right - 4, left + 8) if falling else (left + 8, right - 4)
    x_low, x_high = (min(xs), max(xs)) if xs else (0.0, 1.0)
    x_scale = Scale(x_low, x_high if x_high > x_low else x_low + 1, *ends)
    y_scale = Scale(low, high, bottom, top, log)
    if x_values is None:
        x_ticks = x_scale.ticks()
    else:
        x_ticks = readable(x_scale.ticks(x_values))
    return LineChart(
        title=title,
        note=note,
        label=f"{title}: {len(lines)} line{'' if len(lines) == 1 else 's'} over {x_label}",
        x_label=x_label,
        x_ticks=x_ticks,
        y_ticks=y_scale.ticks(),
        # the best is drawn last, upon the others
        lines=[_drawn(each, x_scale, y_scale) for each in sorted(lines, key=lambda e: e.heavy)],
        shaded=[_span(x_scale, *ends) for ends in shaded],
        marks=[Span(x_scale.place(at), x_scale.place(at), text) for at, text in marks],
    )


def _bounds(line: Line, point: Point) -> list[float]:
    if not line.banded:
        return []
    return [bound for bound in (point.low, point.high) if bound is not None]


def _span(scale: Scale, start: float, end: float) -> Span:
    """A shaded part, a little wider than the strengths it holds."""
    first, last = sorted((scale.place(start), scale.place(end)))
    return Span(first - 7, last + 7)


def _drawn(line: Line, x_scale: Scale, y_scale: Scale) -> Drawn:
    places = [(x_scale.place(p.x), y_scale.place(p.y)) for p in line.points]
    band = ""
    if line.banded and all(p.low is not None and p.high is not None for p in line.points):
        above = [(x, y_scale.place(p.high)) for (x, _), p in zip(places, line.points, strict=True)]
        below = [(x, y_scale.place(p.low)) for (x, _), p in zip(places, line.points, strict=True)]
        band = _path([*above, *reversed(below)]) + "Z" if above else ""
    dots = [
        Dot(x, y, point.text, point.hollow)
        for (x, y), point in zip(places, line.points, strict=True)
        if line.dots
    ]
    return Drawn(line.name, line.style, line.heavy, _path(places), band, dots)


def _path(places: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in places) if places else ""
