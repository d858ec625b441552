"""The picture of a learning-rate range test."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from depthmask.visualization.theme import (
    BLUE,
    DPI,
    HAIRLINE,
    INK,
    MUTED,
    PAPER,
    VERMILION,
    plain_style,
    save,
)

WIDTH, HEIGHT = 760, 430


def rate_range(
    path: Path,
    rates: np.ndarray,
    losses: np.ndarray,
    smoothed: np.ndarray,
    *,
    title: str,
    suggested: float | None,
    current: float,
) -> None:
    """Draw the loss over the learning rate, the suggested and the present rate marked.

    Args:
        rates, losses, smoothed: [N], of each step.
        title: what was tested.
        suggested: where the loss falls steepest, or None.
        current: the rate in params.yaml.
    """
    with plain_style():
        figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI, facecolor=PAPER)
        axes = figure.add_axes((0.09, 0.14, 0.87, 0.66))
        axes.text(0, 1.17, title, transform=axes.transAxes, fontsize=13, weight="bold", color=INK)
        axes.text(
            0,
            1.08,
            "learning-rate range test: choose a rate left of where the loss turns up",
            transform=axes.transAxes,
            fontsize=9.5,
            color=MUTED,
        )
        axes.plot(rates, losses, "o", color=BLUE, markersize=2.5, alpha=0.35, markeredgewidth=0)
        axes.plot(rates, smoothed, color=BLUE, linewidth=1.8)
        axes.set_xscale("log")
        # the way up at the end would flatten what is to be read
        lowest = float(smoothed.min())
        highest = float(smoothed[: int(smoothed.argmin()) + 1].max())
        top = highest + 0.35 * max(highest - lowest, 0.1 * abs(highest))
        axes.set_ylim(max(0.0, lowest - 0.25 * (top - lowest)), top)
        for rate, color, words in (
            (current, MUTED, f"params.yaml {current:g}"),
            (suggested, VERMILION, f"steepest {suggested:.2g}" if suggested else ""),
        ):
            if rate is None or not rates[0] <= rate <= rates[-1]:
                continue
            height = float(np.interp(rate, rates, smoothed))
            axes.axvline(rate, color=color, linewidth=1, linestyle=(0, (2, 2)))
            axes.plot([rate], [min(height, top)], marker="o", color=color, markersize=6)
            axes.annotate(
                words,
                (rate, 1.0 if color == MUTED else 0.93),
                xycoords=("data", "axes fraction"),
                xytext=(5, -4),
                textcoords="offset points",
                fontsize=10,
                color=color,
                va="top",
            )
        axes.set_xlabel("learning rate", fontsize=10.5, color=MUTED)
        axes.set_ylabel("training loss", fontsize=10.5, color=MUTED)
        axes.xaxis.set_major_locator(LogLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.tick_params(labelsize=10, labelcolor=MUTED, color=HAIRLINE, length=4)
        axes.grid(color=HAIRLINE, linewidth=0.8)
        axes.set_axisbelow(True)
        for side, spine in axes.spines.items():
            spine.set_visible(side == "bottom")
            spine.set_color(MUTED)
        save(figure, path)
