import numpy as np
import pytest
import torch
import torch.nn.functional as F

from depthmask.data.composition import geometry
from depthmask.data.composition.geometry import apply
from depthmask.data.scenes.library import Library
from depthmask.data.scenes.placement import NUM_UNIFORMS, Recipes
from synthetic import make_library


def random_maps(count=5):
    random = np.random.default_rng(0)
    return random.normal(size=(count, 2, 3)) + np.array([[2, 0, 5], [0, 2, -3]])


def test_inverse_and_compose():
    maps, points = random_maps(), np.random.default_rng(1).normal(size=(5, 2))
    np.testing.assert_allclose(apply(geometry.inverse(maps), apply(maps, points)), points)
    other = random_maps()[::-1]
    np.testing.assert_allclose(
        apply(geometry.compose(other, maps), points), apply(other, apply(maps, points))
    )


def test_theta_samples_the_pixel_that_the_map_names():
    source = torch.arange(8.0 * 6).reshape(1, 1, 8, 6)  # 8 rows, 6 columns
    shift = np.array([[[1.0, 0.0, 2.0], [0.0, 1.0, 3.0]]])  # output (u, v) shows (u + 2, v + 3)
    theta = geometry.to_theta(shift, (4, 4), (6, 8))
    grid = F.affine_grid(torch.from_numpy(theta).float(), [1, 1, 4, 4], align_corners=False)
    found = F.grid_sample(source, grid, align_corners=False)
    torch.testing.assert_close(found, source[:, :, 3:7, 2:6])


def test_lens_shows_the_part_asked_for():
    lens = geometry.lens(
        np.array([[0.5, 0.25]]), np.array([[0.5, 0.75]]), np.zeros(1), np.zeros((1, 2)), 100
    )
    np.testing.assert_allclose(apply(lens, np.array([[50.0, 50.0]])), [[50, 75]])
    np.testing.assert_allclose(apply(lens, np.array([[0.0, 100.0]])), [[25, 87.5]])


def recipes(library, stand):
    one = np.zeros(1, np.int64)
    return Recipes(
        one, one, one, one, one + stand, one.astype(bool), one.astype(bool),
        np.zeros((1, NUM_UNIFORMS)),
    )  # fmt: skip


@pytest.mark.parametrize("pitch", [0.0, 0.35])
def test_a_stance_puts_foot_and_head_where_the_camera_sees_them(pitch):
    library = make_library()
    up = (0.0, -np.cos(pitch), -np.sin(pitch))  # looking down: the head is nearer than the foot
    plates = library.plates.assign(up_x=up[0], up_y=up[1], up_z=up[2])
    fields = {name: getattr(library, name) for name in Library.__dataclass_fields__}
    tilted = Library(**fields | {"plates": plates})
    stance = geometry.stances(tilted, recipes(tilted, 4), 64, np.zeros((1, 2)))
    cutout = tilted.cutouts.iloc[0]
    foot = np.asarray(tilted.stands[0, 4], float)
    head = foot + cutout.height_m * np.array(up)
    canvas_foot = np.array([[cutout.foot_u, cutout.foot_v]])
    canvas_head = canvas_foot - [[0, cutout.height_m / cutout.metres_per_px]]
    camera = tilted.camera(0)
    np.testing.assert_allclose(apply(stance.to_plate, canvas_foot)[0], camera.project(foot, 64))
    np.testing.assert_allclose(apply(stance.to_plate, canvas_head)[0], camera.project(head, 64))
    rows = cutout.height_m / cutout.metres_per_px
    assert stance.foot_m[0] + rows * stance.depth_per_row[0] == pytest.approx(head[2])


def test_a_shadow_starts_at_the_foot_and_runs_over_the_floor():
    library = make_library()
    stance = geometry.stances(library, recipes(library, 2), 64, np.array([[0.5, 0.25]]))
    cutout, camera = library.cutouts.iloc[0], library.camera(0)
    foot = np.asarray(library.stands[0, 2], float)
    canvas_foot = np.array([[cutout.foot_u, cutout.foot_v]])
    canvas_head = canvas_foot - [[0, cutout.height_m / cutout.metres_per_px]]
    tip = foot + cutout.height_m * np.array([0.5, 0.0, 0.25])
    np.testing.assert_allclose(
        apply(stance.shadow_to_plate, canvas_foot)[0], camera.project(foot, 64)
    )
    # the tip lies on the floor; a far one is kept two pixels from the foot's row
    expected, base = camera.project(tip, 64), camera.project(foot, 64)
    expected[1] = min(expected[1], base[1] - 2)
    np.testing.assert_allclose(apply(stance.shadow_to_plate, canvas_head)[0], expected)
