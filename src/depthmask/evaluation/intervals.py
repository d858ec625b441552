"""How sure a figure is: percentile bootstrap over scenes (Efron and Tibshirani 1993, chapter 13).

Scenes that share a room or a person are not independent, so the intervals are, if anything, too
narrow; they say what another draw of as many scenes from the same rooms and people would give.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from depthmask.params import Bootstrap


class Interval(NamedTuple):
    """A figure and the bounds of its interval."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


def mean_interval(values: Sequence[float], params: Bootstrap) -> Interval:
    """The mean of the scenes' values and its interval.

    Args:
        values: a scene each; NaN where the metric does not count.
        params: how often scenes are drawn, the interval's level, the seed.

    Returns:
        NaN thrice without a value that counts; of one scene alone the bounds are its value.
    """
    counted = _counted(values)
    if len(counted) == 0:
        return Interval(np.nan, np.nan, np.nan)
    low, high = _bounds((counted,), np.mean, params)
    return Interval(float(counted.mean()), low, high)


def difference_interval(
    values: Sequence[float], others: Sequence[float], params: Bootstrap
) -> Interval:
    """The mean of one minus the mean of the other over the same scenes, drawn in pairs.

    Args:
        values, others: the same scenes in the same order; a pair counts where both do.
        params: as for `mean_interval`.
    """
    return mean_interval(np.asarray(values, float) - np.asarray(others, float), params)


def gap_interval(values: Sequence[float], others: Sequence[float], params: Bootstrap) -> Interval:
    """The mean of one minus the mean of the other, of scenes that have nothing to do with another.

    Arguments and result as for `mean_interval`.
    """
    one, other = _counted(values), _counted(others)
    if len(one) == 0 or len(other) == 0:
        return Interval(np.nan, np.nan, np.nan)
    low, high = _bounds((one, other), _difference_of_means, params)
    return Interval(float(one.mean() - other.mean()), low, high)


def _counted(values: Sequence[float]) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    return array[~np.isnan(array)]


def _difference_of_means(one: np.ndarray, other: np.ndarray, axis: int = -1) -> np.ndarray:
    return one.mean(axis=axis) - other.mean(axis=axis)


def _bounds(samples: tuple[np.ndarray, ...], statistic, params: Bootstrap) -> tuple[float, float]:
    if any(not np.isfinite(sample).all() for sample in samples):
        return np.nan, np.nan
    if any(len(sample) < 2 for sample in samples):  # nothing else can be drawn of it
        value = float(statistic(*samples))
        return value, value
    result = stats.bootstrap(
        samples,
        statistic,
        n_resamples=params.samples,
        confidence_level=params.level,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(params.seed),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)
