"""What a person looks like: clothes, head and hair, things carried."""

from typing import NamedTuple

import numpy as np

from depthmask.data.sources.museum.shapes import (
    Material,
    Part,
    box,
    ellipsoid,
    loft,
    moved,
    rotation,
    tube,
)
from depthmask.data.sources.museum.textures import (
    choose,
    grid,
    hsv,
    mix,
    mottled,
    noise,
    patterned,
    shaded,
)

_HAIR_COLORS = ((0.08, 0.06, 0.06), (0.26, 0.16, 0.1), (0.5, 0.28, 0.14), (0.78, 0.64, 0.42))
_LEATHERS = ((0.08, 0.07, 0.07), (0.3, 0.18, 0.1), (0.85, 0.84, 0.82), (0.5, 0.1, 0.1))
_HEAD_LEVELS = (0, 0.05, 0.18, 0.36, 0.55, 0.7, 0.84, 0.93, 1)  # from the chin, a head's height
_HEAD_PROFILE = (  # half the width and the depth there, and how far forward
    (0.1, 0.18, 0.26, 0.31, 0.33, 0.335, 0.3, 0.22, 0.01),
    (0.1, 0.2, 0.31, 0.38, 0.41, 0.42, 0.37, 0.26, 0.01),
    (0.16, 0.14, 0.08, 0.04, 0.01, 0.0, -0.01, -0.02, -0.02),
)


class Body(NamedTuple):
    """Proportions and joints, metres: [3] in the middle, else [2, 3], left and right."""

    stature: float
    head_m: float
    girth: float  # 1 on average
    width: float  # of the hips, 1 on average
    child: bool
    seat_m: float  # over the floor; 0: stands
    pelvis: np.ndarray
    chest: np.ndarray
    neck: np.ndarray
    head: np.ndarray
    shoulders: np.ndarray
    elbows: np.ndarray
    hands: np.ndarray
    hips: np.ndarray
    knees: np.ndarray
    ankles: np.ndarray


class Outfit(NamedTuple):
    """What is worn; hems in statures over the floor."""

    skin: Material
    top: Material
    bottom: Material
    shoes: Material
    style: str  # trousers | shorts | skirt
    sleeves: int  # 0: none, 1: to the elbow, 2: long
    coat: Material | None
    coat_hem: float | None
    skirt_hem: float


def _cloth_color(rng: np.random.Generator) -> np.ndarray:
    """Mostly neutrals, navy and earth; a third bright; some the white or grey of a wall."""
    kind = rng.random()
    if kind < 0.38:
        level = rng.uniform(0.06, 0.22) if kind < 0.2 else rng.uniform(0.55, 0.93)
        return level * rng.uniform(0.92, 1.06, 3)
    if kind < 0.52:
        return hsv(rng.normal(0.6, 0.03), rng.uniform(0.4, 0.7), rng.uniform(0.2, 0.55))
    hue = rng.uniform(0.05, 0.14) if kind < 0.74 else rng.random()
    return hsv(hue, rng.uniform(0.2, 0.8), rng.uniform(0.3, 0.85))


def fabric(rng: np.random.Generator, plain_share: float) -> Material:
    """A cloth: plain or faded with a probability, else striped, checked, dotted or printed."""
    color, second = _cloth_color(rng), _cloth_color(rng)
    if np.abs(second - color).sum() < 0.35:
        second = color + (0.5 if color.mean() < 0.5 else -0.4)
    if rng.random() < plain_share:
        texture = mottled(rng, color, choose(rng, (0.05, 0.1, 0.5)))  # smooth, woven, or as denim
    else:
        texture = patterned(rng, color, second)
    return Material(texture, float(rng.uniform(0.16, 0.5)))


def draw_outfit(rng: np.random.Generator, feminine: float, skin: np.ndarray) -> Outfit:
    """Draw clothes; `feminine` in 0..1 makes skirts more likely."""
    style = str(rng.choice(["trousers", "shorts", "skirt"], p=np.array([7, 1, 2]) / 10))
    if rng.random() < 0.5 * feminine:
        style = "skirt"
    top, bottom = fabric(rng, 0.45), fabric(rng, 0.8 if style == "trousers" else 0.5)
    if style == "skirt" and rng.random() < 0.6:
        bottom = top
    coat = fabric(rng, 0.75) if rng.random() < 0.34 else None
    return Outfit(
        skin=Material(skin),
        top=top,
        bottom=bottom,
        shoes=Material(choose(rng, _LEATHERS), roughness=0.3),
        style=style,
        sleeves=2 if coat else int(rng.choice(3, p=[0.1, 0.4, 0.5])),
        coat=coat,
        coat_hem=float(rng.uniform(0.22, 0.36)) if coat and rng.random() < 0.5 else None,
        skirt_hem=0.05 if rng.random() < 0.3 else float(rng.uniform(0.15, 0.33)),
    )


def _face(rng: np.random.Generator, skin: np.ndarray, hair: np.ndarray, beard: bool) -> Material:
    """The head's skin around and from chin to crown, with the face at u = 1/4."""
    x, y = grid(96)
    v, u = 1 - y, np.abs(x - 0.25) * 2.4  # u about in head heights
    image = shaded(skin, 1 + 0.02 * noise(rng, (96, 96)))
    for color, at_u, at_v, width, height in (
        ([0.9, 0.88, 0.85], 0.19, 0.52, 0.09, 0.035),
        ([0.1, 0.08, 0.06], 0.19, 0.52, 0.045, 0.04),
        (hair * 0.8, 0.19, 0.6, 0.12, 0.018),
        (skin * [0.85, 0.45, 0.42], 0, 0.27, 0.12, 0.025),
    ):
        image = mix(image, color, np.hypot((u - at_u) / width, (v - at_v) / height) < 1)
    if beard:
        image = mix(image, hair, (v < 0.36 + 0.1 * np.clip(u * 2 - 0.5, 0, 1)) & (u < 0.62))
    return Material(image)


def _bare_head(rng: np.random.Generator, skin: Material, hair: Material) -> list[Part]:
    """A head one unit high, facing y, origin at the chin's height: bald or with some hair."""
    level = np.linspace(0, 1, 15)
    widths, depths, forward = (np.interp(level, _HEAD_LEVELS, row) for row in _HEAD_PROFILE)
    centers = np.stack([0 * level, forward, level], 1)
    parts = [loft(centers, [widths, depths], skin, segments=18, unit_uv=True)]
    parts.append(ellipsoid((0, 0.43, 0.42), (0.045, 0.075, 0.1), skin))
    style = choose(rng, ("short", "short", "short", "long", "long", "bob", "bun", "curls", "bald"))
    size = {"curls": 1.2, "bald": 0.0}.get(style, rng.uniform(0.92, 1.0))
    if size:
        radii = np.array([0.37, 0.465, 0.4]) * size
        parts.append(ellipsoid((0, -0.055, 0.68), radii, hair, rotation("x", 10)))
    if style in ("long", "bob"):
        share = np.linspace(0, 1, 7)
        z = 0.75 + share * (-1.3 if style == "long" else -0.73)
        centers = np.stack([0 * z, -0.17 - 0.08 * share, z], 1)
        widths = 0.37 + 0.05 * np.sin(np.pi * share) - 0.2 * (share == 1)
        parts.append(loft(centers, [widths, 0.3 - 0.13 * share], hair))
    if style == "bun":
        parts.append(ellipsoid((0, -0.42, 0.95), (0.18, 0.17, 0.17), hair))
    return parts


def head_parts(rng: np.random.Generator, body: Body, skin: np.ndarray) -> list[Part]:
    """Neck and head, with hair and sometimes a hat: a cap, a beanie, a brimmed one."""
    hair = np.array(choose(rng, _HAIR_COLORS)) * rng.uniform(0.9, 1.1)
    if rng.random() < 0.2:
        hair = rng.uniform(0.6, 0.9) * np.ones(3)
    face = _face(rng, skin, hair, rng.random() < 0.22 * (not body.child))
    locks = Material(shaded(hair, 1 + 0.25 * noise(rng, (32, 32))), 0.4)
    parts = _bare_head(rng, face, locks)
    kind, cloth = rng.random(), fabric(rng, 0.8)
    if kind < 0.3:
        parts.append(ellipsoid((0, -0.03, 0.82), (0.4, 0.49, 0.34), cloth))
    if 0.1 < kind < 0.2:
        parts.append(ellipsoid((0, 0.4, 0.76), (0.33, 0.35, 0.03), cloth, rotation("x", -8)))
    elif 0.2 < kind < 0.3:
        parts.append(ellipsoid((0, -0.03, 0.77), (*[rng.uniform(0.62, 0.8)] * 2, 0.04), cloth))
    turn = rotation("z", float(np.clip(rng.normal(0, 22), -55, 55)))
    turn = turn @ rotation("x", float(rng.normal(-3, 7)))
    inside = body.head + turn @ np.array([0, -0.02, 0.3 * body.head_m])
    thick = 0.035 * body.stature * body.girth**0.6
    neck = tube([body.neck - [0, 0, 0.015], inside], [1.1 * thick, thick], Material(skin))
    return [neck, *moved(parts, body.head, turn, body.head_m)]


def carried_parts(rng: np.random.Generator, body: Body, gesture: tuple[str, str]) -> list[Part]:
    """A book, a phone or a box in both hands; a backpack, a bag in a hand or at the hip, a case."""
    h, parts, kind = body.stature, [], rng.random()
    if gesture[0] in ("read", "phone"):
        size = (rng.uniform(0.2, 0.32), 0.22, 0.03) if gesture[0] == "read" else (0.16, 0.08, 0.02)
        paper = Material(_cloth_color(rng))
        parts.append(box(body.hands.mean(0) + [0, 0.05, 0.05], size, paper, rotation("x", 40)))
    elif gesture[0] == "carry":
        size = np.ptp(body.hands[:, 0]) - 0.03, *rng.uniform([0.2, 0.15], [0.35, 0.4])
        card = choose(rng, (fabric(rng, 0.5), Material(hsv(0.09, 0.45, rng.uniform(0.4, 0.75)))))
        parts.append(box(body.hands.mean(0) + [0, 0.06, 0.02], size, card))
    bag = choose(rng, (fabric(rng, 0.5), Material(choose(rng, _LEATHERS), roughness=0.3)))
    if kind < 0.2:
        back = 0.5 * (body.chest + body.neck) + [0, -0.135 * h * body.girth, -0.03 * h]
        parts.append(ellipsoid(back, (0.085 * h, 0.06 * h, 0.14 * h), bag))
        for side in (-h, h):
            front = body.chest + [side * 0.075, 0.075 * h * body.girth, 0]
            strap = [front, body.neck + [side * 0.06, 0.03 * h, 0.01 * h], back]
            parts.append(tube(strap, [0.011 * h] * 3, bag, segments=6))
    elif kind < 0.28 and not body.seat_m:
        side = (2 * int(rng.integers(2)) - 1) * (0.15 * h + 0.1)
        parts.append(box((side, 0, 0.3), (0.22, 0.38, 0.56), bag))
        parts.append(tube([(side, -0.1, 0.5), (side, -0.1, 0.95)], [0.012] * 2, bag, segments=6))
    elif kind < 0.55 and not body.seat_m:
        hand = int(np.argmin(body.hands[:, 2]))
        end = grip = body.hands[hand] - [0, 0, 0.05 * h]
        if gesture[1] not in ("down", "backward"):  # hangs from the shoulder instead
            grip = body.hips[hand] + [(2 * hand - 1) * 0.08 * h * body.girth, 0, 0.1 * h]
            end = body.shoulders[hand]
        width, tall = rng.uniform(0.2, 0.34), min(rng.uniform(0.2, 0.34), grip[2] - 0.2)
        parts.append(box(grip - [0, 0, 0.1 + tall / 2], (0.1, width, tall), bag))
        for y in (-0.07, 0.07):
            parts.append(tube([grip + [0, y, -0.1], end], [0.008, 0.008], bag, segments=6))
    return parts
