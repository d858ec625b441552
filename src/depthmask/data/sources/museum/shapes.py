"""Materials and triangle meshes from NumPy, with texture coordinates in metres.

World coordinates: x and y along the floor, z up, metres. Colours: sRGB in 0..1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Vector = Sequence[float] | np.ndarray

_SQUARE = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])


class Material:
    """A colour [3] or a texture [h, w, 3] (its first row is the top) that covers `tile_m`.

    `roughness` of a glossy coat is in 0..1; None is matt.
    """

    def __init__(
        self, color: Vector, tile_m: float | Vector = 1.0, roughness: float | None = None
    ) -> None:
        self.color = np.clip(np.asarray(color, float), 0.02, 0.95)
        self.tile_m, self.roughness = tile_m, roughness


@dataclass(frozen=True, eq=False)
class Part:
    """A mesh of one material: vertices [n, 3] and uv [n, 2] in metres, faces [m, 3]."""

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    material: Material
    smooth: bool = False


def moved(
    parts: Sequence[Part], offset: Vector, turn: np.ndarray | None = None, scale: float = 1.0
) -> list[Part]:
    """The parts scaled, turned by a 3 x 3 rotation, then shifted."""
    turn = scale * (np.eye(3) if turn is None else turn)
    return [replace(p, vertices=p.vertices @ turn.T + np.asarray(offset)) for p in parts]


def rotation(axis: str, degrees: float) -> np.ndarray:
    """Rotation matrix about a coordinate axis, right-handed."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    first = "xyz".index(axis)
    matrix = np.eye(3)
    a, b = (first + 1) % 3, (first + 2) % 3
    matrix[[a, b, a, b], [a, b, b, a]] = c, c, -s, s
    return matrix


def quad(
    corner: Vector, along: Vector, up: Vector, material: Material, *, unit_uv: bool = False
) -> Part:
    """A rectangle from `corner`; with `unit_uv` the texture covers it once, upright along `up`."""
    sides, share = np.array([along, up], float), (_SQUARE + 1) / 2
    extent = np.ones(2) if unit_uv else np.linalg.norm(sides, axis=1)
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    return Part(np.asarray(corner) + share @ sides, faces, share * extent, material)


def box(center: Vector, size: Vector, material: Material, turn: np.ndarray | None = None) -> Part:
    """A box of the given full size; `turn` rotates it about its centre."""
    vertices, uv = np.zeros((6, 4, 3)), np.zeros((6, 4, 2))
    half = 0.5 * np.asarray(size, float)
    for number in range(6):
        axis, others = number // 2, [[1, 2], [0, 2], [0, 1]][number // 2]
        vertices[number][:, others], vertices[number, :, axis] = _SQUARE, 2 * (number % 2) - 1
        uv[number] = (_SQUARE + 1) * half[others]
    first = np.arange(6)[:, None] * 4
    faces = np.concatenate([first + [0, 1, 2], first + [0, 2, 3]])
    part = Part(vertices.reshape(-1, 3) * half, faces, uv.reshape(-1, 2), material)
    return moved([part], center, turn)[0]


def loft(
    centers: Vector | Sequence[Vector],
    radii: Sequence[Vector] | np.ndarray,
    material: Material,
    *,
    axes: Any = ((1, 0, 0), (0, 1, 0)),
    segments: int = 14,
    squareness: float = 0.0,
    unit_uv: bool = False,
) -> Part:
    """A smooth skin over rings, ellipses with centers [R, 3], radii [2, R] and axes [2, (R,) 3].

    A `squareness` of 1 makes them almost rectangles; with `unit_uv` u and v run over 0..1 around
    (from the first axis) and along, instead of metres.
    """
    centers, radii = np.asarray(centers, float), np.asarray(radii, float)
    count, turn = len(centers), np.linspace(0, 1, segments + 1)
    spokes = radii[..., None] * np.reshape(axes, (2, -1, 3))
    circle = np.stack([np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)])
    circle = np.sign(circle) * np.abs(circle) ** (1 - 0.6 * squareness)
    points = centers[:, None] + np.einsum("ks,krx->rsx", circle, spokes)
    first = (np.arange(count - 1)[:, None] * (segments + 1) + np.arange(segments)).ravel()
    across = first + segments + 2
    faces = np.stack([first, first + 1, across, first, across, across - 1], 1).reshape(-1, 3)
    girth, length = 1.0, np.linspace(0, 1, count)
    if not unit_uv:
        girth = np.pi * float(np.max(radii.sum(0)))
        length = np.cumsum(np.linalg.norm(np.diff(centers, axis=0, prepend=centers[:1]), axis=1))
    uv = np.stack(np.meshgrid(turn * girth, length), -1).reshape(-1, 2)
    return Part(points.reshape(-1, 3), faces, uv, material, smooth=True)


def lathe(profile: Vector | Sequence[Vector], material: Material) -> Part:
    """A surface of revolution about the vertical; `profile` lists (radius, height)."""
    radii, heights = np.asarray(profile, float).T
    return loft(np.outer(heights, [0, 0, 1]), [radii, radii], material, segments=18)


def tube(
    points: Vector | Sequence[Vector], radii: Vector, material: Material, *, segments: int = 12
) -> Part:
    """A limb, rope or pole along a polyline: points [N, 3], radii [N], with round ends."""
    points, radii = np.asarray(points, float), np.asarray(radii, float)
    tangents = np.gradient(points, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    hint = np.eye(3)[np.argmin(abs(tangents[0]))]
    cap = np.radians([88, 60, 30])
    start = points[0] - np.outer(np.sin(cap) * radii[0], tangents[0])
    end = points[-1] + np.outer(np.sin(cap[::-1]) * radii[-1], tangents[-1])
    widths = np.concatenate([np.cos(cap) * radii[0], radii, np.cos(cap[::-1]) * radii[-1]])
    tangents = np.pad(tangents, [(3, 3), (0, 0)], mode="edge")
    across = np.cross(tangents, hint)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    axes = np.stack([across, np.cross(tangents, across)])
    centers = np.concatenate([start, points, end])
    return loft(centers, [widths, widths], material, axes=axes, segments=segments)


def ellipsoid(
    center: Vector, radii: Vector, material: Material, turn: np.ndarray | None = None
) -> Part:
    """An ellipsoid; its poles lie on its own z axis."""
    latitude = np.linspace(-0.497 * np.pi, 0.497 * np.pi, 9)
    centers = np.outer(np.sin(latitude) * radii[2], [0, 0, 1])
    rings = np.outer(radii[:2], np.cos(latitude))
    return moved([loft(centers, rings, material)], center, turn)[0]
