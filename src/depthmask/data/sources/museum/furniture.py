"""Furniture: what stands on the floor, and where there is room for it."""

import numpy as np

from depthmask.data.sources.museum import exhibits
from depthmask.data.sources.museum.materials import carpet, hsv
from depthmask.data.sources.museum.people import draw_person
from depthmask.data.sources.museum.sculptures import stone
from depthmask.data.sources.museum.shapes import Part, box, moved, rotation


class Furniture:
    """Puts things where nothing else stands and the camera is not."""

    def __init__(self, rng, width: float, depth: float, camera: np.ndarray) -> None:
        self.rng, self.width, self.depth = rng, width, depth
        self.footprints: list[tuple[float, float, float, float]] = []
        self.reserved: list[tuple[float, float, float]] = [(camera[0], camera[1], 1.5)]

    def keep_free(self, point: np.ndarray) -> None:
        """Reserve the floor around a point."""
        self.reserved.append((point[0], point[1], 1.1))

    def _claim(self, x: float, y: float, half_x: float, half_y: float, gap: float) -> bool:
        inside = abs(x) + half_x < self.width / 2 and abs(y) + half_y < self.depth / 2
        for a, b, r in self.reserved:
            inside &= np.hypot(max(abs(x - a) - half_x, 0), max(abs(y - b) - half_y, 0)) > r
        for a, b, c, d in self.footprints:
            inside &= abs(x - a) > half_x + c + gap or abs(y - b) > half_y + d + gap
        if inside:
            self.footprints.append((x, y, half_x, half_y))
        return bool(inside)

    def _anywhere(self, half_x: float, half_y: float, gap: float = 0.5):
        for _ in range(12):
            x = self.rng.uniform(-0.5, 0.5) * self.width * 0.92
            y = self.rng.uniform(-0.5, 0.5) * self.depth * 0.92
            if self._claim(x, y, half_x, half_y, gap):
                return np.array([x, y, 0.0])
        return None

    def _at_wall(self, walls, half_along: float, half_out: float, out: float = 0.05):
        """A free place at a wall: its offset and turn."""
        for _ in range(12):
            wall = walls[self.rng.integers(4)]
            along = self.rng.uniform(
                half_along + 0.2, max(half_along + 0.21, wall.length - half_along - 0.2)
            )
            place = wall.point(along, -half_out - out, 0)
            turned = abs(wall.turn[0, 1]) > 0.5
            half = (half_out, half_along) if turned else (half_along, half_out)
            if self._claim(place[0], place[1], *half, 0.15):
                return place, wall.turn
        return None

    def fill(self, walls, height: float) -> list[Part]:
        rng, area = self.rng, self.width * self.depth
        parts: list[Part] = []
        if min(self.width, self.depth) > 6 and rng.random() < 0.4:
            parts += self._columns(height)
        if rng.random() < 0.25:
            parts += self._rug()
        kinds = rng.choice(
            ["pedestal", "case", "bench", "plant", "rope", "statue"],
            size=int(rng.integers(4, 7) + area / 16),
            p=[0.3, 0.22, 0.2, 0.1, 0.1, 0.08],
        )
        for kind in kinds:
            parts += getattr(self, f"_put_{kind}")(walls)
        return parts

    def _put_pedestal(self, walls) -> list[Part]:
        made, radius = exhibits.pedestal(self.rng)
        place = self._anywhere(radius, radius)
        return (
            []
            if place is None
            else moved(made, place, rotation("z", float(self.rng.uniform(-40, 40))))
        )

    def _put_case(self, walls) -> list[Part]:
        made, (along, deep) = exhibits.glass_case(self.rng)
        if self.rng.random() < 0.4:
            at = self._at_wall(walls, along / 2, deep / 2)
            return [] if at is None else moved(made, *at)
        turned = self.rng.random() < 0.5
        half = (deep / 2, along / 2) if turned else (along / 2, deep / 2)
        place = self._anywhere(*half)
        return [] if place is None else moved(made, place, rotation("z", 90.0 * turned))

    def _put_bench(self, walls) -> list[Part]:
        made, (along, deep) = exhibits.bench(self.rng)
        turned = self.rng.random() < 0.5
        half = (deep / 2, along / 2) if turned else (along / 2, deep / 2)
        place = self._anywhere(*half)
        return [] if place is None else moved(made, place, rotation("z", 90.0 * turned))

    def _put_plant(self, walls) -> list[Part]:
        made, radius = exhibits.plant(self.rng)
        at = self._at_wall(walls, radius, radius, 0.15)
        return [] if at is None else moved(made, at[0])

    def _put_rope(self, walls) -> list[Part]:
        length = float(self.rng.uniform(1.4, 3.2))
        at = self._at_wall(walls, length / 2, 0.16, float(self.rng.uniform(0.5, 0.9)))
        return [] if at is None else moved(exhibits.stanchions(self.rng, length), *at)

    def _put_statue(self, walls) -> list[Part]:
        material = stone(self.rng)
        base = float(self.rng.uniform(0.15, 0.6))
        person = draw_person(int(self.rng.integers(2**31)))
        figure = [Part(p.vertices, p.faces, p.uv, material, p.normals) for p in person.parts]
        place = self._anywhere(0.45, 0.45)
        if place is None:
            return []
        turn = rotation("z", float(self.rng.uniform(0, 360)))
        return [
            box(place + [0, 0, base / 2], (0.85, 0.85, base), material),
            *moved(figure, place + [0, 0, base], turn),
        ]

    def _columns(self, height: float) -> list[Part]:
        material, state = stone(self.rng), self.rng.integers(2**31)
        parts: list[Part] = []
        inset = self.rng.uniform(0.9, 1.6)
        number = max(2, int(self.depth / 3.2))
        for side in (-1, 1):
            for k in range(number):
                made, radius = exhibits.column(np.random.default_rng(state), height, material)
                x, y = side * (self.width / 2 - inset), ((k + 0.5) / number - 0.5) * self.depth
                if self._claim(x, y, radius, radius, 0.2):
                    parts += moved(made, (x, y, 0))
        return parts

    def _rug(self) -> list[Part]:
        rng = self.rng
        size = np.array([rng.uniform(0.35, 0.6) * self.width, rng.uniform(0.35, 0.6) * self.depth])
        border = carpet(rng, hsv(rng.random(), 0.5, 0.3))
        field = carpet(rng, hsv(rng.choice([0.0, 0.02, 0.6, 0.1]), 0.6, rng.uniform(0.25, 0.5)))
        return [
            box((0, 0, 0.006), (*size, 0.012), border),
            box((0, 0, 0.008), (*(size - 0.35), 0.012), field),
        ]
