"""A person's depth in a room of known depth, where the answer is known by hand."""

import numpy as np
import pytest

from depthmask.data.scenes.plate_depth import depth_with_plate, plate_at_feet
from synthetic import WALL_M, make_plate

SIDE = 128
ROOM = make_plate(0, SIDE).depth  # a floor up to a wall


def person(last: int) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE))
    mask[40 : last + 1, 50:70] = 1
    return mask


@pytest.mark.parametrize("scale", [1, 0.5])
def test_the_room_tells_an_unknown_lens_and_the_feet_correct_a_person(scale):
    of_lens = {"knows_lens": scale == 1}
    mask = person(100)
    foot_m = ROOM[100, 60]
    true = np.where(mask > 0, foot_m, ROOM)
    np.testing.assert_allclose(
        depth_with_plate(mask, scale * true, ROOM, **of_lens), true, rtol=0.03
    )
    # the person 1.44 times too far by the network: the geometric mean with the feet is 1.2 times
    wrong = scale * np.where(mask > 0, 1.44 * foot_m, ROOM)
    found = depth_with_plate(mask, wrong, ROOM, **of_lens)[60, 60]
    assert found == pytest.approx(1.2 * foot_m, rel=0.03)
    assert plate_at_feet(mask, ROOM)[60, 60] == foot_m


def test_feet_below_the_frame_say_nothing_and_nobody_is_behind_the_room():
    mask = person(SIDE - 1)
    found = np.where(mask > 0, 1.5, ROOM)
    assert depth_with_plate(mask, found, ROOM)[60, 60] == pytest.approx(1.5, rel=0.01)
    assert plate_at_feet(mask, ROOM)[60, 60] == ROOM[-1, 60] > 1.5
    behind = depth_with_plate(person(70), np.where(mask > 0, 40.0, ROOM), ROOM)
    assert (behind <= ROOM).all()


def test_somebody_further_below_in_the_same_columns_does_not_move_the_feet():
    alone = person(90)
    both = alone.copy()
    both[100:, 52:68] = 1
    depths = [depth_with_plate(mask, np.where(mask > 0, 3, ROOM), ROOM) for mask in (alone, both)]
    assert depths[0][60, 60] == depths[1][60, 60]


def test_two_people_nobody_and_unknown_depth():
    mask = person(100)
    mask[40:81, 20:35] = 1
    faint = np.zeros_like(mask)
    faint[5:9, 5:9] = 0.4  # nobody: not above the threshold
    true = np.where(mask > 0, 3.0, ROOM)
    found = depth_with_plate(mask + faint, true, ROOM)
    assert len(np.unique(found[mask > 0])) == 2 and (found[:30] == WALL_M).all()
    holes = ROOM.copy()
    holes[:20], holes[20] = 0, np.nan
    filled = depth_with_plate(mask, 0.5 * true, holes)
    np.testing.assert_allclose(filled[:21], WALL_M, rtol=1e-5)
