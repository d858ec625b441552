"""Materials and triangle meshes from NumPy, with texture coordinates in metres.

World coordinates: x and y along the floor, z up, metres. Colours: sRGB in 0..1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

Vector = Sequence[float] | np.ndarray

_SQUARE = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])


class Material:
    """What a surface is made of.

    Attributes:
        color: [3], or a texture [h, w, 3] that repeats (its first row is the top).
        tile_m: side (or width and height) that the texture covers, metres.
        roughness: of a glossy coat in 0..1; None is matt.
    """

    def __init__(
        self,
        color: Vector,
        tile_m: float | tuple[float, float] = 1.0,
        roughness: float | None = None,
    ) -> None:
        self.color = np.clip(np.asarray(color, float), 0.02, 0.95)
        self.tile_m = tile_m
        self.roughness = roughness


@dataclass(frozen=True, eq=False)
class Part:
    """A mesh of one material: vertices [n, 3] and uv [n, 2] in metres, faces [m, 3]."""

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    material: Material
    smooth: bool = False

    def moved(self, offset: Vector, turn: np.ndarray | None = None, scale: float = 1.0) -> "Part":
        """The part scaled, turned by a 3 x 3 rotation, then shifted."""
        turn = np.eye(3) if turn is None else turn
        return replace(self, vertices=scale * self.vertices @ turn.T + np.asarray(offset))


def moved(
    parts: Sequence[Part], offset: Vector, turn: np.ndarray | None = None, scale: float = 1.0
) -> list[Part]:
    """All parts scaled, turned, then shifted."""
    return [part.moved(offset, turn, scale) for part in parts]


def rotation(axis: str, degrees: float) -> np.ndarray:
    """Rotation matrix about a coordinate axis, right-handed."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array(
        {
            "x": [[1, 0, 0], [0, c, -s], [0, s, c]],
            "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
            "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
        }[axis]
    )


def quad(
    corner: Vector, along: Vector, up: Vector, material: Material, *, unit_uv: bool = False
) -> Part:
    """A rectangle from `corner`; with `unit_uv` the texture covers it once, upright along `up`."""
    corner, along, up = (np.asarray(v, float) for v in (corner, along, up))
    extent = np.ones(2) if unit_uv else np.array([np.linalg.norm(along), np.linalg.norm(up)])
    share = (_SQUARE + 1) / 2
    vertices = corner + share[:, :1] * along + share[:, 1:] * up
    return Part(vertices, np.array([[0, 1, 2], [0, 2, 3]]), share * extent, material)


def box(center: Vector, size: Vector, material: Material, turn: np.ndarray | None = None) -> Part:
    """A box of the given full size; `turn` rotates it about its centre."""
    vertices, uv = np.zeros((6, 4, 3)), np.zeros((6, 4, 2))
    half = 0.5 * np.asarray(size, float)
    for axis, others in enumerate(([1, 2], [0, 2], [0, 1])):
        for side in (0, 1):
            vertices[2 * axis + side, :, others] = _SQUARE.T
            vertices[2 * axis + side, :, axis] = 2 * side - 1
            uv[2 * axis + side] = (_SQUARE + 1) * half[others]
    first = np.arange(6)[:, None] * 4
    faces = np.concatenate([first + [0, 1, 2], first + [0, 2, 3]])
    part = Part(vertices.reshape(-1, 3) * half, faces, uv.reshape(-1, 2), material)
    return part.moved(center, turn)


def loft(
    centers: Vector,
    axis_u: Vector,
    axis_v: Vector,
    radii_u: Vector,
    radii_v: Vector,
    material: Material,
    *,
    segments: int = 14,
    squareness: float = 0.0,
    unit_uv: bool = False,
) -> Part:
    """A smooth skin over rings: ring i is the ellipse about centers[i] in the plane of its axes.

    Args:
        centers: [R, 3]; axis_u, axis_v: [R, 3] or [3], unit; radii_u, radii_v: [R].
        squareness: 0 is an ellipse, 1 almost a rectangle.
        unit_uv: u and v run over 0..1 around (from axis_u) and along, instead of metres.
    """
    centers = np.asarray(centers, float)[:, None]
    count = len(centers)
    axis_u, axis_v = (
        np.broadcast_to(np.asarray(a, float), (count, 3))[:, None] for a in (axis_u, axis_v)
    )
    radii_u, radii_v = (np.asarray(r, float)[:, None, None] for r in (radii_u, radii_v))
    turn = np.linspace(0, 1, segments + 1)
    circle = np.stack([np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)])[..., None]
    cos, sin = np.sign(circle) * np.abs(circle) ** (1 - 0.6 * squareness)
    points = centers + radii_u * cos * axis_u + radii_v * sin * axis_v
    first = (np.arange(count - 1)[:, None] * (segments + 1) + np.arange(segments)).ravel()
    across = first + segments + 2
    faces = np.concatenate(
        [np.stack([first, first + 1, across], 1), np.stack([first, across, across - 1], 1)]
    )
    girth, length = 1.0, np.linspace(0, 1, count)
    if not unit_uv:
        girth = np.pi * float(np.max(radii_u + radii_v))
        steps = np.linalg.norm(np.diff(centers[:, 0], axis=0), axis=-1)
        length = np.concatenate([[0], np.cumsum(steps)])
    uv = np.stack(np.meshgrid(turn * girth, length), -1).reshape(-1, 2)
    return Part(points.reshape(-1, 3), faces, uv, material, smooth=True)


def lathe(
    profile: Sequence[tuple[float, float]], material: Material, *, segments: int = 18
) -> Part:
    """A surface of revolution about the vertical; `profile` lists (radius, height)."""
    radii, heights = np.asarray(profile, float).T
    centers = np.outer(heights, [0, 0, 1])
    return loft(centers, (1, 0, 0), (0, 1, 0), radii, radii, material, segments=segments)


def tube(
    points: Sequence[Vector] | np.ndarray,
    radii: Vector,
    material: Material,
    *,
    segments: int = 12,
    flatness: float = 1.0,
    side: Vector | None = None,
) -> Part:
    """A limb, rope or pole along a polyline, with round ends.

    Args:
        points: [N, 3]; radii: [N].
        flatness: radius across `side` times this is the radius along the other axis.
        side: a direction that stays across the tube (default: any).
    """
    points, radii = np.asarray(points, float), np.asarray(radii, float)
    tangents = np.gradient(points, axis=0)
    tangents /= np.maximum(np.linalg.norm(tangents, axis=1, keepdims=True), 1e-9)
    hint = np.asarray(side, float) if side is not None else np.eye(3)[np.argmin(abs(tangents[0]))]
    cap = np.radians([88, 60, 30])
    start = points[0] - np.outer(np.sin(cap) * radii[0], tangents[0])
    end = points[-1] + np.outer(np.sin(cap[::-1]) * radii[-1], tangents[-1])
    centers = np.concatenate([start, points, end])
    widths = np.concatenate([np.cos(cap) * radii[0], radii, np.cos(cap[::-1]) * radii[-1]])
    tangents = np.pad(tangents, [(3, 3), (0, 0)], mode="edge")
    across = hint - tangents * (tangents @ hint)[:, None]
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    other = np.cross(tangents, across)
    return loft(centers, across, other, widths, widths * flatness, material, segments=segments)


def ellipsoid(
    center: Vector, radii: Vector, material: Material, turn: np.ndarray | None = None
) -> Part:
    """An ellipsoid; its poles lie on its own z axis."""
    latitude = np.linspace(-0.497 * np.pi, 0.497 * np.pi, 9)
    centers, ring = np.outer(np.sin(latitude) * radii[2], [0, 0, 1]), np.cos(latitude)
    part = loft(centers, (1, 0, 0), (0, 1, 0), ring * radii[0], ring * radii[1], material)
    return part.moved(center, turn)
