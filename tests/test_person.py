import numpy as np
import pytest

from depthmask.data.scenes.person import find_person, largest_region


def test_summary_by_hand():
    mask = np.zeros((10, 20))
    depth = np.full((10, 20), 9.0)
    mask[2:6, 5:8] = 0.9
    depth[2:6, 5:8] = 3.0
    depth[2, 5] = 50.0  # one wild pixel moves a mean, not the median
    person = find_person(mask, depth)
    assert person.depth == 3.0
    assert person.box == (5, 2, 3, 4)
    assert person.area_share == pytest.approx(12 / 200)


def test_nobody():
    assert find_person(np.full((5, 5), 0.5), np.ones((5, 5))) is None


def test_specks_do_not_count():
    mask = np.zeros((300, 400))
    mask[100:200, 50:90] = 1
    mask[0:3, 395:400] = 1
    mask[290, 0] = 1
    assert find_person(mask, np.ones_like(mask)).box == (50, 100, 40, 100)


def test_diagonal_neighbours_are_one_region():
    assert largest_region(np.eye(6, dtype=bool)).sum() == 6


def test_a_long_winding_region_is_one():
    person = np.zeros((31, 31), dtype=bool)
    person[::2] = True
    person[1::4, -1] = person[3::4, 0] = True
    np.testing.assert_array_equal(largest_region(person), person)


def test_keeps_the_pixels_of_a_large_frame():
    person = np.zeros((1080, 1920), dtype=bool)
    person[101:807, 333:555] = True
    person[0:40, 1900:] = True
    region = largest_region(person)
    assert region[101:807, 333:555].all()
    assert region.sum() == 706 * 222
