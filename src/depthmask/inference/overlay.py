"""Pictures to look at: the person tinted and outlined, the distance above; depth in colours."""

import math

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from depthmask.data.scenes.person import THRESHOLD, Person

ACCENT = (0, 214, 178)
INK = (8, 28, 26)
_MUTED = 0.7 * (0.45 * np.eye(3) + 0.55 / 3)  # darker, and nearer to grey
_COLORS = cv2.COLORMAP_INFERNO
_TINTED = np.column_stack([0.6 * np.eye(3), 0.4 * np.array(ACCENT)])


def draw_overlay(
    frame: np.ndarray, mask: np.ndarray, person: Person | None, unit: str
) -> Image.Image:
    """Tint and outline the mask, mute the room, write the distance above the person."""
    pixels = cv2.transform(frame, _MUTED)
    part = _box((mask > 1 / 255).astype(np.uint8))
    if mask[part].size:
        share = np.ascontiguousarray(mask[part])
        tinted = cv2.transform(frame[part], _TINTED)
        pixels[part] = cv2.blendLinear(tinted, pixels[part], share, 1 - share)
    # The outline lies just outside the region, so that it hides nothing of the person.
    inside = (mask > THRESHOLD).astype(np.uint8)
    width_px = max(1, round(min(inside.shape) / 240))
    part = _box(inside, width_px)
    if inside[part].size:
        wider = cv2.dilate(inside[part], np.ones((2 * width_px + 1,) * 2, np.uint8))
        pixels[part][wider > inside[part]] = ACCENT
    image = Image.fromarray(pixels)
    text, fill, ink = "nobody", INK, ACCENT
    if person:
        text = f"{person.depth:.2f} m" if unit == "metre" else f"relative {person.depth:.2f}"
        fill, ink = ACCENT, INK
    font = _font(image, 18)
    draw = ImageDraw.Draw(image)
    pad = max(2, int(font.size) // 3)
    box = np.reshape(draw.textbbox((0, 0), text, font=font), (2, 2)) + [[-pad], [pad]]
    size, corner = box[1] - box[0], np.array([pad, pad])
    if person:
        left, top, width, _ = person.box
        corner = np.rint((left + (width - size[0]) / 2, top - size[1] - pad))
    # within the frame, also for a head at its edge
    corner = corner.clip(0, np.maximum(image.size - size, 0))
    draw.rounded_rectangle((*corner, *(corner + size)), radius=size[1] / 3, fill=fill)
    draw.text(tuple(corner - box[0]), text, font=font, fill=ink)
    return image


def depth_span(depth: np.ndarray) -> tuple[float, float]:
    """Nearest and farthest of all but 2 % of a depth map."""
    near, far = np.percentile(depth[::4, ::4], [1, 99]).clip(min=1e-3)
    return float(near), float(max(far, 1.1 * near))


def draw_depth(depth: np.ndarray, span: tuple[float, float], unit: str) -> Image.Image:
    """A depth map in colours, the nearest of a span the lightest, in equal ratios, with a scale."""
    near, far = span
    share = np.log(np.clip(depth, near, far) / near) / math.log(far / near)
    image = _coloured(share)
    font = _font(image, 30)
    line = round(1.5 * font.size)
    bar, pad = line, line // 3
    marks = np.geomspace(near, far, max(2, min(5, image.height // (2 * line))))
    digits = max(0, -math.floor(math.log10(marks[1] - marks[0])))
    texts = [f"{mark:.{digits}f}" + " m" * (unit == "metre") for mark in marks]
    wide = math.ceil(max(font.getlength(text) for text in texts))
    # between the marks a line and its half above and below
    panel = Image.new("RGB", (bar + 3 * pad + wide, line * len(marks)), INK)
    ramp = np.linspace(0, 1, line * (len(marks) - 1))[:, np.newaxis].repeat(bar, axis=1)
    panel.paste(_coloured(ramp), (pad, line // 2))
    draw = ImageDraw.Draw(panel)
    for number, text in enumerate(texts):
        at = bar + 2 * pad, line * (number + 0.5)
        draw.text(at, text, font=font, fill=ACCENT, anchor="lm")
    if 2 * panel.width > image.width or 2 * panel.height > image.height:
        return image  # it would hide too much
    image.paste(panel, (image.width - panel.width - pad, image.height - panel.height - pad))
    return image


def _coloured(share: np.ndarray) -> Image.Image:
    """H x W, 0 to 1, as colours from light to dark."""
    values = np.rint(255 - 255 * share).astype(np.uint8)
    return Image.fromarray(cv2.cvtColor(cv2.applyColorMap(values, _COLORS), cv2.COLOR_BGR2RGB))


def _font(image: Image.Image, num_lines: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size=max(10, round(min(image.size) / num_lines)))
    assert isinstance(font, ImageFont.FreeTypeFont)  # as Pillow's wheels have it
    return font


def _box(region: np.ndarray, margin: int = 0) -> tuple[slice, slice]:
    """Rows and columns of a region, uint8 H x W, and some px around."""
    x, y, width, height = cv2.boundingRect(region)
    top, left = (max(0, start - margin) for start in (y, x))
    return np.s_[top : y + height + margin, left : x + width + margin]
