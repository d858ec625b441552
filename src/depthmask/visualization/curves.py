"""How the experiments learned: one curve each, over the epochs."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from depthmask.errors import InputError
from depthmask.visualization.theme import (
    DPI,
    HAIRLINE,
    INK,
    MUTED,
    PAPER,
    line_styles,
    plain_style,
    save,
)

CURVES = {
    "val/mask_iou": ("Mask IoU", "validation, higher is better"),
    "val/loss": ("Validation loss", "each in its own terms: compare shapes, not heights"),
    "val/depth_rmse": (
        "Depth RMSE",
        "validation, metres (relative depth: aligned)",
    ),
}
"""Columns of the table that the seed's report plots: title and what to read from it."""

WIDTH, HEIGHT = 660, 430
LEFT, TOP, BOTTOM = 64, 92, 54
NAME_SIZE = 9.5


def curves(
    path: Path,
    table: pd.DataFrame,
    *,
    columns: Sequence[str] = tuple(CURVES),
    best: str | None = None,
) -> None:
    """Draw one plot a column, side by side, with one curve an experiment, named at its end.

    Dotted uprights mark where progressive resizing goes on to another size. An experiment
    without a value in a column (a network without depth) has no curve there.

    Args:
        table: columns `experiment`, `epoch`, `columns`, and `size` if it varied; of several
            `seed`s the mean is drawn.
        columns: which of the table's; one for a plot alone.
        best: the experiment drawn heavier.

    Raises:
        InputError: the table lacks a column.
    """
    missing = {"experiment", "epoch", *columns} - set(table.columns)
    if missing:
        raise InputError(f"the curves lack the column {', '.join(sorted(missing))}: train again")
    table = table.groupby(["experiment", "epoch"], sort=False, as_index=False).mean()
    styles = line_styles(table["experiment"])
    width = WIDTH * len(columns)
    with plain_style():
        figure = Figure(figsize=(width / DPI, HEIGHT / DPI), dpi=DPI, facecolor=PAPER)
        right = _names_width(figure, styles)
        for number, column in enumerate(columns):
            box = (
                (number * WIDTH + LEFT) / width,
                BOTTOM / HEIGHT,
                (WIDTH - LEFT - right) / width,
                (HEIGHT - TOP - BOTTOM) / HEIGHT,
            )
            axes = figure.add_axes(box)
            _plot(axes, table, column, styles, best)
        save(figure, path)


def _names_width(figure: Figure, names: Iterable[str]) -> float:
    """Pixels that the longest name takes right of a plot, a value after it, at most a third."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    font = FontProperties(size=NAME_SIZE, weight="bold")
    widths = [
        renderer.get_text_width_height_descent(f"{name}  0.0000", font, False)[0] for name in names
    ]
    return min(max(widths, default=0) + 24, WIDTH / 3)


def _plot(
    axes: Axes, table: pd.DataFrame, column: str, styles: dict[str, tuple], best: str | None
) -> None:
    title, words = CURVES.get(column, (column, ""))
    axes.text(0, 1.175, title, transform=axes.transAxes, fontsize=13, weight="bold", color=INK)
    axes.text(0, 1.105, words, transform=axes.transAxes, fontsize=9.5, color=MUTED)
    ends = []
    drawn = table[np.isfinite(pd.to_numeric(table[column], errors="coerce"))]
    for name, rows in drawn.groupby("experiment", sort=True):
        rows = rows.sort_values("epoch")
        color, dash = styles[name]
        epochs, values = rows["epoch"].to_numpy(float), rows[column].to_numpy(float)
        heavy = name == best
        axes.plot(epochs, values, color=color, linestyle=dash, linewidth=2.8 if heavy else 1.7,
                  marker="o", markersize=4 if heavy else 3, zorder=3 + heavy)  # fmt: skip
        ends.append((values[-1], name, color, epochs[-1]))
    _scale(axes, drawn[column].to_numpy(float))
    _frame(axes)
    _resizes(axes, table)
    _name_ends(axes, ends, best)


def _scale(axes: Axes, values: np.ndarray) -> None:
    """Choose ratios when the values span more than a factor of six, else plain steps."""
    if values.size and values.min() > 0 and values.max() > 6 * values.min() and values.max() > 1:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(6))
        if values.size and values.min() >= 0:
            axes.set_ylim(bottom=0)
        if values.size and values.max() <= 1 < axes.get_ylim()[1]:
            axes.set_ylim(top=1)


def _frame(axes: Axes) -> None:
    axes.set_xlabel("epoch", fontsize=10.5, color=MUTED)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.tick_params(labelsize=10, labelcolor=MUTED, color=HAIRLINE, length=4)
    axes.tick_params(which="minor", length=0)
    axes.grid(axis="y", color=HAIRLINE, linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(MUTED)


def _resizes(axes: Axes, table: pd.DataFrame) -> None:
    """Mark the epochs at which the images of the training change size."""
    if "size" not in table.columns:
        return
    sizes = table.groupby("epoch")["size"].max().sort_index()
    starts = sizes.index[sizes.ne(sizes.shift())]
    if len(starts) < 2:
        return
    for number, epoch in enumerate(starts):
        at = epoch - 0.5 if number else axes.get_xlim()[0]
        if number:
            axes.axvline(at, color=MUTED, linewidth=1, linestyle=(0, (1, 3)), zorder=1)
        axes.annotate(f"{sizes[epoch]:g} px", (at, 1), xycoords=("data", "axes fraction"),
                      xytext=(4 if number else 0, 3), textcoords="offset points",
                      fontsize=9, color=MUTED)  # fmt: skip


def _name_ends(axes: Axes, ends: list[tuple], best: str | None) -> None:
    """Write each experiment's name and last value right of its curve, none upon another."""
    if not ends:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no experiment has it", transform=axes.transAxes, ha="center",
                  fontsize=11, color=MUTED)  # fmt: skip
        return
    to_fraction = axes.transData + axes.transAxes.inverted()
    ends = sorted(ends)
    wanted = [float(to_fraction.transform((epoch, value))[1]) for value, _, _, epoch in ends]
    places = spread_apart(wanted, gap=0.062)
    for (value, name, color, epoch), place in zip(ends, places, strict=True):
        axes.annotate(
            f"{name}  {_three_digits(value)}",
            (epoch, value),
            xycoords="data",
            xytext=(1.03, place),
            textcoords="axes fraction",
            fontsize=NAME_SIZE,
            color=color,
            weight="bold" if name == best else "normal",
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "relpos": (0, 0.5),
                "color": color,
                "linewidth": 0.6,
                "alpha": 0.6,
                "shrinkA": 1,
                "shrinkB": 3,
            },
        )


def _three_digits(value: float) -> str:
    return f"{value:#.3g}".rstrip(".")


def spread_apart(
    wanted: Sequence[float], gap: float, low: float = 0.0, high: float = 1.0
) -> list[float]:
    """Move ascending places as little as needed to stand `gap` apart between `low` and `high`.

    Places too near one another form a cluster about the mean of what they wanted; more of them
    than there is room for run out beneath `low`.

    Returns:
        One place for each of `wanted`, ascending.
    """

    def middle(total: float, num: int) -> float:
        half = gap * (num - 1) / 2
        return min(max(total / num, low + half), high - half)

    clusters: list[tuple[float, int]] = []  # sum of what was wanted, how many
    for place in wanted:
        clusters.append((place, 1))
        while len(clusters) > 1:
            (below, num_below), (above, num_above) = clusters[-2:]
            room = middle(above, num_above) - middle(below, num_below)
            if room >= gap * (num_below + num_above) / 2 - 1e-9:
                break
            clusters[-2:] = [(below + above, num_below + num_above)]
    return [
        middle(total, num) + gap * (i - (num - 1) / 2)
        for total, num in clusters
        for i in range(num)
    ]
