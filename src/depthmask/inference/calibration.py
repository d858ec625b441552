"""The depth of an empty room, from a network, and its fit to distances measured in the room."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from depthmask.errors import InputError
from depthmask.inference.predictor import Predictor

_NEAR_PX = 2  # to either side of a point: its depth is the median there
_FARTHEST_M = 65.535  # what 16 bits of millimetres hold
_SLOPE_PRIOR = 0.5  # how firmly the slope is held at 1, in squares of log depth; chosen on
# the museum's validation rooms, where without it three points made depth worse than a scale does


class Point(NamedTuple):
    """A pixel, right and down from the upper left, and its distance along the optical axis."""

    x: int
    y: int
    metres: float


class Calibration(NamedTuple):
    """log metres = slope * log depth + shift, and for each model tried the root mean square of the
    log error of points left out of the fit, one after the other; empty for a single point."""

    slope: float
    shift: float
    name: str
    left_out: dict[str, float]

    def apply(self, depth: np.ndarray) -> np.ndarray:
        """float32; what is unknown, 0 or no number, becomes 0."""
        known = np.isfinite(depth) & (depth > 0)
        fitted = np.exp(self.slope * np.log(np.where(known, depth, 1)) + self.shift)
        return np.where(known, fitted, 0).astype(np.float32)


def parse_point(text: str) -> Point:
    """`X,Y=METRES`; InputError if it is not of that form or not above 0."""
    match = re.fullmatch(r"(\d+),(\d+)=(\d+\.?\d*|\.\d+)", text)
    if match is None or float(match[3]) == 0:
        raise InputError(f"--at {text} is no X,Y=METRES above 0: write it as in 320,400=3.25")
    return Point(int(match[1]), int(match[2]), float(match[3]))


def depth_at(depth: np.ndarray, points: Sequence[Point]) -> np.ndarray:
    """What a map, H x W, says at the points; InputError for one outside or where it is unknown."""
    height, width = depth.shape
    found = []
    for x, y, _ in points:
        if not (x < width and y < height):
            raise InputError(f"--at {x},{y} lies outside the depth's {width}x{height} px")
        near = depth[max(0, y - _NEAR_PX) : y + _NEAR_PX + 1, max(0, x - _NEAR_PX) : x + _NEAR_PX + 1]
        known = near[np.isfinite(near) & (near > 0)]
        if not known.size:
            raise InputError(f"--at {x},{y} has no known depth: name another point")
        found.append(float(np.median(known)))
    return np.array(found)


def calibrate(found: np.ndarray, metres: np.ndarray) -> Calibration:
    """Fit depths to the metres measured in their places, in closed form.

    A scale, of 3 points or more also a slope in log depth, is taken where it comes nearer to points
    left out than what is simpler; of a single point the scale is taken.
    """
    x, y = np.log(found), np.log(metres)
    if len(x) == 1:
        return Calibration(1.0, float(y[0] - x[0]), "scale", {})
    models = {"nothing": None, "scale": np.inf} | ({"slope": _SLOPE_PRIOR} if len(x) > 2 else {})
    left_out = {}
    for name, prior in models.items():
        misses = []
        for row in range(len(x)):
            slope, shift = _fit(np.delete(x, row), np.delete(y, row), prior)
            misses.append(slope * x[row] + shift - y[row])
        left_out[name] = float(np.sqrt(np.mean(np.square(misses))))
    best = min(left_out, key=lambda name: left_out[name])
    return Calibration(*_fit(x, y, models[best]), best, left_out)


def _fit(x: np.ndarray, y: np.ndarray, prior: float | None) -> tuple[float, float]:
    """Slope and shift of y by least squares, the slope held at 1 as firmly as `prior` says."""
    if prior is None:
        return 1.0, 0.0
    from_mean = x - x.mean()
    slope = 1.0
    if np.isfinite(prior):
        # not below 0: a map turned inside out is not right
        slope = max(0.0, float(from_mean @ (y - y.mean()) + prior) / float(from_mean @ from_mean + prior))
    return slope, float(y.mean() - slope * x.mean())


def from_network(predictor: Predictor, bg: np.ndarray, fov_degrees: float | None) -> np.ndarray:
    """A plate's depth, float32 H x W, metres: the network's of the plate as both inputs and of its
    mirror image, in the geometric mean.

    Other brightnesses and crops gained nothing on the museum's validation rooms.
    """
    mirrored = np.ascontiguousarray(bg[:, ::-1])
    ways = (predictor.predict(each, each, fov_degrees=fov_degrees) for each in (bg, mirrored))
    plain, other = (way.depth for way in ways)
    return np.sqrt(plain * other[:, ::-1])


def from_inverse(inverse: np.ndarray, points: Sequence[Point]) -> np.ndarray:
    """Metres, float32 H x W, of a teacher's relative inverse depth: scale and shift by least squares
    over at least 2 points; InputError if there are fewer, or they say the opposite."""
    if len(points) < 2:
        raise InputError("a teacher's depth has no unit: give two distances or more with --at")
    lowest = float(inverse.min()) - 1  # so that no value is taken for unknown
    values = depth_at(inverse - lowest, points) + lowest
    scale, shift = np.polyfit(values, [1 / point.metres for point in points], 1)
    if not scale > 0:
        raise InputError("the distances grow where the teacher's shrink: check the points of --at")
    return (1 / np.maximum(scale * inverse + shift, 1 / _FARTHEST_M)).astype(np.float32)
