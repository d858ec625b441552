"""How experiments hold out when frames get harder: a small plot a condition."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter

from depthmask.visualization.theme import (
    DPI,
    GROUND,
    HAIRLINE,
    INK,
    MUTED,
    PAPER,
    line_styles,
    plain_style,
    save,
)


class Look(NamedTuple):
    """How a condition is shown.

    Attributes:
        title: what happens to the frames.
        unit: of its strength.
        is_falling: whether frames get harder as the strength falls.
    """

    title: str
    unit: str
    is_falling: bool = False


CONDITION_LOOKS = {
    "shift": Look("Plate shifted", "px"),
    "rotation": Look("Plate rotated", "degrees"),
    "exposure": Look("Plate brighter or darker", "stops of the stored values"),
    "temperature": Look("Plate warmer or colder", "stops, red over blue"),
    "noise": Look("Noise", "sigma, of a range 0 to 1"),
    "jpeg": Look("JPEG", "quality; 100: no JPEG", is_falling=True),
    "shadow": Look("Shadow", "times its true strength"),
    "camouflage": Look("Dressed like the wall", "share of the wall's colour"),
    "two_people": Look("Two people", "people in the frame"),
    "nobody": Look("Nobody in the frame", "stops of the plate"),
}
"""In the order of the plots; keys as in the table."""

COLUMNS = 5
PLOT_WIDTH, PLOT_HEIGHT = 216, 158
LEFT, RIGHT, GAP = 64, 24, 52
HEAD, TITLE, FOOT = 118, 44, 56

SMALLEST_SHARE = 1e-4
"""Below it, in a plot of shares that span powers of ten, the scale goes on evenly to 0."""


def robustness(
    path: Path,
    table: pd.DataFrame,
    *,
    experiments: Iterable[str] = (),
    best: str | None = None,
    title: str = "When frames get harder",
) -> None:
    """Draw mask IoU over the strength of each condition, a line an experiment, its interval.

    Of frames with nobody in them the share taken for person is drawn. Strengths that the
    training drew are shaded and their marks filled; the others' are hollow.

    Args:
        table: as `depthmask.evaluation.robustness.measure_robustness` returns it.
        experiments: whose colours are the same in other figures, those of the table among them;
            what else the table has is a baseline. None given: all are experiments.
        best: the experiment drawn heavier.
    """
    styles = line_styles(list(experiments) or table["experiment"])
    names = list(dict.fromkeys(table["experiment"]))
    shown = [name for name in CONDITION_LOOKS if (table["condition"] == name).any()]
    num_rows = -(-len(shown) // COLUMNS)
    width = LEFT + COLUMNS * (PLOT_WIDTH + GAP) - GAP + RIGHT
    height = HEAD + num_rows * (TITLE + PLOT_HEIGHT + FOOT)
    with plain_style():
        figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=PAPER)
        _head(figure, title, names, styles, best, width, height)
        for number, condition in enumerate(shown):
            row, column = divmod(number, COLUMNS)
            top = HEAD + row * (TITLE + PLOT_HEIGHT + FOOT) + TITLE
            box = (
                (LEFT + column * (PLOT_WIDTH + GAP)) / width,
                1 - (top + PLOT_HEIGHT) / height,
                PLOT_WIDTH / width,
                PLOT_HEIGHT / height,
            )
            axes = figure.add_axes(box)
            draw_condition(axes, table, condition, styles, best=best)
        save(figure, path)


def draw_condition(
    axes: Axes,
    table: pd.DataFrame,
    condition: str,
    styles: dict[str, tuple],
    *,
    best: str | None = None,
) -> None:
    """Draw one condition of the table into `axes`; what has no style is a baseline."""
    look, rows = CONDITION_LOOKS[condition], table[table["condition"] == condition]
    figure = "false_area" if condition == "nobody" else "mask_iou"
    _shade_trained(axes, rows)
    for name, part in rows.groupby("experiment", sort=False):
        color, dash = styles.get(name, (MUTED, (0, (3, 2))))
        heavy = name == best
        strengths, values = part["strength"].to_numpy(), part[figure].to_numpy()
        low, high = (part[f"{figure}_{end}"].to_numpy() for end in ("low", "high"))
        axes.fill_between(strengths, low, high, color=color, alpha=0.13, linewidth=0, zorder=2)
        axes.plot(strengths, values, color=color, linestyle=dash,
                  linewidth=2.4 if heavy else 1.5, zorder=3 + heavy)  # fmt: skip
        for filled, marked in part.groupby("trained_for"):
            axes.plot(marked["strength"], marked[figure], color=color, linestyle="none",
                      marker="o", markersize=5 if heavy else 4, markeredgewidth=1.2,
                      markerfacecolor=color if filled else PAPER, clip_on=False,
                      zorder=4 + heavy)  # fmt: skip
    axes.annotate(look.title, (0, 1), xycoords="axes fraction", xytext=(0, 20),
                  textcoords="offset points", fontsize=11, weight="bold", color=INK)  # fmt: skip
    words = "share taken for person, ↓ is better" if condition == "nobody" else "mask IoU"
    axes.annotate(words, (0, 1), xycoords="axes fraction", xytext=(0, 7),
                  textcoords="offset points", fontsize=8.5, color=MUTED)  # fmt: skip
    axes.set_xlabel(look.unit, fontsize=9, color=MUTED)
    axes.xaxis.set_major_locator(FixedLocator(_ticks(rows["strength"].unique())))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
    if look.is_falling:
        axes.invert_xaxis()
    if condition == "nobody":
        axes.set_yscale("symlog", linthresh=SMALLEST_SHARE, linscale=0.5)
        axes.set_ylim(0, 1)
        axes.yaxis.set_major_locator(FixedLocator([0, 0.0001, 0.001, 0.01, 0.1, 1]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
        axes.yaxis.set_minor_locator(FixedLocator([]))
    else:
        axes.set_ylim(0, 1)
        axes.yaxis.set_major_locator(FixedLocator([0, 0.25, 0.5, 0.75, 1]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.tick_params(labelsize=8.5, labelcolor=MUTED, length=0)
    axes.grid(axis="y", color=HAIRLINE, linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(MUTED)


def _shade_trained(axes: Axes, rows: pd.DataFrame) -> None:
    """Shade from the smallest to the largest strength that the training drew, a little over."""
    first, last = rows["strength"].min(), rows["strength"].max()
    margin = 0.04 * (last - first)
    axes.set_xlim(first - margin, last + margin)
    trained = rows[rows["trained_for"]]["strength"]
    if len(trained):
        axes.axvspan(trained.min() - margin, trained.max() + margin, color=GROUND, linewidth=0,
                     zorder=0)  # fmt: skip


def _ticks(strengths: np.ndarray) -> list[float]:
    """The strengths, without those that would stand too near the one before."""
    strengths = np.sort(strengths)
    room = 0.13 * (strengths[-1] - strengths[0])
    ticks = [strengths[-1]]
    for strength in strengths[-2::-1]:
        if ticks[-1] - strength >= room:
            ticks.append(strength)
    return ticks


def _head(
    figure: Figure,
    title: str,
    names: list[str],
    styles: dict[str, tuple],
    best: str | None,
    width: int,
    height: int,
) -> None:
    figure.text(24 / width, 1 - 36 / height, title, fontsize=16, weight="bold", color=INK)
    words = (
        "frames of the hardest set, changed by one thing at a time; bands: intervals over scenes"
    )
    figure.text(24 / width, 1 - 60 / height, words, fontsize=10, color=MUTED)
    handles = []
    for name in names:
        color, dash = styles.get(name, (MUTED, (0, (3, 2))))
        handles.append(
            Line2D(
                [],
                [],
                color=color,
                linestyle=dash,
                linewidth=2.4 if name == best else 1.5,
                label=f"★ {name}" if name == best else name,
            )  # fmt: skip
        )
    mark = {"color": INK, "linestyle": "none", "marker": "o", "markersize": 5}
    handles += [
        Patch(color=GROUND, label="trained for"),
        Line2D([], [], **mark, markerfacecolor=PAPER, label="not trained for"),
    ]
    figure.legend(handles=handles, loc="upper left", ncols=len(handles), frameon=False,
                  bbox_to_anchor=(14 / width, 1 - 70 / height), fontsize=9.5, labelcolor=INK,
                  handlelength=1.8, handletextpad=0.5, columnspacing=1.4)  # fmt: skip
