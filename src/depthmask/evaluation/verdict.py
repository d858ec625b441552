"""Which experiment is the best, and whether these scenes are enough to say so."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from depthmask.config import Bootstrap
from depthmask.evaluation.intervals import Interval, Resamples
from depthmask.metrics import METRICS, Alignment

SCORE = "score"
"""The mean of the two metrics that choose."""

_PLACES = {
    "in_scene": "{count} frames of people and rooms never seen",
    "unseen_unseen": "{count} composites of people and rooms never seen",
    "seen_seen": "{count} composites of rooms and people of the training",
}


class Verdict(NamedTuple):
    """What may be said of the comparison.

    Attributes:
        best: the experiment that was chosen, on validation.
        runner_up: the next of the same ranking; None where there is no other.
        ties: experiments that the headline set cannot tell from the best.
        ahead: experiments that are better than the best there.
        differences: the best minus each other experiment, by metric and `SCORE`, positive where
            the best's figure is the larger.
        sentence: all this in words.
    """

    best: str
    runner_up: str | None
    ties: list[str]
    ahead: list[str]
    differences: dict[str, dict[str, Interval]]
    sentence: str


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
    params: Bootstrap,
) -> Verdict:
    """Compare the best with every other experiment on the scenes of the headline set.

    The best was chosen on other scenes, so these judge it without having chosen it.

    Args:
        ranking: from `rank`, not empty.
        headline: by experiment, a row a scene, the same scenes for all, a column a metric.
        set_name: which set that is.
        params: of the bootstrap; every experiment answers the same drawn scenes. An experiment
            with an answer that is no number is left out.
    """
    best, *others = ranking
    scored = {name: _with_score(headline[name], chosen_by) for name in ranking}
    mine = scored[best]
    others = [name for name in others if np.isfinite(scored[name][SCORE]).all()]
    resamples = Resamples(mine, params)
    differences = {
        name: {
            metric: resamples.interval((mine[metric] - scored[name][metric]).to_numpy())
            for metric in (SCORE, *METRICS)
            if metric in mine and metric in scored[name]
        }
        for name in others
    }
    leads = {name: differences[name][SCORE] for name in others}
    ties = [name for name in others if not leads[name].excludes_zero]
    ties.sort(key=lambda name: leads[name].low)
    ahead = [name for name in others if leads[name].high < 0]
    runner_up = others[0] if others else None
    sentence = _sentence(best, ties, ahead, runner_up, differences, mine, set_name, chosen_by)
    return Verdict(best, runner_up, ties, ahead, differences, sentence)


def _with_score(figures: pd.DataFrame, chosen_by: tuple[str, str]) -> pd.DataFrame:
    known = figures.dropna(axis="columns", how="all")
    return known.assign(**{SCORE: known[list(chosen_by)].mean(axis="columns", skipna=False)})


def _sentence(
    best: str,
    ties: list[str],
    ahead: list[str],
    runner_up: str | None,
    differences: dict[str, dict[str, Interval]],
    mine: pd.DataFrame,
    set_name: str,
    chosen_by: tuple[str, str],
) -> str:
    mask, depth = (f"{METRICS[name].label} {mine[name].mean():.3f}" for name in chosen_by)
    place = _PLACES.get(set_name, "{count} scenes").format(count=len(mine))
    figures = f"mask {mask} and depth {depth} on {place}"
    if runner_up is None:
        return f"{best}: {figures}. There is no other DepthMaskNet to compare it with."
    if ahead:
        lead = differences[ahead[0]][SCORE]
        return (
            f"{best}, the best on validation, reaches {figures}, but there {_listed(ahead)}"
            f" {'is' if len(ahead) == 1 else 'are'} better, {ahead[0]} by {-lead.value:.3f}"
            f" ({-lead.high:.3f} to {-lead.low:.3f}) in the mean of both."
        )
    closest = ties[0] if ties else runner_up
    lead = differences[closest][SCORE]
    if ties:
        bounds = f"{lead.low:+.3f} to {lead.high:+.3f}"
        bounds = bounds if math.isfinite(lead.low) else "too few scenes for an interval"
        return (
            f"{best}, chosen on validation, reaches {figures}; these scenes cannot tell it from"
            f" {_listed(ties)}: its lead{'' if len(ties) == 1 else f' over {closest}'} is"
            f" {lead.value:+.3f} ({bounds}) in the mean of both."
        )
    return (
        f"{best} is the best: {figures}; it leads the runner-up, {closest}, by {lead.value:.3f}"
        f" ({lead.low:.3f} to {lead.high:.3f}) in the mean of both."
    )


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
