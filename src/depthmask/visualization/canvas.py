"""A sheet of pictures and words, laid out in pixels from the top left.

Pictures are pasted as they are, not drawn through axes: a sheet of a hundred takes a moment,
and a pixel stays a pixel. Words come from matplotlib and its own font, the same on any machine.
"""

from pathlib import Path
from typing import Self

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from PIL import Image, ImageDraw

from depthmask.visualization.depth_colors import DepthScale, depth_ramp, error_ramp
from depthmask.visualization.theme import DPI, INK, MUTED, PAPER, plain_style, save

POINTS_PER_PX = 72 / DPI


class Canvas:
    """A figure `width` x `height` pixels, at `scale` device pixels to each of them.

    Use it as a context: it shuts out the user's matplotlib settings.
    """

    def __init__(
        self, width: int, height: int, *, background: str | None = PAPER, scale: int = 1
    ) -> None:
        self.width, self.height, self.scale = width, height, scale
        fill = (0, 0, 0, 0) if background is None else (*_rgb(background), 255)
        self._sheet = Image.new("RGBA", (width * scale, height * scale), fill)
        self._style = plain_style()

    def __enter__(self) -> Self:
        self._style.__enter__()
        size_inches = (self.width / DPI, self.height / DPI)
        self._figure = Figure(figsize=size_inches, dpi=DPI * self.scale, facecolor="none")
        self._renderer = FigureCanvasAgg(self._figure).get_renderer()
        return self

    def __exit__(self, *exception: object) -> None:
        self._style.__exit__(*exception)

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
        size = (width * self.scale, height * self.scale)
        picture = Image.fromarray(np.ascontiguousarray(pixels))
        if picture.size != size:
            enlarged = picture.width < size[0] and not smooth
            kind = Image.Resampling.NEAREST if enlarged else Image.Resampling.LANCZOS
            picture = picture.resize(size, kind)
        self._paste(x, y, picture, radius)

    def box(
        self, x: float, y: float, width: float, height: float, color: str, radius: float = 0
    ) -> None:
        """Fill a rectangle, its corners rounded by `radius`."""
        size = (max(1, round(width * self.scale)), max(1, round(height * self.scale)))
        self._paste(x, y, Image.new("RGB", size, _rgb(color)), radius)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: float = 13,
        color: str = INK,
        weight: str = "normal",
        ha: str = "left",
        va: str = "center_baseline",
        rotation: float = 0,
    ) -> float:
        """Write `words`, `size` pixels high; `ha` and `va` as in matplotlib.

        Returns:
            The x at which left-aligned words end.
        """
        self._figure.text(
            x / self.width,
            1 - y / self.height,
            words,
            fontsize=size * POINTS_PER_PX,
            color=color,
            fontweight=weight,
            ha=ha,
            va=va,
            rotation=rotation,
        )
        return x + self.text_width(words, size=size, weight=weight)

    def text_width(self, words: str, *, size: float = 13, weight: str = "normal") -> float:
        """How many pixels wide `words` would be."""
        font = FontProperties(size=size * POINTS_PER_PX, weight=weight)
        return self._renderer.get_text_width_height_descent(words, font, False)[0] / self.scale

    def depth_legend(
        self,
        x: float,
        y: float,
        width: int,
        scale: DepthScale,
        *,
        color: str = MUTED,
        named: bool = True,
    ) -> None:
        """Draw a bar `width` wide from `y` down, its ticks beneath, its name left if `named`."""
        if named:
            self.text(x - 12, y + 5, scale.label, size=13, color=color, ha="right")
        self.image(x, y, width, 10, np.tile(depth_ramp(width), (10, 1, 1)))
        for at, words in scale.ticks():
            self._tick(x + at * (width - 1), y + 12, words, color)

    def error_legend(self, x: float, y: float, width: int, *, color: str = MUTED) -> None:
        """Draw the bar that reads `error_rgb`."""
        self.image(x, y, width, 10, np.tile(error_ramp(width), (10, 1, 1)))
        for at, words in ((0, "−50 %"), (0.5, "0"), (1, "+50 %")):
            self._tick(x + at * (width - 1), y + 12, words, color)

    def save(self, path: Path) -> None:
        """Write the PNG, the same bytes for the same content."""
        self._figure.figimage(np.asarray(self._sheet), 0, 0, origin="upper", zorder=-1)
        save(self._figure, path, dpi=DPI * self.scale)

    def _tick(self, x: float, y: float, words: str, color: str) -> None:
        self.box(x, y, 1, 4, color)
        self.text(x + 0.5, y + 12, words, size=12, color=color, ha="center")

    def _paste(self, x: float, y: float, picture: Image.Image, radius: float) -> None:
        corner = (round(x * self.scale), round(y * self.scale))
        self._sheet.paste(picture, corner, _rounded(picture.size, radius * self.scale))


def _rounded(size: tuple[int, int], radius: float) -> Image.Image | None:
    """A paste mask of `size` whose corners are smooth quarter circles."""
    radius = round(min(radius, size[0] / 2, size[1] / 2))
    if radius < 1:
        return None
    fine = 4
    corner = Image.new("L", (2 * radius * fine, 2 * radius * fine), 0)
    ImageDraw.Draw(corner).ellipse((0, 0, corner.width - 1, corner.height - 1), fill=255)
    corner = corner.resize((2 * radius, 2 * radius), Image.Resampling.BOX)
    mask = Image.new("L", size, 255)
    for right in (0, 1):
        for low in (0, 1):
            box = (right * radius, low * radius, (right + 1) * radius, (low + 1) * radius)
            place = (right * (size[0] - radius), low * (size[1] - radius))
            mask.paste(corner.crop(box), place)
    return mask


def _rgb(color: str) -> tuple[int, int, int]:
    red, green, blue = (round(255 * channel) for channel in to_rgb(color))
    return red, green, blue
