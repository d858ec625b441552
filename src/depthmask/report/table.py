"""The results as a Markdown table, ranked."""

import math
from collections.abc import Mapping
from typing import Any

Metrics = Mapping[str, Any]
"""The content of `reports/metrics.json`."""

COLUMNS = (
    ("in_scene", "mask_iou", "IoU", 1),
    ("in_scene", "mask_dice", "Dice", 1),
    ("in_scene", "depth_delta1", "δ1", 1),
    ("in_scene", "depth_abs_rel", "AbsRel", -1),
    ("in_scene", "depth_rmse", "RMSE, m", -1),
    ("unseen_unseen", "mask_iou", "IoU", 1),
    ("unseen_unseen", "depth_delta1", "δ1", 1),
    ("unseen_unseen", "depth_abs_rel", "AbsRel", -1),
)
"""Set, figure, heading, and whether the larger (1) or the smaller (-1) is the better."""

SET_HEADS = {"in_scene": "in-scene", "unseen_unseen": "unseen pair"}


def figure_of(row: Mapping[str, Any], set_name: str, score: str) -> float | None:
    """One figure of an experiment or baseline; None where it has none, or none that is finite."""
    value = row.get(set_name, {}).get(score)
    return float(value) if value is not None and math.isfinite(value) else None


def ranked(metrics: Metrics, kind: str) -> list[str]:
    """Names of the `experiments` or `baselines`, best first on in-scene frames.

    By mask IoU, then by AbsRel, then by name; those without a mask last.
    """

    def key(name: str) -> tuple[float, float, str]:
        iou = figure_of(rows[name], "in_scene", "mask_iou")
        abs_rel = figure_of(rows[name], "in_scene", "depth_abs_rel")
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
        The table, its last line ended; a star marks the experiment that is exported.
    """
    experiments = metrics.get("experiments", {})
    winners = [_winner(experiments, set_name, score, sign) for set_name, score, _, sign in COLUMNS]
    heads = [f"{SET_HEADS[set_name]} {head}" for set_name, _, head, _ in COLUMNS]
    lines = [_line(["", *heads]), _line([":--", *["--:"] * len(COLUMNS)])]
    for kind in ("experiments", "baselines"):
        for name in ranked(metrics, kind):
            best = kind == "experiments" and name == metrics.get("best")
            first = f"**{name}** ★" if best else f"_{name}_" if kind == "baselines" else name
            cells = [first]
            for (set_name, score, _, _), winner in zip(COLUMNS, winners, strict=True):
                value = figure_of(metrics[kind][name], set_name, score)
                words = "–" if value is None else f"{value:.3f}"
                won = kind == "experiments" and value is not None and words == winner
                cells.append(f"**{words}**" if won else words)
            lines.append(_line(cells))
    return "\n".join(lines) + "\n"


def _winner(experiments: Mapping[str, Any], set_name: str, score: str, sign: int) -> str | None:
    """The best value as it is written, so that equal digits are equally bold."""
    values = [figure_of(row, set_name, score) for row in experiments.values()]
    known = [value for value in values if value is not None]
    return f"{sign * max(sign * value for value in known):.3f}" if known else None


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
