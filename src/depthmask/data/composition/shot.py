"""One shot of each sample: what its numbers make of the light, the lens, the sensor.

What varies follows the recipe of BackgroundMattingV2 (Lin et al. 2021, section 4), but every
strength is drawn per sample, not per batch.
"""

from typing import NamedTuple

import numpy as np

from depthmask.config import CompositorParams
from depthmask.data.composition import geometry
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
    noise_key: np.ndarray  # int64 [N], what the noise follows from
    level: np.ndarray  # int64 [N], the pyramid level whose pixels are nearest the frame's


def plan_shots(
    library: Library,
    params: CompositorParams,
    recipes: Recipes,
    *,
    size: int,
    canvas: tuple[int, int],
) -> Shots:
    """Work out the shots of N recipes at `size` px, where a canvas has (width, height) px."""
    p, num = params, len(recipes.plate)
    numbers = iter(recipes.uniforms.T)

    def signed() -> np.ndarray:
        return 2 * next(numbers) - 1

    def both_signed() -> np.ndarray:
        return np.stack([signed(), signed()], 1)

    def happens(probability: float) -> np.ndarray:
        return next(numbers) < probability

    def gains(gain: float, tint: float, on: np.ndarray) -> np.ndarray:
        colour = np.stack([signed(), signed(), signed()], 1) * tint + (signed() * gain)[:, None]
        return np.exp2(colour * on[:, None])

    stance = geometry.stances(library, recipes, size, both_signed())
    shadow = happens(p.shadow.p) * p.shadow.strength
    cast, footprint = next(numbers) * shadow, (0.4 + 0.6 * next(numbers)) * shadow

    cropped = happens(p.crop.p)
    zoom = np.where(cropped, 1 - (1 - p.crop.min_scale) * next(numbers), 1.0)
    stretch = np.where(cropped, p.crop.max_aspect ** (0.5 * signed()), 1.0)
    scale = np.minimum(np.stack([zoom * stretch, zoom / stretch], 1), 1.0)
    # leaning towards the person: a crop without anybody teaches little
    middle = (stance.foot_px + stance.head_px) / (2 * size)
    lean = np.clip(both_signed() + 0.5 * np.sign(middle - 0.5), -1, 1)
    centre = 0.5 + (1 - scale) / 2 * lean
    # a room in a mirror is another room, and everything in it stands where it should
    handed = scale * np.stack([np.where(happens(p.flipped), -1.0, 1.0), np.ones(num)], 1)
    frame = geometry.lens(handed, centre, np.zeros(num), np.zeros((num, 2)), size)
    moved = happens(p.plate_motion.p)
    shift = both_signed() * (p.plate_motion.shift * moved)[:, None]
    clean = geometry.lens(handed, centre, signed() * p.plate_motion.degrees * moved, shift, size)

    person_gain = gains(p.person_light.gain, p.person_light.tint, np.ones(num, bool))
    plate_gain = gains(p.plate_light.gain, p.plate_light.tint, happens(p.plate_light.p))
    noisy = happens(p.noise.p) * p.noise.sigma
    sigma = np.stack([next(numbers), next(numbers)], 1) * noisy[:, None]
    noise_key = (next(numbers) * 2.0**53).astype(np.int64) ^ (p.seed << 31)

    to_frame = geometry.inverse(frame)
    foot = geometry.apply(to_frame, stance.foot_px)
    radii = 2 * stance.px_per_metre[:, None] * np.array(_FOOTPRINT_M) / scale / size
    person = geometry.compose(geometry.inverse(stance.to_plate), frame)
    shadow_map = geometry.compose(geometry.inverse(stance.shadow_to_plate), frame)
    rows_kept = canvas[1] / library.rgba.shape[1]
    minified = np.sqrt(np.abs(np.linalg.det(person[:, :, :2]))) * rows_kept
    square, original = (size, size), (library.rgba.shape[2], library.rgba.shape[1])
    return Shots(
        frame=geometry.to_theta(frame, square, square),
        clean=geometry.to_theta(clean, square, square),
        person=geometry.to_theta(person, square, original),
        shadow=geometry.to_theta(shadow_map, square, original),
        contact=np.concatenate([2 * foot / size - 1, radii], 1),
        foot_m=stance.foot_m,
        slope=stance.depth_per_row / rows_kept,
        foot_row=stance.foot_row * rows_kept,
        cast=cast,
        footprint=footprint,
        person_gain=person_gain,
        plate_gain=plate_gain,
        sigma=sigma,
        noise_key=noise_key,
        level=np.clip(np.floor(np.log2(minified) + 0.5), 0, NUM_LEVELS - 1).astype(np.int64),
    )
