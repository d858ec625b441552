"""The results as a Markdown table, ranked."""

import math
from collections.abc import Mapping
from typing import Any

Metrics = Mapping[str, Any]
"""The content of `reports/metrics.json`."""

_NUM_WITH_INTERVAL = 2
"""Of the columns, from the left."""

SET_HEADS = {"in_scene": "in-scene", "unseen_unseen": "unseen pair", "seen_seen": "seen pair"}


def headline(metrics: Metrics) -> str:
    """The test set that ranks: in-scene frames, unless the source has none."""
    return metrics.get("headline", {}).get("set", "in_scene")


def columns(metrics: Metrics) -> list[tuple[str, str, str, int]]:
    """Set, figure, heading, and whether the larger (1) or the smaller (-1) is the better."""
    first = headline(metrics)
    second = "unseen_unseen" if first == "in_scene" else "seen_seen"
    metres = metrics.get("unit", "metre") == "metre"
    distance = [(first, "person_distance_error", "distance error, m", -1)] if metres else []
    return [
        (first, "mask_iou", "IoU", 1),
        (first, "depth_delta1", "δ1", 1),
        (first, "mask_boundary_f", "boundary F", 1),
        (first, "depth_abs_rel", "AbsRel", -1),
        (first, "depth_rmse", "RMSE, m" if metres else "RMSE, aligned", -1),
        *distance,
        (second, "mask_iou", "IoU", 1),
        (second, "depth_delta1", "δ1", 1),
    ]


def figure_of(row: Mapping[str, Any], set_name: str, score: str) -> float | None:
    """One figure of an experiment or baseline; None where it has none, or none that is finite."""
    value = row.get(set_name, {}).get(score)
    return float(value) if value is not None and math.isfinite(value) else None


def interval_of(
    metrics: Metrics, name: str, set_name: str, score: str
) -> tuple[float, float] | None:
    """The bounds of an experiment's figure; None where there are none."""
    bounds = metrics.get("intervals", {}).get(name, {}).get(set_name, {}).get(score)
    return None if bounds is None or None in bounds else (float(bounds[0]), float(bounds[1]))


def ranked(metrics: Metrics, kind: str) -> list[str]:
    """Names of the `experiments` or `baselines`, best first on the headline set.

    By mask IoU, then by AbsRel, then by name; those without a mask last. (The best is chosen by
    another rule, on validation.)
    """

    def key(name: str) -> tuple[float, float, str]:
        iou = figure_of(rows[name], headline(metrics), "mask_iou")
        abs_rel = figure_of(rows[name], headline(metrics), "depth_abs_rel")
        return (
            math.inf if iou is None else -iou,
            math.inf if abs_rel is None else abs_rel,
            name,
        )

    rows = metrics.get(kind, {})
    return sorted(rows, key=key)


def results_table(metrics: Metrics) -> str:
    """Write GitHub Markdown: experiments ranked, baselines beneath, the best of each figure bold.

    Args:
        metrics: as in `reports/metrics.json`.

    Returns:
        The verdict, the table and the leak, the last line ended; a star marks the experiment that
        is exported, the bounds of an interval stand beside the first two figures.
    """
    experiments, shown = metrics.get("experiments", {}), columns(metrics)
    winners = [_winner(experiments, set_name, score, sign) for set_name, score, _, sign in shown]
    heads = [f"{SET_HEADS[set_name]} {head}" for set_name, _, head, _ in shown]
    lines = [_line(["", *heads]), _line([":--", *["--:"] * len(shown)])]
    for kind in ("experiments", "baselines"):
        for name in ranked(metrics, kind):
            best = kind == "experiments" and name == metrics.get("best")
            first = f"**{name}** ★" if best else f"_{name}_" if kind == "baselines" else name
            cells = [first]
            for (set_name, score, _, _), winner in zip(shown, winners, strict=True):
                value = figure_of(metrics[kind][name], set_name, score)
                words = "–" if value is None else f"{value:.3f}"
                won = kind == "experiments" and value is not None and words == winner
                bounds = interval_of(metrics, name, set_name, score)
                words = f"**{words}**" if won else words
                if bounds and value is not None and len(cells) <= _NUM_WITH_INTERVAL:
                    words += f" ({bounds[0]:.3f}–{bounds[1]:.3f})"
                cells.append(words)
            lines.append(_line(cells))
    if sentence := metrics.get("verdict", {}).get("sentence"):
        lines[:0] = [sentence, ""]
    leak = metrics.get("leak", {}).get(metrics.get("best"), {}).get("mask_iou")
    if leak and leak["gap"] is not None:
        bounds = "" if leak["low"] is None else f", {leak['low']:+.3f} to {leak['high']:+.3f}"
        lines += [
            "",
            f"Leak gap of {metrics['best']}: mask IoU on rooms and people that it has seen, less"
            f" that on unseen ones: {leak['gap']:+.3f}{bounds}.{_control(metrics)}",
        ]
    if metrics.get("unit", "metre") == "relative":
        lines[:0] = [
            "Depth is relative: scale and shift are fitted to each image's truth before it is"
            " measured, and a constant becomes that image's own mean.",
            "",
        ]
    return "\n".join(lines) + "\n"


def _control(metrics: Metrics) -> str:
    """The gap of what remembers nothing: how much easier the seen rooms are by themselves."""
    gap = metrics["leak"].get("difference_threshold", {}).get("mask_iou", {}).get("gap")
    return "" if gap is None else f" The difference threshold, which remembers nothing: {gap:+.3f}."


def _winner(experiments: Mapping[str, Any], set_name: str, score: str, sign: int) -> str | None:
    """The best value as it is written, so that equal digits are equally bold."""
    values = [figure_of(row, set_name, score) for row in experiments.values()]
    known = [value for value in values if value is not None]
    return f"{sign * max(sign * value for value in known):.3f}" if known else None


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
