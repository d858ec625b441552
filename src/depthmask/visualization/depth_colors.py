"""Depth as colour: one scale for a whole figure, and the legend that reads it back."""

from dataclasses import dataclass
from typing import Self

import matplotlib
import numpy as np

from depthmask.errors import InputError

UNITS = ("metre", "relative")
INVALID_RGB = (128, 134, 140)
TICKS_M = (0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100)

# Magma's lightness rises evenly from dark to bright, so equal steps look equal, it survives
# greyscale and colour-blindness, and it shows no edge where the depth has none (turbo does).
# Reversed, near is bright and far sinks into the dark, as under a lamp. Its blackest tenth is
# left away: the far wall stays apart from a black mask.
DEPTH_COLORS = matplotlib.colormaps["magma"]
DARKEST, BRIGHTEST = 0.1, 0.98

ERROR_COLORS = matplotlib.colormaps["RdBu_r"]
ERROR_LIMIT = 0.5


@dataclass(frozen=True)
class DepthScale:
    """The depths that the two ends of the colour scale stand for.

    In metres the scale is logarithmic, as a relative error is what counts; otherwise linear.

    Attributes:
        near, far: 0 < near < far in metres; any near < far where the depth is relative.
        unit: `metre` or `relative`.
    """

    near: float
    far: float
    unit: str = "metre"

    @classmethod
    def spanning(cls, *depths: np.ndarray, unit: str = "metre") -> Self:
        """Span the given depths but for the nearest and farthest 0.5 %.

        Raises:
            InputError: the unit is neither `metre` nor `relative`.
        """
        if unit not in UNITS:
            raise InputError(f"depth unit {unit!r} is unknown: use one of {', '.join(UNITS)}")
        values = np.concatenate([np.asarray(depth, np.float32).ravel() for depth in depths])
        values = values[np.isfinite(values) & ((values > 0) | (unit == "relative"))]
        if not values.size:
            return cls(1.0, 10.0, unit) if unit == "metre" else cls(0.0, 1.0, unit)
        near, far = (float(v) for v in np.percentile(values, (0.5, 99.5)))
        if unit == "metre":
            return cls(near, max(far, near * 1.5), unit)
        return cls(near, max(far, near + 1e-3), unit)

    def unit_interval(self, depth: np.ndarray) -> np.ndarray:
        """Map depth to 0 (near) .. 1 (far), clipped; NaN where there is no valid depth."""
        depth = np.asarray(depth, np.float64)
        if self.unit == "metre":
            valid = np.isfinite(depth) & (depth > 0)
            at = np.log(np.where(valid, depth, self.near) / self.near)
            at /= np.log(self.far / self.near)
        else:
            valid = np.isfinite(depth)
            at = (np.where(valid, depth, self.near) - self.near) / (self.far - self.near)
        return np.where(valid, np.clip(at, 0, 1), np.nan)

    def rgb(self, depth: np.ndarray) -> np.ndarray:
        """Colour a depth map (..., H, W) as uint8 (..., H, W, 3); grey where it is not valid."""
        at = self.unit_interval(depth)
        shade = BRIGHTEST + (DARKEST - BRIGHTEST) * np.nan_to_num(at)
        rgb = DEPTH_COLORS(shade, bytes=True)[..., :3].copy()
        rgb[np.isnan(at)] = INVALID_RGB
        return rgb

    def ticks(self, min_gap: float = 0.13) -> list[tuple[float, str]]:
        """Round depths to write at the legend: (place in 0..1, text), `min_gap` apart."""
        if self.unit == "relative":
            return [(0.0, f"{self.near:.2g}"), (1.0, f"{self.far:.2g}")]
        candidates = [m for m in TICKS_M if self.near * 0.999 <= m <= self.far * 1.001]
        ticks: list[tuple[float, str]] = []
        # Ones and fives first: when room is short the roundest numbers are the ones kept.
        for metres in sorted(candidates, key=lambda m: (f"{m:.0e}"[0] not in "15", m)):
            at = float(self.unit_interval(np.array(metres)))
            if all(abs(at - other) >= min_gap for other, _ in ticks):
                ticks.append((at, f"{metres:g} m"))
        if not ticks:
            ticks = [(0.0, f"{self.near:.2g} m"), (1.0, f"{self.far:.2g} m")]
        return sorted(ticks)

    @property
    def label(self) -> str:
        return "depth" if self.unit == "metre" else "relative depth"


def error_rgb(pred_depth: np.ndarray, true_depth: np.ndarray) -> np.ndarray:
    """Colour (pred - true) / true: blue is too near, red too far, full colour at half the truth.

    Returns:
        uint8, (..., H, W, 3); grey where the truth is not a valid depth.
    """
    true_depth = np.asarray(true_depth, np.float64)
    valid = np.isfinite(true_depth) & (true_depth > 0) & np.isfinite(pred_depth)
    safe = np.where(valid, true_depth, 1.0)
    relative = np.where(valid, (np.where(valid, pred_depth, 1.0) - safe) / safe, 0.0)
    rgb = ERROR_COLORS(np.clip(relative / (2 * ERROR_LIMIT) + 0.5, 0, 1), bytes=True)
    rgb = rgb[..., :3].copy()
    rgb[~valid] = INVALID_RGB
    return rgb


def depth_ramp(num_steps: int) -> np.ndarray:
    """The scale itself, near to far, as uint8 `num_steps` x 3."""
    return DEPTH_COLORS(np.linspace(BRIGHTEST, DARKEST, num_steps), bytes=True)[:, :3]


def error_ramp(num_steps: int) -> np.ndarray:
    """The error scale, too near to too far, as uint8 `num_steps` x 3."""
    return ERROR_COLORS(np.linspace(0, 1, num_steps), bytes=True)[:, :3]
