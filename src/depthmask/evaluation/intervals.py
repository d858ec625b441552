"""How sure a figure is: a two-way cluster-robust standard error over rooms and people.

Frames of one room are alike, in depth above all, and so are frames of one person: 80 frames of 20
rooms tell about as much as 20. The variance of a mean is that of the rooms' sums of residuals plus
that of the people's, less that of both together, each times G / (G - 1) of its G groups (Cameron,
Gelbach and Miller 2011). Bounds are Student's t, with the fewer of rooms and people less one as
degrees of freedom. Differences are of pairs: of the same scenes, scene by scene.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

ORIGINS = ("plate", "cutout")
"""The columns of a table of scenes that say what they share."""

FEWEST = 5
"""Scenes that an interval takes."""


class Estimate(NamedTuple):
    """A mean, its standard error, NaN where there are too few scenes, and degrees of freedom."""

    value: float
    error: float
    df: int

    def bounds(self, level: float) -> tuple[float, float]:
        reach = float(stats.t.ppf((1 + level) / 2, self.df)) * self.error
        return self.value - reach, self.value + reach

    @property
    def p(self) -> float:
        """Two-sided, of the true mean being 0."""
        if self.error == 0:
            return float(self.value == 0)
        return float(2 * stats.t.sf(abs(self.value) / self.error, self.df))

    def minus(self, other: "Estimate") -> "Estimate":
        """The difference to the mean of a set that shares neither rooms nor people."""
        error = float(np.hypot(self.error, other.error))
        return Estimate(self.value - other.value, error, min(self.df, other.df))


def cluster_mean(values: np.ndarray, origins: pd.DataFrame) -> Estimate:
    """The mean of a value a scene, NaN where it does not count; origins: columns `ORIGINS`."""
    counted = ~np.isnan(values)
    values, origins = values[counted], origins[counted]
    unknown = Estimate(float(values.mean()) if len(values) else np.nan, np.nan, 1)
    if len(values) < FEWEST or not np.isfinite(values).all():
        return unknown
    residuals = (values - unknown.value) / len(values)
    sums = [_sums(residuals, origins, [column]) for column in ORIGINS]
    ways = [way for way in sums if len(way) > 1]
    if not ways:
        return unknown
    variance = max(map(_variance, ways))
    if len(ways) == 2:
        both = _variance(_sums(residuals, origins, list(ORIGINS)))
        two_way = sum(map(_variance, ways)) - both
        variance = two_way if two_way > 0 else variance
    return Estimate(unknown.value, float(np.sqrt(variance)), min(map(len, ways)) - 1)


def _sums(residuals: np.ndarray, origins: pd.DataFrame, columns: list[str]) -> np.ndarray:
    return np.bincount(origins.groupby(columns, sort=False).ngroup(), residuals)


def _variance(sums: np.ndarray) -> float:
    return float((sums**2).sum() * len(sums) / (len(sums) - 1))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """The p-values adjusted for their number (Holm 1979); NaN stays and counts for none."""
    known = sorted((p, name) for name, p in p_values.items() if p == p)
    adjusted, least = dict(p_values), 0.0
    for rank, (p, name) in enumerate(known):
        least = max(least, min(1.0, (len(known) - rank) * p))
        adjusted[name] = least
    return adjusted
