"""Where a cutout, its shadow and the lens fall in a frame: affine maps, in NumPy, per sample.

An affine map is float64 [N, 2, 3] and takes (u, v, 1) to (u, v), in pixels of a frame or plate
`size` high or of a cutout's canvas.
"""

from typing import NamedTuple

import numpy as np

from depthmask.data.scenes.library import Library
from depthmask.data.scenes.placement import Recipes


class Stance(NamedTuple):
    """How the placed people stand in their plates, before any crop."""

    to_plate: np.ndarray  # [N, 2, 3], canvas pixels to plate pixels
    shadow_to_plate: np.ndarray  # [N, 2, 3], canvas pixels to their shadow on the floor
    foot_px: np.ndarray  # [N, 2], in the plate
    head_px: np.ndarray  # [N, 2], the point a height above the foot
    px_per_metre: np.ndarray  # [N], at the foot's depth
    foot_m: np.ndarray  # [N], depth of the foot point
    depth_per_row: np.ndarray  # [N], change of depth per canvas row upwards
    foot_row: np.ndarray  # [N], the canvas row of the foot point


def stances(library: Library, recipes: Recipes, size: int, light: np.ndarray) -> Stance:
    """Project each placed cutout, and its shadow, into its plate of `size` px.

    `light` is [N, 2]: how far a shadow runs to the right and away, in metres per metre of height.
    """
    plates = library.plates.iloc[recipes.plate]
    cutouts = library.cutouts.iloc[recipes.cutout]
    focal = plates.focal.to_numpy()[:, None]
    up = plates[["up_x", "up_y", "up_z"]].to_numpy()
    foot = np.asarray(library.stands[recipes.plate, recipes.stand], np.float64)
    height_m = cutouts.height_m.to_numpy()[:, None]

    # over the floor, away from the camera: the optical axis less its part along `up`
    away = np.array([0.0, 0.0, 1.0]) - up[:, 2:] * up
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    tip = foot + height_m * (light[:, :1] * np.array([1.0, 0.0, 0.0]) + light[:, 1:] * away)

    def project(points: np.ndarray) -> np.ndarray:
        return size * (focal * points[:, :2] / np.maximum(points[:, 2:], 0.3) + 0.5)

    foot_px, head_px, tip_px = project(foot), project(foot + height_m * up), project(tip)
    metres_per_px = cutouts.metres_per_px.to_numpy()
    middle_m = foot[:, 2] + 0.5 * height_m[:, 0] * up[:, 2]
    across = np.zeros_like(foot_px)
    across[:, 0] = size * focal[:, 0] / np.maximum(middle_m, 0.3) * metres_per_px
    across *= np.where(recipes.mirrored, -1.0, 1.0)[:, None]
    rows = height_m / metres_per_px[:, None]  # canvas pixels from foot to head
    canvas_foot = cutouts[["foot_u", "foot_v"]].to_numpy()
    # a shadow seen edge on has no extent; two pixels keep the map invertible
    fall = tip_px - foot_px
    fall[:, 1] = np.where(fall[:, 1] < 0, -1.0, 1.0) * np.maximum(np.abs(fall[:, 1]), 2.0)

    def standing(rise: np.ndarray) -> np.ndarray:
        """The map of the canvas whose foot stands at foot_px and whose height is `rise`."""
        linear = np.stack([across, -rise / rows], axis=2)
        shift = foot_px - np.einsum("nij,nj->ni", linear, canvas_foot)
        return np.concatenate([linear, shift[:, :, None]], axis=2)

    return Stance(
        to_plate=standing(head_px - foot_px),
        shadow_to_plate=standing(fall),
        foot_px=foot_px,
        head_px=head_px,
        px_per_metre=size * focal[:, 0] / foot[:, 2],
        foot_m=foot[:, 2],
        depth_per_row=up[:, 2] * metres_per_px,
        foot_row=canvas_foot[:, 1],
    )


def lens(
    scale: np.ndarray, centre: np.ndarray, degrees: np.ndarray, shift: np.ndarray, size: int
) -> np.ndarray:
    """Map frame pixels to plate pixels, both `size` high.

    Args:
        scale: [N, 2], share of the plate's width and height that the frame shows.
        centre: [N, 2], where the frame's centre lies in the plate, 0..1.
        degrees: [N], rotation about the centre.
        shift: [N, 2], in shares of the frame.
    """
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    rotation = np.stack([np.stack([cos, -sin], 1), np.stack([sin, cos], 1)], axis=1)
    linear = rotation * scale[:, :, None]
    middle = np.full((len(degrees), 2), size / 2)
    offset = size * (centre + shift) - np.einsum("nij,nj->ni", linear, middle)
    return np.concatenate([linear, offset[:, :, None]], axis=2)


def apply(maps: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map points [N, 2], each with its own map."""
    return np.einsum("nij,nj->ni", maps[:, :, :2], points) + maps[:, :, 2]


def inverse(maps: np.ndarray) -> np.ndarray:
    linear = np.linalg.inv(maps[:, :, :2])
    return np.concatenate([linear, -linear @ maps[:, :, 2:]], axis=2)


def compose(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """The maps that apply `inner` first, then `outer`."""
    linear = outer[:, :, :2] @ inner[:, :, :2]
    return np.concatenate([linear, outer[:, :, :2] @ inner[:, :, 2:] + outer[:, :, 2:]], axis=2)


def to_theta(
    maps: np.ndarray, output: tuple[float, float], source: tuple[float, float]
) -> np.ndarray:
    """Maps, output to source, as `affine_grid`'s theta, in its [-1, 1] coordinates.

    `output` and `source` are (width, height) in the maps' pixels; `align_corners` is False.
    """
    out, src = np.array(output), np.array(source)
    linear = maps[:, :, :2] * (out[None, None, :] / src[None, :, None])
    centre = np.einsum("nij,j->ni", maps[:, :, :2], out / 2) + maps[:, :, 2]
    return np.concatenate([linear, (2 * centre / src - 1)[:, :, None]], axis=2)
