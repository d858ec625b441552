"""A room of the museum: what it is made of, what stands in it, where the camera is."""

from dataclasses import dataclass

import numpy as np

from depthmask.data.sources.museum import interiors
from depthmask.data.sources.museum.furniture import Furniture
from depthmask.data.sources.museum.lighting import light_room
from depthmask.data.sources.museum.loading import Lamp
from depthmask.data.sources.museum.materials import plain, textured, wood
from depthmask.data.sources.museum.optics import View
from depthmask.data.sources.museum.shapes import Part, box, quad

_STREAM = 1
_NEAREST_M = 0.75
"""No wall is seen nearer than this; furniture keeps clear of the camera as well."""


@dataclass(frozen=True)
class Room:
    """A furnished room.

    Attributes:
        parts, lamps: what is rendered.
        view: the camera.
        width, depth, height: metres; the floor is centred on the origin.
        footprints: [n, 4], x, y, half width and half depth of what stands on the floor.
        key: how bright a picture of it is meant to be.
    """

    parts: list[Part]
    lamps: list[Lamp]
    view: View
    width: float
    depth: float
    height: float
    footprints: np.ndarray
    key: float


def draw_room(seed: int, attempt: int = 0) -> Room:
    """The room of a seed; another attempt is another room."""
    rng = np.random.default_rng([_STREAM, seed, attempt])
    width, depth = rng.uniform(4.6, 12.0), rng.uniform(4.6, 12.0)
    height = float(np.clip(rng.uniform(2.8, 3.6) + 0.12 * (min(width, depth) - 4.6), 2.8, 5.2))
    view, nearest_wall = _draw_view(rng, width, depth, height)
    walls = interiors.walls_of(width, depth, height)
    parts = [
        quad(
            (-width / 2, -depth / 2, 0), (width, 0, 0), (0, depth, 0), interiors.floor_material(rng)
        )
    ]
    lamps: list[Lamp] = []
    door_wall = int((nearest_wall + rng.integers(1, 4)) % 4) if rng.random() < 0.75 else None
    light_parts, lamps = light_room(
        rng, walls, width, depth, height, away_from=(nearest_wall, door_wall)
    )
    parts += light_parts + _ceiling(rng, width, depth, height)
    parts += _walls(rng, walls, door_wall, lamps)
    placed = Furniture(rng, width, depth, view.origin)
    if door_wall is not None:
        hole = walls[door_wall].taken[0]
        placed.keep_free(walls[door_wall].point((hole[0] + hole[1]) / 2, -0.5, 0))
    parts += placed.fill(walls, height)
    footprints = np.array(placed.footprints).reshape(-1, 4)
    key = float(rng.uniform(0.17, 0.3))
    return Room(parts, lamps, view, width, depth, height, footprints, key)


def _draw_view(rng, width: float, depth: float, height: float) -> tuple[View, int]:
    """A camera by a wall that looks across the room, and the wall's number."""
    for _ in range(60):
        wall = int(rng.integers(4))
        along, off = rng.uniform(-0.42, 0.42), rng.uniform(0.3, 0.8)
        place = {
            0: (along * width, depth / 2 - off),
            1: (off - width / 2, along * depth),
            2: (along * width, off - depth / 2),
            3: (width / 2 - off, along * depth),
        }[wall]
        camera_height = min(rng.uniform(1.3, 2.7), height - 0.35)
        toward = np.array([rng.uniform(-0.25, 0.25) * width, rng.uniform(-0.25, 0.25) * depth])
        ahead = toward - place
        reach = float(np.clip(np.hypot(*ahead), 2.6, 5.5))
        yaw = np.degrees(np.arctan2(-ahead[0], ahead[1])) + rng.normal(0, 5)
        aim = rng.uniform(0.75, 1.35)
        pitch = np.degrees(np.arctan2(camera_height - aim, reach)) + rng.normal(0, 2.5)
        # about the lens of a webcam: metres cannot be read off a picture by an unknown lens
        focal = 0.5 / np.tan(np.radians(rng.uniform(54, 64)) / 2)
        view = View.aimed((*place, camera_height), yaw, float(np.clip(pitch, -8, 32)), focal)
        if _nearest(view, width, depth, height) > _NEAREST_M:
            break
    return view, wall


def _nearest(view: View, width: float, depth: float, height: float) -> float:
    """The least planar depth of the bare room in view, metres."""
    edge = np.linspace(-0.5, 0.5, 9) / view.focal
    x, y = (a.ravel() for a in np.meshgrid(edge, edge))
    rays = np.stack([x, y, np.ones_like(x)], 1) @ np.stack([view.right, view.down, view.forward])
    low = np.array([-width / 2, -depth / 2, 0]) - view.origin
    high = np.array([width / 2, depth / 2, height]) - view.origin
    with np.errstate(divide="ignore"):
        hits = np.maximum(low / rays, high / rays)
    return float(hits.min())


def _ceiling(rng, width: float, depth: float, height: float) -> list[Part]:
    kind = rng.random()
    color = rng.uniform(0.75, 0.92) * np.array([1, 0.99, 0.96])
    if kind < 0.12:
        color = np.ones(3) * rng.uniform(0.06, 0.25)
    parts = [quad((-width / 2, depth / 2, height), (width, 0, 0), (0, -depth, 0), plain(color))]
    if 0.12 < kind < 0.42:  # beams
        timber = (
            textured(wood(rng, (0.42, 0.28, 0.17)), (0.4, 1.0))
            if rng.random() < 0.5
            else plain(color * 0.95)
        )
        number = int(width / rng.uniform(1.0, 1.6))
        for k in range(number):
            x = (k + 0.5) / number * width - width / 2
            parts.append(box((x, 0, height - 0.07), (0.16, depth, 0.14), timber))
    elif 0.42 < kind < 0.62:  # coffers
        pale = plain(color)
        for k in range(1, int(width / 1.3)):
            x = k / int(width / 1.3) * width - width / 2
            parts.append(box((x, 0, height - 0.05), (0.2, depth, 0.1), pale))
        for k in range(1, int(depth / 1.3)):
            y = k / int(depth / 1.3) * depth - depth / 2
            parts.append(box((0, y, height - 0.05), (width, 0.2, 0.1), pale))
    return parts


def _walls(rng, walls, door_wall: int | None, lamps: list[Lamp]) -> list[Part]:
    color = interiors.wall_color(rng)
    upper = interiors.wall_material(rng, color)
    lower, dado, fields = None, 0.0, False
    if rng.random() < 0.4:
        dado = float(rng.uniform(0.75, 1.1))
        if rng.random() < 0.5:
            shade = ((0.42, 0.27, 0.16), (0.25, 0.16, 0.11), (0.6, 0.45, 0.3))[rng.integers(3)]
            lower = textured(wood(rng, shade), (0.8, 1.0), 0.3)
        else:
            lower = plain(np.clip(color * rng.choice([0.5, 0.7, 1.25]), 0.05, 0.93))
        fields = rng.random() < 0.7
    pale = plain((0.88, 0.87, 0.84)) if rng.random() < 0.6 else plain(color * 0.5)
    accent = upper
    accent_wall = -1
    if rng.random() < 0.3:
        accent, accent_wall = (
            interiors.wall_material(rng, interiors.wall_color(rng)),
            int(rng.integers(4)),
        )
    cornice = float(rng.choice([0.0, 0.1, 0.22]))
    density, rows = rng.uniform(0.5, 1.0), 1 + int(rng.random() < 0.3)
    parts: list[Part] = []
    for number, wall in enumerate(walls):
        hole = None
        if number == door_wall:
            span = rng.uniform(1.1, 2.2)
            left = rng.uniform(0.5, max(0.51, wall.length - span - 0.5))
            hole = (left, left + span, min(rng.uniform(2.1, 2.8), wall.height - 0.4))
            wall.taken.insert(0, (left - 0.25, left + span + 0.25))
        face = accent if number == accent_wall else upper
        inside = interiors.wall_surface(wall, face, lower, dado, hole)
        inside += interiors.trim(
            wall,
            pale if lower is None or rng.random() < 0.5 else lower,
            hole,
            dado=dado or None,
            cornice=cornice,
        )
        if fields:
            inside += interiors.panelling(wall, lower, dado, hole)
        parts += wall.place(inside)
        if hole is not None:
            behind, glow = interiors.doorway(rng, wall, hole, pale)
            parts += behind
            lamps += glow
        parts += interiors.hang_pictures(rng, wall, density=density, rows=rows)
    return parts
