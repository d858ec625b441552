"""What stands on a room's floor: sculptures on plinths, cases, benches, plants, columns, rugs.

Each piece is made on z = 0 around the origin, facing -y.
"""

from collections.abc import Sequence

import numpy as np

from depthmask.data.sources.museum.appearance import stone_head
from depthmask.data.sources.museum.interiors import WOODS, Wall
from depthmask.data.sources.museum.people import draw_person
from depthmask.data.sources.museum.shapes import (
    Material,
    Part,
    box,
    ellipsoid,
    lathe,
    loft,
    moved,
    rotation,
    tube,
)
from depthmask.data.sources.museum.textures import carpet, choose, hsv, marble, noise, shaded, wood

_MARBLES = (
    ((0.88, 0.86, 0.82), (0.7, 0.69, 0.68)),
    ((0.62, 0.6, 0.57), (0.45, 0.44, 0.43)),
    ((0.76, 0.64, 0.48), (0.6, 0.47, 0.33)),
)


def _stone(rng: np.random.Generator) -> Material:
    """Marble, bronze or dark basalt."""
    if rng.random() < 0.65:
        return marble(rng, *choose(rng, _MARBLES))
    return Material(choose(rng, ((0.36, 0.24, 0.14), (0.17, 0.19, 0.19))), roughness=0.28)


def _timber(rng: np.random.Generator) -> Material:
    return wood(rng, choose(rng, (*WOODS, (0.85, 0.84, 0.81), (0.1, 0.1, 0.1))))


def _vase(rng: np.random.Generator, height: float) -> list[Part]:
    """A glazed vessel, plain or mottled."""
    r = height * rng.uniform(0.22, 0.36)
    neck, lip, belly = r * rng.uniform(0.25, 0.6), r * rng.uniform(0.4, 0.85), rng.uniform(0.4, 0.7)
    profile = np.array(
        [(0.5 * r, 0), (0.8 * r, 0.6 * belly), (r, belly), (neck, 0.88), (lip, 1), (0, 1)]
    )
    glaze = hsv(rng.random(), rng.uniform(0.15, 0.8), rng.uniform(0.3, 0.9))
    mottle = 1 + rng.choice([0, 0.5]) * noise(rng, (48, 48), 4)
    material = Material(shaded(glaze, mottle), 0.5, roughness=0.12)
    return [lathe([tuple(point) for point in profile * [1, height]], material)]


def _bust(rng: np.random.Generator, height: float) -> list[Part]:
    """A head and shoulders on a socle."""
    material = _stone(rng)
    z = np.array([0, 0.04, 0.1, 0.14, 0.2, 0.3, 0.4, 0.46, 0.52, 0.6])
    widths = np.array([0.19, 0.17, 0.1, 0.16, 0.3, 0.37, 0.36, 0.25, 0.11, 0.1]) * height
    depths = np.array([0.19, 0.17, 0.1, 0.12, 0.18, 0.2, 0.17, 0.13, 0.1, 0.1]) * height
    centers = np.outer(z, [0, 0, height])
    parts = [loft(centers, (1, 0, 0), (0, 1, 0), widths, depths, material, squareness=0.2)]
    turn = rotation("z", float(rng.normal(180, 15)))
    return parts + moved(stone_head(rng, material), (0, 0, 0.55 * height), turn, 0.44 * height)


def _abstract(rng: np.random.Generator, height: float) -> list[Part]:
    """Balls, a twisted pile or a flame of stone or of coloured metal."""
    material, kind = _stone(rng), rng.integers(3)
    if rng.random() < 0.4:
        material = Material(hsv(rng.random(), rng.random(), rng.uniform(0.4, 0.9)), roughness=0.2)
    if kind == 0:
        r = 0.3 * height
        ball = ellipsoid((0, 0, r), (r, r, r), material)
        return [ball, ball.moved((0.1 * r, 0, 1.7 * r), scale=0.65)]
    if kind == 1:
        block = box((0, 0, height / 6), np.array([0.4, 0.4, 0.33]) * height, material)
        return [
            block.moved((0, 0, k * height / 3), rotation("z", 27 * k), 1 - 0.12 * k)
            for k in range(3)
        ]
    z = np.linspace(0, 1, 12)
    centers = np.stack([0.12 * np.sin(5 * z), 0.08 * np.cos(4 * z), z], 1) * height
    radii = (0.12 + 0.14 * np.sin(np.pi * z) ** 1.5) * height * np.where(z > 0.98, 0.1, 1)
    return [loft(centers, (1, 0, 0), (0, 1, 0), radii, 0.6 * radii, material)]


def _pedestal(rng: np.random.Generator) -> tuple[list[Part], tuple[float, float]]:
    """Something on a plinth or a drum; parts and footprint."""
    width, height = rng.uniform(0.32, 0.6), rng.uniform(0.55, 1.15)
    material = Material(rng.choice([0.9, 0.85, 0.6, 0.3, 0.12]) * rng.uniform(0.94, 1, 3))
    if rng.random() < 0.35:
        material = _stone(rng)
    parts = [box((0, 0, height / 2), (width, width, height), material)]
    r = width / 2
    if rng.random() < 0.3:
        parts = [lathe([(1.12 * r, 0), (r, 0.1), (r, height), (0.01, height)], material)]
    elif rng.random() < 0.5:
        for z in (0.05, height - 0.03):
            parts.append(box((0, 0, z), (1.15 * width, 1.15 * width, 0.1), material))
    make = choose(rng, (_bust, _bust, _vase, _abstract, _abstract))
    turn = rotation("z", float(rng.normal(0, 20)))
    return parts + moved(make(rng, rng.uniform(0.4, 0.75)), (0, 0, height), turn), (width, width)


def _case(rng: np.random.Generator) -> tuple[list[Part], tuple[float, float]]:
    """A show-case: a cabinet, edges of metal, things within; parts and footprint.

    The panes are left out: they would be all but invisible, and depth goes through.
    """
    width, deep = rng.uniform(0.6, 1.5), rng.uniform(0.45, 0.7)
    base, top = choose(rng, ((0.85, 1.35), (0.4, 1.95)))
    metal = Material(choose(rng, ((0.2, 0.2, 0.21), (0.75, 0.62, 0.35))), roughness=0.25)
    parts = [
        box((0, 0, base / 2), (width, deep, base), _timber(rng)),
        box((0, 0, top), (width, deep, 0.03), metal),
    ]
    for x in (-0.5, 0.5):
        for y in (-0.5, 0.5):
            center = (x * (width - 0.02), y * (deep - 0.02), (base + top) / 2)
            parts.append(box(center, (0.022, 0.022, top - base), metal))
    number = int(rng.integers(1, max(2, int(width / 0.3)) + 1))
    for x in (np.arange(number) + 0.5) / number * width - width / 2:
        make = choose(rng, (_vase, _vase, _abstract, _bust))
        parts += moved(make(rng, rng.uniform(0.2, top - base - 0.06)), (x, 0, base))
    return parts, (width, deep)


def _bench(rng: np.random.Generator) -> tuple[list[Part], tuple[float, float]]:
    """An upholstered or slatted bench; parts and footprint."""
    length, deep, height = rng.uniform(1.1, 2.0), rng.uniform(0.4, 0.65), rng.uniform(0.4, 0.48)
    timber, parts = _timber(rng), []
    if rng.random() < 0.6:
        pad = Material(hsv(rng.random(), rng.uniform(0.1, 0.7), rng.uniform(0.12, 0.6)))
        parts.append(box((0, 0, height - 0.05), (length, deep, 0.11), pad))
    else:
        for y in (np.arange(4) + 0.5) / 4 * deep - deep / 2:
            parts.append(box((0, y, height - 0.02), (length, deep / 4 - 0.015, 0.045), timber))
    thick = rng.choice([0.05, deep - 0.06])
    for x in (-0.42, 0.42):
        for y in (-0.4, 0.4) if thick == 0.05 else (0,):
            center = (x * length, y * deep, height / 2 - 0.05)
            parts.append(box(center, (0.06, thick, height - 0.1), timber))
    return parts, (length, deep)


def _plant(rng: np.random.Generator) -> tuple[list[Part], tuple[float, float]]:
    """A palm in a pot; parts and footprint."""
    r, height = rng.uniform(0.18, 0.28), rng.uniform(0.7, 1.3)
    pot = Material(hsv(rng.random(), rng.uniform(0, 0.6), rng.uniform(0.2, 0.9)), roughness=0.2)
    parts = [lathe([(0.75 * r, 0), (r, 1.7 * r), (0.85 * r, 1.6 * r), (0.01, 1.6 * r)], pot)]
    leaf = Material(hsv(rng.uniform(0.24, 0.38), rng.uniform(0.45, 0.8), rng.uniform(0.25, 0.5)))
    t = np.array([0.0, 0.3, 0.55, 0.75, 0.9, 1.0])[:, None]
    for k in range(int(rng.integers(11, 20))):
        angle, lean = 2 * np.pi * 0.382 * k, rng.uniform(0.15, 0.6)
        out, up = np.array([np.cos(angle), np.sin(angle), 0]), np.array([0, 0, 1])
        rise = height * rng.uniform(0.6, 1) * (t - 0.38 * lean * t**3)
        spine = out * lean * t**1.6 + up * (1.5 * r + rise)
        width = [0.008, 0.01, 0.045, 0.06, 0.035, 0.004]
        side = np.cross(out, up)
        parts.append(tube(spine, width, leaf, segments=6, flatness=0.2, side=side))
    return parts, (2.6 * r, 2.6 * r)


def _statue(rng: np.random.Generator) -> tuple[list[Part], tuple[float, float]]:
    """A person of stone on a base; parts and footprint."""
    material, base = _stone(rng), rng.uniform(0.15, 0.6)
    person = draw_person(int(rng.integers(2**31)))
    figure = [Part(p.vertices, p.faces, p.uv, material, p.smooth) for p in person.parts]
    plinth = box((0, 0, base / 2), (0.85, 0.85, base), material)
    return [plinth, *moved(figure, (0, 0, base))], (0.9, 0.9)


def _column(height: float, r: float, material: Material) -> list[Part]:
    """A column with base and capital."""
    profile = [(1.3 * r, 0.12), (r, 0.34), (0.86 * r, height - 0.36), (1.2 * r, height - 0.16)]
    slabs = [box((0, 0, z), (2.8 * r, 2.8 * r, 0.16), material) for z in (0.08, height - 0.08)]
    return [lathe(profile, material), *slabs]


_MAKERS = (_pedestal, _case, _bench, _plant, _statue)


class Furniture:
    """Puts things where nothing else stands and the camera is not.

    `footprints` lists x, y, half width and half depth of each.
    """

    def __init__(
        self, rng: np.random.Generator, width: float, depth: float, camera: np.ndarray
    ) -> None:
        self.rng, self.size = rng, np.array([width, depth])
        self.footprints: list[tuple[float, float, float, float]] = []
        self.reserved: list[tuple[float, float, float]] = [(camera[0], camera[1], 1.5)]

    def keep_free(self, point: np.ndarray) -> None:
        """Reserve the floor around a point."""
        self.reserved.append((point[0], point[1], 1.1))

    def _claim(self, place: np.ndarray, half: np.ndarray, gap: float) -> bool:
        free = bool((np.abs(place) + half < self.size / 2).all())
        for x, y, radius in self.reserved:
            free &= np.hypot(*np.maximum(np.abs(place - [x, y]) - half, 0)) > radius
        for x, y, *other in self.footprints:
            free &= bool((np.abs(place - [x, y]) > half + other + gap).any())
        if free:
            self.footprints.append((*place, *half))
        return free

    def fill(self, walls: Sequence[Wall], height: float) -> list[Part]:
        """Draw the furniture; plants, some cases and some benches stand at walls."""
        rng = self.rng
        parts = self._columns(height) if min(self.size) > 6 and rng.random() < 0.4 else []
        parts += self._rug() if rng.random() < 0.25 else []
        number = int(rng.integers(4, 7) + np.prod(self.size) / 16)
        for kind in rng.choice(len(_MAKERS), size=number, p=[0.35, 0.23, 0.22, 0.1, 0.1]):
            made, extent = _MAKERS[kind](rng)
            at_wall = rng.random() < (0, 0.4, 0.2, 1, 0)[kind]
            half, quarter = 0.5 * np.array(extent), int(rng.integers(2))
            for _ in range(12):
                place, turn = rng.uniform(-0.46, 0.46, 2) * self.size, rotation("z", 90 * quarter)
                if at_wall:
                    quarter = int(rng.integers(4))
                    wall = walls[quarter]
                    along = rng.uniform(0.2, 0.8) * wall.length
                    place, turn = wall.point(along, -half[1] - 0.1, 0)[:2], wall.turn
                turned_half = half[::-1] if quarter % 2 else half
                if self._claim(place, turned_half, 0.15 if at_wall else 0.5):
                    parts += moved(made, (*place, 0), turn)
                    break
        return parts

    def _columns(self, height: float) -> list[Part]:
        rng, material, parts = self.rng, _stone(self.rng), []
        inset, radius, number = (
            rng.uniform(0.9, 1.6),
            rng.uniform(0.16, 0.27),
            int(self.size[1] / 3.2),
        )
        for x in (inset - self.size[0] / 2, self.size[0] / 2 - inset):
            for y in ((np.arange(number) + 0.5) / number - 0.5) * self.size[1]:
                if self._claim(np.array([x, y]), np.full(2, 1.5 * radius), 0.2):
                    parts += moved(_column(height, radius, material), (x, y, 0))
        return parts

    def _rug(self) -> list[Part]:
        rng, size = self.rng, self.rng.uniform(0.35, 0.6, 2) * self.size
        border = carpet(rng, hsv(rng.random(), 0.5, 0.3))
        field = carpet(rng, hsv(rng.random(), 0.6, rng.uniform(0.25, 0.5)))
        return [
            box((0, 0, 0.006), (*size, 0.012), border),
            box((0, 0, 0.008), (*(size - 0.35), 0.012), field),
        ]
