"""Which experiment is the best, and whether these scenes are enough to say so."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from depthmask.data.scenes.scene import SETS, Alignment
from depthmask.evaluation.intervals import cluster_mean, holm
from depthmask.metrics import METRICS


def choosing_metrics(alignment: Alignment | None) -> tuple[str, str]:
    """The metrics whose mean ranks: of the mask and of the depth, both 0 to 1.

    Depth that is aligned in its values has an arbitrary zero, on which the ratios of δ1 depend;
    SSIM does not.
    """
    return ("mask_iou", "depth_ssim" if alignment == "depth" else "depth_delta1")


def rank(validation: Mapping[str, Mapping[str, float]], chosen_by: tuple[str, str]) -> list[str]:
    """Experiments with both figures, the best first, by the mean of both on validation."""
    scores = {
        name: math.fsum(figures.get(metric, math.nan) for metric in chosen_by)
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
) -> dict[str, Any]:
    """Compare the best with everything else on the scenes of the headline set.

    The best was chosen on other scenes, so these judge it without having chosen it. headline: by
    experiment and baseline a row a scene, the same scenes for all; one of the ranking with a
    prediction that is no number is left out. A rival ties whose p after Holm over all others is not
    below 1 - level.

    Returns `best`, its `runner_up` on validation or None, `ties` and those `ahead` of it on these
    scenes; `differences`, the best minus each other by metric and, rivals', by `score`, the mean of
    the two that choose: difference, low, high and the two-sided p; and all this as a `sentence`.
    """
    best, *others = ranking
    tables = {
        name: table.assign(score=table[[*chosen_by]].mean(axis="columns", skipna=False))
        for name, table in headline.items()
    }
    rivals = [name for name in others if np.isfinite(tables[name]["score"]).all()]
    compared = [name for name in tables if name in rivals or name not in ranking]
    mine = tables[best]
    differences: dict[str, dict[str, dict[str, float]]] = {name: {} for name in compared}
    for metric in ("score", *METRICS):
        pairs = {name: mine[metric] - tables[name][metric] for name in compared}
        leads = {
            name: cluster_mean(pair, mine) for name, pair in pairs.items() if pair.notna().any()
        }
        p_values = holm(pd.Series({name: lead.p for name, lead in leads.items()}, dtype=float))
        for name, lead in leads.items():
            low, high = lead.bounds(level)
            p = float(p_values[name])
            differences[name][metric] = dict(difference=lead.value, low=low, high=high, p=p)
    scores = {name: differences[name]["score"] for name in rivals}
    ties = [name for name in rivals if not scores[name]["p"] < 1 - level]
    ties.sort(key=lambda name: scores[name]["low"])
    ahead = [name for name in rivals if name not in ties and scores[name]["difference"] < 0]
    mask, depth = (f"{METRICS[name].label} {mine[name].mean():.3f}" for name in chosen_by)
    figures = f"mask {mask} and depth {depth} on {len(mine)} {SETS[set_name].place}"
    return {
        "best": best,
        "runner_up": rivals[0] if rivals else None,
        "ties": ties,
        "ahead": ahead,
        "differences": differences,
        "sentence": _sentence(best, scores, ties, ahead, figures),
    }


def _sentence(
    best: str,
    scores: dict[str, dict[str, float]],
    ties: list[str],
    ahead: list[str],
    figures: str,
) -> str:
    """scores: the best minus each rival, the next of the ranking first."""
    if not scores:
        return f"{best}: {figures}. There is no other DepthMaskNet to compare it with."
    other = (ahead or ties or [*scores])[0]
    lead, low, high, p = scores[other].values()
    if ahead:
        return (
            f"{best}, the best on validation, reaches {figures}, but there {_listed(ahead)}"
            f" {'is' if len(ahead) == 1 else 'are'} better, {other} by {-lead:.3f}"
            f" ({-high:.3f} to {-low:.3f}) in the mean of both."
        )
    if not ties:
        return (
            f"{best} is the best: {figures}; it leads the runner-up, {other}, by"
            f" {lead:.3f} ({low:.3f} to {high:.3f}) in the mean of both."
        )
    bounds = f"{low:+.3f} to {high:+.3f}"
    if low > 0:
        bounds += f", p {p:.2f} among {len(scores)} rivals"
    bounds = bounds if math.isfinite(low) else "too few scenes for an interval"
    return (
        f"{best}, chosen on validation, reaches {figures}; these scenes cannot tell it from"
        f" {_listed(ties)}: its lead{'' if len(ties) == 1 else f' over {other}'} is"
        f" {lead:+.3f} ({bounds}) in the mean of both."
    )


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
