"""Visitors: a skeleton, flesh, clothes, hair and what they carry, as meshes.

Person coordinates as in `skeletons`: feet on z = 0 around the origin, facing y.
"""

from dataclasses import dataclass

import numpy as np

from depthmask.data.sources.museum import clothes, heads
from depthmask.data.sources.museum.carried import carried_parts
from depthmask.data.sources.museum.materials import Material
from depthmask.data.sources.museum.outfits import Outfit, draw_outfit, plain_of
from depthmask.data.sources.museum.shapes import Part, loft, rotation, tube
from depthmask.data.sources.museum.skeletons import (
    GESTURES,
    Build,
    Skeleton,
    draw_build,
    draw_skeleton,
)

_STREAM = 2
CANVAS_M = 2.2
"""Height that a cutout's canvas covers at the person's axis."""

FOOT_MARGIN_M = 0.13
"""Of that, below the feet."""

STUDIO_DISTANCE_M = 5.0
MAX_HEIGHT_M = 2.02
MAX_RADIUS_M = 0.74


@dataclass(frozen=True)
class Person:
    """A person's meshes; `height_m` is to the top of hair or hat."""

    parts: list[Part]
    height_m: float


def draw_person(seed: int) -> Person:
    """The person of a seed: always the same body, pose and clothes."""
    for attempt in range(24):
        rng = np.random.default_rng([_STREAM, seed, attempt])
        gesture = GESTURES[rng.integers(len(GESTURES))] if attempt < 20 else "relaxed"
        parts, height = _build_person(rng, gesture)
        vertices = np.concatenate([part.vertices for part in parts])
        radius = np.hypot(vertices[:, 0], vertices[:, 1]).max()
        if radius <= MAX_RADIUS_M and _seen_height(vertices) <= MAX_HEIGHT_M:
            break
    return Person(parts, height)


def _seen_height(vertices: np.ndarray) -> float:
    """Height on the canvas, whatever way the person is turned: what is nearer looks taller."""
    eye = CANVAS_M / 2 - FOOT_MARGIN_M
    nearest = STUDIO_DISTANCE_M - np.hypot(vertices[:, 0], vertices[:, 1])
    return float(np.max(eye + (vertices[:, 2] - eye) * STUDIO_DISTANCE_M / nearest))


def _build_person(rng: np.random.Generator, gesture: str) -> tuple[list[Part], float]:
    build = draw_build(rng)
    skeleton = draw_skeleton(rng, build, gesture)
    skin_color = np.array(clothes.SKINS[rng.integers(len(clothes.SKINS))]) * rng.uniform(0.93, 1.05)
    hair_color = np.array(clothes.HAIRS[rng.integers(len(clothes.HAIRS))]) * rng.uniform(0.9, 1.1)
    outfit = draw_outfit(rng, build, skin_color)
    parts = _trunk(build, skeleton, outfit) + _legs(build, skeleton, outfit)
    parts += _arms(build, skeleton, outfit)
    head, height = heads.head_parts(rng, build, skeleton, skin_color, hair_color, outfit.skin)
    parts += head + carried_parts(rng, build, skeleton, gesture)
    lowest = min(part.vertices[:, 2].min() for part in parts)
    return [part.moved((0, 0, -lowest)) for part in parts], float(height - lowest)


def _trunk(build: Build, skeleton: Skeleton, outfit: Outfit) -> list[Part]:
    h, g, belly = build.stature, build.girth, build.belly
    pelvis, chest, neck = skeleton.pelvis, skeleton.chest, skeleton.neck
    across = skeleton.shoulders[1] - skeleton.shoulders[0]
    half = 0.5 * np.linalg.norm(across)
    waist = 0.45 * pelvis + 0.55 * chest
    heights = np.array([-0.055, -0.02, 0.02])
    low = [pelvis + [0, 0, d * h] for d in heights]
    rings = [
        *low,
        waist,
        chest,
        0.35 * chest + 0.65 * neck,
        neck + [0, 0, -0.02 * h],
        neck + [0, 0, 0.004 * h],
        neck + [0, 0, 0.018 * h],
    ]
    hip = 0.092 * h * build.hips * g
    widths = [
        0.8 * hip,
        hip,
        0.98 * hip,
        0.076 * h * g * belly**0.6,
        0.088 * h * g,
        1.06 * half,
        1.08 * half,
        0.8 * half,
        0.4 * half,
    ]
    depths = np.array(
        [0.056, 0.073, 0.07, 0.06 * belly**1.3, 0.068 * belly**0.4, 0.062, 0.05, 0.038, 0.03]
    )
    depths = depths * h * g
    lateral = across / np.linalg.norm(across)
    fractions = np.linspace(0, 1, len(rings))[:, None]
    axis_u = (1 - fractions) * [1, 0, 0] + fractions * lateral
    axis_u /= np.linalg.norm(axis_u, axis=1, keepdims=True)
    axis_v = np.cross([0, 0, 1], axis_u)
    fine = np.linspace(0, len(rings) - 1, 2 * len(rings) - 1)
    index = np.arange(len(rings))

    def smooth(values: np.ndarray) -> np.ndarray:
        values = np.asarray(values, float).reshape(len(rings), -1)
        return np.stack([np.interp(fine, index, column) for column in values.T], 1)

    centers, axes = smooth(np.array(rings)), (smooth(axis_u), smooth(axis_v))
    widths, depths = smooth(np.array(widths))[:, 0], smooth(depths)[:, 0]
    split = 5  # the belt
    lower = slice(0, split + 1)
    under_bottom = outfit.bottom
    parts = [
        loft(
            centers[lower],
            axes[0][lower],
            axes[1][lower],
            widths[lower],
            depths[lower],
            under_bottom,
            squareness=0.2,
        ),
        loft(
            centers[split - 1 :],
            axes[0][split - 1 :],
            axes[1][split - 1 :],
            1.02 * widths[split - 1 :],
            1.02 * depths[split - 1 :],
            outfit.top,
            squareness=0.25,
        ),
    ]
    if outfit.layer is not None:
        part = slice(1, None)
        parts.append(
            loft(
                centers[part],
                axes[0][part],
                axes[1][part],
                1.07 * widths[part] + 0.006,
                1.1 * depths[part] + 0.008,
                outfit.layer,
                squareness=0.3,
                unit_uv=outfit.coat_hem is None,
            )
        )
    return parts


def _drape(
    skeleton: Skeleton,
    top_z: float,
    hem_z: float,
    width: float,
    flare: float,
    material: Material,
    h: float,
) -> Part:
    """A skirt: rings that go around both legs at every height."""
    heights = np.linspace(top_z, hem_z, 9)
    centers, widths, depths = [], [], []
    for z in heights:
        xy = []
        for hip, knee, ankle in zip(skeleton.hips, skeleton.knees, skeleton.ankles, strict=True):
            zs = [ankle[2], knee[2], hip[2]]
            xy.append([np.interp(z, zs, [ankle[k], knee[k], hip[k]]) for k in (0, 1)])
        xy = np.array(xy)
        share = (top_z - z) / max(top_z - hem_z, 1e-6)
        centers.append([*xy.mean(0), z])
        margin = width * (0.52 + 0.2 * share) + flare * share
        widths.append(max(np.ptp(xy[:, 0]) / 2 + margin, width * (1.05 if share < 0.2 else 0)))
        depths.append(np.ptp(xy[:, 1]) / 2 + 0.85 * margin + 0.01 * h)
    return loft(np.array(centers), (1, 0, 0), (0, 1, 0), widths, depths, material, segments=20)


def _legs(build: Build, skeleton: Skeleton, outfit: Outfit) -> list[Part]:
    h, g = build.stature, build.girth
    bare = outfit.style in ("skirt", "dress")
    cloth = outfit.skin if bare else outfit.bottom
    loose = 1.0 if bare else 1.12
    parts = []
    for index in range(2):
        hip, knee, ankle = skeleton.hips[index], skeleton.knees[index], skeleton.ankles[index]
        thigh = np.array([0.051, 0.047, 0.037, 0.033]) * h * g * loose
        points = [hip + t * (knee - hip) for t in (0, 0.35, 0.8, 1)]
        shin = np.array([0.033, 0.034, 0.026, 0.021 * (1.15 if not bare else 1)]) * h * g * loose
        calf = [
            knee + t * (ankle - knee) + [0, b * h, 0]
            for t, b in ((0, 0), (0.3, -0.008), (0.7, -0.004), (1, 0))
        ]
        lower = outfit.skin if outfit.style == "shorts" else cloth
        parts += [
            tube(points, thigh, cloth),
            tube(calf, shin * (0.88 if lower is not cloth else 1), lower),
        ]
        parts += _foot(build, skeleton, index, outfit)
        if outfit.boots:
            boot = [ankle + t * (knee - ankle) for t in (0, 0.3, 0.6)]
            parts.append(tube(boot, np.array([0.029, 0.034, 0.039]) * h * g * loose, outfit.shoes))
    pelvis_width = 0.094 * h * build.hips * g
    if outfit.style in ("skirt", "dress", "gown"):
        top = skeleton.pelvis[2] + 0.07 * h
        parts.append(
            _drape(
                skeleton,
                top,
                outfit.skirt_hem * h,
                pelvis_width,
                outfit.flare * h,
                outfit.bottom,
                h,
            )
        )
    if outfit.coat_hem is not None:
        top = skeleton.pelvis[2] + 0.08 * h
        parts.append(
            _drape(
                skeleton,
                top,
                outfit.coat_hem * h,
                1.12 * pelvis_width + 0.012,
                0.03 * h,
                outfit.layer,
                h,
            )
        )
    return parts


def _foot(build: Build, skeleton: Skeleton, index: int, outfit: Outfit) -> list[Part]:
    h, ankle = build.stature, skeleton.ankles[index]
    turn = rotation("z", skeleton.toes_out_degrees[index] * (1 if index == 0 else -1))
    if skeleton.lifted_heel == index:
        turn = turn @ rotation("x", -32)
    lengths = np.array([-0.045, -0.04, -0.01, 0.03, 0.065, 0.095, 0.108]) * h
    heights = np.array([0.02, 0.034, 0.042, 0.032, 0.022, 0.016, 0.008]) * h
    widths = np.array([0.008, 0.022, 0.025, 0.027, 0.03, 0.026, 0.008]) * h
    floor = -0.045 * h
    centers = np.stack([np.zeros(7), lengths, floor + heights / 2 + 0.002], 1)
    shoe = loft(
        centers,
        (1, 0, 0),
        (0, 0, 1),
        widths,
        heights / 2 + 0.004,
        outfit.shoes,
        segments=10,
        squareness=0.35,
    )
    joint = tube([(0, 0, -0.02 * h), (0, -0.005, 0.03 * h)], [0.022 * h, 0.021 * h], outfit.shoes)
    return [shoe.moved(ankle, turn), joint.moved(ankle, turn)]


def _arms(build: Build, skeleton: Skeleton, outfit: Outfit) -> list[Part]:
    h, g = build.stature, build.girth
    sleeve = outfit.top if outfit.layer is None else plain_of(outfit.layer)
    loose = 1.22 if outfit.layer is not None else 1.1
    parts = []
    for shoulder, elbow, hand, side in zip(
        skeleton.shoulders, skeleton.elbows, skeleton.hands, (-1, 1), strict=True
    ):
        upper = outfit.skin if outfit.sleeves == "none" else sleeve
        lower = sleeve if outfit.sleeves == "long" else outfit.skin
        points = [shoulder + t * (elbow - shoulder) for t in (0, 0.3, 0.75, 1)]
        radii = np.array([0.031, 0.03, 0.026, 0.024]) * h * g
        parts.append(tube(points, radii * (loose if upper is sleeve else 1), upper))
        fore = [elbow + t * (hand - elbow) for t in (0, 0.3, 0.8, 1)]
        radii = np.array([0.025, 0.026, 0.02, 0.017]) * h * g
        parts.append(tube(fore, radii * (loose if lower is sleeve else 1), lower))
        along = (hand - elbow) / np.linalg.norm(hand - elbow)
        palm = [hand + t * h * along for t in (0.0, 0.028, 0.055, 0.075)]
        parts.append(
            tube(
                palm,
                np.array([0.013, 0.019, 0.018, 0.011]) * h,
                outfit.skin,
                flatness=0.5,
                side=(0, 1, 0.2),
            )
        )
        thumb = np.cross(along, [side, 0, 0])
        tip = hand + 0.04 * h * along + 0.028 * h * thumb / max(np.linalg.norm(thumb), 0.2)
        parts.append(
            tube([hand + 0.01 * h * along, tip], [0.009 * h, 0.007 * h], outfit.skin, segments=6)
        )
    return parts
