"""How sure a figure is: a two-way cluster-robust standard error over rooms and people.

Frames of one room are alike, and so are those of one person. The variance of a mean is that of the
rooms' sums of residuals plus that of the people's, less that of both together, each times G / (G-1)
of its G groups (Cameron, Gelbach and Miller 2011). Bounds are Student's t, with the fewer of rooms
and people less one as degrees of freedom. Differences are of the same scenes, scene by scene.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

ORIGINS = ["plate", "cutout"]  # the columns of a table of scenes that say what they share
FEWEST = 5  # scenes that an interval takes


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


def cluster_mean(values: np.ndarray | pd.Series, origins: pd.DataFrame) -> Estimate:
    """The mean of a value a scene, NaN where it does not count; origins: columns `ORIGINS`."""
    values = np.asarray(values)
    values, origins = values[~np.isnan(values)], origins[~np.isnan(values)]
    mean = float(values.mean()) if len(values) else np.nan
    if len(values) < FEWEST or not np.isfinite(values).all():
        return Estimate(mean, np.nan, 1)
    rooms, people, both = (
        np.bincount(origins.groupby(columns, sort=False).ngroup(), (values - mean) / len(values))
        for columns in (ORIGINS[:1], ORIGINS[1:], ORIGINS)
    )
    ways = [sums for sums in (rooms, people) if len(sums) > 1]
    if not ways:
        return Estimate(mean, np.nan, 1)
    variance = sum(map(_variance, ways)) - (_variance(both) if len(ways) == 2 else 0)
    if variance <= 0:
        variance = max(map(_variance, ways))
    return Estimate(mean, float(np.sqrt(variance)), min(map(len, ways)) - 1)


def _variance(sums: np.ndarray) -> float:
    return float((sums**2).sum() * len(sums) / (len(sums) - 1))


def holm(p_values: pd.Series) -> pd.Series:
    """The p-values adjusted for their number (Holm 1979); NaN stays and counts for none."""
    known = p_values.dropna().sort_values()
    adjusted = (known * np.arange(len(known), 0, -1)).clip(upper=1).cummax()
    return adjusted.reindex(p_values.index)
