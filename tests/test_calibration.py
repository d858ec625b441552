"""A plate's depth from a network or a teacher, and its fit to measured distances."""

import numpy as np
import pytest

from depthmask.errors import InputError
from depthmask.inference import calibration
from depthmask.inference.calibration import Point, calibrate, from_inverse, parse_point
from depthmask.inference.predictor import Predictor

COLUMNS = np.tile(np.linspace(1, 8, 64, dtype=np.float32), (48, 1))  # metres, farther to the right


def points(true: np.ndarray, *columns: int) -> list[Point]:
    return [Point(x, 20, float(true[20, x])) for x in columns]


def test_a_scale_is_taken_from_one_point_and_only_if_it_gains_from_more():
    fit = calibrate(COLUMNS, points(1.3 * COLUMNS, 10))
    np.testing.assert_allclose(fit.apply(COLUMNS), 1.3 * COLUMNS, rtol=1e-5)
    assert fit.left_out == {}
    assert calibrate(COLUMNS, points(1.3 * COLUMNS, 10, 40)).model == "scale"
    # one too near, one too far: a scale of one makes the other worse
    opposite = [Point(10, 20, COLUMNS[20, 10] / 1.1), Point(40, 20, COLUMNS[20, 40] * 1.1)]
    fit = calibrate(COLUMNS, opposite)
    assert fit.model == "nothing" and fit.left_out["nothing"] < fit.left_out["scale"]
    np.testing.assert_allclose(fit.apply(COLUMNS), COLUMNS, rtol=1e-6)


def test_a_slope_is_taken_where_it_gains_and_never_turns_a_map_inside_out():
    bent = 0.8 * COLUMNS**1.4
    fit = calibrate(COLUMNS, points(bent, 4, 12, 30, 40, 60))
    assert fit.model == "scale and slope" and 1.2 < fit.slope < 1.4
    before, after = (np.abs(np.log(depth / bent)).mean() for depth in (COLUMNS, fit.apply(COLUMNS)))
    assert after < before / 3
    assert calibrate(COLUMNS, points(1 / COLUMNS**3, 4, 12, 30, 40, 60)).slope >= 0


def test_unknown_depth_stays_unknown_and_points_are_checked():
    holes = COLUMNS.copy()
    holes[10:30, 10:30], holes[0] = 0, np.nan
    fitted = calibrate(holes, points(2 * COLUMNS, 40)).apply(holes)
    assert (fitted[0] == 0).all() and (fitted[15, 10:30] == 0).all() and fitted[40].min() > 1.9
    for at, message in (
        ("64,0=2", "--at 64,0 lies outside the depth of 64x48 px"),
        ("20,20=2", "--at 20,20 lies where no depth is known"),
        ("1,1=0.0", "--at 1,1=0.0 is no X,Y=METRES above 0"),
        ("1,1=-2", "is no X,Y=METRES"),
        ("1;1=2", "is no X,Y=METRES"),
    ):
        with pytest.raises(InputError, match=message):
            calibrate(holes, [parse_point(at)])


def test_a_network_sees_the_plate_twice(difference_onnx, relative_onnx, room_and_visitor):
    _, frame = room_and_visitor
    predictor = Predictor(difference_onnx, device="cpu")
    depth = calibration.from_network(predictor, frame, None)
    assert depth[54, 72] == pytest.approx(4.007, abs=5e-3) and depth.shape == (96, 144)
    with pytest.raises(InputError, match="tells relative depth: name a model in metres"):
        calibration.from_network(Predictor(relative_onnx, device="cpu"), frame, None)


def test_a_teacher_s_inverse_depth_becomes_metres():
    inverse = 3 / COLUMNS - 0.5  # relative: a scale, and a shift that makes some of it negative
    metres = from_inverse(inverse, points(COLUMNS, 5, 30, 60))
    np.testing.assert_allclose(metres, COLUMNS, rtol=0.02)
    with pytest.raises(InputError, match="give two distances or more"):
        from_inverse(inverse, points(COLUMNS, 5))
    with pytest.raises(InputError, match="check --at"):
        from_inverse(-inverse, points(COLUMNS, 5, 60))
