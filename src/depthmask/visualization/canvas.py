"""A sheet of pictures and words, laid out in pixels from the top left; and arrays as pictures.

A sheet is an SVG that vl-convert draws: a picture stays its very pixels, words are in the font
that comes with it.
"""

import base64
import io
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import vl_convert
from PIL import Image

from depthmask.data.scenes.files import replaced_file
from depthmask.visualization.depth_colors import ERROR_TICKS, DepthScale, depth_ramp, error_ramp
from depthmask.visualization.theme import FONT, LIGHT

MISSED, FALSE = LIGHT["sky"], LIGHT["orange"]
"""Person taken for room, room taken for person: apart also for colour-blind readers."""


class Canvas:
    """A sheet `width` x `height` pixels."""

    def __init__(self, width: int, height: int, background: str | None = "white") -> None:
        self.width, self.height = width, height
        self._parts: list[str] = []
        if background:
            self.box(0, 0, width, height, background)

    def image(
        self,
        x: float,
        y: float,
        width: int,
        height: int,
        pixels: np.ndarray,
        *,
        smooth: bool = True,
        radius: float = 3,
    ) -> None:
        """Paste uint8 H x W x 3 pixels, resized to `width` x `height`, corners rounded."""
        picture = Image.fromarray(np.ascontiguousarray(pixels))
        if picture.size != (width, height):
            enlarged = picture.width < width and not smooth
            kind = Image.Resampling.NEAREST if enlarged else Image.Resampling.LANCZOS
            picture = picture.resize((width, height), kind)
        file = io.BytesIO()
        picture.save(file, "PNG")
        box = f'x="{x:g}" y="{y:g}" width="{width}" height="{height}"'
        name = f"clip{len(self._parts)}"
        self._parts.append(
            f'<clipPath id="{name}"><rect {box} rx="{radius}"/></clipPath>'
            f'<image {box} clip-path="url(#{name})" href="{as_data(file.getvalue(), "png")}"/>'
        )

    def box(
        self, x: float, y: float, width: float, height: float, color: str, radius: float = 0
    ) -> None:
        """Fill a rectangle, its corners rounded by `radius`."""
        self._parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius}"'
            f' fill="{color}"/>'
        )

    def text(
        self,
        x: float,
        y: float,
        words: str,
        note: str = "",
        *,
        size: float = 13,
        color: str = LIGHT["ink"],
        note_color: str = LIGHT["muted"],
        weight: str = "normal",
        anchor: str = "start",
    ) -> None:
        """Write `words`, `size` pixels high, their middle at `y`, and a paler note after them."""
        after = (
            f'<tspan dx="10" font-size="{size * 0.8:g}" font-weight="normal" fill="{note_color}">'
            f"{escape(note)}</tspan>"
        )
        self._parts.append(
            f'<text x="{x:g}" y="{y + 0.36 * size:g}" font-size="{size:g}" fill="{color}"'
            f" font-weight={quoteattr(weight)} text-anchor={quoteattr(anchor)}>{escape(words)}"
            f"{after if note else ''}</text>"
        )

    def depth_legend(
        self,
        x: float,
        y: float,
        width: int,
        scale: DepthScale,
        *,
        color: str = LIGHT["muted"],
        named: bool = True,
    ) -> None:
        """Draw a bar `width` wide from `y` down, its ticks beneath, its name left if `named`."""
        if named:
            self.text(x - 12, y + 5, scale.label, color=color, anchor="end")
        self._ramp(x, y, depth_ramp(width), scale.ticks(), color)

    def error_legend(self, x: float, y: float, width: int) -> None:
        """Draw the bar that reads `error_rgb`."""
        self._ramp(x, y, error_ramp(width), list(ERROR_TICKS), LIGHT["muted"])

    def mask_legend(self, x: float, y: float) -> None:
        """Name the colours of a mask's errors."""
        for color, words, left in ((MISSED, "missed", x), (FALSE, "false", x + 76)):
            self.box(left, y - 6, 12, 12, color, radius=2)
            self.text(left + 18, y, words, color=LIGHT["muted"])

    def save(self, path: Path) -> None:
        """Write the PNG, the same bytes for the same content."""
        svg = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}"'
            f' font-family="{FONT}">{"".join(self._parts)}</svg>'
        )
        with replaced_file(path) as temporary:
            temporary.write_bytes(vl_convert.svg_to_png(svg))

    def _ramp(
        self, x: float, y: float, ramp: np.ndarray, ticks: list[tuple[float, str]], color: str
    ) -> None:
        self.image(x, y, len(ramp), 10, np.tile(ramp, (10, 1, 1)))
        for at, words in ticks:
            place = x + at * (len(ramp) - 1)
            self.box(place, y + 12, 1, 4, color)
            self.text(place + 0.5, y + 24, words, size=12, color=color, anchor="middle")


def as_data(content: bytes, kind: str) -> str:
    """A picture's bytes as an address that holds them."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def unit_mask(mask: np.ndarray) -> np.ndarray:
    """Bring a mask, bool, uint8 0..255 or float 0..1, to float32 0..1."""
    unit = np.asarray(mask).astype(np.float32)
    return unit / 255 if np.asarray(mask).dtype == np.uint8 else unit


def mask_rgb(mask: np.ndarray) -> np.ndarray:
    """A mask (..., H, W) as white on black, uint8 (..., H, W, 3)."""
    grey = np.round(255 * np.clip(unit_mask(mask), 0, 1)).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)


def mask_errors_rgb(
    pred_mask: np.ndarray, true_mask: np.ndarray, threshold: float = 0.5
) -> np.ndarray:
    """The predicted mask, white on black, its errors coloured; uint8 (..., H, W, 3)."""
    pred = unit_mask(pred_mask) > threshold
    true = unit_mask(true_mask) > threshold
    rgb = mask_rgb(pred & true)
    for wrong, color in ((true & ~pred, MISSED), (pred & ~true, FALSE)):
        rgb[wrong] = tuple(bytes.fromhex(color[1:]))
    return rgb


def spread(num_total: int, num_wanted: int) -> list[int]:
    """Choose up to `num_wanted` indices below `num_total`, evenly spread, the first among them."""
    num_wanted = min(num_total, num_wanted)
    return [i * num_total // num_wanted for i in range(num_wanted)]
