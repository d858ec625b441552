"""A room of the museum: its light, its camera, and where a person has room to be seen."""

from dataclasses import dataclass
from typing import Any

import mitsuba as mi
import numpy as np

from depthmask.data.sources.museum.exhibits import furnish
from depthmask.data.sources.museum.interiors import TEMPERATURES, Wall, draw_shell, make_walls
from depthmask.data.sources.museum.optics import View, globe, panel
from depthmask.data.sources.museum.shapes import Material, Part, box, moved
from depthmask.data.sources.museum.textures import grid, mix, noise

_STREAM, _STAND_STREAM = 1, 3
_NEAREST_M = 0.75
"""No wall is seen nearer than this; furniture keeps clear of the camera as well."""

ADULT_M = 1.7
HEIGHT_RANGE = (0.25, 0.9)
"""Shares of the frame's height that an adult takes up."""

_CLEAR_M = 0.32
_NEAREST_STAND_M = 1.4
_LEAST_VISIBLE, _HIDDEN = 0.45, 0.87
_MOST_CANDIDATES = 900
_BODY = np.array([(x, y) for y in (0.06, 0.3, 0.6, 0.9, 1.2, 1.45, 1.65) for x in (-0.16, 0, 0.16)])


@dataclass(frozen=True)
class Room:
    """A furnished room."""

    parts: list[Part]
    lamps: list[dict[str, Any]]
    view: View
    size: np.ndarray  # [3], metres; the floor is centred on the origin
    footprints: list[np.ndarray]  # x, y, half width, half depth of what stands on the floor
    key: float  # how bright a picture of it is meant to be


def draw_room(seed: int, attempt: int = 0) -> Room:
    """The room of a seed; another attempt is another room."""
    rng = np.random.default_rng([_STREAM, seed, attempt])
    size = rng.uniform([4.6, 4.6, 2.8], [12, 12, 3.6])
    size[2] += 0.12 * (size[:2].min() - 4.6)
    walls = make_walls(size)
    view, nearest_wall = _draw_view(rng, walls, size)
    others = rng.permutation([n for n in range(4) if n != nearest_wall])
    free = [(view.origin, 1.5)]
    if rng.random() < 0.75:
        free.append((walls[others[0]].cut_door(rng), 1.1))
    parts, lamps = _ceiling_lights(rng, size[:2], size[2])
    if rng.random() < 0.35:
        frames, windows = _windows(rng, walls[others[1]])
        parts, lamps = parts + frames, lamps + windows
    shell, behind_doors = draw_shell(rng, walls)
    furniture, footprints = furnish(rng, walls, size[:2], free)
    parts += shell + furniture
    lamps += behind_doors
    return Room(parts, lamps, view, size, footprints, float(rng.uniform(0.17, 0.3)))


def _draw_view(rng: np.random.Generator, walls: list[Wall], size: np.ndarray) -> tuple[View, int]:
    """A camera by a wall that looks across the room, and the wall's number."""
    for _ in range(60):
        number = int(rng.integers(4))
        wall, camera_height = walls[number], min(rng.uniform(1.3, 2.7), size[2] - 0.35)
        along, off = rng.uniform(0.08, 0.92) * wall.length, rng.uniform(0.3, 0.8)
        place = wall.point(along, -off, camera_height)
        ahead = (rng.uniform(-0.25, 0.25, 3) * size - place)[:2]
        reach = float(np.clip(np.hypot(*ahead), 2.6, 5.5))
        yaw = np.degrees(np.arctan2(-ahead[0], ahead[1])) + rng.normal(0, 5)
        aim = rng.uniform(0.75, 1.35)
        pitch = np.degrees(np.arctan2(camera_height - aim, reach)) + rng.normal(0, 2.5)
        # about the lens of a webcam: metres cannot be read off a picture by an unknown lens
        focal = 0.5 / np.tan(np.radians(rng.uniform(54, 64)) / 2)
        view = View.aimed(place, yaw, float(np.clip(pitch, -8, 32)), focal)
        if _nearest(view, size) > _NEAREST_M:
            break
    return view, number


def _nearest(view: View, size: np.ndarray) -> float:
    """The least planar depth of the bare room in view, metres."""
    edge = np.linspace(-0.5, 0.5, 9) / view.focal
    x, y = (a.ravel() for a in np.meshgrid(edge, edge))
    rays = np.stack([x, y, np.ones_like(x)], 1) @ view.axes
    low = -0.5 * size * [1, 1, 0] - view.origin
    with np.errstate(divide="ignore"):
        hits = np.maximum(low / rays, (low + size) / rays)
    return float(hits.min())


def _ceiling_lights(
    rng: np.random.Generator, size: np.ndarray, height: float
) -> tuple[list[Part], list[Any]]:
    """Luminous panels, two bands, pendant globes, or a skylight behind a lattice."""
    tone = TEMPERATURES[rng.integers(len(TEMPERATURES))] * 6
    kind = rng.choice(["panels", "bands", "globes", "skylight"], p=[0.4, 0.2, 0.2, 0.2])
    frame = Material((0.85, 0.85, 0.84) if rng.random() < 0.8 else (0.2, 0.2, 0.2))
    longer, half = size == size.max(), rng.uniform([0.3, 0.3], [0.6, 0.9])
    counts = np.maximum(1 + longer, rng.integers(1, 3))
    if kind == "globes":
        counts = np.where(longer, rng.integers(1, 4), 1)
    elif kind == "bands":
        half, counts = np.where(longer, 0.4 * size, 0.08), 2 - longer
    elif kind == "skylight":
        half, counts = rng.uniform(0.2, 0.36, 2) * size, np.array([1, 1])
        tone = np.ones(3) * rng.choice([1.3, 1.6])
    parts, lamps = [], []
    drop, radius = rng.uniform(0.7, 1.1), rng.uniform(0.14, 0.26)
    for cell in np.ndindex(*counts):
        x, y = ((np.array(cell) + 0.5) / counts - 0.5) * size
        if kind == "globes":
            parts.append(box((x, y, height - drop / 2), (0.02, 0.02, drop), frame))
            lamps.append(globe((x, y, height - drop), radius, tone * 1.5))
            continue
        for t in np.linspace(-1, 1, 5 if kind == "skylight" else 2):
            for axis in np.eye(2):
                center, extent = (x, y) + t * half * axis, np.where(axis, 0.06, 2 * half)
                parts.append(box((*center, height - 0.1), (*extent, 0.2), frame))
        low = height - (0.15 if kind == "skylight" else 0.21)
        lamps.append(panel((x, y, low), (half[0], 0, 0), (0, -half[1], 0), tone))
    return parts, lamps


def _windows(rng: np.random.Generator, wall: Wall) -> tuple[list[Part], list[Any]]:
    """One or two windows on a bright outside, with mullions."""
    width, height, parts, lamps = rng.uniform(0.9, 1.6), rng.uniform(1.2, 1.7), [], []
    frame = Material((0.88, 0.87, 0.85) if rng.random() < 0.7 else (0.25, 0.16, 0.1))
    _, v = grid(32)
    trees = (v - 0.65 + 0.25 * noise(rng, (32, 32), 4)) * 9
    outside = mix(mix([0.55, 0.75, 1.1], [0.95, 1.0, 1.05], v), [0.1, 0.16, 0.07], trees)
    number, z = 1 + int(wall.length > 6), 0.8 + height / 2
    for x in (np.arange(number) + 0.5) / number * wall.length:
        if not wall.take(x - width / 2 - 0.2, x + width / 2 + 0.2):
            continue
        for t in (-0.5, 0, 0.5):
            parts.append(box((x + t * width, -0.03, z), (0.07, 0.07, height + 0.07), frame))
            parts.append(box((x, -0.03, z + t * height), (width, 0.07, 0.07), frame))
        along, up = wall.turn @ [width / 2, 0, 0], (0, 0, height / 2)
        lamps.append(panel(wall.point(x, -0.012, z), along, up, outside * 3.5))
    return moved(parts, wall.offset, wall.turn), lamps


def candidates(room: Room, seed: int, count: int = 4000) -> np.ndarray:
    """Floor points [n, 3] (camera) that are free and in view, were there no furniture in front.

    The adult's height in the frame is drawn uniformly, then the place across.
    """
    rng = np.random.default_rng([_STAND_STREAM, seed])
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


def _visible_share(scene: Any, view: View, foot: np.ndarray) -> float:
    """Share of 21 points of a standing adult that nothing in the room hides."""
    points = foot + _BODY[:, 1:] * view.up + _BODY[:, :1] * [1, 0, 0]
    origin, seen = view.origin.tolist(), 0
    for direction in (points @ view.axes).tolist():
        ray = mi.Ray3f(origin, direction, 0.995, 0, [])  # type: ignore[call-overload]
        seen += not scene.ray_test(ray)
    return seen / len(points)


def draw_stands(scene: Any, room: Room, seed: int, most: int) -> np.ndarray:
    """Up to `most` places, float32 [n, 3], camera coordinates, near and far ones alike.

    A uniform draw over the floor would favour the distance; these are picked so that the adult's
    height in the frame spreads evenly over HEIGHT_RANGE, as far as the room and camera allow.
    """
    view = room.view
    feet = candidates(room, seed)[:_MOST_CANDIDATES]
    seen = np.array([_visible_share(scene, view, foot.astype(np.float64)) for foot in feet])
    feet, seen = feet[seen >= _LEAST_VISIBLE], seen[seen >= _LEAST_VISIBLE]
    heads = feet + ADULT_M * view.up
    shares = view.focal * (feet[:, 1] / feet[:, 2] - heads[:, 1] / heads[:, 2])
    free, hidden = np.ones(len(feet), bool), seen < _HIDDEN
    picked: list[int] = []
    # leaning to the large, who are fewer: rooms and frames end
    spread = np.linspace(0, 1, min(most, len(feet))) ** 0.65
    for number, target in enumerate(HEIGHT_RANGE[0] + spread * np.ptp(HEIGHT_RANGE)):
        # every fourth stands behind something, where there are such places
        wanted = free & hidden if number % 4 == 0 and (free & hidden).any() else free
        nearest = int(np.argmin(np.where(wanted, np.abs(shares - target), np.inf)))
        free[nearest] = False
        picked.append(nearest)
    order = np.random.default_rng([_STAND_STREAM, seed, 1]).permutation(len(picked))
    return feet[np.array(picked, int)[order]]
