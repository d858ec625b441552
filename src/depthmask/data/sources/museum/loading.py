"""Mitsuba: from parts and lamps to a loaded scene.

Everything runs in the `scalar_rgb` variant: no GPU, no compiler, the same bytes for any number of
threads.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import mitsuba as mi
import numpy as np

from depthmask.data.sources.museum.materials import Material, plain
from depthmask.data.sources.museum.shapes import Part

mi.set_variant("scalar_rgb")
mi.set_log_level(mi.LogLevel.Error)

PERSON, ROOM = "person", "room"

_GREY = plain((0.5, 0.5, 0.5))


@dataclass(frozen=True)
class Lamp:
    """A light.

    Attributes:
        kind: `panel` (a rectangle that shines along its normal), `globe`, `spot` or `sky`.
        center: [3], metres.
        color: [3], linear radiance (a spot: intensity); a panel's may be a texture [h, w, 3].
        along, up: [3], half the sides of a panel; its normal is along x up.
        radius: of a globe.
        target: [3], what a spot points at.
        share: of the power that `load_world` reckons with when it decides how often to sample the
            lamp; less than 1 for one that shines elsewhere.
    """

    kind: str
    center: np.ndarray
    color: np.ndarray
    along: np.ndarray | None = None
    up: np.ndarray | None = None
    radius: float = 0.1
    target: np.ndarray | None = None
    share: float = 1.0


@dataclass(frozen=True)
class World:
    """A loaded scene; `person` holds the ids that its person's shapes have in `surfaces`."""

    scene: Any
    person: tuple[int, ...]


def linear(color: np.ndarray) -> np.ndarray:
    """sRGB in 0..1 to linear light (IEC 61966-2-1)."""
    color = np.asarray(color, float)
    return np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)


def _bitmap(texture: np.ndarray, *, repeat: bool = True) -> dict:
    # row 0 of a texture is its top, and v = 0 is the bottom of a surface
    flipped = np.ascontiguousarray(texture[::-1], dtype=np.float32)
    return {
        "type": "bitmap",
        "bitmap": mi.Bitmap(flipped),
        "raw": True,
        "filter_type": "bilinear",
        "wrap_mode": "repeat" if repeat else "clamp",
    }


def _bsdf(material: Material) -> Any:
    color = linear(material.color)
    texture = {"type": "rgb", "value": color.tolist()} if color.ndim == 1 else _bitmap(color)
    if material.roughness is not None:
        coat = {
            "type": "principled",
            "base_color": texture,
            "specular": 0.5,
            "roughness": float(material.roughness) ** 0.5,
        }
    else:
        coat = {"type": "diffuse", "reflectance": texture}
    return mi.load_dict({"type": "twosided", "side": coat})


def _meshes(parts: Sequence[Part], group: str) -> dict[str, Any]:
    """One mesh for all parts that share a material and a way of shading."""
    merged: dict[tuple[int, bool], list[Part]] = {}
    for part in parts:
        merged.setdefault((id(part.material), part.normals is None), []).append(part)
    bsdfs: dict[int, Any] = {}
    meshes = {}
    for number, ((material_id, flat), same) in enumerate(merged.items()):
        material = same[0].material
        if material_id not in bsdfs:
            bsdfs[material_id] = _bsdf(material)
        first = np.cumsum([0] + [len(part.vertices) for part in same])
        vertices = np.concatenate([part.vertices for part in same])
        faces = np.concatenate([p.faces + f for p, f in zip(same, first, strict=False)])
        uv = np.concatenate([part.uv for part in same]) / material.tile_m
        properties = mi.Properties()
        properties["bsdf"] = bsdfs[material_id]
        name = f"{group}_{number}"
        mesh = mi.Mesh(
            name,
            len(vertices),
            len(faces),
            props=properties,
            has_vertex_normals=not flat,
            has_vertex_texcoords=True,
        )
        values = mi.traverse(mesh)
        values["vertex_positions"] = vertices.astype(np.float32).ravel()
        values["faces"] = faces.astype(np.uint32).ravel()
        values["vertex_texcoords"] = uv.astype(np.float32).ravel()
        values.update()
        if not flat:  # the update above has put Mitsuba's own normals in
            normals = np.concatenate([part.normals for part in same])
            values["vertex_normals"] = normals.astype(np.float32).ravel()
            values.update()
        meshes[name] = mesh
    return meshes


def matrix(columns: Sequence[np.ndarray]) -> Any:
    matrix = np.eye(4)
    for index, column in enumerate(columns):
        matrix[:3, index] = column
    return mi.ScalarTransform4f(matrix)


def _power(lamp: Lamp) -> float:
    """About what a lamp adds to the picture: how often it is worth sampling."""
    level = float(np.mean(lamp.color)) * lamp.share
    if lamp.kind == "spot":
        return 0.25 * level
    if lamp.kind == "globe":
        return 2 * np.pi * lamp.radius**2 * level
    return 4 * np.linalg.norm(lamp.along) * np.linalg.norm(lamp.up) * level


def _lamp(lamp: Lamp, weight: float) -> dict:
    color = np.asarray(lamp.color, float)
    radiance = {"type": "rgb", "value": color.tolist()} if color.ndim == 1 else None
    if lamp.kind == "spot":
        up = [0, 1, 0.1]
        return {
            "type": "spot",
            "intensity": radiance,
            "cutoff_angle": 32,
            "beam_width": 12,
            "sampling_weight": weight,
            "to_world": mi.ScalarTransform4f().look_at(
                lamp.center.tolist(), lamp.target.tolist(), up
            ),
        }
    if lamp.kind == "sky":
        return {
            "type": "envmap",
            "bitmap": mi.Bitmap(color.astype(np.float32)),
            "to_world": mi.ScalarTransform4f().rotate([1, 0, 0], 90),
        }
    emitter = {
        "type": "area",
        "radiance": radiance or _bitmap(color, repeat=False),
        "sampling_weight": weight,
    }
    black = {"type": "diffuse", "reflectance": {"type": "rgb", "value": [0.1, 0.1, 0.1]}}
    if lamp.kind == "globe":
        return {
            "type": "sphere",
            "center": lamp.center.tolist(),
            "radius": lamp.radius,
            "bsdf": black,
            "emitter": emitter,
        }
    normal = np.cross(lamp.along, lamp.up)
    normal = normal / np.linalg.norm(normal)
    return {
        "type": "rectangle",
        "bsdf": black,
        "emitter": emitter,
        "to_world": matrix([lamp.along, lamp.up, normal, lamp.center]),
    }


def load_world(
    parts: Sequence[Part],
    lamps: Sequence[Lamp],
    person: Sequence[Part] = (),
    *,
    shapes_only: bool = False,
) -> World:
    """Load a room (or a studio) and perhaps a person.

    With `shapes_only` all is of one grey: the fewer shapes, the faster `surfaces` is.
    """
    content: dict[str, Any] = {"type": "scene"}
    if shapes_only:
        parts = [replace(part, material=_GREY) for part in parts]
        person = [replace(part, material=_GREY) for part in person]
    content |= _meshes(person, PERSON)
    content |= _meshes(parts, ROOM)
    powers = [_power(lamp) if lamp.kind != "sky" else 0.0 for lamp in lamps]
    for number, (lamp, power) in enumerate(zip(lamps, powers, strict=True)):
        weight = 1.0 if lamp.kind == "sky" else max(power / sum(powers), 0.06)
        content[f"lamp_{number}"] = _lamp(lamp, weight)
    # as they are: merged shapes would lose the person's index
    scene = mi.load_dict(content, parallel=False, optimize=False)
    ids = tuple(
        number + 1 for number, shape in enumerate(scene.shapes()) if shape.id().startswith(PERSON)
    )
    return World(scene, ids)
