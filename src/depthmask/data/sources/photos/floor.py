"""The floor in a plate's depth, the camera that sees it so, and where people stand on it.

A point p = Z * ray of pixel (u, v), with ray = ((u - 1/2) / f, (v - 1/2) / f, 1) and u, v, f in
shares of the image, lies on the floor if up . p = -height. So on a floor

    1 / Z = -(up . ray) / height = a (u - 1/2) + b (v - 1/2) + c,

an affine function of the pixel. From a fit in 1/m follow, as (up_x, up_y, up_z) is a unit vector,

    n = (a f, b f, c),  height = 1 / |n|,  up = -n / |n|.

A teacher's inverse depth is an unknown affine function of 1 / Z, so it is affine on the floor as
well; its scale and shift are set so that the floor is that of a nominal camera.
"""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from depthmask.config import PhotosParams
from depthmask.data.scenes.scene import Camera
from depthmask.data.sources.photos.depth import Unit
from depthmask.data.sources.photos.folder import Findings

NOMINAL_RANGE_M = (0.5, 25.0)
"""Nominal depths are clamped to it; a plate's farthest point is put at 20 m or nearer."""

NUM_STANDS = 64
"""As the museum has."""

_FARTHEST_M = 20.0
_GRID = 160  # pixels along a side that the search looks at
_SEARCHED_FROM = 0.45  # the floor is sought below this share of the image's height
_NUM_TRIES = 600
_TOLERANCE = 0.015  # of the range of inverse depth: 3 % of the depth at the far end of a room
_FEWEST = 0.06  # share of the image that a floor fills at least
_LEAST_SLOPE = 0.2  # change of inverse depth over the image's height, in shares of its range
_STEEPEST = np.radians(60)
_MOST_ROLL = np.tan(np.radians(15))
_TILTED_DEGREES = 4.0
_LIKELY_HEIGHTS_M = (0.3, 6.0)
_MUCH_CLAMPED = 0.05
_LIKELY_SIZES, _POSSIBLE_SIZES = (0.25, 0.9), (0.05, 1.0)  # of a person, in shares of the frame
_FEW_PLACES = 20
_ROOM_M = 0.25
_WIDTH = 0.44  # of the frame, to both sides of its middle: nearer the edge a person is cut
_MOST_CANDIDATES = 4000


class Floor(NamedTuple):
    """The floor's inverse depth, a (u - 1/2) + b (v - 1/2) + c, u and v in shares of the image.

    Attributes:
        plane: float64, (a, b, c), in the units of the inverse depth.
        mask: bool, S x S: where the plate shows this floor.
    """

    plane: np.ndarray
    mask: np.ndarray


def ground_plate(
    path: Path, values: np.ndarray, unit: Unit, params: PhotosParams, seed: int, findings: Findings
) -> tuple[np.ndarray, Camera, np.ndarray]:
    """Find the floor, the camera over it, and where people may stand; doubts go to the findings.

    Relative depth becomes *nominal metres*: scale and shift of the inverse depth are chosen so
    that the floor is that of a camera `camera_height_m` high. Sizes and what hides what are then
    consistent within the plate, and no figure in it is a measurement. Where no floor is found the
    camera is taken to be level, and people stand on the lower third.

    Args:
        path: of the plate.
        values: float32, S x S: metres, or relative inverse depth.
        seed: of the search and the stands.

    Returns:
        Depth, float32 S x S, metres or nominal metres; the camera; stands, float32 K x 3.
    """

    def warn(code: str, text: str) -> None:
        findings.add("warning", code, path, text)

    rng = np.random.default_rng([seed, *path.stem.encode()])
    focal = 0.5 / float(np.tan(np.radians(params.fov_degrees) / 2))
    inverse = 1 / values if unit == "metre" else values
    floor = find_floor(inverse, rng)
    if floor is None:
        warn("no-floor", "shows no floor that its depth would tell: look at the contact sheet")
        standable = np.zeros(values.shape, bool)
        standable[2 * len(values) // 3 :] = True
    else:
        standable = floor.mask
        roll = abs(np.degrees(np.arctan2(*floor.plane[:2])))
        if roll > _TILTED_DEGREES:
            warn("tilted", f"leans by {roll:.0f} degrees: people will not")
    if unit == "relative":
        camera = nominal_camera(floor, values, focal, params.camera_height_m)
        depth, clamped = nominal_depth(values, floor, camera)
        if clamped > _MUCH_CLAMPED:
            warn("clamped", f"has {clamped:.0%} of its depth outside the nominal range")
    else:
        depth, camera = values, Camera(focal, (0.0, -1.0, 0.0), params.camera_height_m)
        if floor is not None:
            camera = metric_camera(floor, focal)
        if not _LIKELY_HEIGHTS_M[0] < camera.height_m < _LIKELY_HEIGHTS_M[1]:
            text = "from its floor, says its depth: is that so, and is fov_degrees right?"
            warn("camera-height", f"is seen {camera.height_m:.2f} m {text}")
    person_height_m = sum(params.person_height_m) / 2
    return depth, camera, draw_stands(depth, standable, camera, person_height_m, rng)


def find_floor(inverse: np.ndarray, rng: np.random.Generator) -> Floor | None:
    """Fit the floor with RANSAC (Fischler and Bolles 1981); None if there is none to see.

    Nothing lies beneath a floor: what does counts against a plane, so a table's top loses.

    Args:
        inverse: float, S x S, inverse depth, larger is nearer; any scale and shift.
        rng: draws the triples of pixels.
    """
    low, high = np.percentile(inverse, (2, 98))
    span, tolerance = float(high - low), _TOLERANCE * float(high - low)
    v, u = (np.mgrid[: len(inverse), : len(inverse)] + 0.5) / len(inverse) - 0.5
    everywhere = np.stack([u, v, np.ones_like(u)], -1)
    step = max(1, len(inverse) // _GRID)
    lower = v[::step, ::step] > _SEARCHED_FROM - 0.5
    pixels = everywhere[::step, ::step][lower]
    values = inverse[::step, ::step][lower].astype(np.float64)

    triples = rng.integers(len(pixels), size=(_NUM_TRIES, 3))
    triples = triples[np.abs(np.linalg.det(pixels[triples])) > 1e-3]
    planes = np.linalg.solve(pixels[triples], values[triples][..., None])[..., 0]
    planes = planes[_like_a_floor(planes, span)]
    above = values[:, None] - pixels @ planes.T
    scores = (np.abs(above) < tolerance).sum(0) - 0.5 * (above < -2 * tolerance).sum(0)
    fewest = _FEWEST * lower.size
    if len(planes) == 0 or scores.max() <= fewest:
        return None
    plane = planes[scores.argmax()]
    for _ in range(4):
        inside = np.abs(pixels @ plane - values) < tolerance
        if inside.sum() < fewest:
            return None
        plane = np.linalg.lstsq(pixels[inside], values[inside], rcond=None)[0]
    if not _like_a_floor(plane[None], span)[0]:
        return None
    return Floor(plane, np.abs(everywhere @ plane - inverse) < tolerance)


def _like_a_floor(planes: np.ndarray, span: float) -> np.ndarray:
    """Nearer towards the bottom, by enough, and not much more to one side."""
    return (planes[:, 1] > _LEAST_SLOPE * span) & (np.abs(planes[:, 0]) < _MOST_ROLL * planes[:, 1])


def metric_camera(floor: Floor, focal: float) -> Camera:
    """The camera over a floor whose plane is in 1/m; the roll is taken out, the height kept."""
    normal = floor.plane * (focal, focal, 1)
    x, y, z = normal / np.linalg.norm(normal)
    return Camera(
        focal, (0.0, -float(np.hypot(x, y)), -float(z)), 1 / float(np.linalg.norm(normal))
    )


def nominal_camera(
    floor: Floor | None, inverse: np.ndarray, focal: float, height_m: float
) -> Camera:
    """A camera of given height over a floor of unknown scale and shift.

    It looks level, unless the floor's horizon would then be too low: every point of the plate
    must lie before the horizon, the farthest at 20 m or less. Then it looks down far enough.
    """
    tangent = 0.0  # of the angle; the horizon is f * tangent above the image's middle
    if floor is not None:
        _, b, c = floor.plane
        vanishing = (float(np.percentile(inverse, 0.5)) - c) / b  # floor there: the farthest point
        for _ in range(8):  # on the floor, (v - horizon) cos(angle) / f = height / Z
            gap = height_m / _FARTHEST_M * np.hypot(1, tangent)
            tangent = max(0.0, gap - vanishing / focal)
    angle = min(float(np.arctan(tangent)), _STEEPEST)
    return Camera(focal, (0.0, -float(np.cos(angle)), -float(np.sin(angle))), height_m)


def nominal_depth(
    inverse: np.ndarray, floor: Floor | None, camera: Camera
) -> tuple[np.ndarray, float]:
    """Inverse depth of unknown scale and shift as nominal metres: the floor is the camera's.

    Scale and shift come from least squares of the floor's inverse depth on the camera's. Without
    a floor the lowest rows take the depth that a floor has there, the farthest point 20 m.

    Returns:
        float32, S x S, nominal metres, and the share of pixels that the range clamps.
    """
    size = len(inverse)
    rows = (np.arange(size) + 0.5) / size - 0.5
    of_floor = -(camera.up[1] * rows / camera.focal + camera.up[2]) / camera.height_m  # 1 / Z
    if floor is not None:
        expected = np.broadcast_to(of_floor[:, None], inverse.shape)[floor.mask]
        scale, shift = np.polyfit(expected, inverse[floor.mask].astype(np.float64), 1)
    else:
        farthest = float(np.percentile(inverse, 0.5))
        nearest = float(np.median(inverse[-max(1, size // 20) :]))
        if nearest <= farthest:  # the bottom of the picture is no nearer than the rest of it
            nearest = float(inverse.max())
        # a narrow lens high up has its nearest floor beyond 20 m: the farthest point lies behind
        behind = 1 / max(_FARTHEST_M, 2 / of_floor[-1])
        scale = (nearest - farthest) / (of_floor[-1] - behind)
        shift = farthest - scale * behind
    per_metre = (inverse - shift) / scale
    low, high = 1 / NOMINAL_RANGE_M[1], 1 / NOMINAL_RANGE_M[0]
    clamped = float(np.mean((per_metre < low) | (per_metre > high)))
    return (1 / np.clip(per_metre, low, high)).astype(np.float32), clamped


def draw_stands(
    depth: np.ndarray,
    floor: np.ndarray,
    camera: Camera,
    person_height_m: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Points where a person's feet have floor around them, spread over near and far.

    A stand is a pixel of the floor at the depth that the plate has there. Nobody stands behind
    furniture: a photograph does not tell what floor it hides.

    Args:
        depth: float32, S x S, metres or nominal metres.
        floor: bool, S x S, the pixels that may be stood on.
        person_height_m: of whom the sizes in the frame hold.

    Returns:
        float32, NUM_STANDS x 3, camera coordinates, repeated where there are fewer; or 0 x 3.
    """
    size = len(depth)
    rows, columns = np.nonzero(floor)
    if len(rows) == 0:
        return np.zeros((0, 3), np.float32)
    # as many from each row: a draw over the pixels would favour the bottom of the picture
    weights = 1 / np.bincount(rows, minlength=size)[rows]
    count = min(_MOST_CANDIDATES, len(rows))
    drawn = rng.choice(len(rows), count, replace=False, p=weights / weights.sum())
    rows, columns = rows[drawn], columns[drawn]
    z = depth[rows, columns].astype(np.float64)
    uv = (np.stack([columns, rows], 1) + 0.5) / size
    feet = np.column_stack([(uv - 0.5) * z[:, None] / camera.focal, z])
    heads = feet + person_height_m * np.asarray(camera.up)
    head_v = camera.project(heads, 1)[:, 1]
    shares = np.where(heads[:, 2] > 0.3, uv[:, 1] - head_v, np.inf)
    room_m = cv2.distanceTransform(floor.astype(np.uint8), cv2.DIST_L2, 5)[rows, columns] * z
    roomy = room_m / size / camera.focal > _ROOM_M
    whole = (head_v > 0.01) & (np.abs(uv[:, 0] - 0.5) < _WIDTH)
    likely, possible = (
        (shares >= least) & (shares <= most) for least, most in (_LIKELY_SIZES, _POSSIBLE_SIZES)
    )
    # the first rule that leaves enough places
    for allowed in (roomy & whole & likely, roomy & whole & possible, roomy & possible, possible):
        if allowed.sum() >= _FEW_PLACES:
            break
    places = np.flatnonzero(allowed)
    if len(places) == 0:
        return np.zeros((0, 3), np.float32)
    places = places[np.argsort(shares[places], kind="stable")]
    even = np.linspace(0, len(places) - 1, NUM_STANDS).round().astype(int)
    return feet[rng.permutation(places[even])].astype(np.float32)
