"""Visitors: a body in a pose, clothes, a head and what they carry, as meshes.

Person coordinates: x to the person's right, y to where they face, z up from the floor, metres;
the origin lies between the feet.
"""

from typing import NamedTuple

import numpy as np

from depthmask.data.sources.museum import appearance, things
from depthmask.data.sources.museum.appearance import Body, Outfit
from depthmask.data.sources.museum.shapes import Material, Part, loft, moved, rotation, tube
from depthmask.data.sources.museum.textures import choose

_STREAM = 2
CANVAS_M, FOOT_MARGIN_M = 2.2, 0.13  # what a cutout's canvas covers, and of it below the feet
STUDIO_M = 5.0
MAX_HEIGHT_M = 2.02
MAX_RADIUS_M = 0.74

_ARMS = {  # from which joint a hand is how far (statures, x outwards), where the elbow points
    "down": ("shoulder", (0.035, 0.025, -0.345), (0.3, -1, 0)),
    "forward": ("shoulder", (0.03, 0.12, -0.324), (0.2, -1, 0)),
    "backward": ("shoulder", (0.03, -0.11, -0.324), (0.2, -1, 0)),
    "hips": ("pelvis", (0.125, 0.01, 0.065), (1, -0.6, 0)),
    "raise": ("shoulder", (0.1, 0.08, 0.288), (1, 0, 0)),
    "point": ("shoulder", (0.17, 0.28, 0.05), (1, 0, -1)),
    "phone": ("neck", (0.03, 0.2, 0.06), (1, 0, -1)),
    "read": ("neck", (0.055, 0.19, -0.13), (1, -0.4, -0.8)),
    "folded": ("neck", (-0.07, 0.095, -0.13), (1, 0.3, -1)),
    "behind": ("pelvis", (0.02, -0.1, 0.05), (1, -0.5, 0)),
    "pocket": ("pelvis", (0.115, 0.03, -0.02), (1, -1, 0)),
    "chin": ("neck", (0.02, 0.085, 0.02), (1, 0.3, -1)),
    "carry": ("neck", (0.1, 0.21, -0.24), (1, -0.6, -1)),
    "open": ("shoulder", (0.2, 0.16, -0.12), (0, -0.5, -1)),
}
_ARM = "down down forward forward hips raise point phone read folded behind pocket chin open carry"
_OTHER_ARM = {"forward": "backward", "point": "down", "chin": "folded"}
_GESTURES = [(arm, _OTHER_ARM.get(arm, arm)) for arm in _ARM.split()] + [("hips", "down")]
_SKINS = ((0.3, 0.2, 0.16), (0.96, 0.79, 0.68))
# half the feet's distance sideways, half the stride, statures
_STANCES = ((0.05, 0.0), (0.06, 0.04), (0.11, 0.0), (0.05, 0.09))


class Person(NamedTuple):
    """A person's meshes; `height_m` is to the top of hair or hat."""

    parts: list[Part]
    height_m: float


def draw_person(seed: int) -> Person:
    """The person of a seed: always the same body, pose and clothes."""
    for attempt in range(24):
        rng = np.random.default_rng([_STREAM, seed, attempt])
        gesture = choose(rng, _GESTURES) if attempt < 20 else _GESTURES[0]
        body, (dark, pale) = _draw_body(rng, gesture), np.array(_SKINS)
        skin = dark + rng.random() * (pale - dark) * rng.uniform(0.93, 1.03, 3)
        outfit = appearance.draw_outfit(rng, (body.width - 0.93) / 0.17, skin)
        if body.seat_m:
            style = "shorts" if outfit.style == "skirt" else outfit.style
            outfit = outfit._replace(style=style, coat_hem=None)
        head = appearance.head_parts(rng, body, skin)
        parts = _trunk(body, outfit, rng.uniform(0.85, 1.3)) + _legs(body, outfit)
        parts += _arms(body, outfit) + head + appearance.carried_parts(rng, body, gesture)
        if body.seat_m:
            parts += moved(things.chair(rng, body.seat_m), (0, body.pelvis[1], 0))
        lowest = min(part.vertices[:, 2].min() for part in parts)
        top = max(part.vertices[:, 2].max() for part in head)
        person = Person(moved(parts, (0, 0, -lowest)), float(top - lowest))
        x, y, z = np.concatenate([part.vertices for part in person.parts]).T
        # on the canvas, whatever way the person is turned, what is nearer looks taller
        radius, eye = np.hypot(x, y), CANVAS_M / 2 - FOOT_MARGIN_M
        seen = eye + (z - eye) * STUDIO_M / (STUDIO_M - radius)
        if radius.max() <= MAX_RADIUS_M and seen.max() <= MAX_HEIGHT_M:
            break
    return person


def _bend(
    start: np.ndarray, end: np.ndarray, bones: tuple[float, float], pole: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Joint between two bones of given lengths, and the end as far as they reach."""
    first, second = bones
    reach = min(float(np.linalg.norm(end - start)), 0.995 * (first + second))
    along = (end - start) / np.linalg.norm(end - start)
    foot = np.clip((first**2 - second**2 + reach**2) / (2 * reach), -first, first)
    pole = pole - along * (pole @ along)
    out = pole / np.linalg.norm(pole) * np.sqrt(max(first**2 - foot**2, 0))
    return start + along * foot + out, start + along * reach


def _draw_body(rng: np.random.Generator, gesture: tuple[str, str]) -> Body:
    """A fifth are children from 1.0 m; adults stand 1.48 to 1.95 m."""
    child, feminine = bool(rng.random() < 0.2), rng.random()
    h = rng.uniform(0.99, 1.42) if child else float(np.clip(rng.normal(1.69, 0.1), 1.48, 1.95))
    head_m = 0.2 if child else 0.224 * rng.uniform(0.95, 1.05)
    girth, width = float(np.clip(rng.normal(1.06, 0.17), 0.82, 1.55)), 0.93 + 0.17 * feminine
    leg, ahead = (0.228 if child else 0.245) * h, int(rng.integers(2))
    walks = gesture[0] == "forward"
    sits, crouches = (not walks and rng.random() < share for share in (0.14, 0.07))
    half, stride = h * np.array((0.035, 0.145) if walks else choose(rng, _STANCES))
    ankles = np.array([(side * half, -stride - 0.03 * h, 0.045 * h) for side in (-1, 1)])
    ankles[ahead, 1] += 2 * stride
    ankles[1 - ahead, 2] += 0.045 * h * walks
    hip_half = 0.048 * h * width
    aside = np.square(np.abs(ankles[:, 0]) - hip_half) + ankles[:, 1] ** 2
    reach = np.min(np.sqrt((1.985 * leg) ** 2 - aside) + ankles[:, 2])
    pelvis = np.array([rng.normal(0, 0.016) * h, 0.0, reach])
    up = np.array([rng.normal(0, 0.05), rng.normal(0.02, 0.06), 1.0])
    if crouches or rng.random() < 0.12:
        up[1] += rng.uniform(0.1, 0.4)  # bending to look closer
    if sits:
        ankles[:, 1] = rng.normal(0.08, 0.02) * h
        pelvis[1:] = -0.17 * h, 0.31 * h
    elif crouches:
        pelvis[1:] = -0.06 * h, reach * rng.uniform(0.72, 0.9)
    up /= np.linalg.norm(up)
    trunk = h - head_m - 0.08 * h - 2 * leg
    neck = pelvis + trunk * up
    across = rotation("z", rng.normal(0, 9)) @ [1, 0, rng.normal(0, 0.04)]
    across *= 0.097 * h * (1.08 - 0.16 * feminine) * girth**0.35 * (0.93 if child else 1)
    shoulders = neck - [0, 0, 0.036 * h] + np.array([-across, across])
    hips = pelvis + np.array([(-hip_half, 0, -0.01 * h), (hip_half, 0, -0.01 * h)])
    # the arm beside the leg that is behind swings forward
    arms = gesture[:: -1 if (ahead == 0 if walks else rng.random() < 0.5) else 1]
    elbows, hands, knees = np.zeros((3, 2, 3))
    for index, mirror in enumerate(np.array([(-1, 1, 1), (1, 1, 1)])):
        joint, offset, pole = _ARMS[arms[index]]
        origin = {"pelvis": pelvis, "neck": neck, "shoulder": shoulders[index]}[joint]
        hand = origin + h * (np.array(offset) + rng.normal(0, 0.012, 3)) * mirror
        arm, forward = (0.172 * h, 0.15 * h), np.array([0.05, 1, 0])
        elbows[index], hands[index] = _bend(shoulders[index], hand, arm, pole * mirror)
        knees[index], _ = _bend(hips[index], ankles[index], (leg, leg), forward)
    chest, head = pelvis + 0.55 * trunk * up, neck + 0.035 * h * up + [0, 0.012 * h, 0]
    joints = pelvis, chest, neck, head, shoulders, elbows, hands, hips, knees, ankles
    seat_m = float(pelvis[2] - 0.06 * h * girth) if sits else 0.0
    return Body(h, head_m, girth, width, child, seat_m, *joints)


def _trunk(body: Body, outfit: Outfit, belly: float) -> list[Part]:
    pelvis, chest, neck, thick = body.pelvis, body.chest, body.neck, body.stature * body.girth
    across = body.shoulders[1] - body.shoulders[0]
    half, hip = 0.5 * np.linalg.norm(across), 0.092 * thick * body.width
    low = [pelvis + [0, 0, rise * body.stature] for rise in (-0.055, -0.02, 0.02)]
    high = [neck + [0, 0, rise * body.stature] for rise in (-0.02, 0.004, 0.018)]
    between = [0.45 * pelvis + 0.55 * chest, chest, 0.35 * chest + 0.65 * neck]
    centers = np.array([*low, *between, *high])
    widths = np.array([0.8, 1, 0.98, 0.076, 0.088, 1.06, 1.08, 0.8, 0.4])
    widths *= np.array([hip] * 3 + [thick * belly**0.6, thick] + [half] * 4)
    depths = np.array([0.056, 0.073, 0.07, 0.06, 0.068, 0.062, 0.05, 0.038, 0.03]) * thick
    depths[3:5] *= [belly**1.3, belly**0.4]
    axis_u = np.linspace((1, 0, 0), across / (2 * half), len(centers))

    def skin(rings: slice, growth: float, material: Material) -> Part:
        radii, across = growth * np.stack([widths[rings], depths[rings]]), axis_u[rings]
        axes = np.stack([across, np.cross([0, 0, 1], across)])
        return loft(centers[rings], radii, material, axes=axes, squareness=0.25)

    parts = [skin(slice(0, 4), 1, outfit.bottom), skin(slice(2, None), 1.02, outfit.top)]
    return parts + ([skin(slice(0, None), 1.12, outfit.coat)] if outfit.coat else [])


def _skirt(body: Body, hem: float, width: float, material: Material) -> Part:
    """Rings that go around both legs at every height, down to `hem` statures."""
    h, share = body.stature, np.linspace(0, 1, 9)
    heights = np.linspace(body.pelvis[2] + 0.075 * h, hem * h, 9)
    legs = np.stack([body.ankles, body.knees, body.hips], 1)
    xy = np.array([[np.interp(heights, leg[:, 2], leg[:, k]) for k in (0, 1)] for leg in legs])
    margin = width * (0.55 + 0.35 * share)
    widths = np.maximum(np.ptp(xy[:, 0], axis=0) / 2 + margin, width * 1.05 * (share < 0.2))
    depths = np.ptp(xy[:, 1], axis=0) / 2 + 0.85 * margin + 0.01 * h
    return loft(np.column_stack([*xy.mean(0), heights]), [widths, depths], material)


def _limb(start: np.ndarray, end: np.ndarray, radii: tuple, thick: float, cloth: Material) -> Part:
    points = np.linspace(start, end, len(radii))
    return tube(points, np.array(radii) * thick, cloth)


def _legs(body: Body, outfit: Outfit) -> list[Part]:
    h, width = body.stature, 0.094 * body.stature * body.width * body.girth
    thigh = outfit.skin if outfit.style == "skirt" else outfit.bottom
    shin = outfit.bottom if outfit.style == "trousers" else outfit.skin
    along = np.array([-0.045, -0.04, -0.01, 0.03, 0.065, 0.095, 0.108]) * h
    tall = np.array([0.012, 0.019, 0.023, 0.018, 0.013, 0.01, 0.006]) * h
    widths = np.array([0.008, 0.022, 0.025, 0.027, 0.03, 0.026, 0.008]) * h
    centers = np.stack([0 * along, along, tall - 0.045 * h], 1)
    axes = (1, 0, 0), (0, 0, 1)
    shoe = loft(centers, [widths, tall], outfit.shoes, axes=axes, squareness=0.35)
    parts = []
    for side, hip, knee, ankle in zip((1, -1), body.hips, body.knees, body.ankles, strict=True):
        for start, end, radii, cloth in (
            (hip, knee, (0.051, 0.046, 0.039, 0.033), thigh),
            (knee, ankle, (0.033, 0.034, 0.027, 0.022), shin),
        ):
            loose = 0.95 if cloth is outfit.skin else 1.12
            parts.append(_limb(start, end, radii, h * body.girth * loose, cloth))
        lifted = ankle[2] > 0.05 * h
        parts += moved([shoe], ankle, rotation("z", 12 * side) @ rotation("x", -32 * lifted))
    if outfit.style == "skirt":
        parts.append(_skirt(body, outfit.skirt_hem, width, outfit.bottom))
    if outfit.coat and outfit.coat_hem:
        parts.append(_skirt(body, outfit.coat_hem, 1.12 * width + 0.012, outfit.coat))
    return parts


def _arms(body: Body, outfit: Outfit) -> list[Part]:
    h, parts, sleeve = body.stature, [], outfit.coat or outfit.top
    for shoulder, elbow, hand in zip(body.shoulders, body.elbows, body.hands, strict=True):
        for number, start, end, radii in (
            (0, shoulder, elbow, (0.031, 0.03, 0.027, 0.024)),
            (1, elbow, hand, (0.025, 0.026, 0.021, 0.017)),
        ):
            cloth = sleeve if outfit.sleeves > number else outfit.skin
            loose = 1.0 if cloth is outfit.skin else 1.22 if outfit.coat else 1.1
            parts.append(_limb(start, end, radii, h * body.girth * loose, cloth))
        palm = hand + 0.075 * h * (hand - elbow) / np.linalg.norm(hand - elbow)
        parts.append(_limb(hand, palm, (0.013, 0.018, 0.011), h, outfit.skin))
    return parts
