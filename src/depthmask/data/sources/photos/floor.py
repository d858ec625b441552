"""The floor in a plate's depth, and the camera that sees it so.

A point p = Z * ray of pixel (u, v), with ray = ((u - 1/2) / f, (v - 1/2) / f, 1) and u, v, f in
shares of the image, lies on the floor if up . p = -height. So on a floor

    1 / Z = -(up . ray) / height = a (u - 1/2) + b (v - 1/2) + c,

an affine function of the pixel. From a fit in 1/m follow, as (up_x, up_y, up_z) is a unit vector,

    n = (a f, b f, c),  height = 1 / |n|,  up = -n / |n|.

A teacher's inverse depth is an unknown affine function of 1 / Z, so it is affine on the floor as
well; its scale and shift are set so that the floor is that of a nominal camera.
"""

from typing import NamedTuple

import numpy as np

from depthmask.data.scenes.scene import Camera

NOMINAL_RANGE_M = (0.5, 25.0)
"""Nominal depths are clamped to it; a plate's farthest point is put at 20 m or nearer."""

_FARTHEST_M = 20.0
_GRID = 160  # pixels along a side that the search looks at
_SEARCHED_FROM = 0.45  # the floor is sought below this share of the image's height
_NUM_TRIES = 600
_TOLERANCE = 0.015  # of the range of inverse depth: 3 % of the depth at the far end of a room
_FEWEST = 0.06  # share of the image that a floor fills at least
_LEAST_SLOPE = 0.2  # change of inverse depth over the image's height, in shares of its range
_STEEPEST = np.radians(60)
_MOST_ROLL = np.tan(np.radians(15))


class Floor(NamedTuple):
    """The floor's inverse depth, a (u - 1/2) + b (v - 1/2) + c, u and v in shares of the image.

    Attributes:
        plane: (a, b, c), in the units of the inverse depth.
        mask: bool, S x S: where the plate shows this floor.
    """

    plane: tuple[float, float, float]
    mask: np.ndarray

    @property
    def roll_degrees(self) -> float:
        """How far the camera leans to its right; the Camera has no such thing."""
        return float(np.degrees(np.arctan2(self.plane[0], self.plane[1])))


def find_floor(inverse: np.ndarray, rng: np.random.Generator) -> Floor | None:
    """Fit the floor with RANSAC (Fischler and Bolles 1981); None if there is none to see.

    Nothing lies beneath a floor: what does counts against a plane, so a table's top loses.

    Args:
        inverse: float, S x S, inverse depth, larger is nearer; any scale and shift.
        rng: draws the triples of pixels.
    """
    size = len(inverse)
    step = max(1, size // _GRID)
    low, high = np.percentile(inverse, (2, 98))
    span = float(high - low)
    if span <= 0:
        return None
    v, u = (np.mgrid[0:size:step, 0:size:step] + 0.5) / size - 0.5
    pixels = np.stack([u.ravel(), v.ravel(), np.ones(u.size)], 1)
    values = inverse[::step, ::step].ravel().astype(np.float64)
    searched = pixels[:, 1] > _SEARCHED_FROM - 0.5
    lower, lower_values = pixels[searched], values[searched]
    tolerance = _TOLERANCE * span

    triples = rng.integers(len(lower), size=(_NUM_TRIES, 3))
    systems = lower[triples]
    regular = np.abs(np.linalg.det(systems)) > 1e-3
    planes = np.linalg.solve(systems[regular], lower_values[triples[regular]][..., None])[..., 0]
    planes = planes[_like_a_floor(planes, span)]
    best, best_score = None, _FEWEST * len(values)
    for plane in planes:
        score = _score(plane, lower, lower_values, tolerance)
        if score > best_score:
            best, best_score = plane, score
    if best is None:
        return None
    for _ in range(4):
        inside = np.abs(lower @ best - lower_values) < tolerance
        if inside.sum() < _FEWEST * len(values):
            return None
        best = np.linalg.lstsq(lower[inside], lower_values[inside], rcond=None)[0]
    if not _like_a_floor(best[None], span)[0]:
        return None
    v, u = (np.mgrid[0:size, 0:size] + 0.5) / size - 0.5
    on_plane = np.abs(best[0] * u + best[1] * v + best[2] - inverse) < tolerance
    return Floor(tuple(best.tolist()), on_plane)


def _like_a_floor(planes: np.ndarray, span: float) -> np.ndarray:
    """Nearer towards the bottom, by enough, and not much more to one side."""
    return (planes[:, 1] > _LEAST_SLOPE * span) & (np.abs(planes[:, 0]) < _MOST_ROLL * planes[:, 1])


def _score(plane: np.ndarray, pixels: np.ndarray, values: np.ndarray, tolerance: float) -> float:
    above = values - pixels @ plane
    on_it = np.count_nonzero(np.abs(above) < tolerance)
    return on_it - 0.5 * np.count_nonzero(above < -2 * tolerance)


def focal_of(fov_degrees: float) -> float:
    """Focal length in shares of a square plate's side, from the angle of view across it."""
    return 0.5 / float(np.tan(np.radians(fov_degrees) / 2))


def metric_camera(floor: Floor, focal: float) -> Camera:
    """The camera over a floor whose plane is in 1/m; the roll is taken out, the height kept."""
    a, b, c = floor.plane
    normal = np.array([a * focal, b * focal, c])
    length = float(np.linalg.norm(normal))
    down = float(np.hypot(normal[0], normal[1])) / length
    return Camera(focal, (0.0, -down, -float(normal[2]) / length), 1 / length)


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
