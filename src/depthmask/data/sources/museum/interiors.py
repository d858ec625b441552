"""The shell of a room: floor, walls with doors and windows, ceiling, pictures, lamps.

The floor spans -width/2..width/2 (x) and -depth/2..depth/2 (y) at z = 0.
"""

from dataclasses import dataclass, field

import numpy as np

from depthmask.data.sources.museum.lighting import TEMPERATURES
from depthmask.data.sources.museum.loading import Lamp
from depthmask.data.sources.museum.materials import (
    Material,
    carpet,
    hsv,
    marble,
    masonry,
    noise,
    parquet,
    plain,
    plaster,
    textured,
    tiles,
    wallpaper,
    wood,
)
from depthmask.data.sources.museum.paintings import painting
from depthmask.data.sources.museum.shapes import Part, box, moved, quad, rotation


@dataclass
class Wall:
    """One wall in its own frame: x along it from the left (seen from inside), z up.

    Attributes:
        length, height: metres.
        offset, turn: move its frame (inside is -y) into the room.
        taken: intervals of x that doors, windows and pictures occupy.
    """

    length: float
    height: float
    offset: np.ndarray
    turn: np.ndarray
    taken: list[tuple[float, float]] = field(default_factory=list)

    def free(self, low: float, high: float) -> bool:
        return (
            low > 0.15
            and high < self.length - 0.15
            and all(high < a or low > b for a, b in self.taken)
        )

    def place(self, parts: list[Part]) -> list[Part]:
        return moved(parts, self.offset, self.turn)

    def point(self, x: float, y: float, z: float) -> np.ndarray:
        return self.turn @ np.array([x, y, z]) + self.offset


def walls_of(width: float, depth: float, height: float) -> list[Wall]:
    """North (+y), west, south, east: each seen from inside."""
    w, d = width / 2, depth / 2
    return [
        Wall(width, height, np.array([-w, d, 0]), rotation("z", 0)),
        Wall(depth, height, np.array([-w, -d, 0]), rotation("z", 90)),
        Wall(width, height, np.array([w, -d, 0]), rotation("z", 180)),
        Wall(depth, height, np.array([w, d, 0]), rotation("z", 270)),
    ]


def wall_color(rng: np.random.Generator) -> np.ndarray:
    """White cubes, greys, pastels, and the deep colours of old galleries."""
    kind = rng.random()
    if kind < 0.3:
        return rng.uniform(0.78, 0.93) * np.array([1, rng.uniform(0.95, 1), rng.uniform(0.88, 1)])
    if kind < 0.42:
        return rng.uniform(0.25, 0.65) * np.array([1, 1, 1]) * rng.uniform(0.94, 1.06, 3)
    if kind < 0.68:
        return hsv(rng.random(), rng.uniform(0.1, 0.3), rng.uniform(0.6, 0.85))
    return hsv(
        rng.choice([0.99, 0.02, 0.08, 0.13, 0.3, 0.42, 0.5, 0.58, 0.63, 0.75])
        + 0.02 * rng.standard_normal(),
        rng.uniform(0.3, 0.62),
        rng.uniform(0.25, 0.58),
    )


def wall_material(rng: np.random.Generator, color: np.ndarray) -> Material:
    kind = rng.random()
    if kind < 0.6:
        return plaster(rng, color)
    if kind < 0.8:
        return wallpaper(rng, color)
    if kind < 0.9:
        return masonry(rng, np.array([0.7, 0.62, 0.5]) * rng.uniform(0.6, 1.15, 3))
    return textured(marble(rng, color, 0.7 * color), (2.4, 2.4))


def floor_material(rng: np.random.Generator) -> Material:
    kind = rng.random()
    if kind < 0.42:
        woods = (
            (0.62, 0.43, 0.26),
            (0.5, 0.32, 0.18),
            (0.72, 0.55, 0.36),
            (0.33, 0.2, 0.13),
            (0.6, 0.54, 0.47),
        )
        return parquet(rng, np.array(woods[rng.integers(len(woods))]) * rng.uniform(0.85, 1.1))
    if kind < 0.72:
        pairs = (
            ((0.85, 0.83, 0.78), (0.16, 0.15, 0.15)),
            ((0.8, 0.76, 0.68), (0.68, 0.62, 0.53)),
            ((0.62, 0.33, 0.22), (0.54, 0.28, 0.19)),
            ((0.72, 0.72, 0.7), (0.52, 0.53, 0.54)),
            ((0.84, 0.79, 0.7), (0.45, 0.2, 0.16)),
            ((0.3, 0.31, 0.32), (0.25, 0.26, 0.27)),
        )
        first, second = pairs[rng.integers(len(pairs))]
        return tiles(rng, np.array(first), np.array(second))
    if kind < 0.84:
        return textured(marble(rng, (0.82, 0.79, 0.74), (0.55, 0.5, 0.46)), (2.2, 2.2), 0.12)
    if kind < 0.93:
        return carpet(rng, hsv(rng.random(), rng.uniform(0.15, 0.6), rng.uniform(0.2, 0.55)))
    grey = rng.uniform(0.35, 0.6)
    return textured(
        grey * (1 + 0.1 * noise(rng, (96, 96), 5))[..., None] * np.ones(3), (3, 3), 0.25
    )


def wall_surface(
    wall: Wall,
    material: Material,
    lower: Material | None,
    dado: float,
    hole: tuple[float, float, float] | None,
) -> list[Part]:
    """The wall's face, split at the dado's height and around a door (left, right, height)."""
    columns = [(0.0, wall.length, 0.0)]
    if hole is not None:
        left, right, top = hole
        columns = [(0.0, left, 0.0), (left, right, top), (right, wall.length, 0.0)]
    parts = []
    for start, end, bottom in columns:
        split = dado if lower is not None else 0.0
        if bottom < split:
            parts.append(
                quad((start, 0, bottom), (end - start, 0, 0), (0, 0, split - bottom), lower)
            )
        base = max(bottom, split)
        part = quad((start, 0, base), (end - start, 0, 0), (0, 0, wall.height - base), material)
        part.uv[:] += [start, base]
        parts.append(part)
    return parts


def trim(wall: Wall, material: Material, hole, *, dado: float | None, cornice: float) -> list[Part]:
    """Skirting, a dado rail and a cornice, interrupted by the door."""
    spans = [(0.0, wall.length)]
    if hole is not None:
        spans = [(0.0, hole[0]), (hole[1], wall.length)]
    parts = []
    for start, end in spans:
        middle, length = (start + end) / 2, max(end - start, 0.01)
        parts.append(box((middle, -0.012, 0.07), (length, 0.024, 0.14), material))
        if dado is not None:
            parts.append(box((middle, -0.02, dado), (length, 0.04, 0.06), material))
    if cornice > 0:
        for step, drop in ((1.0, 0.2), (0.6, 0.6), (0.25, 1.0)):
            parts.append(
                box(
                    (wall.length / 2, -0.5 * step * cornice, wall.height - 0.5 * drop * cornice),
                    (wall.length, step * cornice, drop * cornice),
                    material,
                )
            )
    return parts


def panelling(wall: Wall, material: Material, height: float, hole) -> list[Part]:
    """Raised fields on the dado."""
    number = max(2, int(wall.length / 0.8))
    pitch = wall.length / number
    parts = []
    for k in range(number):
        middle = (k + 0.5) * pitch
        if hole is not None and hole[0] - pitch / 2 < middle < hole[1] + pitch / 2:
            continue
        parts.append(
            box(
                (middle, -0.01, 0.14 + (height - 0.14) / 2),
                (0.75 * pitch, 0.02, 0.72 * (height - 0.14)),
                material,
            )
        )
    return parts


def doorway(
    rng: np.random.Generator, wall: Wall, hole, frame: Material
) -> tuple[list[Part], list[Lamp]]:
    """The surround and, behind the opening, another room with a picture and its own lamp."""
    left, right, top = hole
    middle, width = (left + right) / 2, right - left
    post = rng.uniform(0.1, 0.2)
    parts = [
        box((left - post / 2 + 0.02, -0.01, top / 2), (post, 0.12, top), frame),
        box((right + post / 2 - 0.02, -0.01, top / 2), (post, 0.12, top), frame),
        box((middle, -0.02, top + post / 2 - 0.02), (width + 2 * post, 0.14, post), frame),
    ]
    deep, half, high = rng.uniform(2.6, 4.0), rng.uniform(1.6, 2.4), wall.height - 0.05
    paint = plaster(rng, wall_color(rng))
    floor, roof = floor_material(rng), plain((0.85, 0.84, 0.82))
    start, y0 = middle - half, 0.22
    reveal = plain(frame.color if frame.color.ndim == 1 else frame.color.mean((0, 1)))
    parts += [
        quad((start, y0 + deep, 0), (2 * half, 0, 0), (0, 0, high), paint),
        quad((start, y0, 0), (0, deep, 0), (0, 0, high), paint),
        quad((start + 2 * half, y0 + deep, 0), (0, -deep, 0), (0, 0, high), paint),
        quad((start, 0.0, 0.0), (2 * half, 0, 0), (0, y0 + deep, 0), floor),
        quad((start, y0 + deep, high), (2 * half, 0, 0), (0, -deep, 0), roof),
        quad((left, 0, 0), (0, y0, 0), (0, 0, top), reveal),
        quad((right, y0, 0), (0, -y0, 0), (0, 0, top), reveal),
        quad((left, y0, top), (width, 0, 0), (0, -y0, 0), reveal),
        quad((right, y0, 0), (start + 2 * half - right, 0, 0), (0, 0, high), paint),
        quad((start, y0, 0), (left - start, 0, 0), (0, 0, high), paint),
        quad((left, y0, top), (width, 0, 0), (0, 0, high - top), paint),
    ]
    parts += moved(
        picture(rng, rng.uniform(0.7, 1.5), rng.uniform(0.7, 1.2)), (middle, y0 + deep, 1.55)
    )
    tone = TEMPERATURES[rng.integers(len(TEMPERATURES))]
    lamp = Lamp(
        "panel",
        wall.point(middle, y0 + deep / 2, high - 0.02),
        tone * rng.uniform(3, 7),
        along=wall.turn @ [0.5, 0, 0],
        up=wall.turn @ [0, -0.5, 0],
        share=0.25,
    )
    return wall.place(parts), [lamp]


def picture(rng: np.random.Generator, width: float, height: float) -> list[Part]:
    """A framed painting centred on the origin of a wall's frame (inside is -y)."""
    bar = rng.uniform(0.03, 0.13)
    frames = (
        (0.72, 0.55, 0.25),
        (0.6, 0.42, 0.16),
        (0.15, 0.1, 0.08),
        (0.4, 0.25, 0.15),
        (0.9, 0.89, 0.86),
        (0.06, 0.06, 0.06),
    )
    color = np.array(frames[rng.integers(len(frames))])
    frame = plain(color, 0.25) if color[0] > 0.5 else textured(wood(rng, color), (0.3, 0.6))
    canvas = textured(painting(rng, width / height))
    w, h = width / 2, height / 2
    parts = [quad((-w, -0.025, -h), (width, 0, 0), (0, 0, height), canvas, unit_uv=True)]
    for sign in (-1, 1):
        parts.append(
            box((sign * (w + bar / 2 - 0.005), -0.025, 0), (bar, 0.05, height + 2 * bar), frame)
        )
        parts.append(box((0, -0.025, sign * (h + bar / 2 - 0.005)), (width, 0.05, bar), frame))
    if rng.random() < 0.3:  # a mount round a print
        mount = plain((0.9, 0.88, 0.83))
        m = 0.16 * min(width, height)
        for sign in (-1, 1):
            parts.append(box((sign * (w - m / 2), -0.027, 0), (m, 0.006, height), mount))
            parts.append(box((0, -0.027, sign * (h - m / 2)), (width, 0.006, m), mount))
    return parts


def hang_pictures(rng: np.random.Generator, wall: Wall, *, density: float, rows: int) -> list[Part]:
    """Pictures side by side at eye level, with labels; `rows` 2 hangs small ones above."""
    parts, x = [], rng.uniform(0.4, 0.9)
    card = plain((0.92, 0.91, 0.88))
    while x < wall.length - 0.6:
        width, height = rng.uniform(0.4, 1.7), rng.uniform(0.45, 1.35)
        low, high = x, x + width + 0.2
        if rng.random() < density and wall.free(low, high):
            middle, center = (low + high) / 2, max(1.55, 0.75 + height / 2)
            center = min(center, wall.height - height / 2 - 0.35)
            parts += moved(picture(rng, width, height), (middle, 0, center))
            parts.append(
                box((high + 0.08, -0.006, center - 0.3 * height), (0.13, 0.012, 0.09), card)
            )
            above = wall.height - (center + height / 2) - 0.5
            if rows > 1 and above > 0.45:
                size = (rng.uniform(0.4, 0.9), min(above - 0.1, rng.uniform(0.4, 0.8)))
                parts += moved(
                    picture(rng, *size), (middle, 0, center + height / 2 + 0.22 + size[1] / 2)
                )
            wall.taken.append((low - 0.1, high + 0.2))
        x = high + rng.uniform(0.25, 0.9)
    return wall.place(parts)
