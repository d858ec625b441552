"""Every experiment and baseline on the test sets, side by side."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from depthmask.visualization.table import Metrics, figure_of, headline, interval_of, ranked
from depthmask.visualization.theme import (
    BLUE,
    DPI,
    GROUND,
    HAIRLINE,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    PURPLE,
    SET_LABELS,
    plain_style,
    save,
)

SCORES = {
    "mask_iou": ("Mask IoU", "higher is better →", 1.0),
    "depth_delta1": ("Depth δ1", "higher is better →", 1.0),
    "depth_abs_rel": ("Depth AbsRel", "← lower is better", 0.6),
}
"""Columns: title, direction, and the largest value that the axis must not leave."""

SETS = {
    "in_scene": {"color": BLUE, "marker": "o", "markersize": 6.0, "fillstyle": "full"},
    "unseen_unseen": {"color": ORANGE, "marker": "D", "markersize": 4.8, "fillstyle": "none"},
    "seen_seen": {"color": PURPLE, "marker": "s", "markersize": 4.8, "fillstyle": "none"},
}
"""Apart by shape as well as by colour; the headline is the filled one."""

STEPS = (-0.27, 0.02, 0.27)
"""Where each of SETS stands in its row, so that near values do not hide one another."""

ROW, HEAD, FOOT = 36, 112, 40
NAMES, PLOT, PLOT_GAP, VALUE = 190, 250, 40, 52


def comparison(path: Path, metrics: Metrics, *, title: str = "Experiments and baselines") -> None:
    """Draw a dot a test set for every experiment and baseline: mask IoU, δ1, AbsRel.

    The rows are ranked by IoU on the headline set, the baselines apart beneath; the number is
    its figure, the bar through its dot the interval. A value beyond the axis is an arrow at its
    edge.

    Args:
        metrics: as in `reports/metrics.json`; what a row does not have is left away.
    """
    experiments, baselines = ranked(metrics, "experiments"), ranked(metrics, "baselines")
    names = [*experiments, *baselines]
    gap = 0.6 if experiments and baselines else 0.0
    places = [i + (gap if i >= len(experiments) else 0) for i in range(len(names))]
    num_rows = len(names) + gap
    width = NAMES + len(SCORES) * (PLOT + VALUE) + (len(SCORES) - 1) * PLOT_GAP + 28
    height = HEAD + FOOT + round(num_rows * ROW)
    rows = {**metrics.get("baselines", {}), **metrics.get("experiments", {})}
    first = list(SETS).index(headline(metrics))
    shown = [name for name in SETS if any(name in row for row in rows.values())]
    with plain_style():
        figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=PAPER)
        _title(figure, title, width, height, shown)
        for number, score in enumerate(SCORES):
            left = NAMES + number * (PLOT + VALUE + PLOT_GAP)
            box = (left / width, FOOT / height, PLOT / width, num_rows * ROW / height)
            axes = figure.add_axes(box)
            axes.set_ylim(num_rows - 0.5, -0.5)
            _plot(axes, score, [rows[name] for name in names], places, len(experiments), first)
            for name, place in zip(experiments, places[: len(experiments)], strict=True):
                if bounds := interval_of(metrics, name, headline(metrics), score):
                    _whisker(axes, bounds, place + STEPS[first])
            if number == 0:
                _write_names(axes, names, places, len(experiments), metrics.get("best"))
        save(figure, path)


def _plot(
    axes: Axes,
    score: str,
    rows: list[Mapping],
    places: list[float],
    num_experiments: int,
    headline: int,
) -> None:
    title, direction, limit = SCORES[score]
    values = [[figure_of(row, name, score) for name in SETS] for row in rows]
    finite = [v for row in values for v in row if v is not None]
    right = limit if limit == 1.0 else min(limit, max([0.1, *finite]) * 1.08)
    axes.set_xlim(0, right)
    above = axes.get_xaxis_transform()
    axes.annotate(title, (0, 1), xycoords=above, xytext=(0, 22), textcoords="offset points",
                  fontsize=11.5, weight="bold", color=INK)  # fmt: skip
    axes.annotate(direction, (0, 1), xycoords=above, xytext=(0, 8), textcoords="offset points",
                  fontsize=9, color=MUTED)  # fmt: skip
    for number, (place, row) in enumerate(zip(places, values, strict=True)):
        if number % 2 == 0:
            axes.axhspan(place - 0.5, place + 0.5, color=GROUND, linewidth=0, zorder=0)
        shown = [(value, at) for value, at in zip(row, STEPS, strict=True) if value is not None]
        if not shown:
            words = "no mask" if score == "mask_iou" else "no depth"
            axes.text(0.02 * right, place, words, va="center", fontsize=9, color=MUTED)
            continue
        axes.plot([min(value, right) for value, _ in shown], [place + at for _, at in shown],
                  color=MUTED, linewidth=1, zorder=1)  # fmt: skip
        for look, value, at in zip(SETS.values(), row, STEPS, strict=True):
            if value is not None:
                look = {**look, "marker": ">"} if value > right else look
                axes.plot(min(value, right), place + at, **look, linestyle="none",
                          alpha=1.0 if number < num_experiments else 0.6, markeredgewidth=1.5,
                          clip_on=False, zorder=3)  # fmt: skip
        figure = row[headline]
        if figure is not None:
            axes.annotate(f"{figure:.3f}", (right, place), xytext=(9, 0),
                          textcoords="offset points", va="center", fontsize=10, color=INK,
                          weight="bold" if _wins(values[:num_experiments], number, score, headline)
                          else "normal", annotation_clip=False)  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_yticks([])
    axes.tick_params(labelsize=9, labelcolor=MUTED, length=0)
    axes.grid(axis="x", color=HAIRLINE, linewidth=0.8)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _whisker(axes: Axes, bounds: tuple[float, float], place: float) -> None:
    """Draw an interval through the dot of the headline set."""
    right = axes.get_xlim()[1]
    low, high = (min(bound, right) for bound in bounds)
    axes.plot([low, high], [place, place], color=BLUE, linewidth=3.2, alpha=0.5,
              solid_capstyle="round", zorder=2)  # fmt: skip


def _wins(experiments: list[list[float | None]], number: int, score: str, column: int) -> bool:
    """Whether experiment `number` has the best headline figure of them all."""
    sign = -1 if score == "depth_abs_rel" else 1
    heads = [-np.inf if row[column] is None else sign * row[column] for row in experiments]
    return number < len(heads) and heads[number] == max(heads)


def _write_names(
    axes: Axes, names: list[str], places: list[float], num_experiments: int, best: str | None
) -> None:
    for number, (name, place) in enumerate(zip(names, places, strict=True)):
        words = f"★ {name}" if name == best else name
        axes.annotate(words, (0, place), xytext=(-14, 0), textcoords="offset points", ha="right",
                      va="center", fontsize=10.5, weight="bold" if name == best else "normal",
                      color=INK if number < num_experiments else MUTED,
                      annotation_clip=False)  # fmt: skip


def _title(figure: Figure, title: str, width: int, height: int, shown: list[str]) -> None:
    figure.text(24 / width, 1 - 38 / height, title, fontsize=16, weight="bold", color=INK)
    handles = [
        Line2D([], [], **look, linestyle="none", markeredgewidth=1.6, label=SET_LABELS[name])
        for name, look in SETS.items()
        if name in shown
    ]
    figure.legend(
        handles=handles,
        loc="upper right",
        bbox_to_anchor=(1 - 12 / width, 1 - 12 / height),
        ncols=len(handles),
        frameon=False,
        fontsize=10,
        labelcolor=INK,
        handletextpad=0.2,
        columnspacing=1.6,
    )
