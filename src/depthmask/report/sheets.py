"""Contact sheets: what the data looks like, at one glance."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from depthmask.report.canvas import Canvas
from depthmask.report.depth_colors import DepthScale
from depthmask.report.theme import MUTED, SPLIT_COLORS
from depthmask.report.tiles import (
    mask_rgb,
    on_checkerboard,
    sample_splits,
    shared_crop,
    spread,
)
from depthmask.scene import Scene

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


@dataclass(frozen=True)
class SplitImages:
    """Sources of one kind, and the split that each is in.

    Attributes:
        images: uint8, P x S x S x 3 (rooms) or C x h x w x 4 (people).
        splits: `train`, `val` or `test`, one an image.
    """

    images: np.ndarray
    splits: Sequence[str]


def contact_sheet(
    path: Path,
    *,
    rooms: SplitImages,
    rooms_depth: np.ndarray,
    people: SplitImages,
    frames: Scene[np.ndarray],
    unit: str = "metre",
    title: str = "The prepared data",
    subtitle: str = "",
    num_rooms: int = 24,
    num_people: int = 24,
    num_frames: int = 12,
) -> None:
    """Draw rooms with their depth, people, and in-scene test frames; the split of each is shown.

    Args:
        rooms_depth: float32, P x S x S, in `unit`.
        frames: arrays with a leading axis N; `frames.bg` is not drawn and may be empty. N may be
            0: a folder of photographs has no in-scene frames.
        unit: `metre` or `relative`.
        subtitle: counts and size, for example `128 rooms · 128 people · 128 px`.
    """
    room_choice = sample_splits(rooms.splits, num_rooms)
    person_choice = sample_splits(people.splits, num_people)
    frame_choice = spread(len(frames.bg_fg), num_frames)
    depths = rooms_depth[room_choice]
    scale = DepthScale.spanning(depths, frames.depth[frame_choice], unit=unit)
    cutouts = people.images[person_choice]
    rows, columns = shared_crop(cutouts)
    cutouts = cutouts[:, rows, columns]
    person_block = 8 + PERSON_HEIGHT + BLOCK_GAP
    room_rows, person_rows = _num_rows(room_choice), _num_rows(person_choice)
    frame_rows = _num_rows(frame_choice)
    height = HEADER + 2 * SECTION
    height += room_rows * (8 + _block(2)) + person_rows * person_block
    height += (PLAIN_SECTION + frame_rows * _block(3)) if frame_rows else 0
    with Canvas(WIDTH, height) as canvas:
        y = _header(canvas, title, subtitle, scale)
        y = _section(canvas, y, "Rooms", "nobody in them, and how far everything is")
        for number, index in enumerate(room_choice):
            x, top = _cell(number, y, 8 + _block(2))
            first = _opens_split(room_choice, number, rooms.splits)
            _split_bar(canvas, x, top, rooms.splits[index], first, TILE)
            _column(canvas, x, top + 8, rooms.images[index], scale.rgb(rooms_depth[index]))
        _row_labels(canvas, y, room_rows, ("image", "depth"), top=8)
        y += room_rows * (8 + _block(2))

        y = _section(canvas, y, "People", "cut out, at one scale")
        for number, index in enumerate(person_choice):
            x, top = _cell(number, y, person_block)
            first = _opens_split(person_choice, number, people.splits)
            _split_bar(canvas, x, top, people.splits[index], first, TILE)
            _person(canvas, x, top + 8, cutouts[number])
        y += person_rows * person_block

        if frame_rows:
            words = "people rendered inside test rooms, with true shadows: training sees none"
            y = _section(canvas, y, "In-scene test frames", words, PLAIN_SECTION)
            _scenes(canvas, y, frames, frame_choice, scale, ("bg_fg", "mask", "depth"))
        canvas.save(path)


def composed_sheet(
    path: Path,
    scenes: Scene[np.ndarray],
    *,
    unit: str = "metre",
    title: str = "Composed scenes",
    subtitle: str = "",
    num_scenes: int = 24,
) -> None:
    """Draw composed samples, a column each: bg, bg_fg, mask, depth.

    Args:
        scenes: arrays with a leading axis N; images uint8 N x H x W x 3.
    """
    choice = spread(len(scenes.bg_fg), num_scenes)
    scale = DepthScale.spanning(scenes.depth[choice], unit=unit)
    height = HEADER + _num_rows(choice) * _block(4)
    with Canvas(WIDTH, height) as canvas:
        y = _header(canvas, title, subtitle, scale)
        _scenes(canvas, y, scenes, choice, scale, ("bg", "bg_fg", "mask", "depth"))
        canvas.save(path)


def augmented_sheet(
    path: Path,
    *,
    plates: np.ndarray,
    plate_variants: np.ndarray,
    cutouts: np.ndarray,
    cutout_variants: np.ndarray,
    title: str = "Augmented sources",
    subtitle: str = "",
    num_columns: int = COLUMNS,
) -> None:
    """Draw training plates and cutouts, the original on top and its variants beneath.

    Args:
        plates: uint8, P x S x S x 3.
        plate_variants: uint8, V x P x S x S x 3.
        cutouts: uint8, C x h x w x 4.
        cutout_variants: uint8, V x C x h x w x 3.
    """
    num_columns = min(num_columns, COLUMNS)
    num_variants = len(plate_variants)
    labels = ("original", *(f"variant {v + 1}" for v in range(num_variants)))
    choice = spread(len(cutouts), num_columns)
    rows, columns = shared_crop(cutouts[choice])
    cutouts, cutout_variants = cutouts[:, rows, columns], cutout_variants[:, :, rows, columns]
    row_height, person_row = TILE + GAP, PERSON_HEIGHT + GAP
    height = HEADER + 2 * (PLAIN_SECTION + BLOCK_GAP) + len(labels) * (row_height + person_row)
    with Canvas(WIDTH, height) as canvas:
        y = _header(canvas, title, subtitle, None)
        y = _section(
            canvas, y, "Rooms", "of the training split, in other colour and light", PLAIN_SECTION
        )
        for number, index in enumerate(spread(len(plates), num_columns)):
            x, _ = _cell(number, y, 0)
            pictures = (plates[index], *plate_variants[:, index])
            _column(canvas, x, y, *pictures)
        _row_labels(canvas, y, 1, labels)
        y += _block(len(labels))
        y = _section(
            canvas, y, "People", "of the training split, each varied on its own", PLAIN_SECTION
        )
        for number, index in enumerate(choice):
            x, _ = _cell(number, y, 0)
            alpha = cutouts[index, ..., 3:]
            colors = (cutouts[index, ..., :3], *cutout_variants[:, index])
            for row, rgb in enumerate(colors):
                rgba = np.concatenate([rgb, alpha], axis=-1)
                _person(canvas, x, y + row * person_row, rgba)
        for row, words in enumerate(labels):
            _row_label(canvas, y + row * person_row + PERSON_HEIGHT / 2, words)
        canvas.save(path)


def _header(canvas: Canvas, title: str, subtitle: str, scale: DepthScale | None) -> int:
    canvas.text(MARGIN, 40, title, size=24, weight="bold")
    canvas.text(MARGIN, 68, subtitle, size=14, color=MUTED)
    if scale is not None:
        canvas.depth_legend(WIDTH - MARGIN - LEGEND_WIDTH, 36, LEGEND_WIDTH, scale)
    return HEADER


def _section(canvas: Canvas, y: int, name: str, words: str, height: int = SECTION) -> int:
    end = canvas.text(MARGIN, y + 16, name, size=17, weight="bold")
    canvas.text(end + 12, y + 16, words, size=13, color=MUTED)
    return y + height


def _scenes(
    canvas: Canvas,
    y: int,
    scenes: Scene[np.ndarray],
    choice: list[int],
    scale: DepthScale,
    fields: tuple[str, ...],
) -> None:
    for number, index in enumerate(choice):
        x, top = _cell(number, y, _block(len(fields)))
        pictures = []
        for field in fields:
            pixels = getattr(scenes, field)[index]
            if field == "mask":
                pixels = mask_rgb(pixels)
            elif field == "depth":
                pixels = scale.rgb(pixels)
            pictures.append(pixels)
        _column(canvas, x, top, *pictures)
    _row_labels(canvas, y, _num_rows(choice), fields)


def _column(canvas: Canvas, x: int, y: int, *pictures: np.ndarray) -> None:
    for row, pixels in enumerate(pictures):
        canvas.image(x, y + row * (TILE + GAP), TILE, TILE, pixels)


def _person(canvas: Canvas, x: int, y: int, rgba: np.ndarray) -> None:
    """Stand a cutout at the foot of a tile, whatever its aspect, on a checkerboard all over."""
    height, width = rgba.shape[:2]
    full_height = max(height, round(width * PERSON_HEIGHT / TILE))
    full_width = max(width, round(full_height * TILE / PERSON_HEIGHT))
    left = (full_width - width) // 2
    sides = ((full_height - height, 0), (left, full_width - width - left), (0, 0))
    square = max(2, round(8 * full_height / PERSON_HEIGHT))
    canvas.image(x, y, TILE, PERSON_HEIGHT, on_checkerboard(np.pad(rgba, sides), square))


def _split_bar(canvas: Canvas, x: int, y: int, split: str, first: bool, width: int) -> None:
    color = SPLIT_COLORS[split]
    canvas.box(x, y, width, 3, color, radius=1)
    if first:
        canvas.text(x, y - 8, split, size=13, color=color, weight="bold", va="center")


def _opens_split(choice: list[int], number: int, splits: Sequence[str]) -> bool:
    return number == 0 or splits[choice[number]] != splits[choice[number - 1]]


def _row_labels(
    canvas: Canvas, y: int, num_blocks: int, labels: Sequence[str], top: int = 0
) -> None:
    for block in range(num_blocks):
        for row, words in enumerate(labels):
            middle = y + block * (top + _block(len(labels))) + top + row * (TILE + GAP) + TILE / 2
            _row_label(canvas, middle, words)


def _row_label(canvas: Canvas, y: float, words: str) -> None:
    canvas.text(MARGIN + GUTTER - 14, y, words, size=13, color=MUTED, ha="right")


def _cell(number: int, y: int, block_height: int) -> tuple[int, int]:
    row, column = divmod(number, COLUMNS)
    return MARGIN + GUTTER + column * (TILE + GAP), y + row * block_height


def _block(num_tiles: int) -> int:
    """Height of a row of columns of tiles and the room beneath, where the next split is named."""
    return num_tiles * (TILE + GAP) - GAP + BLOCK_GAP


def _num_rows(choice: Sequence[int]) -> int:
    return -(-len(choice) // COLUMNS)
