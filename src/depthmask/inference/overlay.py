"""A picture to look at: the person tinted and outlined, the distance written above."""

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from depthmask.data.scenes.person import THRESHOLD, Person

ACCENT = (0, 214, 178)
INK = (8, 28, 26)
_MUTED = 0.7 * (0.45 * np.eye(3) + 0.55 / 3)  # darker, and nearer to grey
_ROWS = 256  # at once: floats of a whole large frame would take gigabytes


def draw_overlay(
    frame: np.ndarray, mask: np.ndarray, person: Person | None, unit: str
) -> Image.Image:
    """Tint and outline the mask, mute the room, write the distance above the person."""
    pixels = cv2.transform(frame, _MUTED)
    x, y, width, height = cv2.boundingRect((mask > 1 / 255).astype(np.uint8))
    columns = slice(x, x + width)
    for top in range(y, y + height, _ROWS):
        part = np.s_[top : top + _ROWS, columns]
        alpha = mask[part][..., np.newaxis].clip(0, 1)
        tinted = 0.6 * frame[part].astype(np.float32) + 0.4 * np.array(ACCENT, np.float32)
        pixels[part] = np.rint(alpha * tinted + (1 - alpha) * pixels[part])
    # The outline lies just outside the region, so that it hides nothing of the person.
    inside = (mask > THRESHOLD).astype(np.uint8)
    width_px = 2 * max(1, round(min(inside.shape) / 240)) + 1
    pixels[cv2.dilate(inside, np.ones((width_px, width_px), np.uint8)) > inside] = ACCENT
    image = Image.fromarray(pixels)
    text, fill, ink = "nobody", INK, ACCENT
    if person:
        text = f"{person.depth:.2f} m" if unit == "metre" else f"relative {person.depth:.2f}"
        fill, ink = ACCENT, INK
    font_px = max(10, round(min(image.size) / 18))
    font = ImageFont.load_default(size=font_px)
    draw = ImageDraw.Draw(image)
    pad = max(2, font_px // 3)
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
