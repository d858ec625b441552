"""What a museum shows and furnishes itself with: sculptures, vases, cases, benches, plants.

Each function returns parts that stand on z = 0 around the origin, facing -y (into the room).
"""

import numpy as np

from depthmask.data.sources.museum.materials import Material, hsv, plain, textured, wood
from depthmask.data.sources.museum.sculptures import abstract_sculpture, bust, ceramic, stone, vase
from depthmask.data.sources.museum.shapes import Part, box, lathe, moved, rotation, tube


def furniture_wood(rng: np.random.Generator) -> Material:
    """Oak, walnut, ebony, white or black lacquer."""
    colors = (
        (0.6, 0.42, 0.25),
        (0.38, 0.23, 0.13),
        (0.16, 0.11, 0.09),
        (0.75, 0.6, 0.42),
        (0.85, 0.84, 0.81),
        (0.1, 0.1, 0.1),
    )
    return textured(wood(rng, colors[rng.integers(len(colors))]), (0.5, 1.0), 0.25)


def plinth(rng: np.random.Generator, width: float, height: float) -> list[Part]:
    """A pedestal: a plain block, a moulded one or a drum."""
    material = (
        stone(rng)
        if rng.random() < 0.35
        else plain(
            rng.choice([0.9, 0.85, 0.6, 0.3, 0.12])
            * np.array([1, rng.uniform(0.94, 1), rng.uniform(0.88, 1)])
        )
    )
    kind = rng.integers(3)
    if kind == 0:
        return [box((0, 0, height / 2), (width, width, height), material)]
    if kind == 1:
        return [
            box((0, 0, 0.05), (1.15 * width, 1.15 * width, 0.1), material),
            box((0, 0, height / 2), (0.92 * width, 0.92 * width, height - 0.02), material),
            box((0, 0, height - 0.03), (1.08 * width, 1.08 * width, 0.06), material),
        ]
    r = width / 2
    return [
        lathe(
            [
                (0.01, 0),
                (1.12 * r, 0),
                (1.12 * r, 0.06),
                (r, 0.1),
                (r, height - 0.06),
                (1.1 * r, height - 0.04),
                (1.1 * r, height),
                (0.01, height),
            ],
            material,
        )
    ]


def pedestal(rng: np.random.Generator) -> tuple[list[Part], float]:
    """Something on a plinth; the parts and the footprint's radius."""
    width, height = rng.uniform(0.32, 0.6), rng.uniform(0.55, 1.15)
    parts = plinth(rng, width, height)
    kind = rng.integers(5)
    tall = rng.uniform(0.45, 0.75)
    if kind <= 1:
        shown = bust(rng, tall)
    elif kind == 2:
        shown = vase(rng, rng.uniform(0.35, 0.8))
    else:
        shown = abstract_sculpture(rng, rng.uniform(0.4, 0.8))
    turn = rotation("z", float(rng.normal(0, 20)))
    return parts + moved(shown, (0, 0, height), turn), 0.75 * width


def glass_case(rng: np.random.Generator) -> tuple[list[Part], tuple[float, float]]:
    """A tall or table-high case: a cabinet, metal edges, shelves; footprint in metres.

    The panes themselves are left out: they would be all but invisible, and depth goes through.
    """
    width, deep = rng.uniform(0.6, 1.5), rng.uniform(0.45, 0.7)
    base, top = (rng.uniform(0.7, 0.95), rng.uniform(1.2, 1.45))
    if rng.random() < 0.45:
        base, top = rng.uniform(0.25, 0.5), rng.uniform(1.8, 2.1)
    cabinet = furniture_wood(rng)
    metal = plain((0.2, 0.2, 0.21) if rng.random() < 0.5 else (0.75, 0.62, 0.35), 0.25)
    cloth = plain(hsv(rng.random(), rng.uniform(0, 0.5), rng.uniform(0.2, 0.9)))
    parts = [
        box((0, 0, base / 2), (width, deep, base), cabinet),
        box((0, 0, base + 0.01), (width - 0.04, deep - 0.04, 0.02), cloth),
        box((0, 0, top), (width, deep, 0.03), metal),
    ]
    for x in (-0.5, 0.5):
        for y in (-0.5, 0.5):
            parts.append(
                box(
                    (x * (width - 0.02), y * (deep - 0.02), (base + top) / 2),
                    (0.022, 0.022, top - base),
                    metal,
                )
            )
    levels = [base + 0.02] if top - base < 0.9 else [base + 0.02, (base + top) / 2]
    if len(levels) > 1:
        parts.append(box((0, 0, levels[1] - 0.01), (width - 0.03, deep - 0.03, 0.02), metal))
    for level in levels:
        number = int(rng.integers(1, max(2, int(width / 0.3)) + 1))
        room = (top - base) / len(levels) - 0.08
        for k in range(number):
            height = min(room, rng.uniform(0.18, 0.45))
            make = (vase, vase, abstract_sculpture, bust)[rng.integers(4)]
            x = (k + 0.5) / number * width - width / 2
            parts += moved(make(rng, height), (x, rng.uniform(-0.05, 0.05), level))
    return parts, (width, deep)


def bench(rng: np.random.Generator) -> tuple[list[Part], tuple[float, float]]:
    """An upholstered or wooden bench; footprint in metres."""
    length, deep, height = rng.uniform(1.1, 2.0), rng.uniform(0.4, 0.65), rng.uniform(0.4, 0.48)
    timber = furniture_wood(rng)
    parts = []
    if rng.random() < 0.6:
        pad = plain(
            hsv(
                rng.choice([0.0, 0.02, 0.35, 0.6, 0.08]),
                rng.uniform(0.1, 0.7),
                rng.uniform(0.12, 0.6),
            ),
            0.35,
        )
        seats = int(rng.integers(1, 4))
        for k in range(seats):
            x = (k + 0.5) / seats * length - length / 2
            parts.append(box((x, 0, height - 0.05), (length / seats - 0.012, deep, 0.11), pad))
        parts.append(box((0, 0, height - 0.13), (length - 0.06, deep - 0.06, 0.05), timber))
    else:
        for k in range(4):
            y = (k + 0.5) / 4 * deep - deep / 2
            parts.append(box((0, y, height - 0.02), (length, deep / 4 - 0.015, 0.045), timber))
    for x in (-0.42, 0.42):
        if rng.random() < 0.5:
            parts.append(
                box((x * length, 0, height / 2 - 0.05), (0.07, deep - 0.06, height - 0.1), timber)
            )
        else:
            for y in (-0.4, 0.4):
                parts.append(
                    box(
                        (x * length, y * deep, height / 2 - 0.05),
                        (0.05, 0.05, height - 0.1),
                        timber,
                    )
                )
    return parts, (length, deep)


def column(rng: np.random.Generator, height: float, material: Material) -> tuple[list[Part], float]:
    """A column with base and capital, or a square pillar; the footprint's radius."""
    r = rng.uniform(0.16, 0.27)
    if rng.random() < 0.25:
        parts = [box((0, 0, height / 2), (1.7 * r, 1.7 * r, height), material)]
        for z in (0.15, height - 0.1):
            parts.append(box((0, 0, z), (2.1 * r, 2.1 * r, 0.2 + 0.1 * (z < 1)), material))
        return parts, 1.2 * r
    shaft = lathe(
        [
            (1.3 * r, 0.12),
            (1.32 * r, 0.2),
            (1.08 * r, 0.26),
            (r, 0.34),
            (0.98 * r, height / 2),
            (0.86 * r, height - 0.4),
            (0.95 * r, height - 0.36),
            (0.92 * r, height - 0.3),
            (1.2 * r, height - 0.16),
        ],
        material,
        segments=22,
    )
    return [
        shaft,
        box((0, 0, 0.06), (2.8 * r, 2.8 * r, 0.12), material),
        box((0, 0, height - 0.08), (2.7 * r, 2.7 * r, 0.16), material),
    ], 1.5 * r


def plant(rng: np.random.Generator) -> tuple[list[Part], float]:
    """A palm or a rubber plant in a pot; the footprint's radius."""
    r = rng.uniform(0.18, 0.28)
    pot = lathe(
        [
            (0.01, 0),
            (0.75 * r, 0),
            (r, 1.7 * r),
            (1.06 * r, 1.8 * r),
            (0.9 * r, 1.8 * r),
            (0.85 * r, 1.6 * r),
            (0.01, 1.55 * r),
        ],
        ceramic(rng),
    )
    green = hsv(rng.uniform(0.24, 0.38), rng.uniform(0.45, 0.8), rng.uniform(0.25, 0.5))
    leaf = plain(green)
    parts = [pot]
    stems, height = int(rng.integers(11, 20)), rng.uniform(0.7, 1.3)
    for k in range(stems):
        angle, lean = 2 * np.pi * (k * 0.382 + 0.02 * rng.random()), rng.uniform(0.15, 0.6)
        out = np.array([np.cos(angle), np.sin(angle), 0])
        top = height * rng.uniform(0.6, 1)
        start = np.array([0, 0, 1.5 * r])
        t = np.array([0.0, 0.3, 0.55, 0.75, 0.9, 1.0])[:, None]
        spine = start + out * lean * t**1.6 + np.array([0, 0, 1]) * top * (t - 0.38 * lean * t**3)
        width = np.array([0.008, 0.01, 0.045, 0.06, 0.035, 0.004])
        across = np.cross(out, [0, 0, 1])
        parts.append(tube(spine, width, leaf, segments=6, flatness=0.2, side=across))
    return parts, 1.3 * r


def stanchions(rng: np.random.Generator, length: float) -> list[Part]:
    """Posts along x with a rope that sags between them."""
    metal = plain((0.78, 0.64, 0.34) if rng.random() < 0.6 else (0.7, 0.7, 0.72), 0.2)
    rope = plain(hsv(rng.choice([0.99, 0.6, 0.35, 0.0]), 0.75, rng.uniform(0.25, 0.5)))
    number = max(2, int(round(length / 1.3)) + 1)
    xs = np.linspace(-length / 2, length / 2, number)
    parts = []
    for x in xs:
        post = lathe(
            [
                (0.15, 0),
                (0.15, 0.02),
                (0.03, 0.05),
                (0.022, 0.1),
                (0.022, 0.88),
                (0.04, 0.9),
                (0.045, 0.94),
                (0.03, 0.97),
                (0.002, 0.975),
            ],
            metal,
            segments=10,
        )
        parts.append(post.moved((x, 0, 0)))
    for a, b in zip(xs, xs[1:], strict=False):
        t = np.linspace(0, 1, 9)
        points = np.stack([a + t * (b - a), 0 * t, 0.87 - 0.22 * 4 * t * (1 - t)], 1)
        parts.append(tube(points, [0.018] * 9, rope, segments=6))
    return parts
