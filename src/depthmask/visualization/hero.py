"""The picture at the top of the README: two photographs in, a mask and a depth out."""

from pathlib import Path

import numpy as np

from depthmask.data.scenes.scene import Scene
from depthmask.visualization.canvas import Canvas
from depthmask.visualization.depth_colors import DepthScale
from depthmask.visualization.tiles import mask_rgb, unit_mask

CARD, CARD_INK, CARD_MUTED, LABEL = "#151921", "#f0f3f6", "#9aa4b0", "#0b0d11"
TILE = 292
ASPECT = 0.75
GAP = 10
MIDDLE_GAP = 44
MARGIN = 32
HEAD = 74
FOOT = 74


def hero(
    path: Path,
    scenes: Scene[np.ndarray],
    *,
    unit: str = "metre",
    scale: int = 1,
) -> None:
    """Draw two or three scenes as bg, bg_fg -> mask, depth on a dark card with round corners.

    The card brings its own ground, and is clear outside its corners: it looks the same on a
    white page and on a dark one. Tiles are cut to 4:3 around the person.

    Args:
        scenes: arrays with a leading axis N; images uint8 N x H x W x 3; mask and depth are
            what is to be shown, best the predicted ones.
        scale: device pixels to a pixel; 2 for a page seen on a fine screen.
    """
    tile_height = round(TILE * ASPECT)
    lefts = [MARGIN, MARGIN + TILE + GAP]
    lefts += [lefts[1] + TILE + MIDDLE_GAP, lefts[1] + 2 * TILE + MIDDLE_GAP + GAP]
    width = lefts[-1] + TILE + MARGIN
    num_scenes = len(scenes.bg_fg)
    height = HEAD + num_scenes * (tile_height + GAP) - GAP + FOOT
    crops = [_crop(mask, ASPECT) for mask in scenes.mask]
    depths = [d[rows, columns] for d, (rows, columns) in zip(scenes.depth, crops, strict=True)]
    depth_scale = DepthScale.spanning(*depths, unit=unit)
    heads = ("bg", "the empty room"), ("bg_fg", "a frame"), ("mask", "who"), ("depth", "how far")
    with Canvas(width, height, background=None, scale=scale) as canvas:
        canvas.box(0, 0, width, height, CARD, radius=18)
        for x, (name, words) in zip(lefts, heads, strict=True):
            end = canvas.text(x + 2, 46, name, size=20, weight="bold", color=CARD_INK)
            canvas.text(end + 10, 46, words, size=16, color=CARD_MUTED)
        for number, (rows, columns) in enumerate(crops):
            y = HEAD + number * (tile_height + GAP)
            mask, depth = scenes.mask[number][rows, columns], depths[number]
            pictures = (
                scenes.bg[number][rows, columns],
                scenes.bg_fg[number][rows, columns],
                mask_rgb(mask),
                depth_scale.rgb(depth),
            )
            for x, pixels in zip(lefts, pictures, strict=True):
                canvas.image(x, y, TILE, tile_height, pixels, radius=8)
            middle = lefts[1] + TILE + MIDDLE_GAP / 2
            canvas.text(middle, y + tile_height / 2, "→", size=26, color=CARD_MUTED, ha="center")
            if unit == "metre" and (unit_mask(mask) > 0.5).any():
                _distance(canvas, lefts[3], y, mask, depth)
        legend_width = 2 * TILE + GAP - 80
        y = height - FOOT + 18
        canvas.depth_legend(lefts[2] + 80, y, legend_width, depth_scale, color=CARD_MUTED)
        canvas.save(path)


def _distance(canvas: Canvas, x: int, y: int, mask: np.ndarray, depth: np.ndarray) -> None:
    """Label a depth tile with the person's distance, the median depth of the mask.

    The label stands in the upper corner that has less of the person in it.
    """
    person = unit_mask(mask) > 0.5
    words = f"{np.median(depth[person]):.1f} m"
    width = canvas.text_width(words, size=15, weight="bold") + 18
    upper = person[: person.shape[0] // 4]
    third = person.shape[1] // 3
    if upper[:, :third].sum() > upper[:, -third:].sum():
        x += TILE - width - 16
    canvas.box(x + 8, y + 8, width, 26, LABEL, radius=6)
    canvas.text(x + 17, y + 21, words, size=15, weight="bold", color=CARD_INK)


def _crop(mask: np.ndarray, aspect: float) -> tuple[slice, slice]:
    """Rows and columns of a frame cut to `aspect` (height by width), the person kept in it."""
    height, width = mask.shape
    crop_height, crop_width = min(height, round(width * aspect)), min(width, round(height / aspect))
    person = np.argwhere(unit_mask(mask) > 0.5)
    middle = person.min(axis=0) + person.max(axis=0) if len(person) else np.array(mask.shape)
    top = int(np.clip(middle[0] // 2 - crop_height // 2, 0, height - crop_height))
    left = int(np.clip(middle[1] // 2 - crop_width // 2, 0, width - crop_width))
    return slice(top, top + crop_height), slice(left, left + crop_width)
