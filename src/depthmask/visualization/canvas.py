"""Arrays as pictures, depth by one scale a figure; and a sheet of pictures and words, as PNG."""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self
from xml.sax.saxutils import escape, quoteattr

import cv2
import numpy as np
import vl_convert
from PIL import Image

from depthmask.data.scenes.files import replaced_file
from depthmask.data.scenes.person import THRESHOLD
from depthmask.visualization.theme import FONT, LIGHT

MASK_ERRORS = {"missed": LIGHT["sky"], "false": LIGHT["orange"]}
"""Person taken for room, room taken for person: apart also for colour-blind readers."""
INVALID_RGB = np.array((128, 134, 140), np.uint8)
ERROR_TICKS = ((0.0, "−50 %"), (0.5, "0"), (1.0, "+50 %"))

# Magma's lightness rises evenly: equal steps look equal, also in greyscale and to colour-blind
# readers, without edges where the depth has none (turbo has). Reversed, far sinks into the dark, as
# under a lamp. Its blackest tenth is left away: the far wall stays apart from a black mask.
_MAGMA = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[None], cv2.COLORMAP_MAGMA)[0, :, ::-1]
_NEAR_TO_FAR = _MAGMA[250:25:-1]

# RdBu of ColorBrewer, reversed
_BLUE_TO_RED = np.frombuffer(bytes.fromhex(
    "053061 2166ac 4393c3 92c5de d1e5f0 f7f7f7 fddbc7 f4a582 d6604d b2182b 67001f"
), np.uint8).reshape(-1, 3)  # fmt: skip


class DepthScale(NamedTuple):
    """The depths at the two ends of the colours: 0 < near < far in metres, where the scale is
    logarithmic, as a relative error is what counts; near < far, linear, if the unit is relative."""

    near: float
    far: float
    unit: str = "metre"

    @classmethod
    def spanning(cls, *depths: np.ndarray, unit: str = "metre") -> Self:
        """Span the given depths but for the nearest and farthest 0.5 %."""
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
        return np.where(np.isnan(at)[..., None], INVALID_RGB, depth_colors(np.nan_to_num(at)))

    def ticks(self) -> list[tuple[float, str]]:
        """What to write at the legend's ends and its middle: (place in 0..1, text)."""
        middle, sign = (self.near + self.far) / 2, ""
        if self.unit == "metre":
            middle, sign = (self.near * self.far) ** 0.5, " m"
        depths = (self.near, middle, self.far)
        return [(place / 2, f"{depth:.2g}{sign}") for place, depth in enumerate(depths)]


def depth_colors(at: np.ndarray) -> np.ndarray:
    """The colours of 0 (near) .. 1 (far) as uint8 (..., 3)."""
    return _NEAR_TO_FAR[np.round((len(_NEAR_TO_FAR) - 1) * at).astype(int)]


def error_rgb(pred_depth: np.ndarray, true_depth: np.ndarray) -> np.ndarray:
    """Colour (pred - true) / true, blue too near, red too far, full at 50 %, grey where there is
    no valid depth: uint8 (..., H, W, 3)."""
    valid = np.isfinite(true_depth) & (true_depth > 0) & np.isfinite(pred_depth)
    at = np.divide(pred_depth, true_depth, out=np.ones(valid.shape), where=valid) - 0.5
    return np.where(valid[..., None], error_colors(at), INVALID_RGB)


def error_colors(at: np.ndarray) -> np.ndarray:
    """The colours of 0 (too near) .. 1 (too far) as uint8 (..., 3)."""
    places = np.linspace(0, 1, len(_BLUE_TO_RED))
    channels = [np.interp(at, places, channel) for channel in _BLUE_TO_RED.T]
    return np.round(np.stack(channels, axis=-1)).astype(np.uint8)


def unit_mask(mask: np.ndarray) -> np.ndarray:
    """Bring a mask, bool, uint8 0..255 or float 0..1, to float32 0..1."""
    return mask.astype(np.float32) / (255 if mask.dtype == np.uint8 else 1)


def mask_rgb(mask: np.ndarray) -> np.ndarray:
    """A mask (..., H, W) as white on black, uint8 (..., H, W, 3)."""
    grey = np.round(255 * np.clip(unit_mask(mask), 0, 1)).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)


def mask_errors_rgb(pred_mask: np.ndarray, true_mask: np.ndarray) -> np.ndarray:
    """The predicted mask, white on black, its errors coloured; uint8 (..., H, W, 3)."""
    pred, true = unit_mask(pred_mask) > THRESHOLD, unit_mask(true_mask) > THRESHOLD
    rgb = mask_rgb(pred & true)
    for wrong, color in zip((true & ~pred, pred & ~true), MASK_ERRORS.values(), strict=True):
        rgb[wrong] = list(bytes.fromhex(color[1:]))
    return rgb


class Canvas:
    """A sheet `width` px wide, from the top left: an SVG that vl-convert draws, so that a picture
    stays its very pixels and words are in the font that comes with it."""

    def __init__(self, width: int, color: str = "white", radius: float = 0) -> None:
        self.width = width
        self._parts = [_element("rect", width="100%", height="100%", rx=radius, fill=color)]

    def image(
        self, x: float, y: float, width: int, height: int, pixels: np.ndarray, radius: float = 3
    ) -> None:
        """Paste uint8 H x W x 3 pixels, resized to `width` x `height`, corners rounded."""
        picture = Image.fromarray(np.ascontiguousarray(pixels))
        file = io.BytesIO()
        picture.resize((width, height), Image.Resampling.LANCZOS).save(file, "PNG")
        area = {"x": x, "y": y, "width": width, "height": height}
        name, href = f"clip{len(self._parts)}", as_data(file.getvalue(), "png")
        clip = _element("clipPath", _element("rect", **area, rx=radius), id=name)
        self._parts += [clip, _element("image", **area, clip_path=f"url(#{name})", href=href)]

    def box(self, x: float, y: float, width: float, height: float, **style: object) -> None:
        """Draw a rectangle; `style` as in SVG."""
        self._parts.append(_element("rect", x=x, y=y, width=width, height=height, **style))

    def text(self, x: float, y: float, words: str, note: str = "", /, **style: object) -> None:
        """Write `words`, their middle at `y`, and a paler note after them; `style` as in SVG."""
        style = {"font_size": 13, "fill": LIGHT["ink"]} | style
        paler = {"font_size": "80%", "font_weight": "normal", "fill_opacity": 0.7}
        after = _element("tspan", escape(note), dx=10, **paler) if note else ""
        self._parts.append(_element("text", escape(words) + after, x=x, y=y, dy="0.36em", **style))

    def legend(
        self,
        x: float,
        y: float,
        width: int,
        colors: Callable[[np.ndarray], np.ndarray],
        ticks: Sequence[tuple[float, str]],
        name: str = "",
        color: str = LIGHT["muted"],
    ) -> None:
        """Draw the colours of 0..1 from `y` down, ticks beneath, their name on the left."""
        self.text(x - 12, y + 5, name, fill=color, text_anchor="end")
        self.image(x, y, width, 10, np.tile(colors(np.linspace(0, 1, width)), (10, 1, 1)))
        for at, words in ticks:
            place = x + at * (width - 1)
            self.box(place, y + 12, 1, 4, fill=color)
            self.text(place + 0.5, y + 24, words, font_size=12, fill=color, text_anchor="middle")

    def keys(self, x: float, y: float, colors: Mapping[str, str]) -> None:
        """Say what colours mean, each with its words, from the right end `x` to the left."""
        for words, color in reversed(list(colors.items())):
            x -= 34 + 7 * len(words)
            self.box(x, y - 6, 12, 12, fill=color, rx=2)
            self.text(x + 18, y, words, fill=LIGHT["muted"])

    def save(self, path: Path, height: int) -> None:
        """Write the PNG, `height` px high, the same bytes for the same content."""
        size = {"width": self.width, "height": height, "font_family": FONT}
        svg = _element("svg", "".join(self._parts), xmlns="http://www.w3.org/2000/svg", **size)
        with replaced_file(path) as temporary:
            temporary.write_bytes(vl_convert.svg_to_png(svg))


def _element(tag: str, content: str = "", /, **attributes: object) -> str:
    pairs = (f" {name.replace('_', '-')}={quoteattr(str(v))}" for name, v in attributes.items())
    return f"<{tag}{''.join(pairs)}>{content}</{tag}>"


def as_data(content: bytes, kind: str) -> str:
    """A picture's bytes as an address that holds them."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
