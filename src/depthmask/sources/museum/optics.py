"""Mitsuba: from parts, lamps and a camera to light and geometry per pixel.

Everything runs in the `scalar_rgb` variant: no GPU, no compiler, the same bytes for any number of
threads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mitsuba as mi
import numpy as np

from depthmask.sources.museum.materials import Material
from depthmask.sources.museum.shapes import Part

mi.set_variant("scalar_rgb")
mi.set_log_level(mi.LogLevel.Error)

OVERSAMPLING = 5
"""Masks are counted on a grid of 5 x 5 points in a pixel, its middle among them."""

PERSON, ROOM = "person", "room"


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
        weight: how often it is sampled against the others.
    """

    kind: str
    center: np.ndarray
    color: np.ndarray
    along: np.ndarray | None = None
    up: np.ndarray | None = None
    radius: float = 0.1
    target: np.ndarray | None = None
    weight: float = 1.0


@dataclass(frozen=True)
class View:
    """A camera in world coordinates, without roll.

    Attributes:
        origin: [3]; right, down, forward: [3], unit vectors.
        focal: focal length over the image's height.
    """

    origin: np.ndarray
    right: np.ndarray
    down: np.ndarray
    forward: np.ndarray
    focal: float

    @classmethod
    def aimed(cls, origin, yaw_degrees: float, pitch_down_degrees: float, focal: float) -> "View":
        """Yaw 0 looks along y, positive yaw turns to the left (counter-clockwise from above)."""
        yaw, pitch = np.radians(yaw_degrees), np.radians(pitch_down_degrees)
        level = np.array([-np.sin(yaw), np.cos(yaw), 0.0])
        forward = np.cos(pitch) * level + np.sin(pitch) * np.array([0.0, 0.0, -1.0])
        right = np.array([np.cos(yaw), np.sin(yaw), 0.0])
        return cls(np.asarray(origin, float), right, np.cross(forward, right), forward, focal)

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """World points [..., 3] in camera coordinates (x right, y down, z forward)."""
        return (points - self.origin) @ np.stack([self.right, self.down, self.forward]).T

    def to_world(self, points: np.ndarray) -> np.ndarray:
        """Camera points [..., 3] in world coordinates."""
        return points @ np.stack([self.right, self.down, self.forward]) + self.origin


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
        "type": "bitmap", "bitmap": mi.Bitmap(flipped), "raw": True, "filter_type": "bilinear",
        "wrap_mode": "repeat" if repeat else "clamp",
    }  # fmt: skip


def _bsdf(material: Material) -> Any:
    color = linear(material.color)
    texture = {"type": "rgb", "value": color.tolist()} if color.ndim == 1 else _bitmap(color)
    if material.metal:
        coat = {"type": "roughconductor", "alpha": max(material.roughness or 0.2, 0.15),
                "specular_reflectance": texture}  # fmt: skip
    elif material.roughness is not None:
        coat = {"type": "roughplastic", "alpha": float(material.roughness),
                "diffuse_reflectance": texture}  # fmt: skip
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
            name, len(vertices), len(faces), props=properties,
            has_vertex_normals=not flat, has_vertex_texcoords=True,
        )  # fmt: skip
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


def _matrix(columns: Sequence[np.ndarray]) -> Any:
    matrix = np.eye(4)
    for index, column in enumerate(columns):
        matrix[:3, index] = column
    return mi.ScalarTransform4f(matrix)


def _lamp(lamp: Lamp) -> dict:
    color = np.asarray(lamp.color, float)
    radiance = {"type": "rgb", "value": color.tolist()} if color.ndim == 1 else None
    if lamp.kind == "spot":
        up = [0, 1, 0.1]
        return {
            "type": "spot", "intensity": radiance, "cutoff_angle": 32, "beam_width": 12,
            "sampling_weight": lamp.weight,
            "to_world": mi.ScalarTransform4f().look_at(
                lamp.center.tolist(), lamp.target.tolist(), up
            ),
        }  # fmt: skip
    if lamp.kind == "sky":
        return {"type": "envmap", "bitmap": mi.Bitmap(color.astype(np.float32)),
                "to_world": mi.ScalarTransform4f().rotate([1, 0, 0], 90)}  # fmt: skip
    emitter = {"type": "area", "radiance": radiance or _bitmap(color, repeat=False),
               "sampling_weight": lamp.weight}  # fmt: skip
    black = {"type": "diffuse", "reflectance": {"type": "rgb", "value": [0.1, 0.1, 0.1]}}
    if lamp.kind == "globe":
        return {"type": "sphere", "center": lamp.center.tolist(), "radius": lamp.radius,
                "bsdf": black, "emitter": emitter}  # fmt: skip
    normal = np.cross(lamp.along, lamp.up)
    normal = normal / np.linalg.norm(normal)
    return {"type": "rectangle", "bsdf": black, "emitter": emitter,
            "to_world": _matrix([lamp.along, lamp.up, normal, lamp.center])}  # fmt: skip


def load_world(parts: Sequence[Part], lamps: Sequence[Lamp], person: Sequence[Part] = ()) -> World:
    """Load a room (or a studio) and perhaps a person."""
    content: dict[str, Any] = {"type": "scene"}
    content |= _meshes(person, PERSON)
    content |= _meshes(parts, ROOM)
    content |= {f"lamp_{number}": _lamp(lamp) for number, lamp in enumerate(lamps)}
    # as they are: merged shapes would lose the person's index
    scene = mi.load_dict(content, parallel=False, optimize=False)
    ids = tuple(
        number + 1 for number, shape in enumerate(scene.shapes()) if shape.id().startswith(PERSON)
    )
    return World(scene, ids)


def _sensor(view: View, size: tuple[int, int], sampler: dict, crop=None) -> Any:
    """`size` is (height, width); `crop` (top, left, height, width)."""
    film = {"type": "hdrfilm", "height": size[0], "width": size[1], "pixel_format": "rgb",
            "component_format": "float32", "rfilter": {"type": "box"}}  # fmt: skip
    if crop is not None:
        film |= {"crop_offset_y": crop[0], "crop_offset_x": crop[1],
                 "crop_height": crop[2], "crop_width": crop[3]}  # fmt: skip
    return mi.load_dict(
        {
            "type": "perspective",
            "fov_axis": "y",
            "fov": float(np.degrees(2 * np.arctan(0.5 / view.focal))),
            "near_clip": 0.05,
            "far_clip": 100.0,
            # Mitsuba's local x points to the left of the picture
            "to_world": _matrix([-view.right, -view.down, view.forward, view.origin]),
            "film": film,
            "sampler": sampler,
        }
    )


def radiance(
    world: World,
    view: View,
    size: tuple[int, int],
    *,
    samples_per_px: int,
    seed: int,
    max_depth: int = 4,
    lamps_visible: bool = True,
) -> np.ndarray:
    """Linear light, float32 [h, w, 3]; hidden lamps leave black where nothing else is."""
    sampler = {"type": "multijitter", "sample_count": samples_per_px}
    integrator = mi.load_dict(
        {"type": "path", "max_depth": max_depth, "rr_depth": 16, "hide_emitters": not lamps_visible}
    )
    image = mi.render(
        world.scene, sensor=_sensor(view, size, sampler), integrator=integrator,
        spp=samples_per_px, seed=seed % 2**31,
    )  # fmt: skip
    return np.array(image)[..., :3]


def surfaces(
    world: World, view: View, size: tuple[int, int], *, crop=None, oversampling: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """What each pixel's sub-samples hit: planar depth (0: nothing) and the shape's id (0: none).

    Sub-samples lie in the middles of the cells of an `oversampling` grid, so depth is unmixed.
    Returns two arrays [h * oversampling, w * oversampling] (of the crop, given in pixels).
    """
    fine = (size[0] * oversampling, size[1] * oversampling)
    if crop is not None:
        crop = tuple(value * oversampling for value in crop)
    sampler = {"type": "stratified", "sample_count": 1, "jitter": False}
    integrator = mi.load_dict({"type": "aov", "aovs": "point:position,shape:shape_index"})
    channels = np.array(
        mi.render(
            world.scene, sensor=_sensor(view, fine, sampler, crop), integrator=integrator, spp=1
        )
    )
    points, shape = channels[..., :3].astype(np.float64), channels[..., 3].round().astype(int)
    depth = np.where(shape > 0, (points - view.origin) @ view.forward, 0).astype(np.float32)
    return depth, shape
