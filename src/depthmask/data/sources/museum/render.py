"""Plates, cutouts and in-scene frames of the museum, each a function of its seeds, on all cores."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import drjit
import numpy as np

from depthmask.data.scenes.scene import Camera, Cutout, Plate
from depthmask.data.sources.museum import optics
from depthmask.data.sources.museum.optics import View, depth_map, load_scene, meshes, sub_depths
from depthmask.data.sources.museum.people import CANVAS_M, FOOT_MARGIN_M, STUDIO_M, draw_person
from depthmask.data.sources.museum.rooms import Room, candidates, draw_room, draw_stands
from depthmask.data.sources.museum.shapes import Part, moved, rotation
from depthmask.data.work import end_with_parent, num_cores, progress

_FEWEST_STANDS, NUM_STANDS = 20, 64
_ATTEMPTS = 40
_PLATE, _CUTOUT, _FRAME, _METER, _EMPTY = 11, 12, 13, 14, 15  # streams of random numbers
_MIDDLE = optics.OVERSAMPLING**2 // 2


class InScene(NamedTuple):
    """A person rendered inside a room."""

    bg_fg: np.ndarray  # uint8 [S, S, 3], RGB
    mask: np.ndarray  # float32 [S, S], the share of each pixel that is person
    depth: np.ndarray  # float32 [S, S], metres, through the pixels' middles
    distance_m: float  # planar depth of the point the person stands on


class _LoadedRoom(NamedTuple):
    room: Room
    content: dict[str, Any]  # its meshes, for scenes with somebody in it
    scene: Any
    stands: np.ndarray
    exposure: np.ndarray

    def picture(self, scene: Any, size: int, samples_per_px: int, *stream: int) -> np.ndarray:
        """uint8 [S, S, 3] of this room's scene, or of one with somebody in it."""
        view, seed = self.room.view, _noise_seed(*stream)
        halves = optics.radiance(scene, view, (size, size), samples_per_px, seed)
        return _develop(optics.denoise(*(half * self.exposure for half in halves)))


def render_plate(seed: int, *, size: int, samples_per_px: int) -> Plate:
    """Render the room of a seed, `size` px high and wide; its 64 stands do not depend on it."""
    loaded = _load_room(seed)
    view = loaded.room.view
    return Plate(
        name=f"room-{seed:05d}",
        image=loaded.picture(loaded.scene, size, samples_per_px, _PLATE, seed),
        depth=_room_depth(seed, size),
        camera=Camera(float(view.focal), tuple(view.up.tolist()), float(view.origin[2])),
        stands=loaded.stands,
    )


def render_empty(room_seed: int, *, seed: int, size: int, samples_per_px: int) -> np.ndarray:
    """Render the plate once more with noise of `seed`: uint8 [S, S, 3], RGB."""
    loaded = _load_room(room_seed)
    return loaded.picture(loaded.scene, size, samples_per_px, _EMPTY, room_seed, seed)


def render_in_scene(
    room_seed: int,
    person_seed: int,
    stand: np.ndarray,
    *,
    seed: int,
    size: int,
    samples_per_px: int,
) -> InScene:
    """Render the person of one seed standing in the room of another.

    Args:
        stand: [3], a floor point in camera coordinates, such as one of the plate's stands.
        seed: of the heading and of the noise, which differs from the plate's.
    """
    loaded = _load_room(room_seed)
    view, stream = loaded.room.view, (_FRAME, room_seed, person_seed, seed)
    foot = view.to_world(np.asarray(stand, np.float64)) * [1, 1, 0]
    heading = float(np.random.default_rng(stream).uniform(0, 360))
    person = moved(draw_person(person_seed).parts, foot, rotation("z", heading))
    content = meshes(person, "person")
    in_front, behind = sub_depths(
        [load_scene(content), loaded.scene], view, (size, size), _vertices(person)
    )
    scene = load_scene(loaded.content | content, loaded.room.lamps)
    return InScene(
        loaded.picture(scene, size, samples_per_px, *stream),
        (in_front < behind).mean(-1, dtype=np.float32),
        np.minimum(in_front[..., _MIDDLE], _room_depth(room_seed, size)),
        float(stand[2]),
    )


def render_cutout(seed: int, *, size: int, samples_per_px: int) -> Cutout:
    """Render the person of a seed alone, on a canvas `size` px high and 3/4 of that wide."""
    rng = np.random.default_rng([_CUTOUT, seed])
    person = draw_person(seed)
    heading = 180 + float(rng.normal(0, 45) if rng.random() < 0.7 else rng.uniform(0, 360))
    parts = moved(person.parts, (0, 0, 0), rotation("z", heading))
    content, shape = meshes(parts, "person"), (size, size * 3 // 4)
    view = View.aimed((0, -STUDIO_M, CANVAS_M / 2 - FOOT_MARGIN_M), 0, 0, STUDIO_M / CANVAS_M)
    scene, noise_seed = load_scene(content, _studio_lamps(rng)), _noise_seed(_CUTOUT, seed)
    halves = optics.radiance(scene, view, shape, samples_per_px, noise_seed, lamps_visible=False)
    [depths] = sub_depths([load_scene(content)], view, shape, _vertices(parts))
    hit = np.isfinite(depths)
    alpha = np.round(hit.mean(-1) * 255).astype(np.uint8)
    offsets = np.where(hit, depths - STUDIO_M, 0)
    # where a pixel's middle misses the person, the mean of what does hit
    mean = offsets.sum(-1) / np.maximum(hit.sum(-1), 1)
    relief = np.where(hit[..., _MIDDLE], offsets[..., _MIDDLE], mean).astype(np.float32)
    rgb = _develop(0.5 * (halves[0] + halves[1]) / np.maximum(hit.mean(-1), 1e-3)[..., None])
    rgb[alpha == 0] = 0
    relief[alpha == 0] = 0
    return Cutout(
        name=f"person-{seed:05d}",
        rgba=np.dstack([rgb, alpha]),
        relief=relief,
        metres_per_px=CANVAS_M / size,
        foot=(shape[1] / 2, size - FOOT_MARGIN_M * size / CANVAS_M),
        height_m=person.height_m,
    )


@lru_cache(maxsize=1)
def _load_room(seed: int) -> _LoadedRoom:
    """The room of a seed, its stands, and the exposure that all its pictures share.

    Raises:
        RuntimeError: none of the rooms drawn for the seed has enough places to stand.
    """
    for attempt in range(_ATTEMPTS):
        room = draw_room(seed, attempt)
        if len(candidates(room, seed)) < 2 * _FEWEST_STANDS:
            continue
        content = meshes(room.parts, "room")
        scene = load_scene(content, room.lamps)
        depth = depth_map(scene, room.view, (48, 48))
        if depth.min() <= 0.6 or depth.max() > 24:
            continue
        stands = draw_stands(scene, room, seed, NUM_STANDS)
        if len(stands) >= _FEWEST_STANDS:
            stands = stands[np.arange(NUM_STANDS) % len(stands)]
            return _LoadedRoom(room, content, scene, stands, _exposure(scene, room, seed))
    raise RuntimeError(f"no room of seed {seed} has {_FEWEST_STANDS} places to stand")


@lru_cache(maxsize=1)
def _room_depth(seed: int, size: int) -> np.ndarray:
    loaded = _load_room(seed)
    return depth_map(loaded.scene, loaded.room.view, (size, size))


def _exposure(scene: Any, room: Room, seed: int) -> np.ndarray:
    """Gains [3] for linear light: exposure and half a white balance, metered on a small picture."""
    light = np.mean(optics.radiance(scene, room.view, (32, 32), 12, _noise_seed(_METER, seed)), 0)
    luminance = light @ [0.2126, 0.7152, 0.0722]
    level = np.exp(np.mean(np.log(luminance + 1e-4)))
    # lamps and skylights, mostly in the upper third, may burn out: the rest sets the limit
    high = np.percentile(luminance[len(luminance) // 3 :], 92)
    tint = light[luminance < high].mean(0)
    return min(room.key / level, 0.9 / high) * (tint.mean() / tint) ** 0.55


def _studio_lamps(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Light for a cutout: a sky brighter above, a key light from anywhere in front."""
    fill, warm = rng.uniform(0.3, 0.75), rng.normal(0, 0.1)
    tone = np.array([1 + warm, 1.0, 1 - warm])
    levels = fill * np.linspace(1.5, rng.uniform(0.35, 0.8), 8)[:, None, None]
    above = np.ones((8, 16, 3)) * levels * (1 + 0.08 * rng.standard_normal(3))
    height, reach = rng.uniform(0.7, 3.1), 3.0
    turn = rotation("z", rng.uniform(-110, 110))  # of a lamp in front of the person's chest
    half, distance = rng.uniform(0.25, 0.9), np.hypot(reach, height)
    up = np.array([0, height, reach]) / distance * half
    # so that a white card facing it would send out 1 - fill, times a little
    strength = np.pi * (1.15 - fill) * rng.uniform(0.8, 1.3) * distance**2 / (2 * half) ** 2
    center = turn @ [0, -reach, 1.1 + height]
    key = optics.panel(center, turn @ [-half, 0, 0], turn @ up, strength * tone)
    return [optics.sky(above, key["emitter"]["sampling_weight"]), key]


def _vertices(parts: list[Part]) -> np.ndarray:
    return np.concatenate([part.vertices for part in parts])


def _noise_seed(*stream: int) -> int:
    return int(np.random.SeedSequence(stream).generate_state(1)[0]) >> 1


def _develop(light: np.ndarray) -> np.ndarray:
    """Linear light to uint8 sRGB with a soft shoulder above 0.7, as cameras have."""
    light = np.maximum(light, 0)
    light = np.where(light > 0.7, 0.7 + 0.3 * (1 - np.exp(-(light - 0.7) / 0.3)), light)
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(srgb * 255).clip(0, 255).astype(np.uint8)


class Job(NamedTuple):
    """A call to make elsewhere: a picklable function and its arguments."""

    function: Callable[..., Any]
    args: tuple = ()
    kwargs: Mapping[str, Any] = {}


def run_jobs(jobs: Sequence[Job], *, description: str, num_workers: int | None = None) -> list:
    """Run the jobs in fresh processes and return their results in order.

    Jobs of one function and first argument (a room's seed) run one after another in one process,
    so that what the function caches serves them all. The results do not depend on `num_workers`
    (default: one a core). Ctrl-C or an error in a job ends the workers before it is raised here.
    """
    if not jobs:
        return []
    groups: dict[Any, list[int]] = {}
    for number, job in enumerate(jobs):
        groups.setdefault((job.function, *job.args[:1]), []).append(number)
    pool = ProcessPoolExecutor(
        min(num_workers or num_cores(), len(groups)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
    )
    results: list[Any] = [None] * len(jobs)
    try:
        with progress(len(jobs), description) as advance:
            with _interrupts_held():  # the workers start here, and inherit it
                done = pool.map(_run, [[jobs[n] for n in numbers] for numbers in groups.values()])
            for numbers, values in zip(groups.values(), done, strict=True):
                for number, value in zip(numbers, values, strict=True):
                    results[number] = value
                advance(len(numbers))
        return results
    except BaseException:
        workers = list((pool._processes or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.terminate()
        raise
    finally:
        pool.shutdown(wait=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C waits until the block is left; processes started in it never see one."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends the workers
    end_with_parent()
    drjit.set_thread_count(1)


def _run(jobs: list[Job]) -> list[Any]:
    return [job.function(*job.args, **job.kwargs) for job in jobs]
