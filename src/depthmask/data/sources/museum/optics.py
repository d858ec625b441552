"""Mitsuba's `scalar_rgb`: no GPU, no compiler, the same bytes for any number of threads; and Intel
Open Image Denoise, which takes the noise of few samples away."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mitsuba as mi
import numpy as np
import pyoidn

from depthmask.data.sources.museum.shapes import Part, Vector

# Open Image Denoise reads them when it is first used; pictures are rendered one a core
os.environ |= {"OIDN_NUM_THREADS": "1", "OIDN_SET_AFFINITY": "0"} | os.environ
mi.set_variant("scalar_rgb")
mi.set_log_level(mi.LogLevel.Error)

OVERSAMPLING = 5  # masks are counted on a grid of 5 x 5 points in a pixel, its middle among them
_NEAR_M = 0.05


@dataclass(frozen=True)
class View:
    """A camera in world coordinates, without roll."""

    origin: np.ndarray  # [3]
    axes: np.ndarray  # [3, 3]; its rows, unit vectors, point right, down and forward
    focal: float  # focal length over the image's height

    @classmethod
    def aimed(cls, origin: Vector, yaw: float, pitch_down: float, focal: float) -> "View":
        """Degrees; yaw 0 looks along y, positive yaw turns to the left (seen from above)."""
        yaw, pitch = np.radians(yaw), np.radians(pitch_down)
        level = np.array([-np.sin(yaw), np.cos(yaw), 0.0])
        forward = np.cos(pitch) * level + np.sin(pitch) * np.array([0.0, 0.0, -1.0])
        right = np.array([np.cos(yaw), np.sin(yaw), 0.0])
        axes = np.stack([right, np.cross(forward, right), forward])
        return cls(np.asarray(origin, float), axes, focal)

    @property
    def up(self) -> np.ndarray:
        """The world's up in camera coordinates, [3]."""
        return self.axes[:, 2]

    def to_world(self, points: np.ndarray) -> np.ndarray:
        """Camera points [..., 3] in world coordinates."""
        return points @ self.axes + self.origin


def _spectrum(color: np.ndarray) -> dict[str, Any]:
    """A linear colour [3], or a texture [h, w, 3]."""
    if color.ndim == 1:
        return {"type": "rgb", "value": color.tolist()}
    # row 0 of a texture is its top, and v = 0 is the bottom of a surface
    flipped = mi.Bitmap(np.ascontiguousarray(color[::-1], dtype=np.float32))
    return {"type": "bitmap", "bitmap": flipped, "raw": True}


def _surface(part: Part, is_albedo: bool) -> dict[str, Any]:
    """Matt or coated, its sRGB colour (IEC 61966-2-1) made linear; or shining in it."""
    color, roughness = part.material.color, part.material.roughness
    linear = _spectrum(np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4))
    if is_albedo:
        return {"emitter": mi.load_dict({"type": "area", "radiance": linear})}
    coat = {"type": "diffuse", "reflectance": linear}
    if roughness is not None:
        coat = {"type": "principled", "base_color": linear, "roughness": roughness**0.5}
    return {"bsdf": mi.load_dict({"type": "twosided", "side": coat})}


def meshes(
    parts: Sequence[Part], name: str, *, seen_from: np.ndarray | None = None
) -> dict[str, Any]:
    """The content of a scene: one mesh for all parts of a material and a way of shading; its albedo
    is what every surface shines in towards a camera at `seen_from`, [3]."""
    groups: dict[tuple[int, bool], list[Part]] = {}
    for part in parts:
        groups.setdefault((id(part.material), part.smooth), []).append(part)
    content = {}
    for number, group in enumerate(groups.values()):
        first = np.cumsum([0] + [len(part.vertices) for part in group])
        faces = np.concatenate([p.faces + f for p, f in zip(group, first, strict=False)])
        properties = mi.Properties()
        vertices = np.concatenate([part.vertices for part in group])
        if seen_from is not None:  # only the front of a triangle shines
            a, b, c = vertices[faces].swapaxes(0, 1)
            away = (np.cross(b - a, c - a) * (seen_from - a)).sum(-1) < 0
            faces[away] = faces[away, ::-1]
        for key, value in _surface(group[0], seen_from is not None).items():
            properties[key] = value
        named = f"{name}_{number}", first[-1], len(faces), properties
        is_smooth = group[0].smooth and seen_from is None
        mesh = mi.Mesh(*named, has_vertex_normals=is_smooth, has_vertex_texcoords=True)
        uv = np.concatenate([part.uv for part in group]) / group[0].material.tile_m
        values = mi.traverse(mesh)
        values["vertex_positions"] = vertices.astype(np.float32).ravel()
        values["faces"] = faces.astype(np.uint32).ravel()
        values["vertex_texcoords"] = uv.astype(np.float32).ravel()
        values.update()  # computes the normals
        content[f"{name}_{number}"] = mesh
    return content


def _matrix(*columns: Vector) -> Any:
    matrix = np.eye(4)
    matrix[:3] = np.stack(columns, 1)
    return mi.ScalarTransform4f(matrix.tolist())


def _area_light(shape: dict[str, Any], area: float, color: np.ndarray) -> dict[str, Any]:
    """A shape that shines, sampled the more often the more light it gives."""
    weight = 0.5 + float(area * color.mean())
    emitter = {"type": "area", "radiance": _spectrum(color), "sampling_weight": weight}
    black = {"type": "diffuse", "reflectance": {"type": "rgb", "value": 0.1}}
    return shape | {"bsdf": black, "emitter": emitter}


def panel(center: Vector, along: Vector, up: Vector, color: np.ndarray) -> dict[str, Any]:
    """A rectangle with half sides `along` and `up` that shines linear `color` along x up."""
    normal = np.cross(along, up)
    area = 4 * float(np.linalg.norm(normal))
    place = _matrix(along, up, normal / np.linalg.norm(normal), center)
    return _area_light({"type": "rectangle", "to_world": place}, area, color)


def globe(center: Vector, radius: float, color: np.ndarray) -> dict[str, Any]:
    """A luminous sphere of linear radiance `color`."""
    shape = {"type": "sphere", "center": list(center), "radius": radius}
    return _area_light(shape, 4 * np.pi * radius**2, color)


def beam(origin: Vector, target: Vector, degrees: float, image: np.ndarray) -> dict[str, Any]:
    """A lamp [3] that throws linear light [h, w, 3], of a metre's distance, where it is aimed."""
    place = mi.ScalarTransform4f().look_at(list(origin), list(target), [0.001, 0, 1])
    area = (2 * np.tan(np.radians(degrees) / 2)) ** 2
    light = {"type": "projector", "irradiance": _spectrum(image), "fov": degrees}
    weight = 0.5 + float(area * image.mean()) / np.pi
    return light | {"to_world": place, "sampling_weight": weight}


def sky(radiance: np.ndarray, weight: float) -> dict[str, Any]:
    """Light [h, w, 3] from all around, its first row from above, and how often to sample it."""
    upright = mi.ScalarTransform4f().rotate([1, 0, 0], 90)
    light = {"type": "envmap", "bitmap": mi.Bitmap(radiance.astype(np.float32))}
    return light | {"to_world": upright, "sampling_weight": weight}


def load_scene(content: dict[str, Any], lamps: Sequence[dict[str, Any]] = ()) -> Any:
    """A Mitsuba scene of meshes and lamps."""
    named = {f"lamp_{number}": lamp for number, lamp in enumerate(lamps)}
    return mi.load_dict({"type": "scene"} | content | named, parallel=False, optimize=False)


def _sensor(view: View, shape: tuple[int, int], sampler: dict, crop: dict[str, int]) -> Any:
    film = {"type": "hdrfilm", "height": shape[0], "width": shape[1], "rfilter": {"type": "box"}}
    right, down, forward = view.axes
    sensor = {
        "type": "perspective",
        "fov_axis": "y",
        "fov": float(np.degrees(2 * np.arctan(0.5 / view.focal))),
        "near_clip": _NEAR_M,
        "far_clip": 100.0,
        # Mitsuba's local x points to the left of the picture
        "to_world": _matrix(-right, -down, forward, view.origin),
        "film": film | {"pixel_format": "rgb", "component_format": "float32"} | crop,
        "sampler": sampler,
    }
    return mi.load_dict(sensor)


def radiance(
    scene: Any,
    view: View,
    shape: tuple[int, int],
    samples_per_px: int,
    seed: int,
    *,
    lamps_visible: bool = True,
    max_depth: int = 3,
) -> np.ndarray:
    """Linear light, float32 [h, w, 3]; with a `max_depth` of 1 what shines by itself."""
    settings = {"type": "path", "max_depth": max_depth, "hide_emitters": not lamps_visible}
    # blocks have random numbers of their own, and would be smaller for more threads
    integrator = mi.load_dict(settings | {"block_size": 32})
    # multijitter divides a pixel into k * k or k * (k + 1) strata
    k = max(1, int(samples_per_px**0.5))
    count = k * (k + 1) if k * (k + 1) <= samples_per_px else k * k
    sensor = _sensor(view, shape, {"type": "multijitter", "sample_count": count}, {})
    return np.array(
        mi.render(scene, sensor=sensor, integrator=integrator, spp=count, seed=mi.UInt32(seed))
    )


def depth_map(
    scene: Any, view: View, shape: tuple[int, int], crop: dict[str, int] | None = None
) -> np.ndarray:
    """Planar depth through pixel middles, float32 [h, w] (of Mitsuba's crop); inf: nothing."""
    crop, sampler = crop or {}, {"type": "stratified", "sample_count": 1, "jitter": False}
    sensor, integrator = _sensor(view, shape, sampler, crop), mi.load_dict({"type": "depth"})
    distance = np.array(mi.render(scene, sensor=sensor, integrator=integrator, spp=1))[..., 0]
    first = np.array([crop.get("crop_offset_y", 0), crop.get("crop_offset_x", 0)])
    pixels = np.moveaxis(np.indices(distance.shape), 0, -1) + first + 0.5
    rays = (pixels - np.array(shape) / 2) / (shape[0] * view.focal)
    # along the ray, from the near plane on
    planar = _NEAR_M + distance / np.sqrt(1 + (rays**2).sum(-1))
    return np.where(distance > 0, planar, np.inf).astype(np.float32)


def sub_depths(
    scenes: Sequence[Any], view: View, shape: tuple[int, int], parts: Sequence[Part]
) -> list[np.ndarray]:
    """Depths [h, w, 25], float32, of scenes at 5 x 5 points a pixel around the parts, else inf."""
    k = OVERSAMPLING
    points = (np.concatenate([part.vertices for part in parts]) - view.origin) @ view.axes.T
    points = points[points[:, 2] > _NEAR_M]
    pixels = np.array(shape) / 2 + shape[0] * view.focal * points[:, 1::-1] / points[:, 2:]
    top, left = np.clip(pixels.min(0, initial=np.inf) - 1, 0, shape).astype(int).tolist()
    bottom, right = np.clip(pixels.max(0, initial=-np.inf) + 2, 0, shape).astype(int).tolist()
    maps = np.full((len(scenes), shape[0] * k, shape[1] * k), np.inf, np.float32)
    if bottom > top and right > left:
        crop = {"crop_offset_y": top * k, "crop_height": (bottom - top) * k}
        crop |= {"crop_offset_x": left * k, "crop_width": (right - left) * k}
        window = np.s_[:, top * k : bottom * k, left * k : right * k]
        maps[window] = [depth_map(scene, view, maps.shape[1:], crop) for scene in scenes]
    blocks = maps.reshape(len(scenes), shape[0], k, shape[1], k).swapaxes(2, 3)
    return list(blocks.reshape(len(scenes), *shape, k * k))


def denoise(light: np.ndarray, albedo: np.ndarray) -> np.ndarray:
    """Exposed linear light, float32 [h, w, 3], without its noise (Open Image Denoise, Intel), which
    is told from texture by the surfaces' albedo, 0 to 1."""
    return pyoidn.denoise(light, albedo.clip(0, 1), hdr=True, clean_aux=True)
