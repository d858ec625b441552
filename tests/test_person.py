import numpy as np
import pytest

from depthmask.data.scenes.person import find_person, largest_region


def test_summary_by_hand():
    mask, depth = np.zeros((10, 20)), np.full((10, 20), 9.0)
    mask[2:6, 5:8] = 0.9
    depth[2:6, 5:8] = 3.0
    depth[2, 5] = 50.0  # one wild pixel moves a mean, not the median
    assert find_person(mask, depth) == (3.0, (5, 2, 3, 4), pytest.approx(12 / 200))
    assert find_person(np.full((5, 5), 0.5), np.ones((5, 5))) is None


def test_diagonal_neighbours_are_one_region():
    assert largest_region(np.eye(6, dtype=bool)).sum() == 6


def test_regions_of_a_large_frame_are_told_apart_by_a_pixel():
    """They were not: a grid of 128 cells a side closed gaps of up to 15 px."""
    person = np.zeros((1080, 1920), dtype=bool)
    person[101:807, 333:555] = True
    person[101:807, 557:600] = True  # 2 px to the right
    region = largest_region(person)
    assert region[101:807, 333:555].all() and region.sum() == 706 * 222
