"""Mitsuba's `scalar_rgb`: no GPU, no compiler, the same bytes for any number of threads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import mitsuba as mi
import numpy as np

from depthmask.data.sources.museum.shapes import Part, Vector

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


def _bsdf(part: Part) -> Any:
    """Matt or coated, its sRGB colour (IEC 61966-2-1) made linear."""
    color, roughness = part.material.color, part.material.roughness
    color = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
    coat = {"type": "diffuse", "reflectance": _spectrum(color)}
    if roughness is not None:
        coat = {"type": "principled", "base_color": _spectrum(color), "roughness": roughness**0.5}
    return mi.load_dict({"type": "twosided", "side": coat})


def meshes(parts: Sequence[Part], name: str) -> dict[str, Any]:
    """The content of a scene: one mesh for all parts of a material and a way of shading."""
    groups: dict[tuple[int, bool], list[Part]] = {}
    for part in parts:
        groups.setdefault((id(part.material), part.smooth), []).append(part)
    content = {}
    for number, group in enumerate(groups.values()):
        first = np.cumsum([0] + [len(part.vertices) for part in group])
        faces = np.concatenate([p.faces + f for p, f in zip(group, first, strict=False)])
        properties = mi.Properties()
        properties["bsdf"] = _bsdf(group[0])
        named = f"{name}_{number}", first[-1], len(faces), properties
        mesh = mi.Mesh(*named, has_vertex_normals=group[0].smooth, has_vertex_texcoords=True)
        vertices = np.concatenate([part.vertices for part in group])
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
) -> tuple[np.ndarray, np.ndarray]:
    """Linear light, float32 [h, w, 3], twice, from half the samples each."""
    settings = {"type": "path", "max_depth": 3, "hide_emitters": not lamps_visible}
    # blocks have random numbers of their own, and would be smaller for more threads
    integrator = mi.load_dict(settings | {"block_size": 32})
    # multijitter divides a pixel into k * k or k * (k + 1) strata
    k = max(1, int((samples_per_px / 2) ** 0.5))
    count = k * (k + 1) if k * (k + 1) <= samples_per_px / 2 else k * k
    sensor = _sensor(view, shape, {"type": "multijitter", "sample_count": count}, {})
    first, second = (
        np.array(mi.render(scene, sensor=sensor, integrator=integrator, spp=count, seed=half_seed))
        for half_seed in np.random.SeedSequence(seed).generate_state(2).tolist()
    )
    return first, second


def depth_map(
    scene: Any, view: View, shape: tuple[int, int], crop: dict[str, int] | None = None
) -> np.ndarray:
    """Planar depth through pixel middles, float32 [h, w] (of Mitsuba's crop); inf: nothing."""
    sensor = _sensor(
        view, shape, {"type": "stratified", "sample_count": 1, "jitter": False}, crop or {}
    )
    integrator = mi.load_dict({"type": "aov", "aovs": "point:position,distance:depth"})
    channels = np.array(mi.render(scene, sensor=sensor, integrator=integrator, spp=1), np.float64)
    planar = (channels[..., :3] - view.origin) @ view.axes[2]
    return np.where(channels[..., 3] > 0, planar, np.inf).astype(np.float32)


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


def denoise(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The mean of two halves [h, w, 3] of exposed linear light, with less noise.

    Rousselle et al. 2012, "Adaptive rendering with non-local means filtering": their difference
    measures the noise, and each is averaged with weights found in the other.
    """
    radius, strength, (height, width) = 4, 0.7, first.shape[:2]
    halves = np.maximum(np.stack([first, second]), 0).astype(np.float64)
    # a spark is in one of them alone
    around = [cv2.dilate(half, np.ones((3, 3))) for half in halves[::-1]]
    halves = np.minimum(halves, 1.25 * np.stack(around))
    # distances are judged as the eye does, values averaged as light adds
    seen = np.minimum(halves, 1.5) ** (1 / 2.2)
    noise = 0.5 * (seen[0] - seen[1]) ** 2
    variance = cv2.blur(noise, (5, 5), borderType=cv2.BORDER_REPLICATE).mean(-1) + 2e-6
    pads = [(radius, radius), (radius, radius)]
    wide, wide_seen = (np.pad(a, [(0, 0), *pads, (0, 0)], mode="reflect") for a in (halves, seen))
    wide_variance = np.pad(variance, pads, mode="reflect")
    total, weights = np.zeros_like(halves), np.zeros((2, height, width, 1))
    for dy, dx in np.ndindex(2 * radius + 1, 2 * radius + 1):
        window = (slice(dy, dy + height), slice(dx, dx + width))
        there = wide_variance[window]
        scale = 1e-8 + strength**2 * (variance + there)
        distance = ((seen - wide_seen[:, *window]) ** 2).mean(-1)
        distance = (distance - variance - np.minimum(variance, there)) / scale
        near = [cv2.blur(d, (3, 3), borderType=cv2.BORDER_REPLICATE) for d in distance[::-1]]
        weight = np.exp(-np.maximum(near, 0))[..., None]
        total += weight * wide[:, *window]
        weights += weight
    return (total / weights).mean(0).astype(np.float32)
