"""The museum: geometry that agrees with the camera, and pictures that repeat bit by bit."""

import multiprocessing
import os
import time
from functools import partial
from itertools import groupby

import numpy as np
import pandas as pd
import psutil
import pytest

pytest.importorskip("mitsuba")
pytest.importorskip("pyoidn")

import drjit

from depthmask.data.scenes.library import Library
from depthmask.data.scenes.scene import Camera
from depthmask.data.sources.museum import optics, prepare, render, rooms, textures
from depthmask.data.sources.museum.optics import View, depth_map, load_scene, meshes
from depthmask.data.sources.museum.people import MAX_HEIGHT_M, MAX_RADIUS_M, draw_person
from depthmask.data.sources.museum.render import ADULT_M, HEIGHT_RANGE
from depthmask.data.sources.museum.shapes import Material, ellipsoid, quad
from depthmask.data.sources.museum.things import draw_thing
from synthetic import TINY, make_cutout, make_plate

SIZE = 64
ROOM, PEOPLE = 0, (1, 4, 13)
SETTINGS = {"size": SIZE, "samples_per_px": 4}
GREY = Material((0.5, 0.5, 0.5))


@pytest.fixture(scope="module")
def plate():
    drjit.set_thread_count(4)  # a worker has one: the picture is the same
    return render.render_plate(ROOM, **SETTINGS)


@pytest.fixture(scope="module")
def frames(plate):
    # the stand whose person is all in the frame and largest
    feet = plate.stands
    heads = feet + 1.9 * np.asarray(plate.camera.up, np.float32)
    low, high = plate.camera.project(feet, SIZE), plate.camera.project(heads, SIZE)
    inside = (low[:, 1] < SIZE - 2) & (high[:, 1] > 2) & (abs(low[:, 0] - SIZE / 2) < SIZE / 2 - 14)
    stand = feet[np.argmin(np.where(inside, feet[:, 2], np.inf))]
    return stand, [render.render_in_scene(ROOM, n, stand, seed=5, **SETTINGS) for n in PEOPLE]


def test_known_point_is_rendered_where_the_camera_projects_it():
    view = View.aimed((0.4, -2.0, 1.5), 25.0, 12.0, 0.9)
    target = view.to_world(np.array([0.6, -0.35, 3.0]))
    scene = load_scene(meshes([ellipsoid(target, (0.05, 0.05, 0.05), GREY)], "ball"))
    depth = depth_map(scene, view, (200, 200))
    crop = {"crop_offset_y": 60, "crop_height": 50, "crop_offset_x": 90, "crop_width": 40}
    np.testing.assert_allclose(
        depth_map(scene, view, (200, 200), crop), depth[60:110, 90:130], atol=1e-4
    )
    rows, columns = np.nonzero(np.isfinite(depth))
    camera = Camera(float(view.focal), tuple(view.up), float(view.origin[2]))
    u, v = camera.project((target - view.origin) @ view.axes.T, 200)
    assert u > 100 > v  # to the right and above the middle, as the point is
    assert (columns.mean() + 0.5, rows.mean() + 0.5) == pytest.approx((u, v), abs=0.5)
    assert depth[rows, columns].min() == pytest.approx(2.95, abs=0.003)
    # depth is planar, not the distance
    scene = load_scene(meshes([quad((-20, 4, -20), (40, 0, 0), (0, 0, 40), GREY)], "wall"))
    wall = depth_map(scene, View.aimed((0, 0, 0), 0.0, 0.0, 0.6), (32, 32))
    np.testing.assert_allclose(wall, 4.0, atol=1e-4)


def test_light_falls_to_the_right_side_in_the_right_colour_and_texture_stands_upright():
    lamp = optics.panel((3, 0, 1), (0, -0.5, 0), (0, 0, 0.5), np.array([8.0, 2.0, 1.0]))
    scene = load_scene(meshes([ellipsoid((0, 0, 1), (0.8, 0.8, 0.8), GREY)], "ball"), [lamp])
    view = View.aimed((0, -4, 1), 0.0, 0.0, 1.0)
    light = optics.radiance(scene, view, (32, 32), 32, 0, lamps_visible=False)
    assert light[:, 16:].sum() > 5 * light[:, :16].sum()
    assert light[..., 0].sum() > 3 * light[..., 1].sum() > 3 * light[..., 2].sum()
    top_red = np.zeros((2, 1, 3))
    top_red[0, 0, 0] = top_red[1, 0, 2] = 0.9
    canvas = quad((-1, 0, 0), (2, 0, 0), (0, 0, 2), Material(top_red), unit_uv=True)
    scene = load_scene(meshes([canvas], "canvas"), [optics.sky(np.ones((8, 16, 3)), 1.0)])
    view = View.aimed((0, -3, 1), 0.0, 0.0, 1.4)
    light = optics.radiance(scene, view, (16, 16), 4, 0)
    assert light[3, 8, 0] > light[3, 8, 2] and light[12, 8, 2] > light[12, 8, 0]
    # as albedo it shines in its own colour, which is linear: sRGB's 0.9 is 0.787
    for side in (view, View.aimed((0, 3, 1), 180.0, 0.0, 1.4)):  # from behind as well
        scene = load_scene(meshes([canvas], "canvas", seen_from=side.origin))
        albedo = optics.radiance(scene, side, (16, 16), 4, 0, max_depth=1)
        assert albedo[3, 8, 0] > 5 * albedo[3, 8, 2] and albedo[12, 8, 2] > 5 * albedo[12, 8, 0]
        np.testing.assert_allclose(albedo[(3, 12), 8].sum(-1), 0.787, atol=0.005)


def test_no_surface_of_a_person_is_without_albedo():
    person = draw_person(PEOPLE[0])[0]
    view = View.aimed((0, -4, 1), 0.0, 0.0, 1.4)
    scene = load_scene(meshes(person, "person", seen_from=view.origin))
    albedo = optics.radiance(scene, view, (64, 64), 4, 0, max_depth=1)
    [depths] = optics.sub_depths([scene], view, (64, 64), person)
    assert albedo[np.isfinite(depths).all(-1)].max(-1).min() > 0.001


def test_plate_is_as_promised_and_its_stands_lie_on_the_floor_and_in_view(plate):
    assert plate.image.dtype == np.uint8 and plate.depth.dtype == np.float32
    assert 0.5 < plate.depth.min() and plate.depth.max() < 25
    assert plate.image.std() > 15 and 50 < plate.image.mean() < 210
    camera, stands = plate.camera, plate.stands
    assert stands.shape == (render.NUM_STANDS, 3) and stands.dtype == np.float32
    up = np.asarray(camera.up)
    assert np.linalg.norm(up) == pytest.approx(1) and up[1] < -0.8
    np.testing.assert_allclose(stands @ up, -camera.height_m, atol=1e-4)
    feet, heads = camera.project(stands, 1), camera.project(stands + ADULT_M * up, 1)
    assert (0 < feet[:, 0]).all() and (feet[:, 0] < 1).all() and (heads[:, 1] > 0).all()
    share = feet[:, 1] - heads[:, 1]
    assert HEIGHT_RANGE[0] <= share.min() and share.max() <= HEIGHT_RANGE[1]
    assert np.ptp(share) > 0.2


def test_plate_repeats_in_a_worker_and_stands_do_not_depend_on_size(plate, tmp_path):
    [other] = prepare.run_jobs([partial(render.render_plate, ROOM, **SETTINGS)], "test", tmp_path)
    np.testing.assert_array_equal(other.image, plate.image)
    np.testing.assert_array_equal(other.depth, plate.depth)
    draft = partial(render.render_plate, size=32, samples_per_px=2)
    small, next_room = draft(ROOM), draft(ROOM + 1)
    np.testing.assert_array_equal(small.stands, plate.stands)
    assert small.camera == plate.camera != next_room.camera


def test_frames_are_rendered_room_by_room_and_come_back_in_their_order(tmp_path, monkeypatch):
    visited, kinds, num_sources = [], [], sum(dict(TINY.prepare.splits.plates).values())

    def rendered(jobs, description, cache):
        if description == "rooms and people":
            kinds.extend(job.keywords["kind"] for job in jobs[num_sources:])
            return [make(n) for make in (make_plate, make_cutout) for n in range(num_sources)]
        visited.extend(job.args[0] for job in jobs)
        images = [np.full((SIZE, SIZE, 3), number, np.uint8) for number in range(len(jobs))]
        blank = np.ones((SIZE, SIZE), np.float32)
        frame = {render.render_in_scene: lambda image: (image, blank, blank)}
        return [frame.get(job.func, np.asarray)(x) for job, x in zip(jobs, images, strict=True)]

    monkeypatch.setattr(prepare, "run_jobs", rendered)
    sampling = TINY.prepare.museum.model_copy(update={"things": 0.5})
    params = TINY.prepare.model_copy(update={"size": SIZE, "museum": sampling})
    prepare.prepare_museum(tmp_path, params, TINY.placement, cache=tmp_path / "cache")
    # in the training alone: the figures are of people
    assert kinds == ["person", "thing"] + ["person"] * (num_sources - 2)
    turns = [room for room, _ in groupby(visited)]
    assert len(turns) == len(set(turns)) < len(visited), "a room is loaded once"
    pairs, tables = set(), []
    for name in ("rendered", "in_scene"):
        tables.append(pd.read_parquet(tmp_path / f"{name}.parquet"))
        numbers = np.load(tmp_path / f"{name}_bg_fg.npy")[:, 0, 0, 0]
        pairs |= {(p, visited[n]) for p, n in zip(tables[-1]["plate"], numbers, strict=True)}
    assert len(pairs) == sum(table["plate"].nunique() for table in tables)
    library = Library.read(tmp_path)
    for table, split in zip(tables, ("train", "test"), strict=True):
        assert {*table["plate"]} <= {*library.plates_of(split)}
        assert {*table["cutout"]} <= {*library.cutouts_of(split)}
    sampling = sampling.model_copy(update={"rendered": 0})
    (other := tmp_path / "none").mkdir()
    params = params.model_copy(update={"museum": sampling})
    prepare.prepare_museum(other, params, TINY.placement, cache=tmp_path / "cache")
    assert (other / "in_scene.parquet").exists() and not list(other.glob("rendered*"))


def test_rooms_are_seen_by_narrow_and_wide_lenses():
    focal = np.array([rooms.draw_room(seed).view.focal for seed in range(8, 20)])
    degrees = np.degrees(2 * np.arctan(0.5 / focal))
    assert 40 <= degrees.min() < 50 and 80 < degrees.max() <= 90


@pytest.mark.parametrize(
    "make", [textures.leaves, lambda rng, shape: textures.mottled(rng, 0.4, 0.4)]
)
def test_textures_have_the_spectrum_of_photographs_and_tile(make):
    slopes = []
    for seed in range(6):
        light = make(np.random.default_rng(seed), (128, 128)).mean(-1)
        seam = np.abs(light[0] - light[-1]).mean() / np.abs(np.diff(light, axis=0)).mean()
        assert seam < 2.5
        frequency = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.rfftfreq(128)) * 128
        ring = (frequency > 3) & (frequency < 40)
        amplitude = np.abs(np.fft.rfft2(light))[ring]
        slopes.append(np.polyfit(np.log(frequency[ring]), np.log(amplitude), 1)[0])
    assert -1.6 < np.mean(slopes) < -0.7


def test_a_seed_without_a_usable_room_is_an_error_that_says_so(monkeypatch):
    monkeypatch.setattr(render, "draw_stands", lambda *_: np.zeros((3, 3), np.float32))
    monkeypatch.setattr(render, "_ATTEMPTS", 2)
    with pytest.raises(RuntimeError, match="no room of seed 999 has 20 places"):
        render.render_plate(999, **SETTINGS)


def test_persons_place_depth_and_light_are_the_plates(plate, frames):
    stand, rendered = frames
    up = np.asarray(plate.camera.up)
    for seed, frame in zip(PEOPLE, rendered, strict=True):
        rows = np.nonzero(frame.mask.max(1) > 0.3)[0]
        top = max(part.vertices[:, 2].max() for part in draw_person(seed).parts)
        head, foot = (plate.camera.project(stand + z * up, SIZE)[1] for z in (top, 0))
        # parts of a body are nearer or further than its axis by up to this share
        slack = 1.5 + (foot - head) * 0.35 / stand[2]
        assert (rows[0], rows[-1] + 1) == pytest.approx((head, foot), abs=slack)
        inside, outside = frame.mask > 0.99, frame.mask == 0
        assert inside.sum() > 40
        assert ((frame.mask > 0.05) & (frame.mask < 0.95)).any()  # fractions at edges
        reach = MAX_RADIUS_M + abs(up[2]) * 2.0  # pitch makes the head nearer or further
        assert np.abs(frame.depth[inside] - stand[2]).max() < reach
        np.testing.assert_array_equal(frame.depth[outside], plate.depth[outside])
        assert (frame.depth <= plate.depth).all() and frame.depth.dtype == np.float32
        difference = frame.bg_fg[outside].astype(float) - plate.image[outside]
        assert abs(np.median(difference)) < 6 and np.any(difference != 0)


def test_an_empty_frame_is_the_plate_with_noise_of_its_own(plate):
    first, again, other = (render.render_empty(ROOM, seed=seed, **SETTINGS) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    # noise that is not the plate's: two frames and the plate are equally far apart
    pairs = (first, plate.image), (other, plate.image), (first, other)
    distances = [np.abs(one.astype(float) - two).mean() for one, two in pairs]
    assert 0 < min(distances) and max(distances) < min(20, 1.5 * min(distances))


@pytest.mark.parametrize(("kind", "seed"), [("person", n) for n in PEOPLE] + [("thing", 0)])
def test_cutout_is_a_person_or_a_thing_on_a_canvas(kind, seed):
    cutout = render.render_cutout(seed, kind=kind, **SETTINGS)
    alpha = cutout.rgba[..., 3]
    assert cutout.rgba.shape == (SIZE, SIZE * 3 // 4, 4) and cutout.rgba.dtype == np.uint8
    assert cutout.metres_per_px == pytest.approx(2.2 / SIZE)
    assert (cutout.relief[alpha == 0] == 0).all()
    assert alpha[[0, -1]].max() == 0 and alpha[:, [0, -1]].max() == 0
    rows = np.nonzero(alpha.max(1) > 100)[0]
    parts, height_m = draw_person(seed) if kind == "person" else draw_thing(seed)
    top = max(part.vertices[:, 2].max() for part in parts)
    assert cutout.height_m == height_m <= top and cutout.name == f"{kind}-{seed:05d}"
    # what stands before the foot is seen up to 0.12 m lower
    assert rows[-1] + 1 == pytest.approx(cutout.foot[1], abs=3.5)
    assert cutout.foot[1] - rows[0] == pytest.approx(top / cutout.metres_per_px, abs=2.5)
    assert np.abs(cutout.relief).max() < MAX_RADIUS_M + 0.05
    assert cutout.relief[alpha > 200].mean() < 0.05  # the near side is drawn


def test_people_fit_the_canvas_and_vary():
    people = [draw_person(seed) for seed in range(40)]
    heights = [person.height_m for person in people]
    assert min(heights) >= 0.9 and max(heights) <= MAX_HEIGHT_M and np.ptp(heights) > 0.5
    for x, y, z in (np.concatenate([p.vertices for p in person.parts]).T for person in people):
        assert abs(z.min()) < 1e-9 and z.max() <= MAX_HEIGHT_M
        assert np.hypot(x, y).max() <= MAX_RADIUS_M


def test_denoising_keeps_edges_and_lowers_noise():
    rng = np.random.default_rng(0)
    truth, albedo = np.full((2, 48, 48, 3), 0.5, np.float32)
    truth[:, :24] = 0.2  # in the shadow
    albedo[::4] = 0.4  # stripes that hardly rise above the noise
    truth *= albedo
    noisy = truth + 0.06 * rng.standard_normal(truth.shape, np.float32)
    clean, blind = (optics.denoise(noisy, a) for a in (albedo, np.full_like(albedo, 0.5)))
    errors = [float(np.std(found - truth)) for found in (clean, blind, noisy)]
    assert errors[0] < 0.6 * errors[1] and errors[1] < 0.4 * errors[2]
    assert clean[1::4, 22].mean() < 0.12 and clean[1::4, 25].mean() > 0.23
    np.testing.assert_array_equal(optics.denoise(noisy, albedo), clean)


def test_what_was_rendered_before_a_kill_is_not_rendered_again(tmp_path, monkeypatch):
    jobs, done = [partial(divmod, number, 3) for number in (7, 8, 9)], []

    def killed(jobs):
        for job in jobs:
            if len(done) == 2:
                raise KeyboardInterrupt
            done.append(job.args)
            yield len(done) - 1, job()

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(prepare, "_call_here", killed)
        prepare.run_jobs(jobs, "test", tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(prepare, "_call_here", lambda rest: enumerate(job.args[0] for job in rest))
        assert prepare.run_jobs(jobs, "test", tmp_path) == [(2, 1), (2, 2), 9]
    other = partial(divmod, 7, 4)
    assert prepare.run_jobs([other, jobs[0]], "test", tmp_path) == [(1, 3), (2, 1)]


@pytest.mark.skipif(os.name != "posix", reason="Ray's clusters of one machine")
def test_two_machines_of_a_cluster_render_the_same_bytes(tmp_path, monkeypatch, plate):
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    machine = {"num_cpus": 1, "object_store_memory": 80_000_000}
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=machine)
    cluster.add_node(**machine)
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    jobs = [partial(render.render_plate, room, **SETTINGS) for room in (ROOM, ROOM + 1)]
    # each of both machines has a core: what takes two seconds leaves the other for the other
    tell = "import os, time; time.sleep(2); open(path, 'w').write(str(os.getppid()))"
    jobs += [partial(exec, tell, {"path": str(tmp_path / name)}) for name in "ab"]
    try:
        first, second, *_ = prepare.run_jobs(jobs, "test", tmp_path / "cache")
    finally:
        cluster.shutdown()
    assert (tmp_path / "a").read_text() != (tmp_path / "b").read_text()  # two raylets
    assert second.name != first.name == plate.name
    for field in ("image", "depth", "stands"):
        np.testing.assert_array_equal(getattr(first, field), getattr(plate, field))


@pytest.mark.skipif(os.name != "posix", reason="forks and kills")
def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    job = f"import os, time; open(f'{tmp_path}/{{os.getpid()}}', 'w').close(); time.sleep(300)"
    arguments = [partial(exec, job)], "x", tmp_path / "cache"
    parent = multiprocessing.get_context("fork").Process(target=prepare.run_jobs, args=arguments)
    parent.start()
    limit = time.monotonic() + 120
    while not (files := list(tmp_path.iterdir())):
        assert time.monotonic() < limit
        time.sleep(0.1)
    worker = psutil.Process(int(files[0].name))
    parent.kill()
    # where nobody collects orphans a dead one stays behind as a zombie
    while worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < limit
        time.sleep(0.1)
