"""A camera on a loaded scene: light and geometry per pixel."""

from dataclasses import dataclass
from typing import Any

import mitsuba as mi
import numpy as np

from depthmask.data.sources.museum.loading import World, matrix

OVERSAMPLING = 5
"""Masks are counted on a grid of 5 x 5 points in a pixel, its middle among them."""


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


def _sensor(view: View, size: tuple[int, int], sampler: dict, crop=None) -> Any:
    """`size` is (height, width); `crop` (top, left, height, width)."""
    film = {
        "type": "hdrfilm",
        "height": size[0],
        "width": size[1],
        "pixel_format": "rgb",
        "component_format": "float32",
        "rfilter": {"type": "box"},
    }
    if crop is not None:
        film |= {
            "crop_offset_y": crop[0],
            "crop_offset_x": crop[1],
            "crop_height": crop[2],
            "crop_width": crop[3],
        }
    return mi.load_dict(
        {
            "type": "perspective",
            "fov_axis": "y",
            "fov": float(np.degrees(2 * np.arctan(0.5 / view.focal))),
            "near_clip": 0.05,
            "far_clip": 100.0,
            # Mitsuba's local x points to the left of the picture
            "to_world": matrix([-view.right, -view.down, view.forward, view.origin]),
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
    max_depth: int = 3,
    lamps_visible: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Linear light, float32 [h, w, 3], twice, from half the samples each.

    Hidden lamps leave black where nothing else is.
    """
    integrator = mi.load_dict(
        {"type": "path", "max_depth": max_depth, "rr_depth": 16, "hide_emitters": not lamps_visible}
    )
    count = _whole_strata(samples_per_px / 2)
    sensor = _sensor(view, size, {"type": "multijitter", "sample_count": count})
    halves = [
        np.array(
            mi.render(world.scene, sensor=sensor, integrator=integrator, spp=count, seed=number)
        )[..., :3]
        for number in np.random.SeedSequence(seed).generate_state(2).tolist()
    ]
    return halves[0], halves[1]


def _whole_strata(count: float) -> int:
    """The largest k * k or k * (k + 1) up to `count` (at least 1): what multijitter divides."""
    k = max(1, int(count**0.5))
    return k * (k + 1) if k * (k + 1) <= count else k * k


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
