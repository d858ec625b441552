"""Plates, cutouts and in-scene frames of the museum, each a function of its seeds."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from depthmask.data.scenes.scene import Camera, Cutout, Plate
from depthmask.data.sources.museum import optics
from depthmask.data.sources.museum.denoising import denoised
from depthmask.data.sources.museum.loading import Lamp, World, load_world
from depthmask.data.sources.museum.optics import OVERSAMPLING, View
from depthmask.data.sources.museum.people import (
    CANVAS_M,
    FOOT_MARGIN_M,
    STUDIO_DISTANCE_M,
    draw_person,
)
from depthmask.data.sources.museum.rooms import Room, draw_room
from depthmask.data.sources.museum.shapes import moved, rotation
from depthmask.data.sources.museum.stands import NUM_STANDS, candidates, draw_stands, view_up

_FEWEST_STANDS = 20
_PLATE, _CUTOUT, _FRAME, _METER, _EMPTY = 11, 12, 13, 14, 15  # streams of random numbers


class InScene(NamedTuple):
    """A person rendered inside a room.

    Attributes:
        bg_fg: uint8 [S, S, 3], RGB.
        mask: float32 [S, S], the share of each pixel that is person.
        depth: float32 [S, S], metres, through the pixels' middles.
        distance_m: planar depth of the point the person stands on.
    """

    bg_fg: np.ndarray
    mask: np.ndarray
    depth: np.ndarray
    distance_m: float


class _Stage(NamedTuple):
    room: Room
    world: World
    shapes: World
    stands: np.ndarray
    exposure: np.ndarray


def render_plate(seed: int, *, size: int, samples_per_px: int) -> Plate:
    """Render the room of a seed, `size` px high and wide.

    The plate's 64 stands do not depend on the size.
    """
    stage = _stage(seed)
    view = stage.room.view
    halves = optics.radiance(
        stage.world, view, (size, size), samples_per_px=samples_per_px, seed=_noise(_PLATE, seed)
    )
    depth, _ = optics.surfaces(stage.shapes, view, (size, size))
    up = tuple(float(value) for value in view_up(view))
    return Plate(
        name=f"room-{seed:05d}",
        image=_developed(denoised(*(half * stage.exposure for half in halves))),
        depth=depth,
        camera=Camera(float(view.focal), up, float(view.origin[2])),
        stands=stage.stands,
    )


def render_empty(room_seed: int, *, seed: int, size: int, samples_per_px: int) -> np.ndarray:
    """Render a frame of a room with nobody in it: the plate once more, with noise of its own.

    Args:
        seed: of the noise.

    Returns:
        uint8 [S, S, 3], RGB.
    """
    stage = _stage(room_seed)
    halves = optics.radiance(
        stage.world,
        stage.room.view,
        (size, size),
        samples_per_px=samples_per_px,
        seed=_noise(_EMPTY, room_seed, seed),
    )
    return _developed(denoised(*(half * stage.exposure for half in halves)))


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
    stage = _stage(room_seed)
    view = stage.room.view
    stand = np.asarray(stand, np.float64)
    rng = np.random.default_rng([_FRAME, room_seed, person_seed, seed])
    foot = view.to_world(stand)
    foot[2] = 0.0
    person = moved(draw_person(person_seed).parts, foot, rotation("z", float(rng.uniform(0, 360))))
    world = load_world(stage.room.parts, stage.room.lamps, person)
    halves = optics.radiance(
        world,
        view,
        (size, size),
        samples_per_px=samples_per_px,
        seed=_noise(_FRAME, room_seed, person_seed, seed),
    )
    shapes = load_world(stage.room.parts, stage.room.lamps, person, shapes_only=True)
    depth, _ = optics.surfaces(shapes, view, (size, size))
    mask = np.zeros((size, size), np.float32)
    crop = _crop(view, np.concatenate([part.vertices for part in person]), (size, size))
    if crop is not None:
        _, shape = optics.surfaces(shapes, view, (size, size), crop=crop, oversampling=OVERSAMPLING)
        mask[_slices(crop)] = _blocks(np.isin(shape, shapes.person)).mean((1, 3))
    return InScene(
        _developed(denoised(*(half * stage.exposure for half in halves))),
        mask,
        depth,
        float(stand[2]),
    )


def render_cutout(seed: int, *, size: int, samples_per_px: int) -> Cutout:
    """Render the person of a seed alone, on a canvas `size` px high and 3/4 of that wide."""
    rng = np.random.default_rng([_CUTOUT, seed])
    person = draw_person(seed)
    heading = 180 + float(rng.normal(0, 45) if rng.random() < 0.7 else rng.uniform(0, 360))
    shape = (size, size * 3 // 4)
    metres_per_px = CANVAS_M / size
    view = View.aimed(
        (0, -STUDIO_DISTANCE_M, CANVAS_M / 2 - FOOT_MARGIN_M), 0, 0, STUDIO_DISTANCE_M / CANVAS_M
    )
    parts = moved(person.parts, (0, 0, 0), rotation("z", heading))
    world = load_world([], _studio(rng), parts)
    halves = optics.radiance(
        world,
        view,
        shape,
        samples_per_px=samples_per_px,
        seed=_noise(_CUTOUT, seed),
        lamps_visible=False,
    )
    relief, alpha = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    crop = _crop(view, np.concatenate([part.vertices for part in parts]), shape)
    shapes = load_world([], [], parts, shapes_only=True)
    depth, ids = optics.surfaces(shapes, view, shape, crop=crop, oversampling=OVERSAMPLING)
    hit = _blocks((ids > 0).astype(np.float64))
    covered = hit.mean((1, 3))
    offsets = _blocks(np.where(ids > 0, depth - STUDIO_DISTANCE_M, 0).astype(np.float64))
    middle = OVERSAMPLING // 2
    # where a pixel's middle misses the person, the mean of what does hit
    mean = offsets.sum((1, 3)) / np.maximum(hit.sum((1, 3)), 1)
    centered = np.where(hit[:, middle, :, middle] > 0, offsets[:, middle, :, middle], mean)
    alpha[_slices(crop)], relief[_slices(crop)] = covered, np.where(covered > 0, centered, 0)
    alpha_levels = np.round(alpha * 255).astype(np.uint8)
    rgb = _developed(0.5 * (halves[0] + halves[1]) / np.maximum(alpha, 1e-3)[..., None])
    rgb[alpha_levels == 0] = 0
    relief[alpha_levels == 0] = 0
    return Cutout(
        name=f"person-{seed:05d}",
        rgba=np.dstack([rgb, alpha_levels]),
        relief=relief,
        metres_per_px=metres_per_px,
        foot=(shape[1] / 2, size - FOOT_MARGIN_M / metres_per_px),
        height_m=person.height_m,
    )


@lru_cache(maxsize=4)
def _stage(seed: int) -> _Stage:
    """The room of a seed, its stands, and the exposure that all its pictures share."""
    for attempt in range(40):
        room = draw_room(seed, attempt)
        if len(candidates(room, seed)) < 2 * _FEWEST_STANDS:
            continue
        shapes = load_world(room.parts, room.lamps, shapes_only=True)
        depth, _ = optics.surfaces(shapes, room.view, (48, 48))
        if not 0.6 < depth.min() or depth.max() > 24:
            continue
        stands = draw_stands(shapes, room, seed)
        if len(stands) >= _FEWEST_STANDS:
            break
    stands = stands[np.arange(NUM_STANDS) % len(stands)]
    world = load_world(room.parts, room.lamps)
    return _Stage(room, world, shapes, stands, _metered(world, room, seed))


def _metered(world: World, room: Room, seed: int) -> np.ndarray:
    """Gains [3] for linear light: exposure and half a white balance, metered on a small picture."""
    halves = optics.radiance(
        world, room.view, (32, 32), samples_per_px=12, seed=_noise(_METER, seed)
    )
    light = 0.5 * (halves[0] + halves[1])
    luminance = light @ [0.2126, 0.7152, 0.0722]
    level = np.exp(np.mean(np.log(luminance + 1e-4)))
    # lamps and skylights, mostly in the upper third, may burn out: the rest sets the limit
    high = np.percentile(luminance[len(luminance) // 3 :], 92)
    exposure = min(room.key / level, 0.9 / high)
    tint = light[luminance < high].mean(0)
    return exposure * (tint.mean() / tint) ** 0.55


def _studio(rng: np.random.Generator) -> list[Lamp]:
    """Light for a cutout: a sky brighter above, a key light from anywhere in front."""
    warmth = rng.normal(0, 0.07)
    tone = np.array([1 + warmth, 1.0, 1 - warmth])
    fill = rng.uniform(0.3, 0.75)
    levels = np.linspace(1.5, rng.uniform(0.35, 0.8), 8)[:, None, None]
    sky = fill * np.ones((8, 16, 3)) * levels * (1 + 0.08 * rng.standard_normal(3))
    side, height = np.radians(rng.uniform(-110, 110)), rng.uniform(1.8, 4.2)
    center = np.array([3 * np.sin(side), -3 * np.cos(side), height])
    normal = np.array([0, 0, 1.1]) - center
    distance = np.linalg.norm(normal)
    normal /= distance
    along = np.cross([0, 0, 1], normal)
    along /= np.linalg.norm(along)
    half = rng.uniform(0.25, 0.9)
    # so that a white card facing it would send out 1 - fill, times a little
    strength = np.pi * (1.15 - fill) * rng.uniform(0.8, 1.3) * distance**2 / (2 * half) ** 2
    warm = rng.normal(0.03, 0.08)
    key = strength * tone * [1 + warm, 1.0, 1 - warm]
    return [
        Lamp("sky", np.zeros(3), sky * tone),
        Lamp("panel", center, key, along=along * half, up=np.cross(normal, along) * half),
    ]


def _noise(*stream: int) -> int:
    return int(np.random.SeedSequence(stream).generate_state(1)[0]) >> 1


def _developed(light: np.ndarray) -> np.ndarray:
    """Linear light to uint8 sRGB with a soft shoulder above 0.7, as cameras have."""
    light = np.maximum(light, 0)
    light = np.where(light > 0.7, 0.7 + 0.3 * (1 - np.exp(-(light - 0.7) / 0.3)), light)
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(srgb * 255).clip(0, 255).astype(np.uint8)


def _crop(view: View, vertices: np.ndarray, shape: tuple[int, int]):
    """(top, left, height, width) of the pixels that vertices fall into; None if in none."""
    points = view.to_camera(vertices)
    points = points[points[:, 2] > 0.05]
    if len(points) == 0:
        return None
    u = shape[0] * view.focal * points[:, 0] / points[:, 2] + 0.5 * shape[1]
    v = shape[0] * (view.focal * points[:, 1] / points[:, 2] + 0.5)
    left, right = max(0, int(u.min()) - 1), min(shape[1], int(u.max()) + 2)
    top, bottom = max(0, int(v.min()) - 1), min(shape[0], int(v.max()) + 2)
    return None if right <= left or bottom <= top else (top, left, bottom - top, right - left)


def _slices(crop) -> tuple[slice, slice]:
    return slice(crop[0], crop[0] + crop[2]), slice(crop[1], crop[1] + crop[3])


def _blocks(fine: np.ndarray) -> np.ndarray:
    """[h * k, w * k] as [h, k, w, k] for k = OVERSAMPLING."""
    k = OVERSAMPLING
    return fine.reshape(fine.shape[0] // k, k, fine.shape[1] // k, k)
