"""Plates, cutouts and in-scene frames of the museum, each a function of its seeds."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import mitsuba as mi
import numpy as np

from depthmask.data.scenes.scene import Camera, Cutout, Plate
from depthmask.data.sources.museum import optics
from depthmask.data.sources.museum.optics import View, depth_map, load_scene, meshes, sub_depths
from depthmask.data.sources.museum.people import CANVAS_M, FOOT_MARGIN_M, STUDIO_M, draw_person
from depthmask.data.sources.museum.rooms import Room, draw_room
from depthmask.data.sources.museum.shapes import Part, moved, rotation
from depthmask.data.sources.museum.things import draw_thing

Kind = Literal["person", "thing"]
_DRAWN: dict[str, Any] = {"person": draw_person, "thing": draw_thing}

ADULT_M = 1.7
HEIGHT_RANGE = (0.25, 0.9)
"""Shares of the frame's height that an adult takes up."""

_CLEAR_M, _NEAREST_STAND_M = 0.32, 1.1
_LEAST_VISIBLE, _HIDDEN = 0.45, 0.87
_FEWEST_STANDS, NUM_STANDS = 20, 64
_ATTEMPTS, _MOST_CANDIDATES = 40, 900
_STANDS, _PLATE, _CUTOUT, _FRAME, _METER, _EMPTY = 3, 11, 12, 13, 14, 15  # random streams
_MIDDLE = optics.OVERSAMPLING**2 // 2
_BODY = np.array([(x, y) for y in (0.06, 0.3, 0.6, 0.9, 1.2, 1.45, 1.65) for x in (-0.16, 0, 0.16)])


class InScene(NamedTuple):
    """A person rendered inside a room."""

    bg_fg: np.ndarray  # uint8 [S, S, 3], RGB
    mask: np.ndarray  # float32 [S, S], the share of each pixel that is person
    depth: np.ndarray  # float32 [S, S], metres, through the pixels' middles


class _LoadedRoom(NamedTuple):
    room: Room
    content: list[dict[str, Any]]  # its meshes, as they are lit and as albedo
    scene: Any
    stands: np.ndarray
    exposure: np.ndarray

    def picture(
        self, size: int, samples_per_px: int, *stream: int, person: Sequence[Part] = ()
    ) -> np.ndarray:
        """uint8 [S, S, 3] of this room, perhaps with somebody in it."""
        view, shape = self.room.view, (size, size)
        lit, albedo = (
            load_scene(room | somebody, self.room.lamps)
            for room, somebody in zip(self.content, _meshes(person, "person", view), strict=True)
        )
        light = optics.radiance(lit, view, shape, samples_per_px, _noise_seed(*stream))
        return _develop(_denoised(light * self.exposure, albedo, view))


def render_plate(seed: int, *, size: int, samples_per_px: int) -> Plate:
    """Render the room of a seed, `size` px high and wide; its 64 stands do not depend on it."""
    loaded = _load_room(seed)
    view = loaded.room.view
    return Plate(
        name=f"room-{seed:05d}",
        image=loaded.picture(size, samples_per_px, _PLATE, seed),
        depth=_room_depth(seed, size),
        camera=Camera(float(view.focal), tuple(view.up.tolist()), float(view.origin[2])),
        stands=loaded.stands,
    )


def render_empty(room_seed: int, *, seed: int, size: int, samples_per_px: int) -> np.ndarray:
    """Render the plate once more with noise of `seed`: uint8 [S, S, 3], RGB."""
    return _load_room(room_seed).picture(size, samples_per_px, _EMPTY, room_seed, seed)


def render_in_scene(
    room_seed: int,
    person_seed: int,
    stand: np.ndarray,
    *,
    kind: Kind = "person",
    seed: int,
    size: int,
    samples_per_px: int,
) -> InScene:
    """Render a person, or a thing, at a stand [3] of a room's plate; `seed` is of the heading and
    the noise."""
    loaded, shape = _load_room(room_seed), (size, size)
    view, stream = loaded.room.view, (_FRAME, room_seed, person_seed, seed)
    foot = view.to_world(np.asarray(stand, np.float64)) * [1, 1, 0]
    heading = float(np.random.default_rng(stream).uniform(0, 360))
    person = moved(_DRAWN[kind](person_seed)[0], foot, rotation("z", heading))
    alone = load_scene(meshes(person, "person"))
    in_front, behind = sub_depths([alone, loaded.scene], view, shape, person)
    return InScene(
        loaded.picture(size, samples_per_px, *stream, person=person),
        (in_front < behind).mean(-1, dtype=np.float32),
        np.minimum(in_front[..., _MIDDLE], _room_depth(room_seed, size)),
    )


def render_cutout(seed: int, *, size: int, samples_per_px: int, kind: Kind = "person") -> Cutout:
    """Render the person (or the thing left behind) of a seed alone, on a canvas `size` px high and
    3/4 of that wide."""
    rng = np.random.default_rng([_CUTOUT, seed])
    parts, height_m = _DRAWN[kind](seed)
    heading = 180 + float(rng.normal(0, 45) if rng.random() < 0.7 else rng.uniform(0, 360))
    parts = moved(parts, (0, 0, 0), rotation("z", heading))
    view = View.aimed((0, -STUDIO_M, CANVAS_M / 2 - FOOT_MARGIN_M), 0, 0, STUDIO_M / CANVAS_M)
    (lit, albedo), shape = _meshes(parts, "person", view), (size, size * 3 // 4)
    scene, noise_seed = load_scene(lit, _studio_lamps(rng)), _noise_seed(_CUTOUT, seed)
    light = optics.radiance(scene, view, shape, samples_per_px, noise_seed, lamps_visible=False)
    light = _denoised(light, load_scene(albedo), view)
    [depths] = sub_depths([load_scene(lit)], view, shape, parts)
    hit = np.isfinite(depths)
    alpha = np.round(hit.mean(-1) * 255).astype(np.uint8)
    offsets = np.where(hit, depths - STUDIO_M, 0)
    # where a pixel's middle misses the person, the mean of what does hit
    mean = offsets.sum(-1) / np.maximum(hit.sum(-1), 1)
    relief = np.where(hit[..., _MIDDLE], offsets[..., _MIDDLE], mean).astype(np.float32)
    rgb = _develop(light / np.maximum(hit.mean(-1), 1e-3)[..., None])
    rgb[alpha == 0] = 0
    relief[alpha == 0] = 0
    return Cutout(
        name=f"{kind}-{seed:05d}",
        rgba=np.dstack([rgb, alpha]),
        relief=relief,
        metres_per_px=CANVAS_M / size,
        foot=(shape[1] / 2, size - FOOT_MARGIN_M * size / CANVAS_M),
        height_m=height_m,
    )


@lru_cache(maxsize=2)  # frames are rendered room by room
def _load_room(seed: int) -> _LoadedRoom:
    """The room of a seed, its stands, and the exposure that all its pictures share.

    Raises RuntimeError if none of the rooms drawn for the seed has enough places to stand.
    """
    for attempt in range(_ATTEMPTS):
        room = draw_room(seed, attempt)
        feet = free_floor(room, seed)
        if len(feet) < 2 * _FEWEST_STANDS:
            continue
        content = _meshes(room.parts, "room", room.view)
        scene = load_scene(content[0], room.lamps)
        depth = depth_map(scene, room.view, (48, 48))
        if depth.min() <= 0.6 or depth.max() > 24:
            continue
        stands = draw_stands(scene, room.view, feet[:_MOST_CANDIDATES], seed)
        if len(stands) >= _FEWEST_STANDS:
            stands = stands[np.arange(NUM_STANDS) % len(stands)]
            return _LoadedRoom(room, content, scene, stands, _exposure(scene, room, seed))
    raise RuntimeError(f"no room of seed {seed} has {_FEWEST_STANDS} places to stand")


@lru_cache(maxsize=2)
def _room_depth(seed: int, size: int) -> np.ndarray:
    loaded = _load_room(seed)
    return depth_map(loaded.scene, loaded.room.view, (size, size))


def free_floor(room: Room, seed: int, count: int = 4000) -> np.ndarray:
    """Floor points [n, 3] (camera) that are free and in view, were there no furniture in front.

    The adult's height in the frame is drawn uniformly, then the place across.
    """
    rng = np.random.default_rng([_STANDS, seed])
    view, up = room.view, room.view.up
    z = view.focal * ADULT_M / rng.uniform(*HEIGHT_RANGE, count)
    x = (rng.uniform(0.06, 0.94, count) - 0.5) * z / view.focal
    feet = np.stack([x, (-view.origin[2] - up[2] * z) / up[1], z], -1)
    heads = feet + ADULT_M * up
    foot_v, head_v = (view.focal * p[:, 1] / np.maximum(p[:, 2], 0.1) + 0.5 for p in (feet, heads))
    good = (z > _NEAREST_STAND_M) & (heads[:, 2] > 0.8) & (head_v > 0.015) & (foot_v < 1.03)
    good &= (foot_v - head_v > HEIGHT_RANGE[0]) & (foot_v - head_v < HEIGHT_RANGE[1])
    floor = view.to_world(feet)[:, :2]
    good &= (np.abs(floor) < room.size[:2] / 2 - _CLEAR_M - 0.1).all(1)
    for footprint in room.footprints:
        gaps = np.maximum(np.abs(floor - footprint[:2]) - footprint[2:], 0)
        good &= np.hypot(*gaps.T) > _CLEAR_M
    return feet[good].astype(np.float32)


def draw_stands(scene: Any, view: View, feet: np.ndarray, seed: int) -> np.ndarray:
    """Up to 64 of the places, float32 [n, 3], camera coordinates, near and far ones alike.

    A uniform draw over the floor would favour the distance; these are picked so that the adult's
    height in the frame spreads evenly, as far as the room and camera allow.
    """
    body = _BODY[:, 1:] * view.up + _BODY[:, :1] * [1, 0, 0]
    origin, rays = view.origin.tolist(), (feet[:, None].astype(np.float64) + body) @ view.axes
    hits = [
        scene.ray_test(mi.Ray3f(origin, ray, 0.995, 0, []))  # type: ignore[call-overload]
        for ray in rays.reshape(-1, 3).tolist()
    ]
    seen = 1 - np.reshape(hits, rays.shape[:2]).mean(1)
    feet, seen = feet[seen >= _LEAST_VISIBLE], seen[seen >= _LEAST_VISIBLE]
    heads = feet + ADULT_M * view.up
    shares = view.focal * (feet[:, 1] / feet[:, 2] - heads[:, 1] / heads[:, 2])
    free, hidden = np.ones(len(feet), bool), seen < _HIDDEN
    picked: list[int] = []
    # leaning to the large, who are fewer: rooms and frames end
    spread = np.linspace(0, 1, min(NUM_STANDS, len(feet))) ** 0.45
    for number, target in enumerate(shares.min() + spread * np.ptp(shares)):
        # every fourth stands behind something, where there are such places
        wanted = free & hidden if number % 4 == 0 and (free & hidden).any() else free
        picked.append(int(np.argmin(np.where(wanted, np.abs(shares - target), np.inf))))
        free[picked[-1]] = False
    return feet[np.random.default_rng([_STANDS, seed, 1]).permutation(np.array(picked, int))]


def _exposure(scene: Any, room: Room, seed: int) -> np.ndarray:
    """Gains [3] for linear light: exposure and half a white balance, metered on a small picture."""
    light = optics.radiance(scene, room.view, (32, 32), 12, _noise_seed(_METER, seed))
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


def _meshes(parts: Sequence[Part], name: str, view: View) -> list[dict[str, Any]]:
    """As they are lit, and as albedo."""
    return [meshes(parts, name, seen_from=place) for place in (None, view.origin)]


def _denoised(light: np.ndarray, albedo: Any, view: View) -> np.ndarray:
    """Exposed light [h, w, 3] of a view, whose surfaces another scene shows as albedo."""
    shown = optics.radiance(albedo, view, light.shape[:2], 9, 0, max_depth=1)
    return optics.denoise(light.astype(np.float32), shown)


def _noise_seed(*stream: int) -> int:
    return int(np.random.SeedSequence(stream).generate_state(1)[0]) >> 1


def _develop(light: np.ndarray) -> np.ndarray:
    """Linear light to uint8 sRGB with a soft shoulder above 0.7, as cameras have."""
    light = np.maximum(light, 0)
    light = np.where(light > 0.7, 0.7 + 0.3 * (1 - np.exp(-(light - 0.7) / 0.3)), light)
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(srgb * 255).clip(0, 255).astype(np.uint8)
