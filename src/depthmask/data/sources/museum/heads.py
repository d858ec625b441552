"""Heads: neck, face, ears, hair and hats."""

import numpy as np

from depthmask.data.sources.museum import clothes
from depthmask.data.sources.museum.materials import Material, noise, plain, textured
from depthmask.data.sources.museum.shapes import Part, ellipsoid, lathe, loft, rotation, tube
from depthmask.data.sources.museum.skeletons import Build, Skeleton

HAIRSTYLES = (
    "short",
    "short",
    "short",
    "crop",
    "long",
    "long",
    "bob",
    "bun",
    "ponytail",
    "afro",
    "bald",
    "fringe",
)
HATS = ("none",) * 11 + ("cap", "beanie", "brimmed", "beret", "scarf")

_LEVELS = np.array([0.0, 0.05, 0.18, 0.36, 0.55, 0.7, 0.84, 0.93, 0.985, 1.0])
_WIDTHS = np.array([0.1, 0.18, 0.26, 0.31, 0.33, 0.335, 0.3, 0.22, 0.1, 0.01])
_DEPTHS = np.array([0.1, 0.2, 0.31, 0.38, 0.41, 0.42, 0.37, 0.26, 0.12, 0.01])
_FORWARD = np.array([0.16, 0.14, 0.08, 0.04, 0.01, 0.0, -0.01, -0.02, -0.02, -0.02])


def _skull(material: Material, *, scale: float = 1.0, unit_uv: bool = True) -> Part:
    """A head one unit high from chin to crown, facing y, origin at the chin's height."""
    level = np.linspace(0, 1, 15)
    centers = np.stack([0 * level, np.interp(level, _LEVELS, _FORWARD), level], 1)
    widths, depths = np.interp(level, _LEVELS, _WIDTHS), np.interp(level, _LEVELS, _DEPTHS)
    return loft(
        centers,
        (1, 0, 0),
        (0, 1, 0),
        scale * widths,
        scale * depths,
        material,
        segments=18,
        unit_uv=unit_uv,
    )


def bust_head(material: Material, rng: np.random.Generator) -> list[Part]:
    """A carved head one unit high, with nose, ears and curls, all of one stone."""
    parts = [_skull(material, unit_uv=False), *_features(material)]
    curls = rng.random() < 0.6
    parts += _hair("afro" if curls else str(rng.choice(["short", "bun", "bob"])), material)
    return parts


def _features(material: Material) -> list[Part]:
    nose = ellipsoid((0, 0.43, 0.42), (0.045, 0.075, 0.1), material, rings=6, segments=8)
    ears = [
        ellipsoid((s * 0.33, 0, 0.46), (0.03, 0.06, 0.1), material, rings=6, segments=8)
        for s in (-1, 1)
    ]
    return [nose, *ears]


def _hair(style: str, material: Material) -> list[Part]:
    if style == "bald":
        return []
    if style == "crop":
        return [ellipsoid((0, -0.05, 0.68), (0.345, 0.43, 0.36), material, rotation("x", 12))]
    if style == "afro":
        return [ellipsoid((0, -0.1, 0.72), (0.5, 0.5, 0.46), material, rotation("x", 14))]
    cap = ellipsoid((0, -0.055, 0.68), (0.37, 0.465, 0.4), material, rotation("x", 10))
    parts = [cap]
    if style == "fringe":
        parts.append(ellipsoid((0, 0.28, 0.78), (0.28, 0.16, 0.13), material, rings=7))
    if style in ("long", "bob", "fringe"):
        drop = {"long": -0.55, "bob": 0.02, "fringe": 0.1}[style]
        z = np.linspace(0.75, drop, 7)
        share = np.linspace(0, 1, 7)
        centers = np.stack([0 * z, -0.17 - 0.08 * share, z], 1)
        widths = 0.37 + 0.05 * np.sin(np.pi * share) - 0.1 * (share == 1)
        depths = 0.3 - 0.13 * share
        parts.append(loft(centers, (1, 0, 0), (0, 1, 0), widths, depths, material))
        parts.append(ellipsoid((0, -0.25, drop), (0.27, 0.17, 0.07), material, rings=6))
    if style == "bun":
        parts.append(ellipsoid((0, -0.42, 0.95), (0.18, 0.17, 0.17), material))
    if style == "ponytail":
        tail = [(0, -0.42, 0.8), (0, -0.6, 0.72), (0, -0.63, 0.4), (0, -0.55, 0.05)]
        parts.append(tube(tail, [0.09, 0.12, 0.12, 0.05], material))
    return parts


def _hat(kind: str, rng: np.random.Generator) -> list[Part]:
    material = clothes.fabric(rng, clothes.cloth_color(rng), plainly=0.8)
    if kind == "cap":
        dome = ellipsoid((0, -0.02, 0.78), (0.385, 0.46, 0.32), material)
        brim = loft(
            np.array([[0, y, 0.8 - 0.1 * (y - 0.3)] for y in (0.3, 0.45, 0.6, 0.72, 0.74)]),
            (1, 0, 0),
            (0, 0, 1),
            [0.34, 0.35, 0.3, 0.18, 0.02],
            [0.02] * 5,
            material,
        )
        return [dome, brim]
    if kind == "beanie":
        parts = [ellipsoid((0, -0.03, 0.8), (0.4, 0.48, 0.36), material)]
        if rng.random() < 0.4:
            parts.append(ellipsoid((0, -0.03, 1.18), (0.1, 0.1, 0.1), material))
        return parts
    if kind == "beret":
        return [ellipsoid((0.08, -0.04, 0.98), (0.52, 0.54, 0.14), material, rotation("y", 10))]
    if kind == "brimmed":
        width = rng.uniform(0.62, 0.85)
        profile = [
            (0.36, 0.74),
            (width, 0.72),
            (width, 0.75),
            (0.4, 0.79),
            (0.37, 1.0),
            (0.33, 1.1),
            (0.2, 1.12),
            (0.01, 1.1),
        ]
        hat = lathe(profile, material)
        return [
            hat.moved((0, -0.03, 0)),
            ellipsoid((0, -0.03, 0.8), (0.385, 0.44, 0.05), clothes.leather(rng)),
        ]
    # a head scarf: over hair and neck, the face free
    cover = ellipsoid((0, -0.09, 0.55), (0.42, 0.47, 0.56), material, rotation("x", 8))
    folds = lathe([(0.3, 0.12), (0.42, 0.0), (0.62, -0.22), (0.66, -0.34), (0.5, -0.36)], material)
    return [cover, folds.moved((0, -0.02, 0))]


def head_parts(
    rng: np.random.Generator,
    build: Build,
    skeleton: Skeleton,
    skin: np.ndarray,
    hair: np.ndarray,
    neck_skin: Material,
) -> tuple[list[Part], float]:
    """Neck and head on a skeleton, in person coordinates, and the height of the top."""
    style = HAIRSTYLES[rng.integers(len(HAIRSTYLES))]
    hat = HATS[rng.integers(len(HATS))]
    locks = textured(hair * (1 + 0.25 * noise(rng, (32, 32), 4)[..., None]), (0.3, 0.6))
    unit = [_skull(clothes.face(rng, skin, hair, child=build.child)), *_features(plain(skin))]
    if hat == "scarf":
        style = "bald"
    elif hat != "none" and style in ("afro", "bun"):
        style = "bob"
    unit += _hair(style, locks)
    if hat != "none":
        unit += _hat(hat, rng)
    scale = build.head
    turn = rotation("z", skeleton.head_turn_degrees) @ rotation("x", float(rng.normal(-3, 7)))
    parts = [
        Part(
            p.vertices * scale,
            p.faces,
            p.uv if p.material.tile_m == (1.0, 1.0) else p.uv * scale,
            p.material,
            p.normals,
        ).moved(skeleton.head, turn)
        for p in unit
    ]
    top = max(part.vertices[:, 2].max() for part in parts)
    base = skeleton.neck + [0, -0.004 * build.stature, -0.015 * build.stature]
    inside = skeleton.head + turn @ np.array([0, -0.02, 0.3 * scale])
    thick = 0.034 * build.stature * build.girth**0.6
    parts.append(
        tube([base, 0.5 * (base + inside), inside], [1.1 * thick, thick, thick], neck_skin)
    )
    return parts, float(top)
