"""Stature and pose: where a person's joints are.

Person coordinates: x to the person's right, y to where they face, z up from the floor, metres.
"""

from dataclasses import dataclass

import numpy as np

GESTURES = (
    "relaxed",
    "relaxed",
    "walk",
    "walk",
    "hips",
    "raise",
    "point",
    "phone",
    "read",
    "folded",
    "behind",
    "pocket",
    "chin",
    "one_hip",
    "open",
)
STANCES = ("stand", "stand", "contrapposto", "contrapposto", "wide", "step")


@dataclass(frozen=True)
class Build:
    """Proportions; lengths are metres, factors are about 1.

    Attributes:
        stature: height without hair, hat and shoes' pose, standing straight.
        head: height of the head from chin to crown.
        girth: thickness of trunk and limbs.
        belly, shoulders, hips: widths against the average.
        child: whether it is one.
    """

    stature: float
    head: float
    girth: float
    belly: float
    shoulders: float
    hips: float
    child: bool


@dataclass(frozen=True)
class Skeleton:
    """Joints as [3] arrays; `elbows` and the like hold (left, right)."""

    pelvis: np.ndarray
    chest: np.ndarray
    neck: np.ndarray
    head: np.ndarray
    shoulders: tuple[np.ndarray, np.ndarray]
    elbows: tuple[np.ndarray, np.ndarray]
    hands: tuple[np.ndarray, np.ndarray]
    hips: tuple[np.ndarray, np.ndarray]
    knees: tuple[np.ndarray, np.ndarray]
    ankles: tuple[np.ndarray, np.ndarray]
    toes_out_degrees: tuple[float, float]
    lifted_heel: int | None
    head_turn_degrees: float


def draw_build(rng: np.random.Generator) -> Build:
    """A fifth are children from 1.0 m; adults stand 1.48 to 1.96 m."""
    child = bool(rng.random() < 0.2)
    if child:
        stature = rng.uniform(0.99, 1.42)
        head = np.interp(stature, [0.95, 1.45], [0.19, 0.205])
    else:
        stature = float(np.clip(rng.normal(1.69, 0.1), 1.48, 1.95))
        head = 0.224 * rng.uniform(0.95, 1.05)
    feminine = rng.random()
    return Build(
        stature=float(stature),
        head=float(head),
        girth=float(np.clip(rng.normal(1.06, 0.13), 0.85, 1.42)),
        belly=float(np.clip(rng.normal(1.0, 0.14), 0.8, 1.4)),
        shoulders=float(np.interp(feminine, [0, 1], [1.08, 0.92])) * (0.93 if child else 1),
        hips=float(np.interp(feminine, [0, 1], [0.93, 1.1])),
        child=child,
    )


def _bend(start, end, first, second, pole):
    """Joint between two bones of given lengths, and the end as far as they reach."""
    span = end - start
    reach = min(np.linalg.norm(span), 0.995 * (first + second))
    along = span / max(np.linalg.norm(span), 1e-9)
    foot = np.clip((first**2 - second**2 + reach**2) / (2 * reach), -first, first)
    pole = pole - along * (pole @ along)
    pole = pole / max(np.linalg.norm(pole), 1e-9)
    return start + along * foot + pole * np.sqrt(max(first**2 - foot**2, 0)), start + along * reach


def _arm_target(kind, side, h, pelvis, shoulder, neck, rng):
    """Where the hand goes and which way the elbow points; side is -1 left, 1 right."""
    arm = 0.36 * h
    out = np.array([side, 0.0, 0.0])
    if kind == "hips":
        return pelvis + [side * 0.125 * h, 0.01 * h, 0.065 * h], out + [0, -0.6, 0]
    if kind == "raise":
        return shoulder + [side * 0.1 * h, 0.08 * h, 0.8 * arm], out
    if kind == "point":
        aim = np.array([side * rng.uniform(0.1, 0.9), rng.uniform(0.4, 1), rng.uniform(-0.1, 0.35)])
        return shoulder + aim / np.linalg.norm(aim) * arm * 0.97, out + [0, 0, -1]
    if kind == "phone":
        return neck + [side * 0.03 * h, 0.2 * h, 0.06 * h], out + [0, 0, -1]
    if kind == "read":
        return neck + [side * 0.055 * h, 0.19 * h, -0.13 * h], out + [0, -0.4, -0.8]
    if kind == "folded":
        drop = -0.13 * h - 0.02 * h * side
        return neck + [-side * 0.07 * h, 0.095 * h, drop], out + [0, 0.3, -1]
    if kind == "behind":
        return pelvis + [side * 0.02 * h, -0.1 * h, 0.05 * h], out + [0, -0.5, 0]
    if kind == "pocket":
        return pelvis + [side * 0.115 * h, 0.03 * h, -0.02 * h], out + [0, -1, 0]
    if kind == "chin":
        return neck + [side * 0.02 * h, 0.085 * h, 0.02 * h], out + [0, 0.3, -1]
    if kind == "support":
        return neck + [-side * 0.05 * h, 0.11 * h, -0.14 * h], out + [0, 0.2, -1]
    if kind == "open":
        return shoulder + [side * 0.2 * h, 0.16 * h, -0.12 * h], np.array([0, -0.5, -1.0])
    if kind in ("forward", "backward"):
        swing = (0.12 if kind == "forward" else -0.11) * h
        return shoulder + [side * 0.03 * h, swing, -0.9 * arm], np.array([0.2 * side, -1.0, 0])
    return (
        shoulder + [side * rng.uniform(0.015, 0.06) * h, rng.uniform(0, 0.05) * h, -0.96 * arm],
        np.array([0.3 * side, -1.0, 0]),
    )


_ARMS = {  # gesture: (one arm, the other)
    "relaxed": ("down", "down"),
    "walk": ("forward", "backward"),
    "hips": ("hips", "hips"),
    "raise": ("raise", "raise"),
    "point": ("point", "down"),
    "phone": ("phone", "phone"),
    "read": ("read", "read"),
    "folded": ("folded", "folded"),
    "behind": ("behind", "behind"),
    "pocket": ("pocket", "pocket"),
    "chin": ("chin", "support"),
    "one_hip": ("hips", "down"),
    "open": ("open", "open"),
    "wave": ("raise", "down"),
    "carry": ("down", "down"),
}


def draw_skeleton(rng: np.random.Generator, build: Build, gesture: str) -> Skeleton:
    """Pose a build; the lowest foot stands on z = 0 and the origin lies between the feet."""
    h = build.stature
    leg = (0.245 if not build.child else 0.228) * h
    ankle_z = 0.045 * h
    stance = "walk" if gesture == "walk" else STANCES[rng.integers(len(STANCES))]
    half = {"stand": 0.05, "contrapposto": 0.06, "wide": 0.11, "step": 0.05, "walk": 0.035}[
        stance
    ] * h
    stride = {"stand": 0.0, "contrapposto": 0.04, "wide": 0.0, "step": 0.09, "walk": 0.145}[
        stance
    ] * h
    ahead = int(rng.integers(2))
    ankles = []
    for index, side in enumerate((-1, 1)):
        forward = stride if index == ahead else -stride
        ankles.append(np.array([side * half, forward - 0.03 * h, ankle_z]))
    lifted = None
    if stance == "walk":
        lifted = 1 - ahead
        ankles[lifted][2] += 0.045 * h
    hip_half = 0.048 * h * build.hips
    reach = min(
        np.sqrt((1.985 * leg) ** 2 - (abs(a[0]) - hip_half) ** 2 - a[1] ** 2) + a[2] for a in ankles
    )
    pelvis = np.array([rng.normal(0, 0.012) * h, 0.0, reach])
    if stance == "contrapposto":
        pelvis[0] += (0.02 if ahead == 0 else -0.02) * h
    trunk = h - build.head - 0.035 * h - (2 * leg + ankle_z)
    lean = np.array([rng.normal(0, 0.035), rng.normal(0.02, 0.04), 0.0])
    if rng.random() < 0.12:
        lean[1] += rng.uniform(0.1, 0.25)  # bending to look closer
    up = lean + [0, 0, 1]
    up /= np.linalg.norm(up)
    chest = pelvis + 0.55 * trunk * up * [0.6, 0.6, 1]
    neck = pelvis + trunk * up
    yaw = np.radians(rng.normal(0, 9))
    across = np.array([np.cos(yaw), np.sin(yaw), rng.normal(0, 0.04)])
    shoulder_half = 0.097 * h * build.shoulders * build.girth**0.35
    shoulders = tuple(
        neck + across * shoulder_half * s + np.array([0, 0, -0.036 * h]) for s in (-1, 1)
    )
    kinds = _ARMS[gesture]
    if gesture == "walk":
        kinds = ("backward", "forward") if ahead == 0 else ("forward", "backward")
    elif rng.random() < 0.5:
        kinds = kinds[::-1]
    elbows, hands = [], []
    for side, shoulder, kind in zip((-1, 1), shoulders, kinds, strict=True):
        target, pole = _arm_target(kind, side, h, pelvis, shoulder, neck, rng)
        elbow, hand = _bend(shoulder, target, 0.172 * h, 0.15 * h, pole)
        elbows.append(elbow)
        hands.append(hand)
    hips = tuple(pelvis + np.array([s * hip_half, 0, -0.01 * h]) for s in (-1, 1))
    knees = []
    for hip, ankle in zip(hips, ankles, strict=True):
        knee, _ = _bend(hip, ankle, leg, leg, np.array([0.05, 1.0, 0]))
        knees.append(knee)
    head = neck + 0.035 * h * (up * [0.6, 0.6, 1]) + [0, 0.012 * h, 0]
    return Skeleton(
        pelvis=pelvis,
        chest=chest,
        neck=neck,
        head=head,
        shoulders=shoulders,
        elbows=tuple(elbows),
        hands=tuple(hands),
        hips=hips,
        knees=tuple(knees),
        ankles=tuple(ankles),
        toes_out_degrees=tuple(rng.uniform(2, 22, 2)),
        lifted_heel=lifted,
        head_turn_degrees=float(np.clip(rng.normal(0, 22), -55, 55)),
    )
