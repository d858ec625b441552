from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from depthmask.data.composition.shot import apply, compose, inverse, lens, stances, to_theta
from depthmask.data.scenes.placement import NUM_UNIFORMS, Recipes
from synthetic import make_library


def test_inverse_and_compose():
    random = np.random.default_rng(0)
    maps, other = random.normal(size=(2, 5, 2, 3)) + np.array([[2, 0, 5], [0, 2, -3]])
    points = random.normal(size=(5, 2))
    np.testing.assert_allclose(apply(inverse(maps), apply(maps, points)), points)
    np.testing.assert_allclose(
        apply(compose(other, maps), points), apply(other, apply(maps, points))
    )


def test_theta_samples_the_pixel_that_the_map_names():
    source = torch.arange(8.0 * 6).reshape(1, 1, 8, 6)  # 8 rows, 6 columns
    shift = np.array([[[1.0, 0.0, 2.0], [0.0, 1.0, 3.0]]])  # output (u, v) shows (u + 2, v + 3)
    theta = to_theta(shift, (4, 4), (6, 8))
    grid = F.affine_grid(torch.from_numpy(theta).float(), [1, 1, 4, 4], align_corners=False)
    found = F.grid_sample(source, grid, align_corners=False)
    torch.testing.assert_close(found, source[:, :, 3:7, 2:6])


def test_lens_shows_the_part_asked_for():
    scale, centre = np.array([[0.5, 0.25]]), np.array([[0.5, 0.75]])
    shown = lens(scale, centre, np.zeros(1), np.zeros((1, 2)), 100)
    np.testing.assert_allclose(apply(shown, np.array([[50.0, 50.0]])), [[50, 75]])
    np.testing.assert_allclose(apply(shown, np.array([[0.0, 100.0]])), [[25, 87.5]])


@pytest.mark.parametrize("pitch", [0.0, 0.35])
def test_foot_head_and_shadow_are_where_the_camera_sees_them(pitch):
    library, one = make_library(), np.zeros(1, np.int64)
    up = np.array([0.0, -np.cos(pitch), -np.sin(pitch)])  # looking down: the head is nearer
    tilted = replace(library, plates=library.plates.assign(up_x=up[0], up_y=up[1], up_z=up[2]))
    recipes = Recipes(one, one, one, one, one + 4, one > 0, one > 0, np.zeros((1, NUM_UNIFORMS)))
    stance = stances(tilted, recipes, 64, np.array([[0.5, 0.25]]))
    cutout, camera = tilted.cutouts.iloc[0], tilted.camera(0)
    rows = cutout.height_m / cutout.metres_per_px
    canvas_foot = np.array([[cutout.foot_u, cutout.foot_v]])
    canvas_head = canvas_foot - [[0, rows]]
    foot = np.asarray(tilted.stands[0, 4], float)
    head = foot + cutout.height_m * up
    np.testing.assert_allclose(apply(stance.to_plate, canvas_foot)[0], camera.project(foot, 64))
    np.testing.assert_allclose(apply(stance.to_plate, canvas_head)[0], camera.project(head, 64))
    assert stance.foot_m[0] + rows * stance.depth_per_row[0] == pytest.approx(head[2])
    # the shadow starts at the foot; its tip lies on the floor, to the right and away
    away = np.array([0.0, -np.sin(pitch), np.cos(pitch)])
    tip = foot + cutout.height_m * (0.5 * np.array([1.0, 0.0, 0.0]) + 0.25 * away)
    start, end = (apply(stance.shadow_to_plate, p)[0] for p in (canvas_foot, canvas_head))
    np.testing.assert_allclose(start, camera.project(foot, 64))
    expected = camera.project(tip, 64)
    expected[1] = min(expected[1], start[1] - 2)  # one seen edge on keeps two pixels
    np.testing.assert_allclose(end, expected)
