"""Contact sheets: what the data looks like, at one glance."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from depthmask.data.scenes.scene import Scene
from depthmask.visualization.canvas import Canvas
from depthmask.visualization.depth_colors import DepthScale
from depthmask.visualization.layout import (
    BLOCK_GAP,
    COLUMNS,
    GAP,
    HEADER,
    PERSON_HEIGHT,
    PLAIN_SECTION,
    SECTION,
    TILE,
    WIDTH,
    block_height,
    cell,
    draw_column,
    draw_person,
    draw_scenes,
    draw_split_bar,
    num_rows,
    opens_split,
    write_header,
    write_row_label,
    write_row_labels,
    write_section,
)
from depthmask.visualization.tiles import sample_splits, shared_crop, spread


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
    room_rows, person_rows = num_rows(room_choice), num_rows(person_choice)
    frame_rows = num_rows(frame_choice)
    height = HEADER + 2 * SECTION
    height += room_rows * (8 + block_height(2)) + person_rows * person_block
    height += (PLAIN_SECTION + frame_rows * block_height(3)) if frame_rows else 0
    with Canvas(WIDTH, height) as canvas:
        y = write_header(canvas, title, subtitle, scale)
        y = write_section(canvas, y, "Rooms", "nobody in them, and how far everything is")
        for number, index in enumerate(room_choice):
            x, top = cell(number, y, 8 + block_height(2))
            first = opens_split(room_choice, number, rooms.splits)
            draw_split_bar(canvas, x, top, rooms.splits[index], first, TILE)
            draw_column(canvas, x, top + 8, rooms.images[index], scale.rgb(rooms_depth[index]))
        write_row_labels(canvas, y, room_rows, ("image", "depth"), top=8)
        y += room_rows * (8 + block_height(2))

        y = write_section(canvas, y, "People", "cut out, at one scale")
        for number, index in enumerate(person_choice):
            x, top = cell(number, y, person_block)
            first = opens_split(person_choice, number, people.splits)
            draw_split_bar(canvas, x, top, people.splits[index], first, TILE)
            draw_person(canvas, x, top + 8, cutouts[number])
        y += person_rows * person_block

        if frame_rows:
            words = "people rendered inside test rooms, with true shadows: training sees none"
            y = write_section(canvas, y, "In-scene test frames", words, PLAIN_SECTION)
            draw_scenes(canvas, y, frames, frame_choice, scale, ("bg_fg", "mask", "depth"))
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
    height = HEADER + num_rows(choice) * block_height(4)
    with Canvas(WIDTH, height) as canvas:
        y = write_header(canvas, title, subtitle, scale)
        draw_scenes(canvas, y, scenes, choice, scale, ("bg", "bg_fg", "mask", "depth"))
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
        y = write_header(canvas, title, subtitle, None)
        y = write_section(
            canvas, y, "Rooms", "of the training split, in other colour and light", PLAIN_SECTION
        )
        for number, index in enumerate(spread(len(plates), num_columns)):
            x, _ = cell(number, y, 0)
            pictures = (plates[index], *plate_variants[:, index])
            draw_column(canvas, x, y, *pictures)
        write_row_labels(canvas, y, 1, labels)
        y += block_height(len(labels))
        y = write_section(
            canvas, y, "People", "of the training split, each varied on its own", PLAIN_SECTION
        )
        for number, index in enumerate(choice):
            x, _ = cell(number, y, 0)
            alpha = cutouts[index, ..., 3:]
            colors = (cutouts[index, ..., :3], *cutout_variants[:, index])
            for row, rgb in enumerate(colors):
                rgba = np.concatenate([rgb, alpha], axis=-1)
                draw_person(canvas, x, y + row * person_row, rgba)
        for row, words in enumerate(labels):
            write_row_label(canvas, y + row * person_row + PERSON_HEIGHT / 2, words)
        canvas.save(path)
