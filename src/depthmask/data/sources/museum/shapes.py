"""Triangle meshes from NumPy: boxes, lofts, tubes and the like, with texture coordinates in metres.

World coordinates: x and y along the floor, z up, metres.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from depthmask.data.sources.museum.materials import Material


@dataclass(frozen=True, eq=False)
class Part:
    """A mesh of one material.

    Attributes:
        vertices: float64 [n, 3], metres.
        faces: int64 [m, 3], wound counter-clockwise seen from outside.
        uv: float64 [n, 2], metres along the surface (divided by the material's tile later).
        material: what it is made of.
        normals: float64 [n, 3] for a smooth surface; None shades each face flat.
    """

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    material: Material
    normals: np.ndarray | None = None

    def moved(self, offset: Sequence[float] = (0, 0, 0), turn: np.ndarray | None = None) -> "Part":
        """The part turned by a 3 x 3 rotation, then shifted."""
        if turn is None:
            turn = np.eye(3)
        normals = None if self.normals is None else self.normals @ turn.T
        return replace(self, vertices=self.vertices @ turn.T + np.asarray(offset), normals=normals)


def moved(parts: Sequence[Part], offset: Sequence[float], turn: np.ndarray | None = None):
    """All parts turned, then shifted."""
    return [part.moved(offset, turn) for part in parts]


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
    corner: Sequence[float],
    along: Sequence[float],
    up: Sequence[float],
    material: Material,
    *,
    unit_uv: bool = False,
) -> Part:
    """A rectangle from `corner`; its front is the side of along x up.

    With `unit_uv` the texture covers it once; the texture's top row is at the end of `up`.
    """
    corner, along, up = (np.asarray(v, float) for v in (corner, along, up))
    vertices = np.array([corner, corner + along, corner + along + up, corner + up])
    width, height = (1.0, 1.0) if unit_uv else (np.linalg.norm(along), np.linalg.norm(up))
    uv = np.array([[0, 0], [width, 0], [width, height], [0, height]])
    return Part(vertices, np.array([[0, 1, 2], [0, 2, 3]]), uv, material)


def box(
    center: Sequence[float],
    size: Sequence[float],
    material: Material,
    turn: np.ndarray | None = None,
) -> Part:
    """A box of the given full size; `turn` rotates it about its centre."""
    vertices, uv = [], []
    half = 0.5 * np.asarray(size, float)
    for axis in range(3):
        for side in (-1, 1):
            along, up = np.eye(3)[(axis + 1) % 3], np.eye(3)[(axis + 2) % 3]
            if axis == 0:
                along, up = along * side, up
            elif axis == 1:
                along, up = np.eye(3)[0] * -side, np.eye(3)[2]
            else:
                along, up = np.eye(3)[0] * side, np.eye(3)[1]
            normal = np.cross(along, up)
            corners = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
            vertices += [(normal + a * along + b * up) * half for a, b in corners]
            extent = (abs(along @ half), abs(up @ half))
            uv += [((a + 1) * extent[0], (b + 1) * extent[1]) for a, b in corners]
    first = np.arange(6)[:, None] * 4
    faces = np.concatenate([first + [0, 1, 2], first + [0, 2, 3]])
    part = Part(np.array(vertices), faces, np.array(uv), material)
    return part.moved(center, turn)


def loft(
    centers: np.ndarray,
    axis_u: np.ndarray,
    axis_v: np.ndarray,
    radii_u: np.ndarray,
    radii_v: np.ndarray,
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
    centers = np.asarray(centers, float)
    count = len(centers)
    axis_u = np.broadcast_to(np.asarray(axis_u, float), (count, 3))[:, None]
    axis_v = np.broadcast_to(np.asarray(axis_v, float), (count, 3))[:, None]
    radii_u, radii_v = (np.asarray(r, float)[:, None, None] for r in (radii_u, radii_v))
    angles = np.linspace(0, 2 * np.pi, segments + 1)[None, :, None]
    cos, sin = np.cos(angles), np.sin(angles)
    power = 1 - 0.6 * squareness
    cos, sin = np.sign(cos) * np.abs(cos) ** power, np.sign(sin) * np.abs(sin) ** power
    points = centers[:, None] + radii_u * cos * axis_u + radii_v * sin * axis_v

    around = np.roll(points[:, :-1], -1, 1) - np.roll(points[:, :-1], 1, 1)
    around = np.concatenate([around, around[:, :1]], 1)
    along = np.gradient(points, axis=0)
    normals = np.cross(around, along)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    tip = np.repeat((points - points.mean((0, 1))), 1, 0)
    normals = np.where(length > 1e-12, normals / np.maximum(length, 1e-12), tip)
    outward = points - centers[:, None]
    flip = np.sum(normals * outward) < 0
    if flip:
        normals = -normals
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)

    ring = np.arange(count - 1)[:, None] * (segments + 1)
    first = (ring + np.arange(segments)[None]).ravel()
    a, b, c, d = first, first + 1, first + segments + 2, first + segments + 1
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    if flip:
        faces = faces[:, ::-1]
    if unit_uv:
        u = np.broadcast_to(np.linspace(0, 1, segments + 1)[None], points.shape[:2])
        v = np.broadcast_to(np.linspace(0, 1, count)[:, None], points.shape[:2])
    else:
        girth = 2 * np.pi * float(np.max(0.5 * (radii_u + radii_v)))
        u = np.broadcast_to(np.linspace(0, girth, segments + 1)[None], points.shape[:2])
        steps = np.linalg.norm(np.diff(points.mean(1), axis=0), axis=-1)
        v = np.broadcast_to(np.concatenate([[0], np.cumsum(steps)])[:, None], points.shape[:2])
    uv = np.stack([u, v], -1).reshape(-1, 2)
    return Part(points.reshape(-1, 3), faces, uv, material, normals.reshape(-1, 3))


def lathe(
    profile: Sequence[tuple[float, float]],
    material: Material,
    *,
    segments: int = 18,
    center: Sequence[float] = (0, 0, 0),
) -> Part:
    """A surface of revolution about the vertical; `profile` lists (radius, height)."""
    radii, heights = np.asarray(profile, float).T
    centers = np.stack([np.zeros_like(heights), np.zeros_like(heights), heights], 1)
    return loft(
        centers + np.asarray(center, float),
        (1, 0, 0),
        (0, 1, 0),
        radii,
        radii,
        material,
        segments=segments,
    )


def turned(profile: Sequence[tuple[float, float]], steps: int = 5) -> list[tuple[float, float]]:
    """A profile rounded by linear interpolation and smoothing, for vases and the like."""
    points = np.asarray(profile, float)
    t = np.linspace(0, len(points) - 1, (len(points) - 1) * steps + 1)
    fine = np.stack([np.interp(t, np.arange(len(points)), points[:, k]) for k in (0, 1)], 1)
    for _ in range(steps):
        fine[1:-1] = 0.25 * fine[:-2] + 0.5 * fine[1:-1] + 0.25 * fine[2:]
    return [tuple(p) for p in fine]


def tube(
    points: np.ndarray,
    radii: Sequence[float],
    material: Material,
    *,
    segments: int = 12,
    flatness: float = 1.0,
    side: Sequence[float] | None = None,
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
    tangents = np.concatenate([tangents[:1].repeat(3, 0), tangents, tangents[-1:].repeat(3, 0)])
    across = hint - tangents * (tangents @ hint)[:, None]
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    other = np.cross(tangents, across)
    return loft(centers, across, other, widths, widths * flatness, material, segments=segments)


def ellipsoid(
    center: Sequence[float],
    radii: Sequence[float],
    material: Material,
    turn: np.ndarray | None = None,
    *,
    rings: int = 9,
    segments: int = 14,
) -> Part:
    """An ellipsoid; its poles lie on its own z axis."""
    latitude = np.linspace(-0.497 * np.pi, 0.497 * np.pi, rings)
    centers = np.stack([np.zeros(rings), np.zeros(rings), np.sin(latitude) * radii[2]], 1)
    ring = np.cos(latitude)
    part = loft(
        centers,
        (1, 0, 0),
        (0, 1, 0),
        ring * radii[0],
        ring * radii[1],
        material,
        segments=segments,
    )
    return part.moved(center, turn)
