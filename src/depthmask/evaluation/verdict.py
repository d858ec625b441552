"""Which experiment is the best, and whether these scenes are enough to say so."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from depthmask.data.scenes.scene import SETS, Alignment
from depthmask.evaluation.intervals import cluster_mean, holm
from depthmask.metrics import METRICS

SCORE = "score"
"""The mean of the two metrics that choose."""


class Difference(NamedTuple):
    """The best minus another on the same scenes; p is two-sided, after Holm over all others."""

    difference: float
    low: float
    high: float
    p: float


class Verdict(NamedTuple):
    """What may be said of the comparison."""

    best: str  # the experiment that was chosen, on validation
    runner_up: str | None  # the next of the same ranking
    ties: list[str]  # experiments that the headline set cannot tell from the best
    ahead: list[str]  # experiments that are better than the best there
    differences: dict[str, dict[str, Difference]]  # to every other, by metric, rivals' by `SCORE`
    sentence: str  # all this in words


def choosing_metrics(alignment: Alignment | None) -> tuple[str, str]:
    """The metrics whose mean ranks: of the mask and of the depth, both 0 to 1.

    Depth that is aligned in its values has an arbitrary zero, on which the ratios of δ1 depend;
    SSIM does not.
    """
    return ("mask_iou", "depth_ssim" if alignment == "depth" else "depth_delta1")


def rank(validation: Mapping[str, Mapping[str, float]], chosen_by: tuple[str, str]) -> list[str]:
    """Experiments with both figures, the best first, by the mean of both on validation."""
    scores = {
        name: math.fsum(figures.get(metric, math.nan) for metric in chosen_by) / len(chosen_by)
        for name, figures in validation.items()
    }
    known = [name for name in scores if math.isfinite(scores[name])]
    return sorted(known, key=lambda name: (-scores[name], name))


def judge(
    ranking: list[str],
    headline: Mapping[str, pd.DataFrame],
    set_name: str,
    chosen_by: tuple[str, str],
    level: float,
) -> Verdict:
    """Compare the best with everything else on the scenes of the headline set.

    The best was chosen on other scenes, so these judge it without having chosen it.

    Args:
        ranking: from `rank`, not empty.
        headline: by experiment and baseline a row a scene, the same scenes for all, a column a
            metric. One of the ranking with a prediction that is no number is left out.
        set_name: which set that is.
        level: of the intervals; a rival ties whose p after Holm is not below 1 - level.
    """
    best = ranking[0]
    tables = {name: _with_score(table, chosen_by) for name, table in headline.items()}
    rivals = [name for name in ranking[1:] if np.isfinite(tables[name][SCORE]).all()]
    compared = [name for name in tables if name in rivals or name not in ranking]
    mine = tables[best]
    differences: dict[str, dict[str, Difference]] = {name: {} for name in compared}
    for metric in (SCORE, *METRICS):
        leads = {
            name: cluster_mean((mine[metric] - tables[name][metric]).to_numpy(), mine)
            for name in compared
            if metric in mine and metric in tables[name]
        }
        p_values = holm({name: lead.p for name, lead in leads.items()})
        for name, lead in leads.items():
            bounds = lead.bounds(level)
            differences[name][metric] = Difference(lead.value, *bounds, p_values[name])
    scores = {name: differences[name][SCORE] for name in rivals}
    ties = [name for name in rivals if not scores[name].p < 1 - level]
    ties.sort(key=lambda name: scores[name].low)
    ahead = [name for name in rivals if name not in ties and scores[name].difference < 0]
    mask, depth = (f"{METRICS[name].label} {mine[name].mean():.3f}" for name in chosen_by)
    figures = f"mask {mask} and depth {depth} on {len(mine)} {SETS[set_name].place}"
    sentence = _sentence(best, rivals, ties, ahead, scores, figures)
    return Verdict(best, rivals[0] if rivals else None, ties, ahead, differences, sentence)


def _with_score(figures: pd.DataFrame, chosen_by: tuple[str, str]) -> pd.DataFrame:
    known = figures.dropna(axis="columns", how="all")
    if not {*chosen_by} <= {*known}:
        return known
    return known.assign(**{SCORE: known[list(chosen_by)].mean(axis="columns", skipna=False)})


def _sentence(
    best: str,
    rivals: list[str],
    ties: list[str],
    ahead: list[str],
    scores: dict[str, Difference],
    figures: str,
) -> str:
    if not rivals:
        return f"{best}: {figures}. There is no other DepthMaskNet to compare it with."
    if ahead:
        lead = scores[ahead[0]]
        return (
            f"{best}, the best on validation, reaches {figures}, but there {_listed(ahead)}"
            f" {'is' if len(ahead) == 1 else 'are'} better, {ahead[0]} by {-lead.difference:.3f}"
            f" ({-lead.high:.3f} to {-lead.low:.3f}) in the mean of both."
        )
    closest = ties[0] if ties else rivals[0]
    lead = scores[closest]
    if ties:
        bounds = f"{lead.low:+.3f} to {lead.high:+.3f}"
        if lead.low > 0:
            bounds += f", p {lead.p:.2f} among {len(rivals)} rivals"
        bounds = bounds if math.isfinite(lead.low) else "too few scenes for an interval"
        return (
            f"{best}, chosen on validation, reaches {figures}; these scenes cannot tell it from"
            f" {_listed(ties)}: its lead{'' if len(ties) == 1 else f' over {closest}'} is"
            f" {lead.difference:+.3f} ({bounds}) in the mean of both."
        )
    return (
        f"{best} is the best: {figures}; it leads the runner-up, {closest}, by"
        f" {lead.difference:.3f} ({lead.low:.3f} to {lead.high:.3f}) in the mean of both."
    )


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
