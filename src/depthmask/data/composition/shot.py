"""One shot of each sample: where person, shadow and lens fall, and the light and the sensor.

What varies follows the recipe of BackgroundMattingV2 (Lin et al. 2021, section 4), but every
strength is drawn per sample, not per batch.

An affine map is float64 [N, 2, 3] and takes (u, v, 1) to (u, v), in pixels of a frame or plate
`size` high or of a cutout's canvas.
"""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from depthmask.config import CompositorParams
from depthmask.data.scenes.library import Library
from depthmask.data.scenes.placement import Recipes

NUM_LEVELS, NUM_LAMPS = 3, 2  # of a cutout's pyramid; above each person
_LAMP_ASIDE_M = 3.5  # from above a person to a lamp, at most, both to the right and away
_LAMP_LOW_M, _LAMP_HIGHER_M = 2.0, 2.5  # the lowest lamp's height over the floor, and the range


class Figure(NamedTuple):
    """A person in M of the samples; places are in the camera's coordinates, metres."""

    rows: np.ndarray  # int64 [M], the samples
    recipes: Recipes  # of M
    person: np.ndarray  # theta from the frame to the cutout's canvas
    level: np.ndarray  # int64 [M], the pyramid level whose pixels are nearest the frame's
    foot: np.ndarray  # [M, 3], where they stand
    slope: np.ndarray  # [M], change of depth per canvas row upwards, at this size
    foot_row: np.ndarray  # [M], the foot's canvas row, at this size
    per_metre: np.ndarray  # [M, 2], canvas widths to the right, and heights down, of a metre
    foot_at: np.ndarray  # [M, 2], the foot in the canvas, both axes -1 to 1
    gain: np.ndarray  # [M, 3], factors on the colours


class Shots(NamedTuple):
    """N samples; the maps are `affine_grid` thetas [N, 2, 3] from the frame. What belongs to a
    picture is [N, 2, ...], for bg and bg_fg."""

    frame: np.ndarray  # to the plate, for bg_fg
    clean: np.ndarray  # to the plate, for bg: the camera may have moved
    focal: np.ndarray  # [N], the lens's focal length in heights of the frame
    up: np.ndarray  # [N, 3], away from the floor
    lamps: np.ndarray  # [N, NUM_LAMPS, 3], in the camera's coordinates, metres
    cast: np.ndarray  # [N, NUM_LAMPS], the share of the light that is each lamp's
    contact: np.ndarray  # [N], the share of the light that is missing at a foot
    gain: np.ndarray  # [N, 2, 3], factors on the colours
    gamma: np.ndarray  # [N, 2], exponent of the values
    blur_px: np.ndarray  # [N, 2], standard deviation; 0: none
    sigma: np.ndarray  # [N, 2], the sensor noise's standard deviation in what is white
    quality: np.ndarray  # [N, 2], of the JPEG; 100: none
    noise_key: np.ndarray  # int64 [N], what the noise follows from
    figures: list[Figure]


class Stance(NamedTuple):
    """How the placed people stand in their plates, before any crop."""

    to_plate: np.ndarray  # map of canvas pixels to plate pixels
    foot_px: np.ndarray  # [N, 2], in the plate
    head_px: np.ndarray  # [N, 2], the point a height above the foot
    foot: np.ndarray  # [N, 3], where they stand, in the camera's coordinates
    depth_per_row: np.ndarray  # [N], change of depth per canvas row upwards


def plan_shots(
    library: Library,
    p: CompositorParams,
    recipes: Recipes,
    *,
    size: int,
    canvas_rows: int,
    others: Recipes | None = None,
) -> Shots:
    """Work out the shots of N recipes at `size` px, where a canvas has `canvas_rows`; `others` are
    somebody else in the same rooms, or nobody."""
    num = len(recipes.plate)
    numbers = iter(recipes.uniforms.T)

    def draw(*shape: int) -> np.ndarray:
        """float64 [N, *shape] in [0, 1)."""
        drawn = np.stack([next(numbers) for _ in range(math.prod(shape))], 1)
        return drawn.reshape(num, *shape)

    def signed(*shape: int) -> np.ndarray:
        return 2 * draw(*shape) - 1

    def happens(probability: float, *shape: int) -> np.ndarray:
        return draw(*shape) < probability

    stance = stances(library, recipes, size)
    up = _rows(library.plates, ["up_x", "up_y", "up_z"], recipes.plate)
    right, away = np.array([1.0, 0.0, 0.0]), horizontal(np.array([0.0, 0.0, 1.0]), up)
    aside, behind, height_m = signed(NUM_LAMPS), signed(NUM_LAMPS), draw(NUM_LAMPS)
    lamps = stance.foot[:, None] + (
        _LAMP_ASIDE_M * (aside[..., None] * right + behind[..., None] * away[:, None])
        + (_LAMP_LOW_M + _LAMP_HIGHER_M * height_m[..., None]) * up[:, None]
    )
    shadow = happens(p.shadow.p, 1) * p.shadow.strength
    cast, contact = draw(NUM_LAMPS) * shadow, (0.4 + 0.6 * draw()) * shadow[:, 0]

    cropped = happens(p.crop.p)
    zoom = np.where(cropped, 1 - (1 - p.crop.min_scale) * draw(), 1.0)
    stretch = np.where(cropped, p.crop.max_aspect ** (0.5 * signed()), 1.0)
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
    clean = lens(handed, centre, signed() * p.plate_motion.degrees * moved, shift, size)

    relit = happens(p.plate_light.p, 1)
    light = (signed(3) * p.plate_light.tint + signed(1) * p.plate_light.gain) * relit
    gain = np.exp2(np.stack([light, np.zeros_like(light)], 1))
    gain = gain * np.exp2(signed(2, 1) * p.camera.gain * happens(p.camera.p, 1, 1))
    gamma = np.exp2(signed(2) * p.camera.gamma * happens(p.camera.p, 1))
    blur_px = draw(2) * p.camera.blur * happens(p.camera.p, 2) * size / 96
    worst = happens(p.camera.p, 2) * (100 - p.camera.jpeg)
    quality = 100 - draw(2) * worst
    sigma = draw(2) * p.noise.sigma * happens(p.noise.p, 1)
    noise_key = (draw() * 2.0**53).astype(np.int64) ^ (p.seed << 31)

    square, figures = (size, size), []
    for people in (recipes, others):
        if people is not None and len(rows := np.flatnonzero(~people.nobody)):
            figures.append(_figure(library, p, people.take(rows), rows, frame, size, canvas_rows))
    return Shots(
        frame=to_theta(frame, square, square),
        clean=to_theta(clean, square, square),
        focal=library.plates.focal.to_numpy()[recipes.plate] / scale[:, 1],
        up=up,
        lamps=lamps,
        cast=cast,
        contact=contact,
        gain=gain,
        gamma=gamma,
        blur_px=blur_px,
        sigma=sigma,
        quality=quality,
        noise_key=noise_key,
        figures=figures,
    )


def _figure(
    library: Library,
    p: CompositorParams,
    recipes: Recipes,
    rows: np.ndarray,
    frame: np.ndarray,
    size: int,
    canvas_rows: int,
) -> Figure:
    stance = stances(library, recipes, size)
    person = compose(inverse(stance.to_plate), frame[rows])
    original = np.array([library.rgba.shape[2], library.rgba.shape[1]])
    rows_kept = canvas_rows / original[1]
    minified = np.sqrt(np.abs(np.linalg.det(person[:, :, :2]))) * rows_kept
    foot = _rows(library.cutouts, ["foot_u", "foot_v"], recipes.cutout)
    px = 1 / _rows(library.cutouts, ["metres_per_px"], recipes.cutout)
    across = np.stack([np.where(recipes.mirrored, -1.0, 1.0), -np.ones(len(rows))], 1)
    tint, gain = 2 * recipes.uniforms[:, -4:-1] - 1, 2 * recipes.uniforms[:, -1:] - 1
    return Figure(
        rows=rows,
        recipes=recipes,
        person=to_theta(person, (size, size), (original[0], original[1])),
        level=np.clip(np.floor(np.log2(minified) + 0.5), 0, NUM_LEVELS - 1).astype(np.int64),
        foot=stance.foot,
        slope=stance.depth_per_row / rows_kept,
        foot_row=foot[:, 1] * rows_kept,
        per_metre=across * px * 2 / original,
        foot_at=2 * foot / original - 1,
        gain=np.exp2(tint * p.person_light.tint + gain * p.person_light.gain),
    )


def stances(library: Library, recipes: Recipes, size: int) -> Stance:
    """Project each placed cutout into its plate of `size` px."""
    focal = _rows(library.plates, ["focal"], recipes.plate)
    up = _rows(library.plates, ["up_x", "up_y", "up_z"], recipes.plate)
    foot = np.asarray(library.stands[recipes.plate, recipes.stand], np.float64)
    height_m = _rows(library.cutouts, ["height_m"], recipes.cutout)
    metres_per_px = library.cutouts.metres_per_px.to_numpy()[recipes.cutout]
    canvas_foot = _rows(library.cutouts, ["foot_u", "foot_v"], recipes.cutout)

    def project(points: np.ndarray) -> np.ndarray:
        return size * (focal * points[:, :2] / np.maximum(points[:, 2:], 0.3) + 0.5)

    foot_px, head_px = project(foot), project(foot + height_m * up)
    middle_m = foot[:, 2] + 0.5 * height_m[:, 0] * up[:, 2]
    across = np.zeros_like(foot_px)
    across[:, 0] = size * focal[:, 0] / np.maximum(middle_m, 0.3) * metres_per_px
    across *= np.where(recipes.mirrored, -1.0, 1.0)[:, None]
    rows = height_m / metres_per_px[:, None]  # canvas pixels from foot to head
    linear = np.stack([across, (foot_px - head_px) / rows], axis=2)
    return Stance(
        to_plate=_affine(linear, foot_px - np.einsum("nij,nj->ni", linear, canvas_foot)),
        foot_px=foot_px,
        head_px=head_px,
        foot=foot,
        depth_per_row=up[:, 2] * metres_per_px,
    )


def _rows(table: pd.DataFrame, columns: list[str], rows: np.ndarray) -> np.ndarray:
    """[N, columns], a tenth of the time that pandas takes to pick rows of a table with strings."""
    return np.stack([table[name].to_numpy()[rows] for name in columns], 1)


def horizontal(directions: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Directions [N, 3] less their part along `up`, unit vectors over the floor."""
    flat = directions - (directions * up).sum(-1, keepdims=True) * up
    return flat / np.maximum(np.linalg.norm(flat, axis=-1, keepdims=True), 1e-6)


def lens(
    scale: np.ndarray, centre: np.ndarray, degrees: np.ndarray, shift: np.ndarray, size: int
) -> np.ndarray:
    """Map frame pixels to plate pixels, both `size` high.

    The frame shows the share `scale` [N, 2] of the plate's width and height about `centre`
    [N, 2], 0..1 in the plate, turned by `degrees` [N], moved by `shift` [N, 2] in frames.
    """
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    rotation = np.stack([np.stack([cos, -sin], 1), np.stack([sin, cos], 1)], axis=1)
    linear = rotation * scale[:, None, :]
    middle = np.full((len(degrees), 2), size / 2)
    return _affine(
        linear, size * (centre + scale * shift) - np.einsum("nij,nj->ni", linear, middle)
    )


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
