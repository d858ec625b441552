"""Bootstrap intervals: what they must be for numbers whose spread is known."""

import math

import numpy as np
import pytest

from depthmask.evaluation.intervals import difference_interval, gap_interval, mean_interval
from depthmask.params import Bootstrap

PARAMS = Bootstrap(samples=4000, level=0.95, seed=0)


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution():
    values = np.random.default_rng(1).normal(10, 2, 400)
    interval = mean_interval(values, PARAMS)
    error = values.std() / math.sqrt(len(values))
    assert interval.value == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - 1.96 * error, abs=0.02)
    assert interval.high == pytest.approx(values.mean() + 1.96 * error, abs=0.02)


def test_it_covers_the_truth_about_as_often_as_it_says():
    random = np.random.default_rng(2)
    few = Bootstrap(samples=300, level=0.9, seed=0)
    covers = [
        interval.low <= 0 <= interval.high
        for interval in (mean_interval(random.normal(0, 1, 80), few) for _ in range(300))
    ]
    assert 0.84 < np.mean(covers) < 0.95


def test_the_same_seed_gives_the_same_bounds_and_another_others():
    values = np.random.default_rng(3).random(50)
    other = PARAMS.model_copy(update={"seed": 1})
    assert mean_interval(values, PARAMS) == mean_interval(values, PARAMS)
    assert mean_interval(values, PARAMS) != mean_interval(values, other)


def test_scenes_that_do_not_count_are_left_out():
    assert mean_interval([1.0, math.nan, 3.0], PARAMS) == mean_interval([1.0, 3.0], PARAMS)
    assert all(math.isnan(value) for value in mean_interval([math.nan], PARAMS))
    assert mean_interval([0.5], PARAMS) == (0.5, 0.5, 0.5)


def test_pairs_are_told_apart_where_the_means_alone_are_not():
    """Hard and easy scenes: the spread over scenes hides a small, steady lead, pairs show it."""
    scenes = np.random.default_rng(4).uniform(0.2, 1.0, 80)
    better = scenes + 0.01
    assert difference_interval(better, scenes, PARAMS).excludes_zero
    assert not gap_interval(better, scenes, PARAMS).excludes_zero
    assert difference_interval(better, scenes, PARAMS).value == pytest.approx(0.01)


def test_the_gap_of_two_sets_has_the_error_of_both():
    random = np.random.default_rng(5)
    one, other = random.normal(3, 1, 300), random.normal(1, 1, 200)
    gap = gap_interval(one, other, PARAMS)
    error = math.sqrt(one.var() / 300 + other.var() / 200)
    assert gap.value == pytest.approx(one.mean() - other.mean())
    assert gap.high - gap.low == pytest.approx(2 * 1.96 * error, rel=0.06)


def test_a_spoilt_prediction_has_no_interval():
    low, high = mean_interval([0.1, -math.inf, 0.3], PARAMS)[1:]
    assert math.isnan(low) and math.isnan(high)
