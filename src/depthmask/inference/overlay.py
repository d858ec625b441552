"""The picture that a person looks at: who was found, and how far away."""

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from depthmask.data.scenes.person import THRESHOLD, Person

ACCENT = (0, 214, 178)
INK = (8, 28, 26)
_TINT = 0.4
_BACKGROUND_LIGHT = 0.7
_BACKGROUND_COLOUR = 0.45


def draw_overlay(
    frame: np.ndarray, mask: np.ndarray, person: Person | None, unit: str = "metre"
) -> Image.Image:
    """Tint and outline the mask, mute the room, write the distance above the person.

    frame: uint8, H x W x 3, RGB; mask: float, H x W, 0 to 1.
    """
    alpha = mask[..., np.newaxis].clip(0, 1)
    colour = frame.astype(np.float32)
    grey = colour.mean(axis=2, keepdims=True)
    room = _BACKGROUND_LIGHT * (grey + _BACKGROUND_COLOUR * (colour - grey))
    tinted = (1 - _TINT) * colour + _TINT * np.array(ACCENT, dtype=np.float32)
    pixels = np.rint(alpha * tinted + (1 - alpha) * room).astype(np.uint8)
    # The outline lies just outside the region, so that it hides nothing of the person.
    inside = (mask > THRESHOLD).astype(np.uint8)
    width_px = max(1, round(min(inside.shape) / 240))
    grown = cv2.dilate(inside, np.ones((3, 3), np.uint8), iterations=width_px)
    pixels[grown > inside] = ACCENT
    image = Image.fromarray(pixels)
    _draw_label(image, person, unit)
    return image


def _draw_label(image: Image.Image, person: Person | None, unit: str) -> None:
    text, fill, ink = "nobody", INK, ACCENT
    if person is not None:
        text = f"{person.depth:.2f} m" if unit == "metre" else f"relative {person.depth:.2f}"
        fill, ink = ACCENT, INK
    font_px = max(10, round(min(image.size) / 18))
    font = ImageFont.load_default(size=font_px)
    draw = ImageDraw.Draw(image)
    pad = max(2, font_px // 3)
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    width, height = right - left + 2 * pad, bottom - top + 2 * pad
    x, y = float(pad), float(pad)
    if person is not None:
        box_x, box_y, box_width, _ = person.box
        x, y = round(box_x + (box_width - width) / 2), round(box_y - height - pad)
    # Within the frame, also for a head at its edge.
    x = min(max(x, 0), max(image.width - width, 0))
    y = min(max(y, 0), max(image.height - height, 0))
    draw.rounded_rectangle((x, y, x + width, y + height), radius=height / 3, fill=fill)
    draw.text((x + pad - left, y + pad - top), text, font=font, fill=ink)
