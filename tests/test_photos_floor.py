"""The floor, the camera over it, and where people stand."""

from pathlib import Path

import numpy as np
import pytest

from depthmask.data.sources.photos import floor as floors
from photo_files import FOCAL, params, room_depth

SIZE = 96


def ground(values, unit="metre"):
    warnings = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(floors, "warn", lambda path, text: warnings.append(text.split()[0]))
        grounded = floors.ground_plate(Path("a.png"), values, unit, params(), 0)
    return *grounded, warnings


def room(**geometry) -> np.ndarray:
    return room_depth((SIZE, SIZE), **geometry)


def pitch_degrees(camera) -> float:
    return float(np.degrees(np.arctan2(-camera.up[2], -camera.up[1])))


@pytest.mark.parametrize(
    ("pitch", "height_m", "roll"), [(0.0, 0.9, 0), (12.0, 1.6, 0), (35.0, 2.7, 0), (10.0, 1.6, 6)]
)
def test_metres_give_the_camera_exactly_and_a_leaning_one_is_told(pitch, height_m, roll):
    depth = room(pitch_degrees=pitch, height_m=height_m, roll_degrees=roll)
    _, camera, _, warnings = ground(depth)
    assert camera.focal == pytest.approx(FOCAL)
    assert camera.height_m == pytest.approx(height_m, rel=1e-3)
    assert pitch_degrees(camera) == pytest.approx(pitch, abs=0.05)
    assert np.linalg.norm(camera.up) == pytest.approx(1)
    tilted = ["leans"] * (roll > 0)
    assert camera.up[0] == pytest.approx(0, abs=1e-3) and warnings == tilted
    assert ground(1000 * depth)[3] == [*tilted, "is"]


def test_noise_furniture_and_a_table_do_not_move_the_camera():
    depth = room(pitch_degrees=10.0)
    depth *= np.random.default_rng(1).normal(1, 0.01, depth.shape).astype(np.float32)
    depth[50:80, 20:40] = 2.0  # something that stands there, seen from the front
    depth[60:, 70:80] = 1.2
    _, camera, stands, _ = ground(depth)
    assert camera.height_m == pytest.approx(1.6, abs=0.03)
    assert pitch_degrees(camera) == pytest.approx(10.0, abs=0.5)
    np.testing.assert_array_equal(ground(depth)[2], stands)  # the search is seeded
    depth, table = (room(pitch_degrees=25.0, height_m=height_m) for height_m in (1.8, 0.9))
    depth[50:80, 15:85] = table[50:80, 15:85]  # more of the table than of the floor
    assert ground(depth)[1].height_m == pytest.approx(1.8, abs=0.02)


NOISE = np.random.default_rng(0).uniform(2, 5, (SIZE, SIZE)).astype(np.float32)
WALL = np.full((SIZE, SIZE), 3.0, np.float32)


@pytest.mark.parametrize("unit", ["metre", "relative"])
@pytest.mark.parametrize("values", [WALL, NOISE, room()[::-1]], ids=["wall", "noise", "ceiling"])
def test_without_a_floor_people_stand_on_the_lower_third_before_a_level_camera(unit, values):
    depth, camera, stands, warnings = ground(values if unit == "metre" else 1 / values, unit)
    assert warnings == ["shows"]
    assert camera.up == pytest.approx((0, -1, 0)) and depth.min() >= 0.5
    assert (camera.project(stands.astype(float), SIZE)[:, 1] >= 2 * SIZE // 3).all()


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (37.0, -4.0), (0.01, 5.0)])
def test_relative_depth_becomes_that_of_the_nominal_camera(scale, shift):
    inverse = (scale / room() + shift).astype(np.float32)
    depth, camera, _, warnings = ground(inverse, "relative")
    assert camera.height_m == pytest.approx(1.6) and warnings == []
    assert pitch_degrees(camera) == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(depth, room(), rtol=0.01)


def test_the_nominal_horizon_lies_above_the_floor():
    """A camera that looks down 35 degrees: level, the far floor would lie behind the horizon."""
    depth = room(pitch_degrees=35.0, wall_m=50.0)
    depth[0, 0] = 0.05  # a lamp before the lens is clamped
    nominal, camera, _, warnings = ground((1 / depth).astype(np.float32), "relative")
    assert pitch_degrees(camera) > 5 and warnings == []
    assert np.percentile(nominal, 99.5) == pytest.approx(20, abs=0.5)
    assert nominal.min() == pytest.approx(0.5) and nominal.max() < 25
    assert (np.diff(nominal[:, 40]) < 0).all()


def test_stands_lie_on_the_floor_with_room_around_them():
    depth = room(pitch_degrees=8.0)
    depth[60:, 45:50] = 1.0
    _, camera, stands, _ = ground(depth)
    stands = stands.astype(float)
    assert stands.shape == (floors.NUM_STANDS, 3)
    np.testing.assert_allclose(stands @ np.array(camera.up), -1.6, atol=0.01)
    u, v = np.floor(camera.project(stands, SIZE)).astype(int).T
    np.testing.assert_allclose(depth[v, u], stands[:, 2], rtol=1e-5)
    gap_px = np.abs(u + 0.5 - 47.5)[v >= 60] - 2.5
    assert (gap_px * stands[v >= 60, 2] / FOCAL / SIZE > 0.2).all()
    heads = stands + 1.7 * np.array(camera.up)
    shares = camera.project(stands, 1)[:, 1] - camera.project(heads, 1)[:, 1]
    assert shares.min() >= 0.25 and shares.max() <= 0.9
    assert np.ptp(shares) > 0.3 and np.ptp(u) > SIZE / 2  # near and far, left and right
