"""What a network predicts, in pictures: panels, the README's, and the harder frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from depthmask.data.scenes.person import THRESHOLD
from depthmask.data.scenes.scene import SETS, Scene
from depthmask.errors import InputError
from depthmask.evaluation.robustness import CONDITIONS
from depthmask.evaluation.robustness_table import ConditionExample
from depthmask.metrics import METRICS
from depthmask.visualization.canvas import Canvas, mask_errors_rgb, mask_rgb, spread, unit_mask
from depthmask.visualization.depth_colors import DepthScale, error_rgb
from depthmask.visualization.theme import LIGHT

MARGIN, GAP = 28, 6
PANEL, GROUP_GAP, CAPTION, PANEL_TOP = 176, 18, 132, 142
COLUMNS = ("bg", "bg_fg", "true mask", "predicted mask", "true depth", "predicted depth",
           "depth error")  # fmt: skip
NUM_STRENGTHS, EXAMPLE, GUTTER, BLOCK_GAP, BLOCK_TOP = 6, 112, 66, 44, 62
HEADER = 100
BLOCK_WIDTH = GUTTER + NUM_STRENGTHS * (EXAMPLE + GAP) - GAP
BLOCK_HEIGHT = BLOCK_TOP + 2 * (EXAMPLE + GAP) + 52
CARD, CARD_INK, CARD_MUTED, LABEL = "#151921", "#f0f3f6", "#9aa4b0", "#0b0d11"
HERO_TILE, HERO_ASPECT, HERO_GAP, HERO_TOP = 292, 0.75, 10, 74


@dataclass(frozen=True)
class PanelRow:
    """One scene and what was predicted for it.

    Attributes:
        set_name: which set it is from, for example `in_scene`.
        bg, bg_fg: uint8, H x W x 3.
        true_mask, pred_mask: H x W; bool, uint8 0..255 or float 0..1.
        true_depth, pred_depth: float32, H x W; both None for a network without depth.
        figures: of this scene, by metric, for the caption.
    """

    set_name: str
    bg: np.ndarray
    bg_fg: np.ndarray
    true_mask: np.ndarray
    pred_mask: np.ndarray
    true_depth: np.ndarray | None
    pred_depth: np.ndarray | None
    figures: dict[str, float]

    def pictures(self, scale: DepthScale) -> list[np.ndarray]:
        pictures = [self.bg, self.bg_fg, mask_rgb(self.true_mask)]
        pictures.append(mask_errors_rgb(self.pred_mask, self.true_mask, THRESHOLD))
        if self.true_depth is not None and self.pred_depth is not None:
            pictures += [scale.rgb(self.true_depth), scale.rgb(self.pred_depth)]
            pictures.append(error_rgb(self.pred_depth, self.true_depth))
        return pictures


def panels(
    path: Path, rows: Sequence[PanelRow], *, title: str, subtitle: str, scale: DepthScale
) -> None:
    """Draw a row a scene: inputs, true and predicted mask, true and predicted depth, its error.

    Args:
        title, subtitle: the experiment, its model and losses.
        scale: the same for every experiment that is compared.

    Raises:
        InputError: there is no row.
    """
    if not rows:
        raise InputError("no scene to draw panels of: set evaluate.num_panels to 1 or more")
    has_depth = rows[0].true_depth is not None
    names = COLUMNS if has_depth else COLUMNS[:4]
    lefts = [MARGIN + CAPTION + i * (PANEL + GAP) + (i // 2 - i // 6) * (GROUP_GAP - GAP)
             for i in range(len(names))]  # fmt: skip
    width = lefts[-1] + PANEL + MARGIN
    canvas = Canvas(width, PANEL_TOP + len(rows) * (PANEL + GAP) + MARGIN - GAP)
    canvas.text(MARGIN, 38, title, size=24, weight="bold")
    canvas.text(MARGIN, 66, subtitle, size=14, color=LIGHT["muted"])
    canvas.mask_legend(lefts[3], 71)
    if has_depth:
        canvas.depth_legend(lefts[4], 66, 2 * PANEL + GAP, scale, named=False)
        canvas.error_legend(lefts[6] + 20, 66, PANEL - 40)
    for name, x in zip(names, lefts, strict=True):
        weight = "bold" if name.startswith("predicted") else "normal"
        canvas.text(x + PANEL / 2, 126, name, size=14, anchor="middle", weight=weight)
    canvas.box(MARGIN, PANEL_TOP - 5, width - 2 * MARGIN, 1, LIGHT["rule"])
    for number, row in enumerate(rows):
        y = PANEL_TOP + number * (PANEL + GAP)
        middle = y + PANEL / 2 - 10 * len(row.figures)
        canvas.text(MARGIN, middle, SETS[row.set_name].label.split(",")[0], weight="bold")
        for place, (name, value) in enumerate(row.figures.items(), start=1):
            words = f"{METRICS[name].label} {value:.3f}"
            canvas.text(MARGIN, middle + 20 * place, words, color=LIGHT["muted"])
        for x, pixels in zip(lefts, row.pictures(scale), strict=True):
            canvas.image(x, y, PANEL, PANEL, pixels)
    canvas.save(path)


def hero(path: Path, scenes: Scene[np.ndarray], *, unit: str = "metre") -> None:
    """Draw two or three scenes as bg, bg_fg -> mask, depth on a dark card with round corners.

    The card brings its own ground, and is clear outside its corners: it looks the same on a
    white page and on a dark one. Tiles are cut to 4:3 around the person.

    Args:
        scenes: arrays with a leading axis N; mask and depth are what is to be shown.
    """
    tile_height = round(HERO_TILE * HERO_ASPECT)
    step = HERO_TILE + HERO_GAP
    lefts = [32, 32 + step, 32 + 2 * step + 34, 32 + 3 * step + 34]
    width, count = lefts[-1] + HERO_TILE + 32, len(scenes.bg_fg)
    height = HERO_TOP + count * (tile_height + HERO_GAP) - HERO_GAP + 74
    crops = [_crop(mask) for mask in scenes.mask]
    depths = [depth[crop] for depth, crop in zip(scenes.depth, crops, strict=True)]
    scale = DepthScale.spanning(*depths, unit=unit)
    canvas = Canvas(width, height, background=None)
    canvas.box(0, 0, width, height, CARD, radius=18)
    heads = ("bg", "the empty room"), ("bg_fg", "a frame"), ("mask", "who"), ("depth", "how far")
    for x, (name, words) in zip(lefts, heads, strict=True):
        canvas.text(x + 2, 46, name, words, size=20, weight="bold", color=CARD_INK,
                    note_color=CARD_MUTED)  # fmt: skip
    for number, crop in enumerate(crops):
        y = HERO_TOP + number * (tile_height + HERO_GAP)
        mask, depth = scenes.mask[number][crop], depths[number]
        pictures = scenes.bg[number][crop], scenes.bg_fg[number][crop], mask_rgb(mask)
        for x, pixels in zip(lefts, (*pictures, scale.rgb(depth)), strict=True):
            canvas.image(x, y, HERO_TILE, tile_height, pixels, radius=8)
        middle = lefts[1] + HERO_TILE + 22
        canvas.text(middle, y + tile_height / 2, "→", size=26, color=CARD_MUTED, anchor="middle")
        if unit == "metre" and (unit_mask(mask) > THRESHOLD).any():
            _write_distance(canvas, lefts[3], y, mask, depth)
    canvas.depth_legend(
        lefts[2] + 80, height - 56, 2 * HERO_TILE + HERO_GAP - 80, scale, color=CARD_MUTED
    )
    canvas.save(path)


def _write_distance(canvas: Canvas, x: int, y: int, mask: np.ndarray, depth: np.ndarray) -> None:
    """The person's median depth, in the upper corner that has less of the person in it."""
    person = unit_mask(mask) > THRESHOLD
    words = f"{np.median(depth[person]):.1f} m"
    width = 22 + 8 * len(words)
    upper, third = person[: person.shape[0] // 4], person.shape[1] // 3
    if upper[:, :third].sum() > upper[:, -third:].sum():
        x += HERO_TILE - width - 16
    canvas.box(x + 8, y + 8, width, 26, LABEL, radius=6)
    canvas.text(x + 8 + width / 2, y + 21, words, size=15, weight="bold", color=CARD_INK,
                anchor="middle")  # fmt: skip


def _crop(mask: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of a frame cut to the hero's aspect, the person kept in it."""
    height, width = mask.shape
    crop_height = min(height, round(width * HERO_ASPECT))
    crop_width = min(width, round(height / HERO_ASPECT))
    person = np.argwhere(unit_mask(mask) > THRESHOLD)
    middle = person.min(axis=0) + person.max(axis=0) if len(person) else np.array(mask.shape)
    top = int(np.clip(middle[0] // 2 - crop_height // 2, 0, height - crop_height))
    left = int(np.clip(middle[1] // 2 - crop_width // 2, 0, width - crop_width))
    return slice(top, top + crop_height), slice(left, left + crop_width)


def conditions_sheet(path: Path, examples: Sequence[ConditionExample], *, subtitle: str) -> None:
    """Draw a block a condition, its strengths side by side: the changed picture, the mask.

    Of the plate's conditions the plate is drawn, of the others the frame; of more than six
    strengths six are.
    """
    by_name = {name: [e for e in examples if e.condition == name] for name in CONDITIONS}
    blocks = [rows for rows in by_name.values() if rows]
    width = 2 * MARGIN + 2 * BLOCK_WIDTH + BLOCK_GAP
    canvas = Canvas(width, HEADER + -(-len(blocks) // 2) * BLOCK_HEIGHT)
    canvas.text(MARGIN, 40, "What the strengths look like", size=24, weight="bold")
    canvas.text(MARGIN, 68, subtitle, size=14, color=LIGHT["muted"])
    x = width - MARGIN - 420
    for color, words, left in (
        ("blue", "trained for", x),
        ("rule", "not trained for", x + 110),
    ):
        canvas.box(left, 38.5, 16, 3, LIGHT[color], radius=1)
        canvas.text(left + 22, 40, words, color=LIGHT["muted"])
    canvas.mask_legend(x + 260, 40)
    for number, rows in enumerate(blocks):
        row, column = divmod(number, 2)
        left = MARGIN + column * (BLOCK_WIDTH + BLOCK_GAP)
        _draw_condition(canvas, left, HEADER + row * BLOCK_HEIGHT, rows)
    canvas.save(path)


def _draw_condition(canvas: Canvas, x: int, y: int, rows: list[ConditionExample]) -> None:
    name = rows[0].condition
    words = CONDITIONS[name]
    rows = sorted(rows, key=lambda row: row.strength, reverse=words.is_falling)
    canvas.text(x + GUTTER, y + 12, words.label, words.unit, size=17, weight="bold")
    top = y + BLOCK_TOP
    for place, label in enumerate((words.changes, "mask")):
        middle = top + place * (EXAMPLE + GAP) + EXAMPLE / 2
        canvas.text(x + GUTTER - 12, middle, label, color=LIGHT["muted"], anchor="end")
    for place, index in enumerate(spread(len(rows), NUM_STRENGTHS)):
        row, left = rows[index], x + GUTTER + place * (EXAMPLE + GAP)
        canvas.text(left, top - 15, f"{row.strength:g}".replace("-", "−"))
        color = LIGHT["blue" if row.trained_for else "rule"]
        canvas.box(left, top - 7, EXAMPLE, 3, color, radius=1)
        picture = row.bg if words.changes == "plate" else row.bg_fg
        canvas.image(left, top, EXAMPLE, EXAMPLE, picture, smooth=False)
        mask = mask_errors_rgb(row.pred_mask, row.true_mask)
        canvas.image(left, top + EXAMPLE + GAP, EXAMPLE, EXAMPLE, mask, smooth=False)
        figure = f"{100 * row.figure:.1f} % false" if name == "nobody" else f"IoU {row.figure:.2f}"
        canvas.text(left, top + 2 * (EXAMPLE + GAP) + 10, figure, size=12, color=LIGHT["muted"])
