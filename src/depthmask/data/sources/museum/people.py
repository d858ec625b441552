"""Visitors: a body in a pose, clothes, a head and what they carry, as meshes.

Person coordinates: x to the person's right, y to where they face, z up from the floor, metres;
the origin lies between the feet.
"""

from dataclasses import dataclass

import numpy as np

from depthmask.data.sources.museum.appearance import (
    Outfit,
    carried_parts,
    draw_outfit,
    draw_skin_and_hair,
    head_parts,
)
from depthmask.data.sources.museum.shapes import Material, Part, loft, moved, rotation, tube
from depthmask.data.sources.museum.textures import choose

_STREAM = 2
CANVAS_M = 2.2
"""Height that a cutout's canvas covers at the person's axis."""

FOOT_MARGIN_M = 0.13
"""Of that, below the feet."""

STUDIO_DISTANCE_M = 5.0
MAX_HEIGHT_M = 2.02
MAX_RADIUS_M = 0.74

_LEG, _CHILD_LEG, _UPPER_ARM, _FOREARM = 0.245, 0.228, 0.172, 0.15  # statures
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
    "open": ("shoulder", (0.2, 0.16, -0.12), (0, -0.5, -1)),
}
_GESTURES = (  # one arm, the other
    *(("down", "down"), ("forward", "backward")) * 2,
    *(("hips", "hips"), ("raise", "raise"), ("point", "down"), ("phone", "phone")),
    *(("read", "read"), ("folded", "folded"), ("behind", "behind"), ("pocket", "pocket")),
    *(("chin", "folded"), ("hips", "down"), ("open", "open")),
)
_STANCES = (  # half the feet's distance sideways, half the stride, statures
    *((0.05, 0.0), (0.06, 0.04)) * 2,
    *((0.11, 0.0), (0.05, 0.09)),
)
_WALK = (0.035, 0.145)


@dataclass(frozen=True)
class Body:
    """Proportions and joints.

    Attributes:
        stature, head_m: metres, without hair, hat and the pose.
        girth, belly, width: of limbs and trunk, of the belly, of the hips; 1 is the average.
        pelvis, chest, neck, head: [3]; the others [2, 3], left and right.
        toes_out: degrees, [2].
        lifted_heel: of which foot.
    """

    stature: float
    head_m: float
    girth: float
    belly: float
    width: float
    child: bool
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
    toes_out: np.ndarray
    lifted_heel: int | None


@dataclass(frozen=True)
class Person:
    """A person's meshes; `height_m` is to the top of hair or hat."""

    parts: list[Part]
    height_m: float


def draw_person(seed: int) -> Person:
    """The person of a seed: always the same body, pose and clothes."""
    for attempt in range(24):
        rng = np.random.default_rng([_STREAM, seed, attempt])
        person = _build_person(rng, choose(rng, _GESTURES) if attempt < 20 else _GESTURES[0])
        vertices = np.concatenate([part.vertices for part in person.parts])
        radius = np.hypot(vertices[:, 0], vertices[:, 1])
        # on the canvas, whatever way the person is turned, what is nearer looks taller
        eye, nearest = CANVAS_M / 2 - FOOT_MARGIN_M, STUDIO_DISTANCE_M - radius
        seen = eye + (vertices[:, 2] - eye) * STUDIO_DISTANCE_M / nearest
        if radius.max() <= MAX_RADIUS_M and seen.max() <= MAX_HEIGHT_M:
            break
    return person


def _build_person(rng: np.random.Generator, gesture: tuple[str, str]) -> Person:
    body = _draw_body(rng, gesture)
    skin, hair = draw_skin_and_hair(rng)
    outfit = draw_outfit(rng, float(np.clip((body.width - 0.93) / 0.17, 0, 1)), skin)
    head = head_parts(rng, body, skin, hair)
    parts = _trunk(body, outfit) + _legs(body, outfit) + _arms(body, outfit) + head
    parts += carried_parts(rng, body, gesture)
    lowest = min(part.vertices[:, 2].min() for part in parts)
    top = max(part.vertices[:, 2].max() for part in head)
    return Person(moved(parts, (0, 0, -lowest)), float(top - lowest))


def _bend(
    start: np.ndarray, end: np.ndarray, first: float, second: float, pole: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Joint between two bones of given lengths, and the end as far as they reach."""
    span = end - start
    reach = min(float(np.linalg.norm(span)), 0.995 * (first + second))
    along = span / np.linalg.norm(span)
    foot = np.clip((first**2 - second**2 + reach**2) / (2 * reach), -first, first)
    pole = pole - along * (pole @ along)
    pole = pole / np.linalg.norm(pole)
    return start + along * foot + pole * np.sqrt(max(first**2 - foot**2, 0)), start + along * reach


def _draw_body(rng: np.random.Generator, gesture: tuple[str, str]) -> Body:
    """A fifth are children from 1.0 m; adults stand 1.48 to 1.95 m."""
    child, feminine = bool(rng.random() < 0.2), rng.random()
    h = rng.uniform(0.99, 1.42) if child else float(np.clip(rng.normal(1.69, 0.1), 1.48, 1.95))
    head_m = 0.2 if child else 0.224 * rng.uniform(0.95, 1.05)
    girth = float(np.clip(rng.normal(1.06, 0.13), 0.85, 1.42))
    width = 0.93 + 0.17 * feminine
    leg, ahead = (_CHILD_LEG if child else _LEG) * h, int(rng.integers(2))
    walks = gesture[0] == "forward"
    half, stride = (_WALK if walks else choose(rng, _STANCES)) * np.array(h)
    ankles = np.array([(side * half, -stride - 0.03 * h, 0.045 * h) for side in (-1, 1)])
    ankles[ahead, 1] += 2 * stride
    ankles[1 - ahead, 2] += 0.045 * h * walks
    sides = np.array([(-1, 0, 0), (1, 0, 0)])
    hip_half = 0.048 * h * width
    aside = np.square(np.abs(ankles[:, 0]) - hip_half) + ankles[:, 1] ** 2
    reach = np.min(np.sqrt((1.985 * leg) ** 2 - aside) + ankles[:, 2])
    pelvis = np.array([rng.normal(0, 0.016) * h, 0.0, reach])
    up = np.array([rng.normal(0, 0.035), rng.normal(0.02, 0.04), 1.0])
    if rng.random() < 0.12:
        up[1] += rng.uniform(0.1, 0.25)  # bending to look closer
    up /= np.linalg.norm(up)
    trunk = h - head_m - 0.08 * h - 2 * leg
    neck = pelvis + trunk * up
    across = rotation("z", rng.normal(0, 9)) @ [1, 0, rng.normal(0, 0.04)]
    shoulder_half = 0.097 * h * (1.08 - 0.16 * feminine) * girth**0.35 * (0.93 if child else 1)
    shoulders = neck - [0, 0, 0.036 * h] + np.array([-across, across]) * shoulder_half
    hips = pelvis - [0, 0, 0.01 * h] + sides * hip_half
    # the arm beside the leg that is behind swings forward
    arms = gesture[:: -1 if (ahead == 0 if walks else rng.random() < 0.5) else 1]
    elbows, hands = np.zeros((2, 3)), np.zeros((2, 3))
    for index, (kind, mirror) in enumerate(zip(arms, ((-1, 1, 1), (1, 1, 1)), strict=True)):
        joint, offset, pole = _ARMS[kind]
        origin = {"pelvis": pelvis, "neck": neck, "shoulder": shoulders[index]}[joint]
        target = origin + h * (offset + rng.normal(0, 0.012, 3)) * mirror
        bones = _UPPER_ARM * h, _FOREARM * h
        elbows[index], hands[index] = _bend(
            shoulders[index], target, *bones, np.array(pole) * mirror
        )
    knee_pole = np.array([0.05, 1.0, 0])
    knees = [_bend(hips[n], ankles[n], leg, leg, knee_pole)[0] for n in (0, 1)]
    return Body(
        stature=h,
        head_m=head_m,
        girth=girth,
        belly=float(np.clip(rng.normal(1.0, 0.14), 0.8, 1.4)),
        width=width,
        child=child,
        pelvis=pelvis,
        chest=pelvis + 0.55 * trunk * up * [0.6, 0.6, 1],
        neck=neck,
        head=neck + 0.035 * h * up + [0, 0.012 * h, 0],
        shoulders=shoulders,
        elbows=elbows,
        hands=hands,
        hips=hips,
        knees=np.array(knees),
        ankles=ankles,
        toes_out=rng.uniform(2, 22, 2),
        lifted_heel=1 - ahead if walks else None,
    )


def _trunk(body: Body, outfit: Outfit) -> list[Part]:
    h, g, belly, pelvis, chest, neck = (
        body.stature,
        body.girth,
        body.belly,
        body.pelvis,
        body.chest,
        body.neck,
    )
    across = body.shoulders[1] - body.shoulders[0]
    half, hip = 0.5 * np.linalg.norm(across), 0.092 * h * body.width * g
    low = [pelvis + [0, 0, rise * h] for rise in (-0.055, -0.02, 0.02)]
    high = [neck + [0, 0, rise * h] for rise in (-0.02, 0.004, 0.018)]
    centers = np.array(
        [*low, 0.45 * pelvis + 0.55 * chest, chest, 0.35 * chest + 0.65 * neck, *high]
    )
    widths = np.array([0.8 * hip, hip, 0.98 * hip, 0.076 * h * g * belly**0.6, 0.088 * h * g])
    widths = np.concatenate([widths, np.array([1.06, 1.08, 0.8, 0.4]) * half])
    depths = np.array([0.056, 0.073, 0.07, 0.06, 0.068, 0.062, 0.05, 0.038, 0.03]) * h * g
    depths[3:5] *= [belly**1.3, belly**0.4]
    axis_u = np.linspace((1, 0, 0), across / (2 * half), len(centers))
    axis_v = np.cross([0, 0, 1], axis_u)

    def skin(rings: slice, growth: float, material: Material, unit_uv: bool = False) -> Part:
        return loft(
            centers[rings],
            axis_u[rings],
            axis_v[rings],
            widths[rings] * growth,
            depths[rings] * growth,
            material,
            squareness=0.25,
            unit_uv=unit_uv,
        )

    parts = [skin(slice(0, 4), 1, outfit.bottom), skin(slice(2, None), 1.02, outfit.top)]
    if outfit.layer is not None:
        parts.append(skin(slice(0, None), 1.12, outfit.layer, outfit.coat_hem is None))
    return parts


def _skirt(body: Body, hem: float, width: float, material: Material) -> Part:
    """Rings that go around both legs at every height, down to `hem` statures."""
    h, top = body.stature, body.pelvis[2] + 0.075 * body.stature
    heights, share = np.linspace(top, hem * h, 9), np.linspace(0, 1, 9)
    legs = np.stack([body.ankles, body.knees, body.hips], 1)
    xy = np.array([[np.interp(heights, leg[:, 2], leg[:, k]) for k in (0, 1)] for leg in legs])
    centers = np.column_stack([*xy.mean(0), heights])
    margin = width * (0.55 + 0.35 * share)
    widths = np.maximum(np.ptp(xy[:, 0], axis=0) / 2 + margin, width * 1.05 * (share < 0.2))
    depths = np.ptp(xy[:, 1], axis=0) / 2 + 0.85 * margin + 0.01 * h
    return loft(centers, (1, 0, 0), (0, 1, 0), widths, depths, material, segments=20)


def _legs(body: Body, outfit: Outfit) -> list[Part]:
    h, g = body.stature, body.girth
    thigh = outfit.skin if outfit.style == "skirt" else outfit.bottom
    shin = outfit.bottom if outfit.style == "trousers" else outfit.skin
    parts = []
    for index, (hip, knee, ankle) in enumerate(
        zip(body.hips, body.knees, body.ankles, strict=True)
    ):
        upper = [hip + t * (knee - hip) for t in (0, 0.35, 0.8, 1)]
        radii = np.array([0.051, 0.047, 0.037, 0.033]) * h * g
        parts.append(tube(upper, radii * (1.12 if thigh is outfit.bottom else 1), thigh))
        lower = [
            knee + t * (ankle - knee) + [0, b * h, 0] for t, b in ((0, 0), (0.3, -0.008), (1, 0))
        ]
        radii = np.array([0.033, 0.034, 0.023]) * h * g
        parts.append(tube(lower, radii * (1.12 if shin is outfit.bottom else 0.95), shin))
        turn = rotation("z", body.toes_out[index] * (1 - 2 * index))
        if body.lifted_heel == index:
            turn = turn @ rotation("x", -32)
        along = np.array([-0.045, -0.04, -0.01, 0.03, 0.065, 0.095, 0.108]) * h
        tall = np.array([0.012, 0.019, 0.023, 0.018, 0.013, 0.01, 0.006]) * h
        widths = np.array([0.008, 0.022, 0.025, 0.027, 0.03, 0.026, 0.008]) * h
        centers = np.stack([0 * along, along, tall - 0.045 * h], 1)
        shoe = loft(centers, (1, 0, 0), (0, 0, 1), widths, tall, outfit.shoes, squareness=0.35)
        parts.append(shoe.moved(ankle, turn))
    width = 0.094 * h * body.width * g
    if outfit.style == "skirt":
        parts.append(_skirt(body, outfit.skirt_hem, width, outfit.bottom))
    if outfit.layer is not None and outfit.coat_hem is not None:
        parts.append(_skirt(body, outfit.coat_hem, 1.12 * width + 0.012, outfit.layer))
    return parts


def _arms(body: Body, outfit: Outfit) -> list[Part]:
    h, parts = body.stature, []
    loose = 1.22 if outfit.layer is not None else 1.1
    materials = [outfit.sleeve if outfit.sleeve_length > n else outfit.skin for n in (0, 1)]
    for shoulder, elbow, hand in zip(body.shoulders, body.elbows, body.hands, strict=True):
        bones = (shoulder, elbow, (0.031, 0.029, 0.024)), (elbow, hand, (0.025, 0.025, 0.017))
        for (start, end, radii), material in zip(bones, materials, strict=True):
            thick = h * body.girth * (loose if material is outfit.sleeve else 1)
            points = [start + t * (end - start) for t in (0, 0.35, 1)]
            parts.append(tube(points, np.array(radii) * thick, material))
        along = (hand - elbow) / np.linalg.norm(hand - elbow)
        palm, radii = [hand + t * h * along for t in (0.0, 0.04, 0.075)], [0.013, 0.02, 0.011]
        parts.append(tube(palm, np.array(radii) * h, outfit.skin, flatness=0.5, side=(0, 1, 0.2)))
    return parts
