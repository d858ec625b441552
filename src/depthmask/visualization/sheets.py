"""Sheets of pictures: the data, what a network predicts, the harder frames, the README's scenes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from depthmask.data.scenes.library import Library
from depthmask.data.scenes.person import THRESHOLD
from depthmask.data.scenes.scene import SPLITS, Scene, spread
from depthmask.evaluation.footage import View
from depthmask.visualization import canvas
from depthmask.visualization.theme import LIGHT

FIELDS = {
    "bg": "plate (bg)",
    "bg_fg": "frame (bg_fg)",
    "true_mask": "true mask",
    "pred_mask": "predicted mask",
    "true_depth": "true depth",
    "pred_depth": "predicted depth",
    "depth_error": "depth error",
}
"""What is shown of a predicted scene, in this order."""
COLUMNS, NUM_SHOWN = 12, 24
NUM_OF_SPLIT = {"train": 12, "val": 6, "test": 6}
TILE, PANEL, HERO, GAP, ROW_GAP = 112, 176, 264, 4, 34
MARGIN, LEFT, TOP = 32, 108, 100
WIDTH = LEFT + COLUMNS * (TILE + GAP) - GAP + MARGIN
PANEL_LEFT = 190
SPLIT_COLORS = {"train": LIGHT["blue"], "val": LIGHT["orange"], "test": LIGHT["green"]}
CARD, CARD_INK, CARD_MUTED = "#151921", "#f0f3f6", "#9aa4b0"


class Column(NamedTuple):
    """Pictures beneath each other, uint8 H x W x 3, words over and under them, a bar's colour."""

    pictures: Sequence[np.ndarray]
    head: str = ""
    color: str = "none"
    foot: str = ""


def contact_sheet(
    path: Path, library: Library, frames: Scene[np.ndarray], *, unit: str, subtitle: str
) -> None:
    """Draw rooms with their depth, people, and in-scene test frames (with a leading axis N, which
    may be 0; `frames.bg` is not drawn); the split of each is shown."""
    rooms = sample_splits(library.plates.split.tolist())
    people = sample_splits(library.cutouts.split.tolist())
    shown = spread(len(frames.bg_fg), COLUMNS)
    scale = canvas.DepthScale.spanning(library.depths[[*rooms]], frames.depth[shown], unit=unit)
    sheet = _start("The prepared data", subtitle, SPLIT_COLORS, scale)
    columns = [
        Column((library.images[i], scale.rgb(library.depths[i])), color=SPLIT_COLORS[split])
        for i, split in rooms.items()
    ]
    note = "nobody in them, and how far everything is"
    y = _section(sheet, LEFT, TOP, ("image", "depth"), columns, name="Rooms", note=note)
    cutouts = zip(_on_ground(library.rgba[[*people]]), people.values(), strict=True)
    columns = [Column([rgb], color=SPLIT_COLORS[split]) for rgb, split in cutouts]
    y = _section(sheet, LEFT, y, [""], columns, name="People", note="cut out, at one scale")
    if shown:
        note, labels = "people rendered inside test rooms, with true shadows", Scene._fields[1:4]
        pictures = _shown(frames.take(shown), scale)
        columns = [Column(each[1:]) for each in pictures]
        y = _section(sheet, LEFT, y, labels, columns, name="In-scene test frames", note=note)
    sheet.save(path, y)


def composed_sheet(
    path: Path,
    scenes: Scene[np.ndarray],
    *,
    unit: str,
    subtitle: str,
    title: str = "Composed scenes",
) -> None:
    """Draw up to 24 composed scenes, uint8 N x H x W x 3, a column each: bg, bg_fg, mask, depth."""
    scenes = scenes.take(spread(len(scenes.bg_fg), NUM_SHOWN))
    scale = canvas.DepthScale.spanning(scenes.depth, unit=unit)
    sheet = _start(title, subtitle, {}, scale)
    columns = [Column(pictures) for pictures in _shown(scenes, scale)]
    sheet.save(path, _section(sheet, LEFT, TOP, Scene._fields[:4], columns))


def panels(
    path: Path,
    pictures: Mapping[str, np.ndarray],
    captions: Sequence[str],
    *,
    title: str,
    subtitle: str,
    scale: canvas.DepthScale,
) -> None:
    """Draw a row a scene: `pictures` N x H x W x 3 by names of `FIELDS`, with N `captions`; `scale`
    is the same for every experiment that is compared."""
    width = PANEL_LEFT + len(pictures) * (PANEL + GAP) + MARGIN
    has_depth = "depth_error" in pictures
    sheet = _start(title, subtitle, canvas.MASK_ERRORS, scale if has_depth else None, width)
    if has_depth:
        colors, ticks = canvas.error_colors, canvas.ERROR_TICKS
        sheet.legend(width - MARGIN - 160, 72, 160, colors, ticks, "depth error")
    columns = [Column([*column], FIELDS[name]) for name, column in pictures.items()]
    sheet.save(path, _section(sheet, PANEL_LEFT, TOP + 40, captions, columns, width=PANEL))


def footage_sheet(
    path: Path, footage: Mapping[str, Sequence[tuple[str, View]]], *, subtitle: str
) -> None:
    """Draw a block a sequence: the plate, then a column a view, headed by its kind: the frame above
    what each method found; grey is what the truth leaves open."""
    width = PANEL_LEFT + (1 + max(map(len, footage.values()))) * (PANEL + GAP) + MARGIN
    sheet = _start("The best and the worst frames", subtitle, canvas.MASK_ERRORS, width=width)
    y = TOP
    for name, views in footage.items():
        columns = [Column([views[0][1].bg], "plate")]
        for kind, view in views:
            pictures, words = [view.bg_fg], []
            for found in view.found.values():
                errors = canvas.mask_errors_rgb(found, view.true)
                errors[~view.valid] = canvas.INVALID_RGB
                pictures.append(errors)
                iou = (found & view.true).sum() / max(1, (found | view.true).sum())
                is_empty = not view.true.any()
                words.append(f"{100 * found.mean():.1f} % false" if is_empty else f"IoU {iou:.2f}")
            columns.append(Column(pictures, f"{kind}: {view.name}", foot=", ".join(words)))
        labels = ("frame", *views[0][1].found)
        y = _section(sheet, PANEL_LEFT, y, labels, columns, name=name, width=PANEL)
    sheet.save(path, y)


def hero(path: Path, scenes: Scene[np.ndarray], *, unit: str) -> None:
    """Draw a few scenes (with a leading axis N) on a dark card, clear outside its round corners: it
    looks the same on a white page and on a dark one."""
    lefts = (32, 306, 628, 902)
    sheet = canvas.Canvas(lefts[-1] + HERO + 96, CARD, radius=18)
    heads = ("bg", "the empty room"), ("bg_fg", "a frame"), ("mask", "who"), ("depth", "how far")
    for x, (name, note) in zip(lefts, heads, strict=True):
        sheet.text(x + 2, 46, name, note, font_size=20, font_weight="bold", fill=CARD_INK)
    scale, y = canvas.DepthScale.spanning(scenes.depth, unit=unit), 74
    rows = zip(_shown(scenes, scale), scenes.mask, scenes.depth, strict=True)
    for pictures, mask, depth in rows:
        for x, pixels in zip(lefts, pictures, strict=True):
            sheet.image(x, y, HERO, HERO, pixels, radius=8)
        middle, person = y + HERO / 2, canvas.unit_mask(mask) > THRESHOLD
        sheet.text(lefts[2] - 29, middle, "→", font_size=26, fill=CARD_MUTED, text_anchor="middle")
        if unit == "metre" and person.any():
            words = f"{np.median(depth[person]):.1f} m"
            style = {"font_size": 20, "fill": CARD_INK, "font_weight": "bold"}
            sheet.text(lefts[-1] + HERO + 16, middle, words, **style)
        y += HERO + 10
    where = lefts[2] + 80, y + 8, lefts[-1] + HERO - lefts[2] - 80
    sheet.legend(*where, canvas.depth_colors, scale.ticks(), scale.label, CARD_MUTED)
    sheet.save(path, y + 64)


def _start(
    title: str,
    subtitle: str,
    keys: Mapping[str, str],
    scale: canvas.DepthScale | None = None,
    width: int = WIDTH,
) -> canvas.Canvas:
    """A sheet with its title, what colours mean and the colours of depth."""
    sheet, right = canvas.Canvas(width), width - MARGIN
    sheet.text(MARGIN, 40, title, font_size=24, font_weight="bold")
    sheet.text(MARGIN, 68, subtitle, font_size=14, fill=LIGHT["muted"])
    if scale is not None:
        sheet.legend(right - 260, 36, 260, canvas.depth_colors, scale.ticks(), scale.label)
    sheet.keys(right if scale is None else right - 370, 40, keys)
    return sheet


def _section(
    sheet: canvas.Canvas,
    x: int,
    y: int,
    labels: Sequence[str],
    columns: Sequence[Column],
    *,
    name: str = "",
    note: str = "",
    width: int = TILE,
) -> int:
    """Draw columns of pictures `width` px wide, twelve side by side, with a label for each of a
    column's pictures left of `x`; returns where it ends."""
    sheet.text(x, y + 16, name, note, font_size=17, font_weight="bold")
    y += 62 if name and columns[0].head else 40 if name else 0
    tall, wide, *_ = columns[0].pictures[0].shape
    height = round(width * tall / wide)
    row_height = len(labels) * (height + GAP) + ROW_GAP
    for number, (pictures, head, color, foot) in enumerate(columns):
        row, column = divmod(number, COLUMNS)
        left, top = x + column * (width + GAP), y + row * row_height
        sheet.text(left, top - 17, head, fill=LIGHT["ink"])
        sheet.box(left, top - 8, width, 3, fill=color, rx=1)
        for place, label in enumerate(labels if column == 0 else ()):
            middle = top + place * (height + GAP) + height / 2
            sheet.text(x - 14, middle, label, fill=LIGHT["muted"], text_anchor="end")
        for place, pixels in enumerate(pictures):
            sheet.image(left, top + place * (height + GAP), width, height, pixels)
        sheet.text(left, top + row_height - ROW_GAP + 8, foot, font_size=12, fill=LIGHT["muted"])
    return y + -(-len(columns) // COLUMNS) * row_height


def _shown(scenes: Scene[np.ndarray], scale: canvas.DepthScale) -> list[tuple[np.ndarray, ...]]:
    """bg, bg_fg, mask and depth of each scene as pictures."""
    fields = scenes.bg, scenes.bg_fg, canvas.mask_rgb(scenes.mask), scale.rgb(scenes.depth)
    return list(zip(*fields, strict=True))


def _on_ground(rgba: np.ndarray) -> np.ndarray:
    """Cutouts, uint8 C x h x w x 4 of straight alpha, on a faint checkerboard: C x h x w x 3."""
    height, width = rgba.shape[1:3]
    rows, columns = np.mgrid[:height, :width] // max(2, height // 21)
    ground = np.where((rows + columns) % 2, 222.0, 232.0)[..., None]
    alpha = rgba[..., 3:] / 255
    return np.round(rgba[..., :3] * alpha + ground * (1 - alpha)).astype(np.uint8)


def sample_splits(splits: Sequence[str]) -> dict[int, str]:
    """Indices of some of every split, twelve of them of the first, by split."""
    members = {split: [i for i, s in enumerate(splits) if s == split] for split in SPLITS}
    return {of[i]: s for s, of in members.items() for i in spread(len(of), NUM_OF_SPLIT[s])}
