"""What the strengths of each condition look like on one frame, and what a network answers."""

from collections.abc import Sequence
from pathlib import Path

from depthmask.evaluation.robustness_table import ConditionExample
from depthmask.visualization.canvas import Canvas
from depthmask.visualization.layout import GAP, HEADER, MARGIN, TILE, write_header
from depthmask.visualization.robustness import CONDITION_LOOKS
from depthmask.visualization.theme import BLUE, HAIRLINE, MUTED
from depthmask.visualization.tiles import FALSE, MISSED, mask_errors_rgb, spread

NUM_STRENGTHS = 6
GUTTER, BLOCK_GAP = 66, 44
BLOCK_WIDTH = GUTTER + NUM_STRENGTHS * (TILE + GAP) - GAP
SHEET_WIDTH = 2 * MARGIN + 2 * BLOCK_WIDTH + BLOCK_GAP
BLOCK_HEAD, BLOCK_FOOT = 62, 52

PLATE_CONDITIONS = ("shift", "rotation", "exposure", "temperature", "nobody")
"""Those that change the plate and leave the frame as it is."""


def conditions_sheet(
    path: Path,
    examples: Sequence[ConditionExample],
    *,
    title: str = "What the strengths look like",
    subtitle: str = "",
) -> None:
    """Draw a block a condition, its strengths side by side: the changed picture, the mask.

    Of the plate's conditions the plate is drawn, of the others the frame. Of more than six
    strengths six are.
    """
    blocks = [
        rows
        for name in CONDITION_LOOKS
        if (rows := [example for example in examples if example.condition == name])
    ]
    block_height = BLOCK_HEAD + 2 * (TILE + GAP) + BLOCK_FOOT
    height = HEADER + -(-len(blocks) // 2) * block_height
    with Canvas(SHEET_WIDTH, height) as canvas:
        write_header(canvas, title, subtitle, None)
        _legend(canvas)
        for number, rows in enumerate(blocks):
            row, column = divmod(number, 2)
            x = MARGIN + column * (BLOCK_WIDTH + BLOCK_GAP)
            _block(canvas, x, HEADER + row * block_height, rows)
        canvas.save(path)


def _block(canvas: Canvas, x: int, y: int, rows: Sequence[ConditionExample]) -> None:
    look = CONDITION_LOOKS[rows[0].condition]
    is_plate = rows[0].condition in PLATE_CONDITIONS
    rows = sorted(rows, key=lambda row: row.strength, reverse=look.is_falling)
    end = canvas.text(x + GUTTER, y + 12, look.title, size=17, weight="bold")
    canvas.text(end + 10, y + 12, look.unit, size=13, color=MUTED)
    top = y + BLOCK_HEAD
    for place, words in enumerate(("plate" if is_plate else "frame", "mask")):
        middle = top + place * (TILE + GAP) + TILE / 2
        canvas.text(x + GUTTER - 12, middle, words, size=13, color=MUTED, ha="right")
    for place, index in enumerate(spread(len(rows), NUM_STRENGTHS)):
        row, left = rows[index], x + GUTTER + place * (TILE + GAP)
        canvas.text(left, top - 15, f"{row.strength:g}".replace("-", "−"), size=13)
        canvas.box(left, top - 7, TILE, 3, BLUE if row.trained_for else HAIRLINE, radius=1)
        canvas.image(left, top, TILE, TILE, row.bg if is_plate else row.bg_fg, smooth=False)
        mask = mask_errors_rgb(row.pred_mask, row.true_mask)
        canvas.image(left, top + TILE + GAP, TILE, TILE, mask, smooth=False)
        figure = (
            f"{100 * row.figure:.1f} % false"
            if row.condition == "nobody"
            else f"IoU {row.figure:.2f}"
        )
        canvas.text(left, top + 2 * (TILE + GAP) + 10, figure, size=12, color=MUTED)


def _legend(canvas: Canvas) -> None:
    """The bars over the tiles and the colours of the masks, right in the header."""
    x = SHEET_WIDTH - MARGIN - 430
    for color, words, height in ((BLUE, "trained for", 3), (HAIRLINE, "not trained for", 3),
                                 (MISSED, "missed", 12), (FALSE, "false", 12)):  # fmt: skip
        canvas.box(x, 40 - height / 2, 16, height, color, radius=1)
        x = canvas.text(x + 22, 40, words, size=13, color=MUTED) + 18
