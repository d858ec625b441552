"""How sure a figure is: a percentile bootstrap over scenes, drawn with their rooms and people.

Frames of one room are alike, in depth above all, and so are frames of one person: 80 frames of 20
rooms tell about as much as 20. Rooms and people are therefore drawn with replacement, each apart,
and a scene counts as often as its room times its person was drawn (the pigeonhole bootstrap of
Owen 2007, which rather overstates the spread than understates it).
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from depthmask.config import Bootstrap

ORIGINS = ("plate", "cutout")
"""The columns of a table of scenes that say what they share."""


FEWEST = 5
"""Scenes that an interval takes: of fewer the same ones are drawn again and again."""


class Interval(NamedTuple):
    """A figure and the bounds of its interval; NaN where there are too few scenes for one."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


class Resamples:
    """Other sets of scenes that the same rooms and people could have given.

    Args:
        origins: a row a scene, columns `ORIGINS`.
        params: how many sets are drawn, the interval's level, the seed.
        stream: sets that share no scene are drawn apart, each with a number of its own.
    """

    def __init__(self, origins: pd.DataFrame, params: Bootstrap, stream: int = 0) -> None:
        self.params = params
        random = np.random.default_rng([params.seed, stream])
        self.weights = np.ones((params.samples, len(origins)))
        for column in ORIGINS:
            numbers, names = pd.factorize(origins[column])
            draws = random.multinomial(
                len(names), np.full(len(names), 1 / len(names)), params.samples
            )
            self.weights *= draws[:, numbers]

    def interval(self, values: np.ndarray) -> Interval:
        """The mean of a value a scene; NaN where it does not count. Without any that does: NaN."""
        with np.errstate(invalid="ignore"):
            mean = np.nanmean(values) if np.isfinite(values[~np.isnan(values)]).any() else np.nan
        return Interval(float(mean), *_bounds(self.means(values), self.params))

    def means(self, values: np.ndarray) -> np.ndarray:
        """The mean in each set; NaN in one where no scene counts, or where one is infinite."""
        counts = ~np.isnan(values)
        if counts.sum() < FEWEST:
            return np.full(len(self.weights), np.nan)
        known = np.where(counts, values, 0.0)
        weights = self.weights[:, counts]
        total = weights.sum(1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(total > 0, weights @ known[counts] / total, np.nan)


def gap_interval(
    values: np.ndarray, resamples: Resamples, others: np.ndarray, other_resamples: Resamples
) -> Interval:
    """The mean of one set minus the mean of another that shares no scene with it."""
    value = resamples.interval(values).value - other_resamples.interval(others).value
    gaps = resamples.means(values) - other_resamples.means(others)
    return Interval(value, *_bounds(gaps, resamples.params))


def _bounds(means: np.ndarray, params: Bootstrap) -> tuple[float, float]:
    known = means[~np.isnan(means)]
    if len(known) == 0 or not np.isfinite(known).all():
        return np.nan, np.nan
    tail = (1 - params.level) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)
