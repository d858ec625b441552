"""The museum: geometry that agrees with the camera, and pictures that repeat bit by bit."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import psutil
import pytest

pytest.importorskip("mitsuba")

from depthmask.data.scenes.scene import Camera
from depthmask.data.sources.museum import (
    Job,
    render_cutout,
    render_empty,
    render_in_scene,
    render_plate,
    run_jobs,
)
from depthmask.data.sources.museum.denoising import denoised
from depthmask.data.sources.museum.loading import Lamp, load_world
from depthmask.data.sources.museum.materials import plain, textured
from depthmask.data.sources.museum.optics import View, radiance, surfaces
from depthmask.data.sources.museum.people import MAX_HEIGHT_M, MAX_RADIUS_M, draw_person
from depthmask.data.sources.museum.render import CANVAS_M
from depthmask.data.sources.museum.rooms import draw_room
from depthmask.data.sources.museum.shapes import box, ellipsoid, quad, rotation
from depthmask.data.sources.museum.stands import ADULT_M, HEIGHT_RANGE, NUM_STANDS

SIZE = 64
ROOM, PEOPLE = 3, (1, 4, 13)


@pytest.fixture(scope="module")
def plate():
    return render_plate(ROOM, size=SIZE, samples_per_px=4)


@pytest.fixture(scope="module")
def frames(plate):
    # the stand whose person is all in the frame and largest
    feet = plate.stands
    heads = feet + 1.9 * np.asarray(plate.camera.up, np.float32)
    v = plate.camera.project(feet, SIZE)[:, 1], plate.camera.project(heads, SIZE)[:, 1]
    u = plate.camera.project(feet, SIZE)[:, 0]
    inside = (v[0] < SIZE - 2) & (v[1] > 2) & (u > 14) & (u < SIZE - 14)
    stand = feet[np.argmin(np.where(inside, feet[:, 2], np.inf))]
    return stand, [
        render_in_scene(ROOM, person, stand, seed=5, size=SIZE, samples_per_px=4)
        for person in PEOPLE
    ]


def camera_of(view: View) -> Camera:
    up = (view.right[2], view.down[2], view.forward[2])
    return Camera(float(view.focal), up, float(view.origin[2]))


def test_known_point_is_rendered_where_the_camera_projects_it():
    view = View.aimed((0.4, -2.0, 1.5), 25.0, 12.0, 0.9)
    target = view.to_world(np.array([0.6, -0.35, 3.0]))
    world = load_world([ellipsoid(target, (0.05, 0.05, 0.05), plain((0.5, 0.5, 0.5)))], [])
    depth, shape = surfaces(world, view, (200, 200))
    rows, columns = np.nonzero(shape)
    u, v = camera_of(view).project(view.to_camera(target), 200)
    assert u > 100 > v  # to the right and above the middle, as the point is
    assert (columns.mean() + 0.5, rows.mean() + 0.5) == pytest.approx((u, v), abs=0.5)
    assert depth[rows, columns].min() == pytest.approx(2.95, abs=0.003)


def test_depth_is_planar_not_the_distance():
    view = View.aimed((0, 0, 0), 0.0, 0.0, 0.6)
    wall = quad((-20, 4, -20), (40, 0, 0), (0, 0, 40), plain((0.5, 0.5, 0.5)))
    depth, _ = surfaces(load_world([wall], []), view, (32, 32))
    np.testing.assert_allclose(depth, 4.0, atol=1e-4)


def test_light_falls_to_the_right_side_and_in_the_right_colour():
    view = View.aimed((0, -4, 1), 0.0, 0.0, 1.0)
    lamp = Lamp(
        "panel",
        np.array([3.0, 0.0, 1.0]),
        np.array([8.0, 2.0, 1.0]),
        along=np.array([0.0, -0.5, 0.0]),
        up=np.array([0.0, 0.0, 0.5]),
    )
    ball = ellipsoid((0, 0, 1), (0.8, 0.8, 0.8), plain((0.8, 0.8, 0.8)))
    first, second = radiance(
        load_world([ball], [lamp]), view, (32, 32), samples_per_px=32, seed=0, lamps_visible=False
    )
    light = first + second
    assert light[:, 16:].sum() > 5 * light[:, :16].sum()
    assert light[..., 0].sum() > 3 * light[..., 1].sum() > 3 * light[..., 2].sum()


def test_texture_stands_upright():
    top_red = np.zeros((2, 1, 3))
    top_red[0, 0, 0] = top_red[1, 0, 2] = 0.9
    canvas = quad((-1, 0, 0), (2, 0, 0), (0, 0, 2), textured(top_red), unit_uv=True)
    view = View.aimed((0, -3, 1), 0.0, 0.0, 1.4)
    sky = Lamp("sky", np.zeros(3), np.ones((8, 16, 3)))
    light = radiance(load_world([canvas], [sky]), view, (16, 16), samples_per_px=4, seed=0)[0]
    assert light[3, 8, 0] > light[3, 8, 2] and light[12, 8, 2] > light[12, 8, 0]


def test_boxes_and_balls_are_wound_outwards():
    for part in (
        box((1, 2, 3), (0.5, 0.7, 0.9), plain((0.5, 0.5, 0.5)), rotation("z", 30)),
        ellipsoid((1, 2, 3), (0.3, 0.4, 0.5), plain((0.5, 0.5, 0.5))),
    ):
        a, b, c = (part.vertices[part.faces[:, k]] for k in range(3))
        outward = np.sum(np.cross(b - a, c - a) * ((a + b + c) / 3 - [1, 2, 3]), axis=1)
        assert (outward > -1e-12).all() and outward.sum() > 0


def test_plate_keeps_its_promises(plate):
    assert plate.name == "room-00003"
    assert plate.image.shape == (SIZE, SIZE, 3) and plate.image.dtype == np.uint8
    assert plate.depth.shape == (SIZE, SIZE) and plate.depth.dtype == np.float32
    assert np.isfinite(plate.depth).all()
    assert 0.5 < plate.depth.min() and plate.depth.max() < 25
    assert plate.image.std() > 15 and 50 < plate.image.mean() < 210
    assert np.linalg.norm(plate.camera.up) == pytest.approx(1)
    assert plate.camera.up[1] < -0.8 and 1.0 <= plate.camera.height_m <= 3.0


def test_stands_lie_on_the_floor_and_in_view(plate):
    camera, stands = plate.camera, plate.stands
    assert stands.shape == (NUM_STANDS, 3) and stands.dtype == np.float32
    up = np.asarray(camera.up)
    np.testing.assert_allclose(stands @ up, -camera.height_m, atol=1e-4)
    feet, heads = camera.project(stands, 1), camera.project(stands + ADULT_M * up, 1)
    assert (0 < feet[:, 0]).all() and (feet[:, 0] < 1).all() and (heads[:, 1] > 0).all()
    share = feet[:, 1] - heads[:, 1]
    assert HEIGHT_RANGE[0] <= share.min() and share.max() <= HEIGHT_RANGE[1]
    assert np.ptp(share) > 0.2


def test_depth_of_the_bare_floor_is_the_floors(plate):
    """Where a stand is not hidden, the plate's depth is the stand's."""
    feet = plate.camera.project(plate.stands, SIZE)
    inside = (feet >= 0).all(1) & (feet < SIZE).all(1)
    column, row = feet[inside].astype(int).T
    gap = plate.depth[row, column] - plate.stands[inside, 2]
    assert (np.abs(gap) < 0.12).mean() > 0.4
    assert (gap < 0.4).all()


def test_plate_repeats_and_stands_do_not_depend_on_size(plate):
    again = run_jobs(
        [Job(render_plate, (ROOM,), {"size": SIZE, "samples_per_px": 4})] * 2,
        description="test",
        num_workers=2,
    )
    for other in again:
        np.testing.assert_array_equal(other.image, plate.image)
        np.testing.assert_array_equal(other.depth, plate.depth)
    small = render_plate(ROOM, size=32, samples_per_px=2)
    np.testing.assert_array_equal(small.stands, plate.stands)
    assert small.camera == plate.camera
    assert render_plate(ROOM + 1, size=32, samples_per_px=2).camera != plate.camera


def test_person_stands_where_the_camera_projects_the_stand(plate, frames):
    stand, rendered = frames
    up = np.asarray(plate.camera.up)
    for seed, frame in zip(PEOPLE, rendered, strict=True):
        rows = np.nonzero(frame.mask.max(1) > 0.3)[0]
        person = draw_person(seed)
        # what sticks out highest; hands may be above the head
        top = max(part.vertices[:, 2].max() for part in person.parts)
        head = plate.camera.project(stand + top * up, SIZE)[1]
        foot = plate.camera.project(stand, SIZE)[1]
        # parts of a body are nearer or further than its axis by up to this share
        slack = (foot - head) * 0.35 / stand[2]
        assert rows[0] == pytest.approx(head, abs=1.5 + slack)
        assert rows[-1] + 1 == pytest.approx(foot, abs=1.5 + slack)


def test_upright_pole_of_known_height_projects_as_the_camera_says(plate):
    """Without a body's breadth the agreement is within 1.5 px."""
    view = draw_room(ROOM).view
    stand = plate.stands[np.argmin(plate.stands[:, 2])]
    foot = view.to_world(stand.astype(float))
    assert abs(foot[2]) < 1e-4
    pole = box(foot + [0, 0, 0.85], (0.03, 0.03, 1.7), plain((0.5, 0.5, 0.5)))
    _, shape = surfaces(load_world([pole], []), view, (256, 256))
    rows, columns = np.nonzero(shape)
    low = plate.camera.project(stand, 256)
    high = plate.camera.project(stand + 1.7 * np.asarray(plate.camera.up), 256)
    assert rows.min() == pytest.approx(high[1], abs=1.5)
    assert rows.max() + 1 == pytest.approx(min(low[1], 256), abs=3)
    assert columns[rows == rows.min()].mean() + 0.5 == pytest.approx(high[0], abs=1.5)


def test_persons_depth_is_the_stands_and_the_rest_is_the_plates(plate, frames):
    stand, rendered = frames
    for frame in rendered:
        inside, outside = frame.mask > 0.99, frame.mask == 0
        assert inside.sum() > 40
        assert frame.distance_m == pytest.approx(stand[2])
        # pitch makes the head nearer or further than the feet
        up = abs(plate.camera.up[2]) * 2.0
        assert np.abs(frame.depth[inside] - stand[2]).max() < MAX_RADIUS_M + up
        np.testing.assert_allclose(frame.depth[outside], plate.depth[outside], atol=1e-3)
        assert (frame.depth <= plate.depth + 1e-3).all()
        assert (frame.mask >= 0).all() and (frame.mask <= 1).all()
        assert ((frame.mask > 0.05) & (frame.mask < 0.95)).any()  # fractions at edges


def test_frame_shares_the_plates_exposure_but_not_its_noise(plate, frames):
    for frame in frames[1]:
        far = frame.mask == 0
        difference = frame.bg_fg[far].astype(float) - plate.image[far]
        assert abs(np.median(difference)) < 6 and np.any(difference != 0)


def test_an_empty_frame_is_the_plate_with_noise_of_its_own(plate):
    first, again, other = (
        render_empty(ROOM, seed=seed, size=SIZE, samples_per_px=4) for seed in (5, 5, 6)
    )
    assert first.shape == plate.image.shape and first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    for one, two in ((first, plate.image), (first, other)):
        difference = one.astype(float) - two
        assert abs(np.median(difference)) < 6 and np.any(difference != 0)
        assert np.abs(difference).mean() < 20  # the same room, in the same light
    # noise that is not the plate's: two frames and the plate are equally far apart
    pairs = (first, plate.image), (other, plate.image), (first, other)
    distances = [np.abs(one.astype(float) - two).mean() for one, two in pairs]
    assert max(distances) < 1.5 * min(distances)


def test_cutout_is_a_person_on_a_canvas():
    for seed in PEOPLE:
        cutout = render_cutout(seed, size=SIZE, samples_per_px=4)
        assert cutout.rgba.shape == (SIZE, SIZE * 3 // 4, 4) and cutout.rgba.dtype == np.uint8
        assert cutout.relief.shape == cutout.rgba.shape[:2]
        assert cutout.metres_per_px == pytest.approx(CANVAS_M / SIZE)
        assert cutout.name == f"person-{seed:05d}"
        alpha = cutout.rgba[..., 3]
        assert (cutout.relief[alpha == 0] == 0).all()
        assert alpha[[0, -1]].max() == 0 and alpha[:, [0, -1]].max() == 0
        rows = np.nonzero(alpha.max(1) > 100)[0]
        assert rows[-1] + 1 == pytest.approx(cutout.foot[1], abs=2.5)
        top = max(part.vertices[:, 2].max() for part in draw_person(seed).parts)
        assert cutout.foot[1] - rows[0] == pytest.approx(top / cutout.metres_per_px, abs=2.5)
        assert np.abs(cutout.relief).max() < MAX_RADIUS_M + 0.05
        again = render_cutout(seed, size=SIZE, samples_per_px=4).rgba
        np.testing.assert_array_equal(again, cutout.rgba)


def test_relief_is_negative_towards_the_viewer():
    """Summed over people, what is drawn is the near side: in front of the axis."""
    reliefs = [render_cutout(seed, size=32, samples_per_px=2) for seed in range(12)]
    means = [c.relief[c.rgba[..., 3] > 200].mean() for c in reliefs]
    assert np.mean(means) < -0.02


def test_people_fit_the_canvas_and_vary():
    people = [draw_person(seed) for seed in range(40)]
    heights = [person.height_m for person in people]
    assert min(heights) >= 0.9 and max(heights) <= MAX_HEIGHT_M and np.ptp(heights) > 0.5
    for person in people:
        vertices = np.concatenate([part.vertices for part in person.parts])
        assert vertices[:, 2].min() == pytest.approx(0, abs=1e-9)
        assert vertices[:, 2].max() <= MAX_HEIGHT_M
        assert np.hypot(vertices[:, 0], vertices[:, 1]).max() <= MAX_RADIUS_M


def test_denoising_keeps_edges_and_lowers_noise():
    rng = np.random.default_rng(0)
    truth = np.full((48, 48, 3), 0.2)
    truth[:, 24:] = 0.7
    halves = [truth + 0.06 * rng.standard_normal(truth.shape) for _ in range(2)]
    raw, clean = np.mean(halves, 0), denoised(*halves)
    assert np.std(clean - truth) < 0.5 * np.std(raw - truth)
    assert clean[:, 22].mean() < 0.25 and clean[:, 25].mean() > 0.65


def test_denoising_returns_a_constant_and_clean_texture_unchanged():
    texture = np.random.default_rng(1).uniform(0.1, 0.9, (24, 24, 3))
    np.testing.assert_allclose(denoised(texture, texture), texture, atol=0.01)


def test_jobs_come_back_in_order_and_errors_come_through():
    assert run_jobs([], description="none") == []
    jobs = [Job(divmod, (number, 3)) for number in range(7)]
    assert run_jobs(jobs, description="d", num_workers=2) == [divmod(n, 3) for n in range(7)]
    with pytest.raises(ZeroDivisionError):
        run_jobs([Job(divmod, (1, 0))], description="d")


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_interrupt_ends_the_workers():
    script = textwrap.dedent(
        """
        import os, time
        from depthmask.data.sources.museum import Job, run_jobs
        if __name__ == "__main__":
            try:
                run_jobs([Job(time.sleep, (0.3,))] + [Job(time.sleep, (120,))] * 2,
                         description="sleeping", num_workers=2)
            except KeyboardInterrupt:
                raise SystemExit(130)
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert "sleeping: 1 of 3" in process.stderr.readline()
    start = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)  # a terminal's Ctrl-C goes to the whole group
    process.wait(timeout=30)
    assert process.returncode == 130 and time.monotonic() - start < 20
    listed = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, text=True).stdout
    group = [line.split()[1] for line in listed.splitlines() if line.split()[0] == str(process.pid)]
    assert all(state.startswith("Z") for state in group)
    assert "Traceback" not in process.stderr.read()


def test_workers_end_with_a_killed_parent(tmp_path):
    """SIGKILL gives the parent no chance to end them itself."""
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, time\n"
        "from depthmask.data.sources.museum.jobs import Job, run_jobs\n"
        "def tell(folder):\n"
        "    open(f'{folder}/{os.getpid()}.pid', 'w').close()\n"
        "    time.sleep(60)\n"
        "if __name__ == '__main__':\n"
        f"    run_jobs([Job(tell, ({str(tmp_path)!r},))] * 2, description='x', num_workers=2)\n"
    )
    parent = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL)

    def alive(pid):
        # where nobody collects orphans a dead one stays behind as a zombie
        return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE

    def wait_for(condition):
        limit = time.monotonic() + 30
        while not condition() and time.monotonic() < limit:
            time.sleep(0.1)
        assert condition()

    wait_for(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
    workers = [int(path.stem) for path in tmp_path.glob("*.pid")]
    parent.kill()
    parent.wait()
    wait_for(lambda: not any(alive(worker) for worker in workers))
