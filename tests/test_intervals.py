"""Bootstrap intervals: what they must be for numbers whose spread is known."""

import math

import numpy as np
import pandas as pd
import pytest

from depthmask.config import Bootstrap
from depthmask.evaluation.intervals import Resamples, gap_interval

PARAMS = Bootstrap(samples=4000, level=0.95, seed=0)


def apart(count: int) -> pd.DataFrame:
    """Scenes that share neither room nor person: who stands in them is not drawn."""
    return pd.DataFrame({"plate": range(count), "cutout": 0})


def crossed(rooms: int, people: int) -> pd.DataFrame:
    """Everybody once in every room."""
    plates, cutouts = np.divmod(np.arange(rooms * people), people)
    return pd.DataFrame({"plate": plates, "cutout": cutouts})


def test_scenes_of_their_own_have_the_interval_of_the_normal_distribution():
    values = np.random.default_rng(1).normal(10, 2, 400)
    interval = Resamples(apart(400), PARAMS).interval(values)
    error = values.std() / math.sqrt(len(values))
    assert interval.value == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - 1.96 * error, abs=0.02)
    assert interval.high == pytest.approx(values.mean() + 1.96 * error, abs=0.02)


def test_frames_of_one_room_are_no_more_than_one():
    """Four equal frames of each of 30 rooms tell what one would have told."""
    rooms = np.random.default_rng(2).normal(0, 1, 30)
    origins = pd.DataFrame({"plate": np.arange(120) % 30, "cutout": 0})
    four = Resamples(origins, PARAMS).interval(np.tile(rooms, 4))
    one = Resamples(apart(30), PARAMS).interval(rooms)
    assert four == pytest.approx(one)
    as_if_apart = Resamples(apart(120), PARAMS).interval(np.tile(rooms, 4))
    assert four.high - four.low > 1.8 * (as_if_apart.high - as_if_apart.low)


@pytest.mark.parametrize(("rooms", "people"), [(20, 4), (8, 10)])
def test_it_covers_the_truth_about_as_often_as_it_says(rooms, people):
    """Rooms and people that differ; drawn scene by scene the interval would cover far less."""
    random, few = np.random.default_rng(3), Bootstrap(samples=300, level=0.9, seed=0)
    origins = crossed(rooms, people)
    shared, alone = Resamples(origins, few), Resamples(apart(len(origins)), few)
    covered = np.zeros(2)
    for _ in range(300):
        of_room, of_person = random.normal(0, 1, rooms), random.normal(0, 0.3, people)
        values = of_room[origins.plate] + of_person[origins.cutout]
        values = values + random.normal(0, 0.5, len(origins))
        for place, resamples in enumerate((shared, alone)):
            interval = resamples.interval(values)
            covered[place] += interval.low <= 0 <= interval.high
    assert covered[0] / 300 > 0.8 and covered[1] / 300 < 0.75


def test_the_same_seed_gives_the_same_bounds_and_another_others():
    values, origins = np.random.default_rng(4).random(60), crossed(12, 5)
    other = PARAMS.model_copy(update={"seed": 1})
    assert Resamples(origins, PARAMS).interval(values) == Resamples(origins, PARAMS).interval(
        values
    )
    assert Resamples(origins, PARAMS).interval(values) != Resamples(origins, other).interval(values)


def test_scenes_that_do_not_count_are_left_out():
    values = np.array([1.0, math.nan, 2.0, 3.0, 5.0, 7.0, math.nan])
    resamples = Resamples(apart(7), PARAMS)
    assert resamples.interval(values).value == 3.6
    assert 1.0 <= resamples.interval(values).low < resamples.interval(values).high <= 7.0
    assert all(math.isnan(each) for each in resamples.interval(np.full(7, math.nan)))


def test_a_handful_of_scenes_has_no_interval():
    """Else a headline set of one frame would prove anything."""
    value, low, high = Resamples(apart(4), PARAMS).interval(np.arange(4.0))
    assert value == 1.5 and math.isnan(low) and math.isnan(high)


def test_pairs_are_told_apart_where_the_means_alone_are_not():
    """Hard and easy scenes: their spread hides a small, steady lead, pairs show it."""
    scenes = np.random.default_rng(5).uniform(0.2, 1.0, 80)
    resamples, others = Resamples(apart(80), PARAMS), Resamples(apart(80), PARAMS, stream=1)
    lead = resamples.interval(scenes + 0.01 - scenes)
    assert lead.excludes_zero and lead.value == pytest.approx(0.01)
    assert not gap_interval(scenes + 0.01, resamples, scenes, others).excludes_zero


def test_the_gap_of_two_sets_has_the_error_of_both():
    random = np.random.default_rng(6)
    one, other = random.normal(3, 1, 300), random.normal(1, 1, 200)
    resamples = Resamples(apart(300), PARAMS, 1), Resamples(apart(200), PARAMS, 2)
    gap = gap_interval(one, resamples[0], other, resamples[1])
    error = math.sqrt(one.var() / 300 + other.var() / 200)
    assert gap.value == pytest.approx(one.mean() - other.mean())
    assert gap.high - gap.low == pytest.approx(2 * 1.96 * error, rel=0.06)


def test_a_spoilt_prediction_has_no_interval():
    low, high = Resamples(apart(6), PARAMS).interval(np.array([0.1, -math.inf, 0.3, 1, 1, 1]))[1:]
    assert math.isnan(low) and math.isnan(high)
