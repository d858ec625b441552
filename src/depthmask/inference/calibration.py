"""The depth of an empty room, from a network, and its fit to distances measured in the room."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from depthmask.data.scenes.files import replaced_file
from depthmask.data.scenes.images import encode_depth
from depthmask.errors import InputError
from depthmask.inference.predictor import Predictor

_NEAR_PX = 2  # to either side of a point: its depth is the median there
_FARTHEST_M = 65.535  # what 16 bits of millimetres hold
# How firmly a slope is held at 1, in squares of log depth. Chosen on the museum's validation rooms,
# where without it three points often made depth worse than a scale alone.
_SLOPE_PRIOR = 0.5
_MODELS = ("nothing", "scale", "scale and slope")  # the simplest first


class Point(NamedTuple):
    """A pixel, right and down from the upper left, and its distance along the optical axis."""

    x: int
    y: int
    metres: float


class Calibration(NamedTuple):
    """log metres = slope * log depth + shift."""

    slope: float
    shift: float
    model: str
    left_out: dict[str, float]  # rms log error of points left out, by model; none of one point

    def apply(self, depth: np.ndarray) -> np.ndarray:
        """Metres, float32; what is unknown, 0 or no number, becomes 0."""
        known = np.isfinite(depth) & (depth > 0)
        metres = np.exp(self.slope * np.log(np.where(known, depth, 1)) + self.shift)
        return np.where(known, metres, 0).astype(np.float32)


def parse_point(text: str) -> Point:
    """Read `X,Y=METRES`; InputError if it is not of that form or not above 0."""
    match = re.fullmatch(r"(\d{1,6}),(\d{1,6})=(\d{1,4}(?:\.\d+)?)", text)
    if match is None or float(match[3]) == 0:
        raise InputError(f"--at {text} is no X,Y=METRES above 0: write it like 320,400=3.25")
    return Point(int(match[1]), int(match[2]), float(match[3]))


def depth_at(depth: np.ndarray, points: Sequence[Point]) -> np.ndarray:
    """What a map, H x W, says at the points; InputError for one outside or where it is unknown."""
    height, width = depth.shape
    found = []
    for x, y, _ in points:
        if x >= width or y >= height:
            raise InputError(f"--at {x},{y} lies outside the depth of {width}x{height} px")
        rows, columns = (slice(max(0, at - _NEAR_PX), at + _NEAR_PX + 1) for at in (y, x))
        near = depth[rows, columns]
        near = near[np.isfinite(near) & (near > 0)]
        if not near.size:
            raise InputError(f"--at {x},{y} lies where no depth is known: name another point")
        found.append(float(np.median(near)))
    return np.array(found)


def calibrate(depth: np.ndarray, points: Sequence[Point]) -> Calibration:
    """Fit depth to the distances measured in it, in closed form: a scale, from 3 points on also a
    slope in log depth, is taken if it comes nearer to points left out than what is simpler; of one
    point, of which none can be left out, the scale is taken."""
    x, y = np.log(depth_at(depth, points)), np.log([point.metres for point in points])
    if len(x) == 1:
        return Calibration(*_fit(x, y, "scale"), "scale", {})
    left_out = {}
    for model in _MODELS[: 3 if len(x) > 2 else 2]:
        fits = [_fit(np.delete(x, row), np.delete(y, row), model) for row in range(len(x))]
        slopes, shifts = np.transpose(fits)
        left_out[model] = float(np.sqrt(np.mean(np.square(slopes * x + shifts - y))))
    best = min(left_out, key=lambda model: left_out[model])
    return Calibration(*_fit(x, y, best), best, left_out)


def _fit(x: np.ndarray, y: np.ndarray, model: str) -> tuple[float, float]:
    """The slope and the shift of y, log metres, over x, log depth."""
    if model == "nothing":
        return 1.0, 0.0
    slope, x_mean, y_mean = 1.0, float(x.mean()), float(y.mean())
    if model != "scale":
        products, squares = ((x - x_mean) @ (other - other.mean()) for other in (y, x))
        # a map turned inside out is not right
        slope = max(0.0, float((products + _SLOPE_PRIOR) / (squares + _SLOPE_PRIOR)))
    return slope, y_mean - slope * x_mean


def describe(depth: np.ndarray, points: Sequence[Point], fit: Calibration) -> str:
    """Lines for people: each point and the errors before and after."""
    told = zip(depth_at(depth, points), depth_at(fit.apply(depth), points), strict=True)
    lines, errors_m = [], []
    for (x, y, true), (old, new) in zip(points, told, strict=True):
        lines.append(f"{x},{y}: measured {true:.2f} m, told {old:.2f} m, now {new:.2f} m")
        errors_m.append((abs(old - true), abs(new - true)))
    if fit.left_out:
        errors = ", ".join(f"{model} {error:.1%}" for model, error in fit.left_out.items())
        lines.append(f"error of points left out of the fit, in logarithms: {errors}")
    before, after = np.mean(errors_m, axis=0)
    lines.append(f"mean error {before:.2f} m, now {after:.2f} m; fitted: {fit.model}")
    return "\n".join(lines)


def from_network(predictor: Predictor, bg: np.ndarray, fov_degrees: float | None) -> np.ndarray:
    """A plate's depth, float32 H x W, metres: the network's of the plate as both inputs and of the
    same in a mirror, in the geometric mean; other brightnesses and crops gained nothing on the
    museum's validation rooms."""
    if predictor.depth_unit != "metre":
        raise InputError(f"{predictor.path} tells relative depth: name a model in metres")
    views = bg, np.ascontiguousarray(bg[:, ::-1])
    plain, mirrored = (predictor.predict(view, view, fov_degrees=fov_degrees) for view in views)
    return np.sqrt(plain.depth * mirrored.depth[:, ::-1])


def from_inverse(inverse: np.ndarray, points: Sequence[Point]) -> np.ndarray:
    """Metres, float32 H x W, of a teacher's relative inverse depth: scale and shift by least
    squares; InputError of fewer than 2 points, or if they contradict it."""
    if len(points) < 2:
        raise InputError("a teacher's depth has no unit: give two distances or more with --at")
    offset = 1 - float(inverse.min())  # above 0: no value is taken for unknown
    values = depth_at(inverse + offset, points)
    scale, shift = np.polyfit(values, [1 / point.metres for point in points], 1)
    if not scale > 0:
        raise InputError("the distances do not grow where the teacher's do: check --at")
    return (1 / np.maximum(scale * (inverse + offset) + shift, 1 / _FARTHEST_M)).astype(np.float32)


def write_depth(path: Path, depth: np.ndarray) -> None:
    """Write float H x W, metres, as `encode_depth` does, to a PNG; InputError to another name."""
    if path.suffix.lower() != ".png":
        raise InputError(f"{path} is no PNG's name: give one that ends with .png")
    with replaced_file(path) as temporary:
        encode_depth(depth).save(temporary, format="PNG")
