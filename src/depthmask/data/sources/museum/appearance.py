"""What a person looks like: clothes, head and hair, things carried."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from depthmask.data.sources.museum.shapes import (
    Material,
    Part,
    box,
    ellipsoid,
    lathe,
    loft,
    moved,
    rotation,
    tube,
)
from depthmask.data.sources.museum.textures import choose, grid, hsv, mix, noise, shaded

if TYPE_CHECKING:
    from depthmask.data.sources.museum.people import Body

_SKINS = (
    (0.96, 0.80, 0.70),
    (0.87, 0.66, 0.52),
    (0.78, 0.57, 0.42),
    (0.66, 0.46, 0.33),
    (0.52, 0.35, 0.25),
    (0.34, 0.23, 0.18),
)
_HAIRS = (
    (0.07, 0.06, 0.06),
    (0.14, 0.09, 0.07),
    (0.26, 0.16, 0.10),
    (0.42, 0.27, 0.15),
    (0.78, 0.62, 0.40),
    (0.55, 0.22, 0.10),
    (0.62, 0.61, 0.60),
    (0.88, 0.87, 0.85),
)
_LEATHERS = (
    (0.08, 0.07, 0.07),
    (0.2, 0.12, 0.08),
    (0.4, 0.25, 0.13),
    (0.85, 0.84, 0.82),
    (0.5, 0.1, 0.1),
    (0.15, 0.2, 0.35),
)
_HEAD = np.array(  # height, half width, half depth, how far forward
    [
        (0.0, 0.1, 0.1, 0.16),
        (0.05, 0.18, 0.2, 0.14),
        (0.18, 0.26, 0.31, 0.08),
        (0.36, 0.31, 0.38, 0.04),
        (0.55, 0.33, 0.41, 0.01),
        (0.7, 0.335, 0.42, 0.0),
        (0.84, 0.3, 0.37, -0.01),
        (0.93, 0.22, 0.26, -0.02),
        (1.0, 0.01, 0.01, -0.02),
    ]
)


@dataclass(frozen=True)
class Outfit:
    """Materials of what is worn; lengths in statures over the floor."""

    skin: Material
    top: Material
    bottom: Material
    shoes: Material
    style: str  # trousers | shorts | skirt
    sleeve_length: int  # 0: none, 1: to the elbow, 2: long
    layer: Material | None  # a jacket or coat
    sleeve: Material
    coat_hem: float | None
    skirt_hem: float


def cloth_color(rng: np.random.Generator) -> np.ndarray:
    """Mostly neutrals, navy and earth; a third bright; some the white or grey of a wall."""
    kind = rng.random()
    if kind < 0.38:
        level = rng.uniform(0.06, 0.22) if kind < 0.2 else rng.uniform(0.55, 0.93)
        return level * rng.uniform(0.92, 1.06, 3)
    if kind < 0.52:
        return hsv(rng.normal(0.6, 0.03), rng.uniform(0.4, 0.7), rng.uniform(0.2, 0.55))
    if kind < 0.74:
        return hsv(rng.uniform(0.05, 0.14), rng.uniform(0.2, 0.55), rng.uniform(0.3, 0.8))
    return hsv(rng.random(), rng.uniform(0.3, 0.8), rng.uniform(0.3, 0.85))


def fabric(rng: np.random.Generator, plain_share: float = 0.45) -> Material:
    """A cloth: plain with a probability, else striped, checked, dotted or printed."""
    x, y = grid(64)
    color, second = cloth_color(rng), cloth_color(rng)
    if np.abs(second - color).sum() < 0.35:
        second = color + (0.5 if color.mean() < 0.5 else -0.4)
    weave = 1 + 0.04 * noise(rng, (64, 64), 6)
    if rng.random() < plain_share:
        return Material(shaded(color, weave), 0.5)
    patterns = (
        np.sin(4 * np.pi * y) > rng.uniform(-0.3, 0.6),
        np.sin(6 * np.pi * x) > rng.uniform(0, 0.8),
        0.5 * ((x * 2 % 1 < 0.4) * 1.0 + (y * 2 % 1 < 0.4)),
        np.hypot(x * 3 % 1 - 0.5, (y * 3 + 0.5 * (np.floor(x * 3) % 2)) % 1 - 0.5) < 0.27,
        noise(rng, (64, 64), int(rng.integers(3, 5))) * 7 - 0.5,
    )
    texture = mix(color, second, choose(rng, patterns)) * weave[..., None]
    return Material(texture, float(rng.uniform(0.16, 0.4)))


def leather(rng: np.random.Generator) -> Material:
    """For shoes and bags."""
    return Material(np.array(choose(rng, _LEATHERS)) * rng.uniform(0.85, 1.1), roughness=0.3)


def _open_jacket(rng: np.random.Generator, shirt: Material) -> tuple[Material, Material]:
    """A jacket's trunk, around and along it: the shirt shows at the front; and its sleeves."""
    x, y = grid(64)
    color, from_front = cloth_color(rng), np.abs(x - 0.25)
    wide = np.clip((0.65 - y) / 0.5, 0, 1)
    image = mix(color, color * 0.75, from_front < 0.03 + 0.11 * wide)
    image = mix(image, shirt.color.mean((0, 1)), from_front < 0.012 + 0.07 * wide)
    return Material(image), Material(color)


def draw_outfit(rng: np.random.Generator, feminine: float, skin: np.ndarray) -> Outfit:
    """Draw clothes; `feminine` in 0..1 is how likely skirts are."""
    style = str(rng.choice(["trousers", "shorts", "skirt"], p=_odds(0.55, 0.1, 0.5 * feminine)))
    top, bottom = fabric(rng), fabric(rng, 0.8 if style == "trousers" else 0.5)
    if style == "skirt" and rng.random() < 0.6:
        bottom = top
    layer, hem, sleeve = None, None, top
    if rng.random() < 0.34:
        if rng.random() < 0.45:
            layer = sleeve = fabric(rng, 0.75)
            hem = float(rng.uniform(0.22, 0.36))
        else:
            layer, sleeve = _open_jacket(rng, top)
    return Outfit(
        skin=Material(skin),
        top=top,
        bottom=bottom,
        shoes=leather(rng),
        style=style,
        sleeve_length=2 if layer is not None else int(rng.choice(3, p=[0.1, 0.4, 0.5])),
        layer=layer,
        sleeve=sleeve,
        coat_hem=hem,
        skirt_hem=0.05 if rng.random() < 0.15 else float(rng.uniform(0.15, 0.33)),
    )


def _odds(*weights: float) -> np.ndarray:
    return np.array(weights) / sum(weights)


def draw_skin_and_hair(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two sRGB colours."""
    skin, hair = np.array(choose(rng, _SKINS)), np.array(choose(rng, _HAIRS))
    return skin * rng.uniform(0.93, 1.05), hair * rng.uniform(0.9, 1.1)


def _face(rng: np.random.Generator, skin: np.ndarray, hair: np.ndarray, beard: bool) -> Material:
    """The head's skin around and from chin to crown, with the face at u = 1/4."""
    x, y = grid(96)
    v, u = 1 - y, np.abs(x - 0.25) * 2.4  # u about in head heights

    def inside(at_u: float, at_v: float, width: float, height: float) -> np.ndarray:
        return np.hypot((u - at_u) / width, (v - at_v) / height) < 1

    image = mix(
        shaded(skin, 1 + 0.02 * noise(rng, (96, 96))), skin * 0.8, inside(0.24, 0.38, 0.1, 0.08)
    )
    image = mix(image, [0.9, 0.88, 0.85], inside(0.19, 0.52, 0.09, 0.035))
    image = mix(image, [0.1, 0.08, 0.06], inside(0.19, 0.52, 0.045, 0.04))
    image = mix(image, hair * 0.8, inside(0.19, 0.6, 0.12, 0.018))
    if beard:
        image = mix(image, hair, (v < 0.36 + 0.1 * np.clip(u * 2 - 0.5, 0, 1)) & (u < 0.62))
    return Material(mix(image, skin * [0.85, 0.45, 0.42], inside(0, 0.27, 0.12, 0.025)))


def _skull(material: Material, unit_uv: bool) -> list[Part]:
    """A head one unit high from chin to crown, facing y, origin at the chin's height."""
    level = np.linspace(0, 1, 15)
    widths, depths, forward = (np.interp(level, _HEAD[:, 0], column) for column in _HEAD.T[1:])
    centers = np.stack([0 * level, forward, level], 1)
    axes = (1, 0, 0), (0, 1, 0)
    return [loft(centers, *axes, widths, depths, material, segments=18, unit_uv=unit_uv)]


def _hair(rng: np.random.Generator, material: Material) -> list[Part]:
    """Short, cropped, long or bobbed hair, a bun, curls, or none."""
    style = choose(rng, ("short", "short", "short", "long", "long", "bob", "bun", "curls", "bald"))
    if style == "bald":
        return []
    if style == "curls":
        return [ellipsoid((0, -0.1, 0.72), (0.5, 0.5, 0.46), material, rotation("x", 14))]
    size = rng.uniform(0.92, 1.0)
    radii = (0.37 * size, 0.465 * size, 0.4 * size)
    parts = [ellipsoid((0, -0.055, 0.68), radii, material, rotation("x", 10))]
    if style in ("long", "bob"):
        share = np.linspace(0, 1, 7)
        z = 0.75 + share * ((-0.55 if style == "long" else 0.02) - 0.75)
        centers = np.stack([0 * z, -0.17 - 0.08 * share, z], 1)
        widths = 0.37 + 0.05 * np.sin(np.pi * share) - 0.2 * (share == 1)
        parts.append(loft(centers, (1, 0, 0), (0, 1, 0), widths, 0.3 - 0.13 * share, material))
    if style == "bun":
        parts.append(ellipsoid((0, -0.42, 0.95), (0.18, 0.17, 0.17), material))
    return parts


def _hat(rng: np.random.Generator, material: Material) -> list[Part]:
    """A cap, a beanie, a brimmed hat or a head scarf."""
    kind = rng.integers(4)
    if kind == 0:
        brim = ellipsoid((0, 0.4, 0.76), (0.33, 0.35, 0.03), material, rotation("x", -8))
        return [ellipsoid((0, -0.02, 0.78), (0.385, 0.46, 0.32), material), brim]
    if kind == 1:
        return [ellipsoid((0, -0.03, 0.8), (0.4, 0.48, 0.36), material)]
    if kind == 2:
        width = rng.uniform(0.62, 0.85)
        profile = [(0.36, 0.74), (width, 0.72), (0.4, 0.79), (0.37, 1), (0.3, 1.12), (0.01, 1.1)]
        return [lathe(profile, material).moved((0, -0.03, 0))]
    cover = ellipsoid((0, -0.09, 0.55), (0.42, 0.47, 0.56), material, rotation("x", 8))
    folds = lathe([(0.3, 0.12), (0.42, 0.0), (0.62, -0.22), (0.66, -0.34), (0.5, -0.36)], material)
    return [cover, folds]


def _nose(material: Material) -> Part:
    return ellipsoid((0, 0.43, 0.42), (0.045, 0.075, 0.1), material)


def stone_head(rng: np.random.Generator, material: Material) -> list[Part]:
    """A carved head one unit high, all of one stone."""
    return [*_skull(material, False), _nose(material), *_hair(rng, material)]


def head_parts(
    rng: np.random.Generator, body: "Body", skin: np.ndarray, hair: np.ndarray
) -> list[Part]:
    """Neck and head, with hair or hat."""
    beard = rng.random() < 0.22 * (not body.child)
    locks = Material(shaded(hair, 1 + 0.25 * noise(rng, (32, 32))), 0.4)
    parts = [*_skull(_face(rng, skin, hair, beard), True), _nose(Material(skin))]
    parts += _hair(rng, locks) if rng.random() < 0.7 else _hat(rng, fabric(rng, 0.8))
    turn = rotation("z", float(np.clip(rng.normal(0, 22), -55, 55)))
    turn = turn @ rotation("x", float(rng.normal(-3, 7)))
    inside = body.head + turn @ np.array([0, -0.02, 0.3 * body.head_m])
    thick = 0.035 * body.stature * body.girth**0.6
    neck = tube([body.neck - [0, 0, 0.015], inside], [1.1 * thick, thick], Material(skin))
    return [neck, *moved(parts, body.head, turn, body.head_m)]


def carried_parts(rng: np.random.Generator, body: "Body", gesture: tuple[str, str]) -> list[Part]:
    """A book or a phone in both hands; a backpack, a bag in a hand or over a shoulder."""
    h, parts = body.stature, []
    middle, turn = body.hands.mean(0) + [0, 0.05, 0.05], rotation("x", 40)
    if gesture[0] == "read":
        width = rng.uniform(0.2, 0.32)
        parts.append(box(middle, (width, 0.22, 0.02), Material((0.9, 0.88, 0.82)), turn))
        cover = Material(cloth_color(rng))
        parts.append(box(middle - turn @ [0, 0, 0.02], (width + 0.02, 0.24, 0.02), cover, turn))
    elif gesture[0] == "phone":
        parts.append(box(middle, (0.16, 0.015, 0.085), Material((0.06, 0.06, 0.07))))
    kind = rng.random()
    if kind < 0.2:
        return parts + _backpack(rng, body)
    if kind < 0.5 and gesture[1] in ("down", "backward"):
        lowest = int(np.argmin(body.hands[:, 2]))
        grip = body.hands[lowest] - [0, 0, 0.05 * h]
        size = np.array([0.1, *rng.uniform(0.2, 0.34, 2)])
        size[2] = min(size[2], grip[2] - 0.2)
        bag = choose(rng, (fabric(rng), leather(rng)))
        handle = [grip + [0, -0.07, -0.1], grip, grip + [0, 0.07, -0.1]]
        parts.append(box(grip - [0, 0, 0.1 + size[2] / 2], size, bag))
        parts.append(tube(handle, [0.008] * 3, bag, segments=6))
    elif kind < 0.65:
        side, skin, front = int(rng.integers(2)), leather(rng), 0.1 * h * body.girth
        center = body.hips[side] + [(2 * side - 1) * 0.08 * h * body.girth, 0, 0.03 * h]
        over = 0.7 * body.shoulders[1 - side] + 0.3 * body.neck + [0, 0, 0.035 * h]
        ring = [center, 0.5 * (center + over) + [0, front, 0], over]
        ring += [0.5 * (center + over) - [0, front, 0], center]
        parts.append(box(center, (0.08, 0.26, 0.19), skin))
        parts.append(tube(ring, [0.01] * 5, skin, segments=6))
    return parts


def _backpack(rng: np.random.Generator, body: "Body") -> list[Part]:
    h, cloth, front = body.stature, fabric(rng, 0.7), 0.075 * body.stature * body.girth
    back = 0.5 * (body.chest + body.neck) + [0, -0.135 * h * body.girth, -0.03 * h]
    parts = [ellipsoid(back, (0.085 * h, 0.06 * h, 0.14 * h), cloth)]
    for side in (-1, 1):
        strap = [
            body.chest + [side * 0.075 * h, front, 0.0],
            body.neck + [side * 0.06 * h, 0.85 * front, -0.03 * h],
            body.neck + [side * 0.055 * h, -0.02 * h, 0.01 * h],
            back + [side * 0.05 * h, 0, 0.08 * h],
        ]
        parts.append(tube(strap, [0.011 * h] * 4, cloth, segments=6))
    return parts
