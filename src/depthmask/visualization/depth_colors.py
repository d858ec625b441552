"""Depth as colour: one scale for a whole figure, and the legend that reads it back."""

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np

from depthmask.data.scenes.scene import UNITS
from depthmask.errors import InputError

INVALID_RGB = (128, 134, 140)
TICKS_M = (0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100)

# Magma's lightness rises evenly from dark to bright, so equal steps look equal, it survives
# greyscale and colour-blindness, and it shows no edge where the depth has none (turbo does).
# Reversed, near is bright and far sinks into the dark, as under a lamp. Its blackest tenth is
# left away: the far wall stays apart from a black mask.
_BRIGHTEST, _DARKEST = 250, 26
_MAGMA = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[None], cv2.COLORMAP_MAGMA)[0, :, ::-1]

ERROR_LIMIT = 0.5
_BLUE_TO_RED = np.array(
    [
        (5, 48, 97), (33, 102, 172), (67, 147, 195), (146, 197, 222), (209, 229, 240),
        (247, 247, 247),
        (253, 219, 199), (244, 165, 130), (214, 96, 77), (178, 24, 43), (103, 0, 31),
    ],
    float,
)  # fmt: skip
"""RdBu of ColorBrewer, reversed."""


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
        near, far = (float(value) for value in np.percentile(values, (0.5, 99.5)))
        return cls(near, max(far, near * 1.5 if unit == "metre" else near + 1e-3), unit)

    @property
    def label(self) -> str:
        return "depth" if self.unit == "metre" else "relative depth"

    def unit_interval(self, depth: np.ndarray) -> np.ndarray:
        """Map depth to 0 (near) .. 1 (far), clipped; NaN where there is no valid depth."""
        depth = np.asarray(depth, np.float64)
        valid = np.isfinite(depth) & ((depth > 0) | (self.unit == "relative"))
        depth = np.where(valid, depth, self.near)
        if self.unit == "metre":
            at = np.log(depth / self.near) / np.log(self.far / self.near)
        else:
            at = (depth - self.near) / (self.far - self.near)
        return np.where(valid, np.clip(at, 0, 1), np.nan)

    def rgb(self, depth: np.ndarray) -> np.ndarray:
        """Colour a depth map (..., H, W) as uint8 (..., H, W, 3); grey where it is not valid."""
        at = self.unit_interval(depth)
        rgb = _depth_rgb(np.nan_to_num(at))
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
        return sorted(ticks) or [(0.0, f"{self.near:.2g} m"), (1.0, f"{self.far:.2g} m")]


ERROR_TICKS = ((0.0, "−50 %"), (0.5, "0"), (1.0, "+50 %"))


def error_rgb(pred_depth: np.ndarray, true_depth: np.ndarray) -> np.ndarray:
    """Colour (pred - true) / true, blue too near, red too far, full at `ERROR_LIMIT`.

    Returns:
        uint8, (..., H, W, 3); grey where there is no valid depth.
    """
    true_depth = np.asarray(true_depth, np.float64)
    valid = np.isfinite(true_depth) & (true_depth > 0) & np.isfinite(pred_depth)
    safe = np.where(valid, true_depth, 1.0)
    relative = (np.where(valid, pred_depth, safe) - safe) / safe
    rgb = _error_rgb(np.clip(relative / (2 * ERROR_LIMIT) + 0.5, 0, 1))
    rgb[~valid] = INVALID_RGB
    return rgb


def depth_ramp(num_steps: int) -> np.ndarray:
    """The scale itself, near to far, as uint8 `num_steps` x 3."""
    return _depth_rgb(np.linspace(0, 1, num_steps))


def error_ramp(num_steps: int) -> np.ndarray:
    """The error scale, too near to too far, as uint8 `num_steps` x 3."""
    return _error_rgb(np.linspace(0, 1, num_steps))


def _depth_rgb(at: np.ndarray) -> np.ndarray:
    shades = np.round(_BRIGHTEST + (_DARKEST - _BRIGHTEST) * at).astype(int)
    return _MAGMA[shades].copy()


def _error_rgb(at: np.ndarray) -> np.ndarray:
    places = np.linspace(0, 1, len(_BLUE_TO_RED))
    channels = [np.interp(at, places, channel) for channel in _BLUE_TO_RED.T]
    return np.round(np.stack(channels, axis=-1)).astype(np.uint8)
