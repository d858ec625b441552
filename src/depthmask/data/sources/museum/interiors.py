"""Walls with doors and pictures, floor and ceiling of a room.

The floor spans -width/2..width/2 (x) and -depth/2..depth/2 (y) at z = 0.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from depthmask.data.sources.museum import textures
from depthmask.data.sources.museum.optics import panel
from depthmask.data.sources.museum.shapes import Material, Part, box, moved, quad
from depthmask.data.sources.museum.textures import choose, hsv
from depthmask.data.sources.museum.things import WOODS

TEMPERATURES = np.array(  # linear light at 2700, 3000, 3500, 4200 and 5500 K, about
    [(1, 0.7, 0.42), (1, 0.76, 0.52), (1, 0.84, 0.65), (1, 0.92, 0.81), (0.98, 1, 1)]
)
_WHITE, _BLACK, _RED, _GREY = (0.85, 0.83, 0.78), (0.12, 0.12, 0.13), (0.45, 0.16, 0.12), (0.4,) * 3
_TILES = ((_WHITE, _BLACK), (_WHITE, _RED), ((0.62, 0.6, 0.57), _GREY), (WOODS[3], WOODS[0]))
_FRAMES = ((0.72, 0.55, 0.25), (0.15, 0.1, 0.08), (0.4, 0.25, 0.15), (0.9, 0.89, 0.86))


@dataclass
class Wall:
    """One wall in its own frame: x along it from the left (seen from inside, -y), z up, metres.

    `offset` and `turn` move it into the room.
    """

    length: float
    height: float
    offset: np.ndarray
    turn: np.ndarray
    taken: list[tuple[float, float]] = field(default_factory=list)  # x of doors, windows, pictures
    door: tuple[float, float, float] | None = None  # left, right and height of an opening

    def take(self, low: float, high: float) -> bool:
        """Occupy an interval if it is free."""
        free = all(high < a or low > b for a, b in self.taken)
        if inside := free and 0.15 < low and high < self.length - 0.15:
            self.taken.append((low, high))
        return inside

    def point(self, x: float, y: float, z: float) -> np.ndarray:
        """A point of the wall's frame in the room."""
        return self.turn @ np.array([x, y, z]) + self.offset

    def cut_door(self, rng: np.random.Generator) -> np.ndarray:
        """Choose where a door is and return a point of the floor before it."""
        span = rng.uniform(1.1, 2.2)
        left = rng.uniform(0.5, max(0.51, self.length - span - 0.5))
        self.door = (left, left + span, min(rng.uniform(2.1, 2.8), self.height - 0.4))
        self.taken.append((left - 0.25, left + span + 0.25))
        return self.point(left + span / 2, -0.5, 0)


def _wall_color(rng: np.random.Generator) -> np.ndarray:
    """White cubes, greys, pastels, and the deep colours of old galleries."""
    kind = rng.random()
    if kind < 0.42:
        level = rng.uniform(0.78, 0.93) if kind < 0.3 else rng.uniform(0.25, 0.65)
        return level * rng.uniform(0.92, 1.02, 3)
    if kind < 0.68:
        return hsv(rng.random(), rng.uniform(0.1, 0.3), rng.uniform(0.6, 0.85))
    return hsv(rng.random(), rng.uniform(0.3, 0.75), rng.uniform(0.25, 0.6))


def _floor_material(rng: np.random.Generator) -> Material:
    kind = rng.random()
    if kind < 0.35:
        return textures.parquet(rng, np.array(choose(rng, WOODS)) * rng.uniform(0.7, 1.2))
    if kind < 0.55:
        pair = choose(rng, (*_TILES, (_wall_color(rng), _wall_color(rng))))
        return textures.tiles(rng, *pair)
    if kind < 0.75:
        wool = hsv(rng.random(), rng.uniform(0.05, 0.6), rng.uniform(0.15, 0.6))
        return textures.carpet(rng, wool)
    cement = rng.uniform(0.2, 0.75) * rng.uniform(0.92, 1.05, 3)
    return choose(rng, (textures.terrazzo, textures.plaster))(rng, cement)


def _wall_material(rng: np.random.Generator) -> Material:
    """Half of the walls are painted, the others papered, of brick or tile, or panelled."""
    kind, color = rng.random(), _wall_color(rng)
    if kind < 0.5:
        return textures.plaster(rng, color)
    if kind < 0.76:
        return textures.wallpaper(rng, color)
    if kind < 0.9:
        return textures.bricks(rng, choose(rng, (color, (0.55, 0.27, 0.2))))
    return textures.parquet(rng, np.array(choose(rng, (*WOODS, color))))


def draw_shell(rng: np.random.Generator, walls: list[Wall]) -> tuple[list[Part], list[Any]]:
    """Floor, ceiling, walls, doors and pictures, and the lamps behind the doors."""
    width, depth = walls[0].length, walls[1].length
    corner = np.array([-width / 2, -depth / 2, 0])
    parts = [quad(corner, (width, 0, 0), (0, depth, 0), _floor_material(rng))]
    # the ceiling is plain, pale or dark, sometimes with beams
    dark, height = rng.random() < 0.12, walls[0].height
    pale = (rng.uniform(0.06, 0.25) if dark else rng.uniform(0.75, 0.92)) * np.ones(3)
    above = (-width / 2, depth / 2, height)
    parts.append(quad(above, (width, 0, 0), (0, -depth, 0), Material(pale)))
    timber = Material(WOODS[1] if rng.random() < 0.4 else pale * 0.95)
    number = int(width / rng.uniform(1.0, 1.6)) if rng.random() < 0.4 else 0
    for x in (np.arange(number) + 0.5) / max(number, 1) * width - width / 2:
        parts.append(box((x, 0, height - 0.07), (0.16, depth, 0.14), timber))
    color = _wall_color(rng)
    upper, accent = _wall_material(rng), _wall_material(rng)
    accent_wall = int(rng.integers(4)) if rng.random() < 0.3 else None
    dado = float(rng.uniform(0.75, 1.1)) if rng.random() < 0.4 else 0.0
    lower = Material(color * rng.choice([0.5, 0.7, 1.25]))
    if rng.random() < 0.5:
        lower = textures.wood(rng, choose(rng, WOODS))
    trim = Material((0.88, 0.87, 0.84) if rng.random() < 0.6 else color * 0.5)
    density, rows, lamps = rng.uniform(0.1, 1.0), 1 + int(rng.random() < 0.3), []
    for number, wall in enumerate(walls):
        face = accent if number == accent_wall else upper
        inside = _wall_parts(wall, face, lower, trim, dado)
        if wall.door is not None:
            behind, lamp = _doorway(rng, wall, wall.door, trim)
            inside += behind
            lamps.append(lamp)
        inside += _hang_pictures(rng, wall, density, rows)
        parts += moved(inside, wall.offset, wall.turn)
    return parts, lamps


def _wall_parts(
    wall: Wall, upper: Material, lower: Material, trim: Material, dado: float
) -> list[Part]:
    """The wall's face, split at the dado's height and around a door, with its mouldings."""
    left, right, top = wall.door or (wall.length, wall.length, 0.0)
    parts = []
    for start, end, bottom in ((0.0, left, 0.0), (left, right, top), (right, wall.length, 0.0)):
        if end - start < 0.01:
            continue
        middle, length, base = (start + end) / 2, end - start, max(bottom, dado)
        face = quad((start, 0, base), (length, 0, 0), (0, 0, wall.height - base), upper)
        face.uv[:] += [start, base]
        parts.append(face)
        if bottom == 0:
            parts.append(box((middle, -0.012, 0.07), (length, 0.024, 0.14), trim))
        if bottom == 0 < dado:
            parts.append(quad((start, 0, 0), (length, 0, 0), (0, 0, dado), lower))
            parts.append(box((middle, -0.02, dado), (length, 0.04, 0.06), trim))
    return parts


def _doorway(
    rng: np.random.Generator, wall: Wall, door: tuple[float, float, float], frame: Material
) -> tuple[list[Part], Any]:
    """The surround and, behind the opening, another room with a picture and its own lamp."""
    left, right, top = door
    middle, width, post = (left + right) / 2, right - left, rng.uniform(0.1, 0.2)
    color = _wall_color(rng)
    parts = [box((x, -0.01, top / 2), (post, 0.12, top), frame) for x in (left, right)]
    parts.append(box((middle, -0.02, top), (width + 2 * post, 0.14, post), frame))
    far, wide, high = rng.uniform(2.8, 4.2), rng.uniform(3.2, 4.8), wall.height - 0.05
    behind = box((middle, far / 2, high / 2), (wide, far, high), textures.plaster(rng, color))
    parts.append(replace(behind, faces=np.delete(behind.faces, [2, 8], axis=0)))  # open in front
    corner = (middle - wide / 2, 0, 0.005)
    parts.append(quad(corner, (wide, 0, 0), (0, far, 0), _floor_material(rng)))
    parts += moved(_picture(rng, *rng.uniform(0.7, 1.4, 2)), (middle, far - 0.03, 1.55))
    center, tone = wall.point(middle, far / 2, high - 0.02), TEMPERATURES[rng.integers(5)]
    sides = wall.turn @ [0.5, 0, 0], wall.turn @ [0, -0.5, 0]
    lamp = panel(center, *sides, tone * rng.uniform(3, 7))
    lamp["emitter"]["sampling_weight"] *= 0.25  # little of its light comes through the door
    return parts, lamp


def _picture(rng: np.random.Generator, width: float, height: float) -> list[Part]:
    """A framed painting centred on the origin of a wall's frame."""
    bar, w, h = rng.uniform(0.03, 0.13), width / 2, height / 2
    frame = Material(choose(rng, _FRAMES), roughness=0.25)
    canvas = textures.painting(rng, width / height)
    parts = [quad((-w, -0.025, -h), (width, 0, 0), (0, 0, height), canvas, unit_uv=True)]
    for sign in (-1, 1):
        parts.append(box((sign * (w + bar / 2), -0.025, 0), (bar, 0.05, height + 2 * bar), frame))
        parts.append(box((0, -0.025, sign * (h + bar / 2)), (width, 0.05, bar), frame))
    return parts


def _bookcase(rng: np.random.Generator, width: float, height: float) -> list[Part]:
    """Shelves full of books against a wall, their middle at the origin of the wall's frame."""
    timber, w, deep = np.array(choose(rng, WOODS)) * rng.uniform(0.8, 1.3), width / 2, 0.24
    sides, full = ((width, 0, 0), (0, 0, height)), textures.books(rng, timber)
    front = quad((-w, -deep - 0.002, 0), *sides, full, unit_uv=True)
    return [box((0, -deep / 2, height / 2), (width, deep, height), Material(timber)), front]


def _hang_pictures(rng: np.random.Generator, wall: Wall, density: float, rows: int) -> list[Part]:
    """Pictures side by side at eye level, or shelves; `rows` 2 hangs small ones above."""
    parts, x, shelved = [], rng.uniform(0.4, 0.9), choose(rng, (0, 0, 0.2, 0.5))
    while x < wall.length - 0.6:
        width, height = rng.uniform(0.4, 1.7), rng.uniform(0.45, 1.35)
        if rng.random() < density and wall.take(x, x + width + 0.2):
            middle = x + width / 2 + 0.1
            if rng.random() < shelved:
                parts += moved(_bookcase(rng, width, rng.uniform(1.2, 2.3)), (middle, 0, 0))
                x += width + 0.25
                continue
            center = min(max(1.55, 0.75 + height / 2), wall.height - height / 2 - 0.35)
            parts += moved(_picture(rng, width, height), (middle, 0, center))
            base = center + height / 2 + 0.22
            if rows > 1 and wall.height - base > 0.75:
                upper = rng.uniform(0.4, 0.9), min(wall.height - base - 0.35, 0.8)
                parts += moved(_picture(rng, *upper), (middle, 0, base + upper[1] / 2))
        x += width + rng.uniform(0.45, 1.1)
    return parts
