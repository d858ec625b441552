"""What stands about in a room, and what somebody left behind there.

Parts stand on z = 0 around the origin and face y, metres.
"""

import numpy as np

from depthmask.data.sources.museum.appearance import fabric
from depthmask.data.sources.museum.shapes import Material, Part, box, moved, rotation, tube
from depthmask.data.sources.museum.textures import choose, hsv, mottled, wood

WOODS = ((0.6, 0.42, 0.25), (0.38, 0.23, 0.13), (0.16, 0.11, 0.09), (0.75, 0.6, 0.42))
_STREAM = 4


def _surface(rng: np.random.Generator) -> Material:
    """Wood, paint or cloth."""
    paint = hsv(rng.random(), rng.uniform(0, 0.7), rng.uniform(0.08, 0.9))
    return choose(rng, (wood(rng, choose(rng, WOODS)), Material(paint, 1.0, 0.3), fabric(rng, 0.4)))


def _legs(width: float, deep: float, height: float, thick: float, material: Material) -> list[Part]:
    corners = 0.5 * np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)]) * [width - thick, deep - thick]
    return [box((x, y, height / 2), (thick, thick, height), material) for x, y in corners]


def chair(rng: np.random.Generator, seat_m: float, backed: float = 0.7) -> list[Part]:
    """A chair with a seat at `seat_m`, or a stool or a block to sit on."""
    wide, deep, seat, frame = *rng.uniform(0.36, 0.46, 2), _surface(rng), _surface(rng)
    if rng.random() < 0.15:
        return [box((0, 0, seat_m / 2), (wide, deep, seat_m), seat)]
    parts = [box((0, 0, seat_m - 0.03), (wide, deep, 0.06), seat)]
    parts += _legs(wide, deep, seat_m - 0.05, 0.04, frame)
    if rng.random() < backed:
        tall = rng.uniform(0.3, 0.5)
        parts += moved(_legs(wide, 0.04, tall, 0.04, frame), (0, 0.02 - deep / 2, seat_m))
        low = rng.choice([0.1, 0.5]) * tall
        back = wide - 0.02, 0.03, tall - low
        parts.append(box((0, 0.02 - deep / 2, seat_m + low + back[2] / 2), back, seat))
    return parts


def table(rng: np.random.Generator, _: float) -> tuple[list[Part], tuple[float, float]]:
    """A bench, or a table with things on it, and its width and depth."""
    height, top = choose(rng, (0.44, 0.74)), _surface(rng)
    wide, deep = rng.uniform(0.9, 1.9), height * rng.uniform(0.8, 1.2)
    parts = [box((0, 0, height - 0.03), (wide, deep, 0.06), top)]
    parts += _legs(wide, deep, height - 0.06, 0.06, _surface(rng))
    for _ in range(int(rng.integers(5)) if height > 0.5 else 0):
        size = rng.uniform([0.1, 0.1, 0.02], [0.4, 0.3, 0.35])
        at = rng.uniform(-0.35, 0.35, 2) * [wide, deep]
        parts.append(box((*at, height + size[2] / 2), size, _surface(rng)))
    return parts, (wide, deep)


def _bag(rng: np.random.Generator) -> list[Part]:
    """A bag with a loop, or a suitcase with a bar to pull it."""
    wide, deep, tall = rng.uniform([0.25, 0.12, 0.25], [0.6, 0.3, 0.75])
    cloth, rise = fabric(rng, 0.4), rng.uniform(0.1, 0.35)
    loop = [(-0.12, 0, tall), (-0.09, 0, tall + rise), (0.09, 0, tall + rise), (0.12, 0, tall)]
    parts = [box((0, 0, tall / 2), (wide, deep, tall), cloth)]
    return [*parts, tube(loop, [0.012] * 4, cloth, segments=6)]


def _cartons(rng: np.random.Generator) -> list[Part]:
    parts, top = [], 0.0
    for _ in range(int(rng.integers(1, 4))):
        size = rng.uniform([0.3, 0.25, 0.2], [0.6, 0.45, 0.5])
        card = Material(mottled(rng, hsv(0.09, rng.uniform(0.1, 0.5), rng.uniform(0.4, 0.8)), 0.2))
        turn = rotation("z", rng.normal(0, 15))
        parts.append(box((0, 0, top + size[2] / 2), size, card, turn))
        top += size[2]
    return parts


def _trolley(rng: np.random.Generator) -> list[Part]:
    """A pushchair or a cart: a basket on legs, and a handle behind."""
    wide, deep, low, tall = rng.uniform([0.35, 0.5, 0.25, 0.3], [0.5, 0.65, 0.45, 0.5])
    steel, top, back = Material(rng.uniform(0.1, 0.7) * np.ones(3)), low + tall, -deep / 2
    bar = [(-wide / 2, back, top), (-wide / 2, back - 0.15, top + 0.3)]
    bar += [(-x, y, z) for x, y, z in bar[::-1]]
    parts = [box((0, 0, low + tall / 2), (wide, deep, tall), fabric(rng, 0.5))]
    parts += _legs(wide, deep, low, 0.05, steel)
    return [*parts, tube(bar, [0.015] * 4, steel, segments=6)]


def draw_thing(seed: int) -> tuple[list[Part], float]:
    """The thing of a seed that somebody left behind, and its height in metres."""
    rng = np.random.default_rng([_STREAM, seed])
    makers = (_bag, _bag, _cartons, _trolley, lambda rng: chair(rng, rng.uniform(0.42, 0.5)))
    parts = choose(rng, makers)(rng)
    return parts, float(max(part.vertices[:, 2].max() for part in parts))
