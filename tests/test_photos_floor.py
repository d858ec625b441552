"""The floor, the camera over it, and where people stand."""

from pathlib import Path

import numpy as np
import pytest

from depthmask.data.sources.photos import floor as floors
from depthmask.data.sources.photos.floor import NUM_STANDS, Floor, draw_stands, find_floor
from depthmask.data.sources.photos.folder import Findings
from photo_files import FOCAL, params, room_depth

SIZE = 96


def found(depth: np.ndarray) -> Floor:
    floor = find_floor(1 / depth, np.random.default_rng(0))
    assert floor is not None
    return floor


def pitch_degrees(camera) -> float:
    return float(np.degrees(np.arctan2(-camera.up[2], -camera.up[1])))


def ground(values, unit):
    """Depth, camera, stands and the codes of the warnings."""
    findings = Findings(Path(), Path("findings.csv"))
    grounded = floors.ground_plate(Path("a.png"), values, unit, params(), 0, findings)
    return *grounded, [row.code for row in findings.rows]


@pytest.mark.parametrize("pitch", [0.0, 12.0, 35.0])
@pytest.mark.parametrize("height_m", [0.9, 1.6, 2.7])
def test_metres_give_the_camera_exactly(pitch, height_m):
    depth = room_depth((SIZE, SIZE), pitch_degrees=pitch, height_m=height_m)
    _, camera, _, warnings = ground(depth, "metre")
    assert camera.focal == pytest.approx(FOCAL)
    assert camera.height_m == pytest.approx(height_m, rel=1e-3)
    assert pitch_degrees(camera) == pytest.approx(pitch, abs=0.05)
    assert np.linalg.norm(camera.up) == pytest.approx(1) and warnings == []


def test_noise_and_furniture_do_not_move_the_camera():
    rng = np.random.default_rng(1)
    depth = room_depth((SIZE, SIZE), pitch_degrees=10.0)
    depth *= rng.normal(1, 0.01, depth.shape).astype(np.float32)
    depth[50:80, 20:40] = 2.0  # something that stands there, seen from the front
    depth[60:, 70:80] = 1.2
    floor = found(depth)
    camera = floors.metric_camera(floor, FOCAL)
    assert camera.height_m == pytest.approx(1.6, abs=0.03)
    assert pitch_degrees(camera) == pytest.approx(10.0, abs=0.5)
    assert floor.mask[50:80, 20:40].mean() < 0.1
    np.testing.assert_array_equal(found(depth).plane, floor.plane)  # the search is seeded


def test_a_table_is_not_the_floor():
    depth = room_depth((SIZE, SIZE), pitch_degrees=25.0, height_m=1.8)
    table = room_depth((SIZE, SIZE), pitch_degrees=25.0, height_m=0.9, wall_m=3.5)
    depth[45:80, 15:85] = table[45:80, 15:85]
    assert (table[45:80, 15:85] < 3.4).mean() > 0.9  # more of the table than of the floor
    assert floors.metric_camera(found(depth), FOCAL).height_m == pytest.approx(1.8, abs=0.02)


def test_a_leaning_camera_keeps_its_height_and_says_so():
    depth = room_depth((SIZE, SIZE), pitch_degrees=10.0, roll_degrees=6.0)
    _, camera, _, warnings = ground(depth, "metre")
    assert camera.up[0] == 0 and warnings == ["tilted"]
    assert camera.height_m == pytest.approx(1.6, rel=1e-3)
    assert pitch_degrees(camera) == pytest.approx(10.0, abs=0.05)


@pytest.mark.parametrize(
    "values",
    [
        np.full((SIZE, SIZE), 3.0),
        np.random.default_rng(0).uniform(1, 9, (SIZE, SIZE)),
        room_depth((SIZE, SIZE))[::-1],
    ],
    ids=["a wall", "noise", "a ceiling"],
)
def test_no_floor_is_no_floor(values):
    assert find_floor(1 / values, np.random.default_rng(0)) is None


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (37.0, -4.0), (0.01, 5.0)])
def test_relative_depth_becomes_that_of_the_nominal_camera(scale, shift):
    """A level room: nominal and true camera agree, so the metres come back whatever the scale."""
    expected = room_depth((SIZE, SIZE))
    depth, camera, _, warnings = ground((scale / expected + shift).astype(np.float32), "relative")
    assert camera.height_m == 1.6 and warnings == []
    assert pitch_degrees(camera) == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(depth, expected, rtol=0.01)


def test_the_nominal_horizon_lies_above_the_floor():
    """A camera that looks down 35 degrees: level, the far floor would lie behind the horizon."""
    depth = room_depth((SIZE, SIZE), pitch_degrees=35.0, wall_m=50.0)
    nominal, camera, _, warnings = ground((1 / depth).astype(np.float32), "relative")
    assert pitch_degrees(camera) > 5 and warnings == []
    assert np.percentile(nominal, 99.5) == pytest.approx(20, abs=0.5)
    assert nominal.max() < 25 and (np.diff(nominal[:, 40]) < 0).all()


def test_nominal_depth_is_affine_in_inverse_depth_and_clamped():
    depth = room_depth((SIZE, SIZE), pitch_degrees=15.0)
    depth[:8, :8] = 0.05  # a lamp before the lens
    inverse = (3 / depth + 2).astype(np.float32)
    nominal = ground(inverse, "relative")[0]
    low, high = floors.NOMINAL_RANGE_M
    assert nominal.min() == pytest.approx(low) and nominal.max() <= high
    inside = (nominal > low * 1.01) & (nominal < high * 0.99)
    slope, offset = np.polyfit(inverse[inside], 1 / nominal[inside], 1)
    np.testing.assert_allclose(1 / nominal[inside], slope * inverse[inside] + offset, 1e-3)


@pytest.mark.parametrize("unit", ["metre", "relative"])
def test_without_a_floor_people_stand_on_the_lower_third_before_a_level_camera(unit):
    values = np.random.default_rng(0).uniform(2, 5, (SIZE, SIZE)).astype(np.float32)
    depth, camera, stands, warnings = ground(values if unit == "metre" else 1 / values, unit)
    assert warnings == ["no-floor"]
    assert camera.up == pytest.approx((0, -1, 0)) and depth.min() >= 0.5
    assert camera.project(stands.astype(float), SIZE)[:, 1].min() >= 2 * SIZE // 3


def test_an_unlikely_camera_is_warned_of():
    depth = room_depth((SIZE, SIZE), pitch_degrees=10.0) * 1000
    assert "camera-height" in ground(depth, "metre")[3]


def test_stands_lie_on_the_floor_at_the_plate_s_depth():
    depth = room_depth((SIZE, SIZE), pitch_degrees=8.0)
    depth[70:80, 40:56] = 1.0
    _, camera, stands, _ = ground(depth, "metre")
    stands = stands.astype(float)
    assert stands.shape == (NUM_STANDS, 3)
    np.testing.assert_allclose(stands @ np.array(camera.up), -1.6, atol=0.01)
    u, v = np.floor(camera.project(stands, SIZE)).astype(int).T
    np.testing.assert_allclose(depth[v, u], stands[:, 2], rtol=1e-5)
    assert not ((np.abs(u - 48) < 8) & (v >= 70) & (v < 80)).any()
    heads = stands + 1.7 * np.array(camera.up)
    shares = camera.project(stands, 1)[:, 1] - camera.project(heads, 1)[:, 1]
    assert shares.min() >= 0.25 and shares.max() <= 0.9
    assert shares.max() - shares.min() > 0.3  # near and far
    assert np.ptp(u) > SIZE / 2  # left and right


def test_stands_have_room_around_them():
    depth = room_depth((SIZE, SIZE))
    floor = depth < 5.9
    floor[:, 45:50] = False
    camera = floors.metric_camera(found(depth), FOCAL)
    stands = draw_stands(depth, floor, camera, 1.7, np.random.default_rng(0)).astype(float)
    at_gap = (np.array([45, 50]) / SIZE - 0.5)[:, None] * stands[:, 2] / FOCAL
    gap_m = np.where(stands[:, 0] < at_gap[0], at_gap[0] - stands[:, 0], stands[:, 0] - at_gap[1])
    assert gap_m.min() > 0.2


def test_no_place_gives_no_stand():
    depth = np.full((SIZE, SIZE), 0.3, np.float32)  # so near that nobody fits into the frame
    camera = floors.metric_camera(found(room_depth((SIZE, SIZE))), FOCAL)
    everywhere = np.ones((SIZE, SIZE), bool)
    stands = draw_stands(depth, everywhere, camera, 1.7, np.random.default_rng(0))
    assert stands.shape == (0, 3)
