"""Where things stand on a contact sheet: sections, rows of tiles, their names."""

from collections.abc import Sequence

import numpy as np

from depthmask.data.scenes.scene import Scene
from depthmask.visualization.canvas import Canvas
from depthmask.visualization.depth_colors import DepthScale
from depthmask.visualization.theme import MUTED, SPLIT_COLORS
from depthmask.visualization.tiles import mask_rgb, on_checkerboard

COLUMNS = 12
TILE = 112
PERSON_HEIGHT = 168
GAP = 4
MARGIN = 32
GUTTER = 76
WIDTH = 2 * MARGIN + GUTTER + COLUMNS * (TILE + GAP) - GAP
HEADER = 100
SECTION = 58
PLAIN_SECTION = 40
BLOCK_GAP = 34
LEGEND_WIDTH = 260


def write_header(canvas: Canvas, title: str, subtitle: str, scale: DepthScale | None) -> int:
    canvas.text(MARGIN, 40, title, size=24, weight="bold")
    canvas.text(MARGIN, 68, subtitle, size=14, color=MUTED)
    if scale is not None:
        canvas.depth_legend(WIDTH - MARGIN - LEGEND_WIDTH, 36, LEGEND_WIDTH, scale)
    return HEADER


def write_section(canvas: Canvas, y: int, name: str, words: str, height: int = SECTION) -> int:
    end = canvas.text(MARGIN, y + 16, name, size=17, weight="bold")
    canvas.text(end + 12, y + 16, words, size=13, color=MUTED)
    return y + height


def draw_scenes(
    canvas: Canvas,
    y: int,
    scenes: Scene[np.ndarray],
    choice: list[int],
    scale: DepthScale,
    fields: tuple[str, ...],
) -> None:
    for number, index in enumerate(choice):
        x, top = cell(number, y, block_height(len(fields)))
        pictures = []
        for field in fields:
            pixels = getattr(scenes, field)[index]
            if field == "mask":
                pixels = mask_rgb(pixels)
            elif field == "depth":
                pixels = scale.rgb(pixels)
            pictures.append(pixels)
        draw_column(canvas, x, top, *pictures)
    write_row_labels(canvas, y, num_rows(choice), fields)


def draw_column(canvas: Canvas, x: int, y: int, *pictures: np.ndarray) -> None:
    for row, pixels in enumerate(pictures):
        canvas.image(x, y + row * (TILE + GAP), TILE, TILE, pixels)


def draw_person(canvas: Canvas, x: int, y: int, rgba: np.ndarray) -> None:
    """Stand a cutout at the foot of a tile, whatever its aspect, on a checkerboard all over."""
    height, width = rgba.shape[:2]
    full_height = max(height, round(width * PERSON_HEIGHT / TILE))
    full_width = max(width, round(full_height * TILE / PERSON_HEIGHT))
    left = (full_width - width) // 2
    sides = ((full_height - height, 0), (left, full_width - width - left), (0, 0))
    square = max(2, round(8 * full_height / PERSON_HEIGHT))
    canvas.image(x, y, TILE, PERSON_HEIGHT, on_checkerboard(np.pad(rgba, sides), square))


def draw_split_bar(canvas: Canvas, x: int, y: int, split: str, first: bool, width: int) -> None:
    color = SPLIT_COLORS[split]
    canvas.box(x, y, width, 3, color, radius=1)
    if first:
        canvas.text(x, y - 8, split, size=13, color=color, weight="bold", va="center")


def opens_split(choice: list[int], number: int, splits: Sequence[str]) -> bool:
    return number == 0 or splits[choice[number]] != splits[choice[number - 1]]


def write_row_labels(
    canvas: Canvas, y: int, num_blocks: int, labels: Sequence[str], top: int = 0
) -> None:
    for block in range(num_blocks):
        for row, words in enumerate(labels):
            middle = (
                y + block * (top + block_height(len(labels))) + top + row * (TILE + GAP) + TILE / 2
            )
            write_row_label(canvas, middle, words)


def write_row_label(canvas: Canvas, y: float, words: str) -> None:
    canvas.text(MARGIN + GUTTER - 14, y, words, size=13, color=MUTED, ha="right")


def cell(number: int, y: int, row_height: int) -> tuple[int, int]:
    row, column = divmod(number, COLUMNS)
    return MARGIN + GUTTER + column * (TILE + GAP), y + row * row_height


def block_height(num_tiles: int) -> int:
    """Height of a row of columns of tiles and the room beneath, where the next split is named."""
    return num_tiles * (TILE + GAP) - GAP + BLOCK_GAP


def num_rows(choice: Sequence[int]) -> int:
    return -(-len(choice) // COLUMNS)
