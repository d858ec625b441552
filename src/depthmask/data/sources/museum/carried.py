"""Things that people carry."""

import numpy as np

from depthmask.data.sources.museum import clothes
from depthmask.data.sources.museum.materials import plain
from depthmask.data.sources.museum.shapes import Part, box, ellipsoid, rotation, tube
from depthmask.data.sources.museum.skeletons import Build, Skeleton


def carried_parts(
    rng: np.random.Generator, build: Build, skeleton: Skeleton, gesture: str
) -> list[Part]:
    """What fits the gesture: a book, a phone or leaflet, a backpack, a bag, an umbrella."""
    parts: list[Part] = []
    middle = 0.5 * (skeleton.hands[0] + skeleton.hands[1])
    if gesture == "read":
        cover = clothes.fabric(rng, clothes.cloth_color(rng), plainly=1.0)
        width = rng.uniform(0.2, 0.32)
        turn = rotation("x", 40)
        at = middle + [0, 0.05, 0.05]
        parts += [
            box(at, (width, 0.22, 0.018), plain((0.9, 0.88, 0.82)), turn),
            box(at - turn @ [0, 0, 0.012], (width + 0.02, 0.24, 0.01), cover, turn),
        ]
    elif gesture == "phone":
        parts.append(
            box(middle + [0, 0.05, 0.05], (0.16, 0.015, 0.085), plain((0.06, 0.06, 0.07), 0.2))
        )
    if rng.random() < 0.2:
        parts += _backpack(rng, build, skeleton)
    elif gesture in ("relaxed", "walk", "one_hip", "point") and rng.random() < 0.5:
        low = int(np.argmin([hand[2] for hand in skeleton.hands]))
        parts += _in_hand(
            rng, build, skeleton.hands[low], skeleton.hands[low] - skeleton.elbows[low]
        )
    elif rng.random() < 0.22:
        parts += _shoulder_bag(rng, build, skeleton)
    return parts


def _backpack(rng: np.random.Generator, build: Build, skeleton: Skeleton) -> list[Part]:
    h = build.stature
    cloth = clothes.fabric(rng, clothes.cloth_color(rng), plainly=0.7)
    back = 0.5 * (skeleton.chest + skeleton.neck) + [0, -0.135 * h * build.girth, -0.03 * h]
    parts = [
        ellipsoid(back, (0.085 * h, 0.06 * h, 0.14 * h), cloth),
        ellipsoid(back + [0, -0.045 * h, -0.05 * h], (0.065 * h, 0.035 * h, 0.06 * h), cloth),
    ]
    for side in (-1, 1):
        front = 0.075 * h * build.girth
        strap = [
            skeleton.chest + [side * 0.06 * h, -0.06 * h, 0.02 * h],
            skeleton.chest + [side * 0.075 * h, front, 0.0],
            skeleton.neck + [side * 0.06 * h, 0.85 * front, -0.03 * h],
            skeleton.neck + [side * 0.055 * h, -0.02 * h, 0.01 * h],
            back + [side * 0.05 * h, 0, 0.08 * h],
        ]
        parts.append(tube(strap, [0.011 * h] * 5, cloth, segments=6))
    return parts


def _in_hand(
    rng: np.random.Generator, build: Build, hand: np.ndarray, along: np.ndarray
) -> list[Part]:
    h = build.stature
    grip = hand + along / np.linalg.norm(along) * 0.06 * h
    kind = rng.integers(4)
    if kind == 0:  # a shopping bag
        paper = clothes.fabric(rng, clothes.cloth_color(rng), plainly=0.5)
        size = np.array([0.1, rng.uniform(0.24, 0.34), rng.uniform(0.22, 0.32)])
        size[2] = min(size[2], grip[2] - 0.14)
        top = grip[2] - 0.1
        handle = [grip + [0, -0.07, 0.1 - 0.2], grip, grip + [0, 0.07, 0.1 - 0.2]]
        return [
            box((grip[0], grip[1], top - size[2] / 2), size, paper),
            tube(handle, [0.006] * 3, plain((0.8, 0.75, 0.65)), segments=5),
        ]
    if kind == 1:  # a handbag or briefcase
        skin = clothes.leather(rng)
        size = (0.09, rng.uniform(0.28, 0.38), rng.uniform(0.18, 0.26))
        handle = [grip + [0, -0.08, -0.07], grip, grip + [0, 0.08, -0.07]]
        return [
            box(grip - [0, 0, 0.06 + size[2] / 2], size, skin),
            tube(handle, [0.009] * 3, skin, segments=6),
        ]
    if kind == 2:  # a folded umbrella, its tip on or near the floor
        cloth = clothes.fabric(rng, clothes.cloth_color(rng), plainly=0.8)
        tip = np.array([grip[0], grip[1] + 0.08 * h, max(0.03, grip[2] - 0.75)])
        points = [grip + t * (tip - grip) for t in (0, 0.15, 0.6, 1)]
        return [
            tube(points, [0.012, 0.035, 0.03, 0.006], cloth, segments=8),
            tube(
                [grip, grip + [0, 0.02, 0.08], grip + [0, 0.06, 0.07]],
                [0.012] * 3,
                plain((0.3, 0.18, 0.1), 0.3),
                segments=6,
            ),
        ]
    return [box(grip + [0, 0.03, -0.03], (0.015, 0.16, 0.23), plain(clothes.cloth_color(rng)))]


def _shoulder_bag(rng: np.random.Generator, build: Build, skeleton: Skeleton) -> list[Part]:
    h, skin = build.stature, clothes.leather(rng)
    side = int(rng.choice([-1, 1]))
    center = skeleton.pelvis + [side * 0.125 * h * build.girth, 0.0, 0.02 * h]
    over = skeleton.shoulders[0 if side > 0 else 1] * 0.7 + skeleton.neck * 0.3
    front = 0.08 * h * build.girth
    strap = [
        center + [0, 0.04, 0.07 * h],
        0.5 * (center + over) + [0, front * 1.25, 0.02 * h],
        over + [0, 0.02, 0.035 * h],
        0.5 * (center + over) + [0, -front * 1.25, 0.02 * h],
        center + [0, -0.04, 0.07 * h],
    ]
    return [box(center, (0.08, 0.26, 0.19), skin), tube(strap, [0.01] * 5, skin, segments=6)]
