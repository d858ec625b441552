"""Contact sheets: what the data looks like, at one glance."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from depthmask.data.scenes.library import Library
from depthmask.data.scenes.scene import SPLITS, Scene
from depthmask.visualization.canvas import Canvas, DepthScale, depth_colors, mask_rgb, spread
from depthmask.visualization.theme import LIGHT

COLUMNS, NUM_SHOWN = 12, 24
TILE, PERSON_HEIGHT, GAP, ROW_GAP = 112, 168, 4, 34
MARGIN, LEFT, HEADER = 32, 108, 100
WIDTH = LEFT + COLUMNS * (TILE + GAP) - GAP + MARGIN
SPLIT_COLORS = {"train": LIGHT["blue"], "val": LIGHT["orange"], "test": LIGHT["green"]}


def contact_sheet(
    path: Path, library: Library, frames: Scene[np.ndarray], *, unit: str, subtitle: str
) -> None:
    """Draw rooms with their depth, people, and in-scene test frames (with a leading axis N, which
    may be 0; `frames.bg` is not drawn); the split of each is shown."""
    plate_splits, cutout_splits = library.plates.split.tolist(), library.cutouts.split.tolist()
    chosen, people = sample_splits(plate_splits), sample_splits(cutout_splits)
    shown = spread(len(frames.bg_fg), COLUMNS)
    scale = DepthScale.spanning(library.depths[chosen], frames.depth[shown], unit=unit)
    canvas = _start("The prepared data", subtitle, scale)
    note = "nobody in them, and how far everything is"
    rooms = [(library.images[i], scale.rgb(library.depths[i])) for i in chosen]
    splits = [plate_splits[i] for i in chosen]
    top = _section(canvas, HEADER, "Rooms", note, ("image", "depth"), rooms, splits=splits)
    note, pictures = "cut out, at one scale", [[each] for each in on_ground(library.rgba[people])]
    splits, height = [cutout_splits[i] for i in people], PERSON_HEIGHT
    top = _section(canvas, top, "People", note, [""], pictures, splits=splits, height=height)
    if shown:
        note = "people rendered inside test rooms, with true shadows: training sees none"
        labels = ("bg_fg", "mask", "depth")
        columns = _scene_columns(frames, shown, scale, labels)
        top = _section(canvas, top, "In-scene test frames", note, labels, columns)
    canvas.save(path, top)


def composed_sheet(
    path: Path,
    scenes: Scene[np.ndarray],
    *,
    unit: str,
    subtitle: str,
    title: str = "Composed scenes",
) -> None:
    """Draw up to 24 composed scenes, uint8 N x H x W x 3, a column each: bg, bg_fg, mask, depth."""
    chosen = spread(len(scenes.bg_fg), NUM_SHOWN)
    scale = DepthScale.spanning(scenes.depth[chosen], unit=unit)
    canvas = _start(title, subtitle, scale)
    columns = _scene_columns(scenes, chosen, scale, Scene._fields[:4])
    canvas.save(path, _section(canvas, HEADER, "", "", Scene._fields[:4], columns))


def augmented_sheet(
    path: Path,
    *,
    plates: np.ndarray,
    plate_variants: np.ndarray,
    cutouts: np.ndarray,
    cutout_variants: np.ndarray,
    subtitle: str,
) -> None:
    """Draw uint8 plates P x S x S x 3 and cutouts C x h x w x 4, the original on top, and beneath
    its variants, V x P x S x S x 3 and V x C x h x w x 3."""
    labels = ("original", *(f"variant {number + 1}" for number in range(len(plate_variants))))
    rooms = [(plates[i], *plate_variants[:, i]) for i in spread(len(plates), COLUMNS)]
    chosen = spread(len(cutouts), COLUMNS)
    alpha = cutouts[chosen, ..., 3:]
    colors = (cutouts[chosen, ..., :3], *cutout_variants[:, chosen])
    people = list(zip(*(on_ground(np.concatenate([c, alpha], -1)) for c in colors), strict=True))
    canvas = _start("Augmented sources", subtitle, None)
    note = "of the training split, in other colour and light"
    top = _section(canvas, HEADER, "Rooms", note, labels, rooms)
    note = "of the training split, each varied on its own"
    canvas.save(path, _section(canvas, top, "People", note, labels, people, height=PERSON_HEIGHT))


def _start(title: str, subtitle: str, scale: DepthScale | None) -> Canvas:
    canvas = Canvas(WIDTH)
    canvas.title(MARGIN, title, subtitle)
    if scale is not None:
        canvas.legend(WIDTH - MARGIN - 260, 36, 260, depth_colors, scale.ticks(), scale.label)
    return canvas


def _section(
    canvas: Canvas,
    top: int,
    name: str,
    note: str,
    labels: Sequence[str],
    columns: Sequence[Sequence[np.ndarray]],
    *,
    splits: Sequence[str] = (),
    height: int = TILE,
) -> int:
    """Draw columns of pictures `height` px high, twelve side by side; returns where it ends.
    `labels` are of a column's pictures, from above; `splits` of the columns, where known."""
    canvas.text(MARGIN, top + 16, name, note, font_size=17, font_weight="bold")
    top += 58 if splits else 40 if name else 0
    row_height = len(labels) * (height + GAP) - GAP + ROW_GAP
    for number, pictures in enumerate(columns):
        row, column = divmod(number, COLUMNS)
        x, y = LEFT + column * (TILE + GAP), top + row * row_height
        if splits:
            color = SPLIT_COLORS[splits[number]]
            canvas.box(x, y - 8, TILE, 3, fill=color, rx=1)
            if number == 0 or splits[number] != splits[number - 1]:
                canvas.text(x, y - 17, splits[number], fill=color, font_weight="bold")
        for label, pixels in zip(labels, pictures, strict=True):
            canvas.image(x, y, TILE, height, pixels)
            if column == 0:
                style = {"fill": LIGHT["muted"], "text_anchor": "end"}
                canvas.text(LEFT - 14, y + height / 2, label, **style)
            y += height + GAP
    return top + -(-len(columns) // COLUMNS) * row_height


def _scene_columns(
    scenes: Scene[np.ndarray], chosen: list[int], scale: DepthScale, fields: Sequence[str]
) -> list[list[np.ndarray]]:
    shown = scenes._replace(mask=mask_rgb(scenes.mask), depth=scale.rgb(scenes.depth))
    return [[getattr(shown, field)[index] for field in fields] for index in chosen]


def on_ground(rgba: np.ndarray) -> np.ndarray:
    """Cutouts, uint8 C x h x w x 4 of straight alpha, cropped alike, so that their sizes stay
    comparable, and stood at the foot of a tile on a faint checkerboard: C x H x W x 3."""
    x, y, width, height = cv2.boundingRect(np.any(rgba[..., 3] > 8, axis=0).astype(np.uint8))
    full_height = round(1.08 * max(height, width * PERSON_HEIGHT / TILE))
    full_width = round(full_height * TILE / PERSON_HEIGHT)
    left, foot = (full_width - width) // 2, round(0.04 * full_height)
    sides = ((full_height - height - foot, foot), (left, full_width - width - left))
    rgba = np.pad(rgba[:, y : y + height, x : x + width], ((0, 0), *sides, (0, 0)))
    rows, columns = np.mgrid[:full_height, :full_width] // max(2, full_height // 21)
    ground = np.where((rows + columns) % 2, 222.0, 232.0)[..., None]
    alpha = rgba[..., 3:] / 255
    return np.round(rgba[..., :3] * alpha + ground * (1 - alpha)).astype(np.uint8)


def sample_splits(splits: Sequence[str], num_wanted: int = NUM_SHOWN) -> list[int]:
    """Choose indices from every split, half of them of the first, ordered by split."""
    members = {split: [i for i, s in enumerate(splits) if s == split] for split in SPLITS}
    shares = {split: min(len(members[split]), num_wanted // 4) for split in SPLITS[1:]}
    shares[SPLITS[0]] = min(len(members[SPLITS[0]]), num_wanted - sum(shares.values()))
    return [members[s][i] for s in SPLITS for i in spread(len(members[s]), shares[s])]
