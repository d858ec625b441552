"""A room of the museum: its light, its camera, and the exhibits and benches on its floor."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from depthmask.data.sources.museum import textures
from depthmask.data.sources.museum.interiors import Wall, draw_shell
from depthmask.data.sources.museum.lights import beams, ceiling_lights, windows
from depthmask.data.sources.museum.optics import View
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
)
from depthmask.data.sources.museum.textures import choose, hsv
from depthmask.data.sources.museum.things import chair, table

# the parts of a piece on z = 0 around the origin, facing -y, and its footprint in metres
Piece = tuple[list[Part], tuple[float, float]]

_STREAM = 1
_NEAREST_M = 0.75  # no wall is seen nearer
_MARBLES = ((0.88, 0.86, 0.82), (0.62, 0.6, 0.57), (0.76, 0.64, 0.48))


class Room(NamedTuple):
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
    corners = np.array([(-1, 1, 0), (-1, -1, 0), (1, -1, 0), (1, 1, 0)]) * size / 2
    walls = [  # north (+y), west, south, east: each seen from inside
        Wall(size[number % 2], size[2], corner, rotation("z", 90 * number))
        for number, corner in enumerate(corners)
    ]
    view, nearest_wall = _draw_view(rng, walls, size)
    others = rng.permutation([n for n in range(4) if n != nearest_wall])
    free = [(view.origin, 1.5)]
    if rng.random() < 0.75:
        free.append((walls[others[0]].cut_door(rng), 1.1))
    parts, lamps = ceiling_lights(rng, size[:2], size[2])
    if rng.random() < 0.35:
        frames, panes = windows(rng, walls[others[1]])
        parts, lamps = parts + frames, lamps + panes
    if rng.random() < 0.5:
        lamps += beams(rng, walls)
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
        focal = 0.5 / np.tan(np.radians(rng.uniform(40, 90)) / 2)
        # people who fill the same share of the frame stand nearer to a wide lens
        reach, aim = reach * np.clip(focal / 0.87, 0.6, 1.5), rng.uniform(0.6, 1.25)
        pitch = np.degrees(np.arctan2(camera_height - aim, reach)) + rng.normal(0, 2.5)
        view = View.aimed(place, yaw, float(np.clip(pitch, -8, 32)), focal)
        # planar depths of the bare room in view
        x, y = np.meshgrid(*[np.linspace(-0.5, 0.5, 9) / focal] * 2)
        rays = np.stack([x, y, np.ones_like(x)], -1) @ view.axes
        low = -0.5 * size * [1, 1, 0] - view.origin
        with np.errstate(divide="ignore"):
            if np.maximum(low / rays, (low + size) / rays).min() > _NEAREST_M:
                break
    return view, number


def _stone(rng: np.random.Generator) -> Material:
    if rng.random() < 0.65:
        return Material(textures.mottled(rng, choose(rng, _MARBLES), 0.15))
    return Material(choose(rng, ((0.36, 0.24, 0.14), (0.17, 0.19, 0.19))), roughness=0.28)


def _abstract(rng: np.random.Generator, height: float) -> list[Part]:
    material, z = _stone(rng), np.linspace(0, 1, 12)
    if rng.random() < 0.4:
        material = Material(hsv(rng.random(), rng.random(), rng.uniform(0.4, 0.9)), roughness=0.2)
    if rng.random() < 0.5:
        balls = np.array([(0.3, 0.3), (0.7, 0.2)]) * height
        return [ellipsoid((0, 0, rise), (r, r, r), material) for rise, r in balls]
    centers = np.stack([0.12 * np.sin(5 * z), 0.08 * np.cos(4 * z), z], 1) * height
    radii = (0.12 + 0.14 * np.sin(np.pi * z) ** 1.5) * height * np.where(z > 0.98, 0.1, 1)
    return [loft(centers, [radii, 0.6 * radii], material)]


def _pedestal(rng: np.random.Generator, _: float) -> Piece:
    width, height = rng.uniform(0.32, 0.6), rng.uniform(0.55, 1.15)
    material = Material(rng.choice([0.9, 0.85, 0.6, 0.3, 0.12]) * rng.uniform(0.94, 1, 3))
    if rng.random() < 0.35:
        material = _stone(rng)
    parts = [box((0, 0, height / 2), (width, width, height), material)]
    for z in (0.05, height - 0.05) if rng.random() < 0.4 else ():
        parts.append(box((0, 0, z), (1.15 * width, 1.15 * width, 0.1), material))
    exhibit = moved(_abstract(rng, rng.uniform(0.4, 0.75)), (0, 0, height))
    return parts + exhibit, (width, width)


def _statue(rng: np.random.Generator, _: float) -> Piece:
    material, base = _stone(rng), rng.uniform(0.15, 0.6)
    person = draw_person(int(rng.integers(2**31)))
    figure = [replace(part, material=material) for part in person.parts]
    plinth = box((0, 0, base / 2), (0.85, 0.85, base), material)
    turn = rotation("z", float(rng.uniform(0, 360)))
    return [plinth, *moved(figure, (0, 0, base), turn)], (0.9, 0.9)


def _column(rng: np.random.Generator, height: float) -> Piece:
    material, r = _stone(rng), rng.uniform(0.16, 0.27)
    profile = [(1.3 * r, 0.12), (r, 0.34), (0.86 * r, height - 0.36), (1.2 * r, height - 0.16)]
    slabs = [box((0, 0, z), (2.8 * r, 2.8 * r, 0.16), material) for z in (0.08, height - 0.08)]
    return [lathe(profile, material), *slabs], (3 * r, 3 * r)


def _chairs(rng: np.random.Generator, _: float) -> Piece:
    return chair(rng, float(rng.uniform(0.42, 0.5))), (0.5, 0.5)


_KINDS = (_pedestal, table, _statue, _column, _chairs)
# a museum, an office or a hall
_SHARES = ((0.5, 0.22, 0.2, 0.08, 0), (0.06, 0.4, 0, 0.04, 0.5), (0.2, 0.3, 0.1, 0.2, 0.2))


def furnish(
    rng: np.random.Generator,
    walls: Sequence[Wall],
    size: np.ndarray,
    free: Sequence[tuple[np.ndarray, float]],
) -> tuple[list[Part], list[np.ndarray]]:
    """Furniture, sometimes a rug, and footprints: x, y, half width and half depth of each piece.

    `free` lists points of the floor to keep free, and how far around.
    """
    parts: list[Part] = []
    taken: list[np.ndarray] = []
    if rng.random() < 0.25:
        extent = rng.uniform(0.35, 0.6, 2) * size
        for rim, high in ((0, 0.012), (0.35, 0.014)):
            rug = textures.carpet(rng, hsv(rng.random(), 0.55, rng.uniform(0.25, 0.5)))
            parts.append(box((0, 0, high / 2), (*(extent - rim), high), rug))
    number = int(rng.integers(2, 7) + size.prod() / 14)
    for kind in rng.choice(len(_KINDS), size=number, p=choose(rng, _SHARES)):
        made, footprint = _KINDS[kind](rng, walls[0].height)
        for _ in range(12):
            quarter, place = int(rng.integers(4)), rng.uniform(-0.46, 0.46, 2) * size
            half = 0.5 * np.array(footprint[:: -1 if quarter % 2 else 1])
            fits = (np.abs(place) + half < size / 2).all()
            for point, radius in free:
                fits &= np.hypot(*np.maximum(np.abs(place - point[:2]) - half, 0)) > radius
            for other in taken:
                fits &= (np.abs(place - other[:2]) > half + other[2:] + 0.4).any()
            if fits:
                taken.append(np.concatenate([place, half]))
                parts += moved(made, (*place, 0), walls[quarter].turn)
                break
    return parts, taken
