"""What a network predicts, in pictures: panels, the README's, and the harder frames."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from depthmask.data.scenes.person import THRESHOLD
from depthmask.data.scenes.scene import Scene
from depthmask.errors import InputError
from depthmask.evaluation.footage import View
from depthmask.evaluation.robustness import CONDITIONS
from depthmask.evaluation.robustness_table import ConditionExample
from depthmask.visualization.canvas import (
    ERROR_TICKS,
    INVALID_RGB,
    Canvas,
    DepthScale,
    depth_colors,
    error_colors,
    mask_errors_rgb,
    mask_rgb,
    spread,
    unit_mask,
)
from depthmask.visualization.theme import LIGHT

FIELDS = {
    "bg": "plate (bg)",
    "bg_fg": "frame (bg_fg)",
    "true_mask": "true mask",
    "pred_mask": "predicted mask",
    "threshold": "difference threshold",
    "true_depth": "true depth",
    "pred_depth": "predicted depth",
    "depth_error": "depth error",
}
"""What is shown of a scene, in this order."""
MARGIN, GAP, MUTED = 28, 6, LIGHT["muted"]
PANEL, PANEL_TOP = 176, 142
PANEL_LEFTS = [160, 342, 536, 718, 912, 1094, 1276]
NUM_STRENGTHS, EXAMPLE, GUTTER, HEADER, BLOCK_TOP = 6, 112, 66, 100, 62
BLOCK_STEP = GUTTER + NUM_STRENGTHS * (EXAMPLE + GAP) + 38
BLOCK_HEIGHT = BLOCK_TOP + 2 * (EXAMPLE + GAP) + 52
CARD, CARD_INK, CARD_MUTED, LABEL = "#151921", "#f0f3f6", "#9aa4b0", "#0b0d11"
HERO_TILE, HERO_HEIGHT, HERO_LEFTS = 292, 219, (32, 334, 670, 972)


def panels(
    path: Path,
    pictures: Mapping[str, Sequence[np.ndarray] | np.ndarray],
    captions: Sequence[Sequence[str]],
    *,
    title: str,
    subtitle: str,
    scale: DepthScale | None = None,
) -> None:
    """Draw a row a scene: N `pictures` H x W x 3 by names of `FIELDS`, with N `captions`.

    `scale`, where depth is shown, is the same for every experiment that is compared. Raises
    InputError without rows.
    """
    if not captions:
        raise InputError("no scene to draw panels of: set evaluate.num_panels to 1 or more")
    width = PANEL_LEFTS[len(pictures) - 1] + PANEL + MARGIN
    canvas = Canvas(width)
    canvas.title(MARGIN, title, subtitle)
    canvas.mask_legend(PANEL_LEFTS[3], 71)
    if scale is not None and "depth_error" in pictures:
        canvas.legend(PANEL_LEFTS[4] + 98, 66, 260, depth_colors, scale.ticks(), scale.label)
        canvas.legend(PANEL_LEFTS[6] + 20, 66, PANEL - 40, error_colors, ERROR_TICKS)
    heights = [round(PANEL * bg.shape[0] / bg.shape[1]) for bg in pictures["bg"]]
    tops = np.cumsum([PANEL_TOP, *(height + GAP for height in heights)])
    canvas.box(MARGIN, PANEL_TOP - 5, width - 2 * MARGIN, 1, fill=LIGHT["rule"])
    for (name, column), x in zip(pictures.items(), PANEL_LEFTS, strict=False):
        weight = "bold" if name.startswith("pred") else "normal"
        style = {"font_size": 14, "font_weight": weight, "text_anchor": "middle"}
        canvas.text(x + PANEL / 2, 126, FIELDS[name], **style)
        for row, pixels in enumerate(column):
            canvas.image(x, tops[row], PANEL, heights[row], pixels)
    for row, (head, *figures) in enumerate(captions):
        y = tops[row] + heights[row] / 2 - 10 * len(figures)
        canvas.text(MARGIN, y, head, font_weight="bold")
        for place, words in enumerate(figures, start=1):
            canvas.text(MARGIN, y + 20 * place, words, fill=MUTED)
    canvas.save(path, tops[-1] + MARGIN - GAP)


def hero(path: Path, scenes: Scene[np.ndarray], *, unit: str) -> None:
    """Draw a few scenes (with a leading axis N), cut to 4:3 around the person, on a dark card,
    clear outside its round corners: it looks the same on a white page and on a dark one."""
    crops = [_crop(unit_mask(mask) > THRESHOLD) for mask in scenes.mask]
    cut = [[field[n][crop] for field in scenes[:4]] for n, crop in enumerate(crops)]
    scale = DepthScale.spanning(*(depth for *_, depth in cut), unit=unit)
    canvas = Canvas(HERO_LEFTS[-1] + HERO_TILE + 32, CARD, radius=18)
    heads = ("bg", "the empty room"), ("bg_fg", "a frame"), ("mask", "who"), ("depth", "how far")
    for x, (name, note) in zip(HERO_LEFTS, heads, strict=True):
        canvas.text(x + 2, 46, name, note, font_size=20, font_weight="bold", fill=CARD_INK)
    y = 74
    for bg, bg_fg, mask, depth in cut:
        pictures = bg, bg_fg, mask_rgb(mask), scale.rgb(depth)
        for x, pixels in zip(HERO_LEFTS, pictures, strict=True):
            canvas.image(x, y, HERO_TILE, HERO_HEIGHT, pixels, radius=8)
        style = {"font_size": 26, "fill": CARD_MUTED, "text_anchor": "middle"}
        canvas.text(HERO_LEFTS[2] - 22, y + HERO_HEIGHT / 2, "→", **style)
        person = unit_mask(mask) > THRESHOLD
        if unit == "metre" and person.any():
            _write_distance(canvas, y, person, depth)
        y += HERO_HEIGHT + 10
    where, ticks = (HERO_LEFTS[2] + 80, y + 8, 514), scale.ticks()
    canvas.legend(*where, depth_colors, ticks, scale.label, CARD_MUTED)
    canvas.save(path, y + 64)


def _write_distance(canvas: Canvas, y: int, person: np.ndarray, depth: np.ndarray) -> None:
    """The person's median depth, in the upper corner that has less of the person in it."""
    words = f"{np.median(depth[person]):.1f} m"
    width = 22 + 8 * len(words)
    upper, third = person[: person.shape[0] // 4], person.shape[1] // 3
    is_left = upper[:, :third].sum() <= upper[:, -third:].sum()
    x = HERO_LEFTS[3] + (8 if is_left else HERO_TILE - width - 8)
    canvas.box(x, y + 8, width, 26, fill=LABEL, rx=6)
    style = {"font_size": 15, "font_weight": "bold", "fill": CARD_INK, "text_anchor": "middle"}
    canvas.text(x + width / 2, y + 21, words, **style)


def _crop(person: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of a frame cut to 4:3, the person kept in it."""
    size = np.array(person.shape)
    crop = np.minimum(size, np.round(size[::-1] * (0.75, 4 / 3)).astype(int))
    places = np.argwhere(person)
    middle = (places.min(axis=0) + places.max(axis=0) if len(places) else size) // 2
    top, left = np.clip(middle - crop // 2, 0, size - crop)
    return slice(top, top + crop[0]), slice(left, left + crop[1])


def conditions_sheet(path: Path, examples: Sequence[ConditionExample], *, subtitle: str) -> None:
    """Draw a block a condition, up to six strengths side by side: the changed picture (the plate
    or the frame) and the mask."""
    by_name = ([e for e in examples if e.condition == name] for name in CONDITIONS)
    blocks = [rows for rows in by_name if rows]
    width = 2 * (MARGIN + BLOCK_STEP) - 44
    canvas = Canvas(width)
    canvas.title(MARGIN, "What the strengths look like", subtitle)
    x = width - MARGIN - 420
    for color, words in (("blue", "trained for"), ("rule", "not trained for")):
        canvas.box(x, 38.5, 16, 3, fill=LIGHT[color], rx=1)
        canvas.text(x + 22, 40, words, fill=MUTED)
        x += 130
    canvas.mask_legend(x, 40)
    for number, rows in enumerate(blocks):
        row, column = divmod(number, 2)
        left = MARGIN + GUTTER + column * BLOCK_STEP
        _draw_condition(canvas, left, HEADER + row * BLOCK_HEIGHT, rows)
    canvas.save(path, HEADER + -(-len(blocks) // 2) * BLOCK_HEIGHT)


def _draw_condition(canvas: Canvas, x: int, y: int, rows: list[ConditionExample]) -> None:
    condition = CONDITIONS[rows[0].condition]
    rows = sorted(rows, key=lambda row: row.strength, reverse=condition.is_falling)
    canvas.text(x, y + 12, condition.label, condition.unit, font_size=17, font_weight="bold")
    y += BLOCK_TOP
    for place, label in enumerate((condition.changes, "mask")):
        middle = y + place * (EXAMPLE + GAP) + EXAMPLE / 2
        canvas.text(x - 12, middle, label, fill=MUTED, text_anchor="end")
    for row in (rows[index] for index in spread(len(rows), NUM_STRENGTHS)):
        canvas.text(x, y - 15, f"{row.strength:g}".replace("-", "−"))
        color = LIGHT["blue" if row.trained_for else "rule"]
        canvas.box(x, y - 7, EXAMPLE, 3, fill=color, rx=1)
        picture = row.bg if condition.changes == "plate" else row.bg_fg
        mask = mask_errors_rgb(row.pred_mask, row.true_mask)
        canvas.image(x, y, EXAMPLE, EXAMPLE, picture)
        canvas.image(x, y + EXAMPLE + GAP, EXAMPLE, EXAMPLE, mask)
        is_empty = row.condition == "nobody"
        figure = f"{100 * row.figure:.1f} % false" if is_empty else f"IoU {row.figure:.2f}"
        canvas.text(x, y + 2 * (EXAMPLE + GAP) + 10, figure, font_size=12, fill=MUTED)
        x += EXAMPLE + GAP


def footage_sheet(
    path: Path, views: Sequence[tuple[str, str, View]], *, title: str, subtitle: str
) -> None:
    """Draw frames, each with its sequence and what it is: the plate, the frame, what each method
    found; grey is what the truth does not judge."""
    captions = []
    pictures: dict[str, list[np.ndarray]] = {"bg": [], "bg_fg": []}
    for sequence, kind, view in views:
        captions.append([sequence, kind, view.name])
        pictures["bg"].append(view.bg)
        pictures["bg_fg"].append(view.bg_fg)
        for name, mask in zip(("pred_mask", "threshold"), view.found.values(), strict=False):
            errors = mask_errors_rgb(mask, view.true)
            errors[~view.valid] = INVALID_RGB
            pictures.setdefault(name, []).append(errors)
            iou = (mask & view.true).sum() / max(1, (mask | view.true).sum())
            figure = f"IoU {iou:.2f}" if view.true.any() else f"{100 * mask.mean():.1f} % false"
            captions[-1].append(figure if name == "pred_mask" else f"threshold: {figure}")
    panels(path, pictures, captions, title=title, subtitle=subtitle)
