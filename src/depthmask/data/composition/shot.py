"""One shot of each sample: where person, shadow and lens fall, and the light and the sensor.

What varies follows the recipe of BackgroundMattingV2 (Lin et al. 2021, section 4), but every
strength is drawn per sample, not per batch.

An affine map is float64 [N, 2, 3] and takes (u, v, 1) to (u, v), in pixels of a frame or plate
`size` high or of a cutout's canvas.
"""

from typing import NamedTuple

import numpy as np

from depthmask.config import CompositorParams
from depthmask.data.scenes.library import Library
from depthmask.data.scenes.placement import Recipes

NUM_LEVELS = 3

_FOOTPRINT_M = (0.3, 0.12)
"""Radii, across and away from the camera, of the dark spot under a person."""


class Shots(NamedTuple):
    """N samples; the maps are `affine_grid` thetas [N, 2, 3] from the frame."""

    frame: np.ndarray  # to the plate, for bg_fg
    clean: np.ndarray  # to the plate, for bg: the camera may have moved
    person: np.ndarray  # to the cutout's canvas
    shadow: np.ndarray  # to the canvas, where the person's shadow falls
    contact: np.ndarray  # [N, 4], the foot (u, v) and the footprint's radii, in -1..1
    foot_m: np.ndarray  # [N], the foot's depth
    slope: np.ndarray  # [N], its change per canvas row upwards, at this size
    foot_row: np.ndarray  # [N], the foot's canvas row, at this size
    cast: np.ndarray  # [N], strength of the cast shadow, 0..1
    footprint: np.ndarray  # [N], strength of the dark spot under the feet, 0..1
    person_gain: np.ndarray  # [N, 3], factors on the colours
    plate_gain: np.ndarray  # [N, 3]
    sigma: np.ndarray  # [N, 2], the sensor noise's standard deviation in bg and in bg_fg
    focal: np.ndarray  # [N], the lens's focal length in heights of the frame
    noise_key: np.ndarray  # int64 [N], what the noise follows from
    level: np.ndarray  # int64 [N], the pyramid level whose pixels are nearest the frame's


class Stance(NamedTuple):
    """How the placed people stand in their plates, before any crop."""

    to_plate: np.ndarray  # map of canvas pixels to plate pixels
    shadow_to_plate: np.ndarray  # map of canvas pixels to their shadow on the floor
    foot_px: np.ndarray  # [N, 2], in the plate
    head_px: np.ndarray  # [N, 2], the point a height above the foot
    px_per_metre: np.ndarray  # [N], at the foot's depth
    foot_m: np.ndarray  # [N], depth of the foot point
    depth_per_row: np.ndarray  # [N], change of depth per canvas row upwards
    foot_row: np.ndarray  # [N], the canvas row of the foot point


def plan_shots(
    library: Library, p: CompositorParams, recipes: Recipes, *, size: int, canvas_rows: int
) -> Shots:
    """Work out the shots of N recipes at `size` px, where a canvas has `canvas_rows`."""
    num = len(recipes.plate)
    numbers = iter(recipes.uniforms.T)

    def signed(count: int = 1) -> np.ndarray:
        return np.stack([2 * next(numbers) - 1 for _ in range(count)], 1)

    def happens(probability: float) -> np.ndarray:
        return next(numbers) < probability

    def gains(gain: float, tint: float, on: np.ndarray) -> np.ndarray:
        return np.exp2((signed(3) * tint + signed() * gain) * on[:, None])

    stance = stances(library, recipes, size, light=signed(2))
    shadow = happens(p.shadow.p) * p.shadow.strength
    cast, footprint = next(numbers) * shadow, (0.4 + 0.6 * next(numbers)) * shadow

    cropped = happens(p.crop.p)
    zoom = np.where(cropped, 1 - (1 - p.crop.min_scale) * next(numbers), 1.0)
    stretch = np.where(cropped, p.crop.max_aspect ** (0.5 * signed()[:, 0]), 1.0)
    scale = np.minimum(np.stack([zoom * stretch, zoom / stretch], 1), 1.0)
    # leaning towards the person: a crop without anybody teaches little
    middle = (stance.foot_px + stance.head_px) / (2 * size)
    lean = np.clip(signed(2) + 0.5 * np.sign(middle - 0.5), -1, 1)
    centre = 0.5 + (1 - scale) / 2 * lean
    # a room in a mirror is another room, and everything in it stands where it should
    handed = scale * np.stack([np.where(happens(p.flipped), -1.0, 1.0), np.ones(num)], 1)
    frame = lens(handed, centre, np.zeros(num), np.zeros((num, 2)), size)
    moved = happens(p.plate_motion.p)
    shift = signed(2) * (p.plate_motion.shift * moved)[:, None]
    clean = lens(handed, centre, signed()[:, 0] * p.plate_motion.degrees * moved, shift, size)

    person_gain = gains(p.person_light.gain, p.person_light.tint, np.ones(num, bool))
    plate_gain = gains(p.plate_light.gain, p.plate_light.tint, happens(p.plate_light.p))
    noisy = happens(p.noise.p) * p.noise.sigma
    sigma = np.stack([next(numbers), next(numbers)], 1) * noisy[:, None]
    noise_key = (next(numbers) * 2.0**53).astype(np.int64) ^ (p.seed << 31)

    foot = apply(inverse(frame), stance.foot_px)
    radii = 2 * stance.px_per_metre[:, None] * np.array(_FOOTPRINT_M) / scale / size
    person = compose(inverse(stance.to_plate), frame)
    shadow_map = compose(inverse(stance.shadow_to_plate), frame)
    square, original = (size, size), (library.rgba.shape[2], library.rgba.shape[1])
    rows_kept = canvas_rows / original[1]
    minified = np.sqrt(np.abs(np.linalg.det(person[:, :, :2]))) * rows_kept
    return Shots(
        frame=to_theta(frame, square, square),
        clean=to_theta(clean, square, square),
        person=to_theta(person, square, original),
        shadow=to_theta(shadow_map, square, original),
        contact=np.concatenate([2 * foot / size - 1, radii], 1),
        foot_m=stance.foot_m,
        slope=stance.depth_per_row / rows_kept,
        foot_row=stance.foot_row * rows_kept,
        cast=cast,
        footprint=footprint,
        person_gain=person_gain,
        plate_gain=plate_gain,
        sigma=sigma,
        focal=library.plates.focal.to_numpy()[recipes.plate] / scale[:, 1],
        noise_key=noise_key,
        level=np.clip(np.floor(np.log2(minified) + 0.5), 0, NUM_LEVELS - 1).astype(np.int64),
    )


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
        return _affine(linear, foot_px - np.einsum("nij,nj->ni", linear, canvas_foot))

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

    The frame shows the share `scale` [N, 2] of the plate's width and height about `centre`
    [N, 2], 0..1 in the plate, turned by `degrees` [N], moved by `shift` [N, 2] in frames.
    """
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    rotation = np.stack([np.stack([cos, -sin], 1), np.stack([sin, cos], 1)], axis=1)
    linear = rotation * scale[:, :, None]
    middle = np.full((len(degrees), 2), size / 2)
    return _affine(linear, size * (centre + shift) - np.einsum("nij,nj->ni", linear, middle))


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
    return _affine(linear, 2 * centre / src - 1)


def _affine(linear: np.ndarray, shift: np.ndarray) -> np.ndarray:
    return np.concatenate([linear, shift[:, :, None]], axis=2)
