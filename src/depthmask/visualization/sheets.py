"""Contact sheets: what the data looks like, at one glance."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from depthmask.data.scenes.scene import SPLITS, Scene
from depthmask.visualization.canvas import Canvas, mask_rgb, spread
from depthmask.visualization.depth_colors import DepthScale
from depthmask.visualization.theme import LIGHT

COLUMNS, NUM_SHOWN = 12, 24
TILE, PERSON_HEIGHT, GAP = 112, 168, 4
MARGIN, GUTTER = 32, 76
LEFT = MARGIN + GUTTER
WIDTH = LEFT + COLUMNS * (TILE + GAP) - GAP + MARGIN
HEADER, SECTION, ROW_GAP = 100, 58, 34
SPLIT_COLORS = {"train": LIGHT["blue"], "val": LIGHT["orange"], "test": LIGHT["green"]}


@dataclass(frozen=True)
class SplitImages:
    """Sources of one kind, and the split that each is in.

    Attributes:
        images: uint8, P x S x S x 3 (rooms) or C x h x w x 4 (people).
        splits: `train`, `val` or `test`, one an image.
    """

    images: np.ndarray
    splits: Sequence[str]


@dataclass(frozen=True)
class Section:
    """Columns of pictures beneath one another, twelve side by side.

    Attributes:
        labels: of the pictures of a column, from above.
        columns: the pictures of each, uint8 h x w x 3.
        splits: of each column; drawn where given.
        height: of a picture, px.
    """

    name: str
    note: str
    labels: Sequence[str]
    columns: Sequence[Sequence[np.ndarray]]
    splits: Sequence[str] = ()
    height: int = TILE

    @property
    def row_height(self) -> int:
        return len(self.labels) * (self.height + GAP) - GAP + ROW_GAP

    @property
    def num_rows(self) -> int:
        return -(-len(self.columns) // COLUMNS)

    @property
    def head(self) -> int:
        """What is above the pictures, px: its name, and the first split's."""
        return SECTION if self.splits else 40 if self.name else 0


def contact_sheet(
    path: Path,
    *,
    rooms: SplitImages,
    rooms_depth: np.ndarray,
    people: SplitImages,
    frames: Scene[np.ndarray],
    unit: str = "metre",
    subtitle: str = "",
) -> None:
    """Draw rooms with their depth, people, and in-scene test frames; the split of each is shown.

    Args:
        rooms_depth: float32, P x S x S, in `unit`.
        frames: arrays with a leading axis N; N may be 0, `frames.bg` is not drawn.
    """
    chosen, persons = sample_splits(rooms.splits), sample_splits(people.splits)
    shown = spread(len(frames.bg_fg), COLUMNS)
    scale = DepthScale.spanning(rooms_depth[chosen], frames.depth[shown], unit=unit)
    room_columns = [(rooms.images[i], scale.rgb(rooms_depth[i])) for i in chosen]
    person_columns = [[picture] for picture in _on_ground(people.images[persons])]
    sections = [
        Section("Rooms", "nobody in them, and how far everything is", ("image", "depth"),
                room_columns, [rooms.splits[i] for i in chosen]),
        Section("People", "cut out, at one scale", ("",), person_columns,
                [people.splits[i] for i in persons], PERSON_HEIGHT),
    ]  # fmt: skip
    if shown:
        words = "people rendered inside test rooms, with true shadows: training sees none"
        columns = _scene_columns(frames, shown, scale, ("bg_fg", "mask", "depth"))
        sections.append(Section("In-scene test frames", words, ("bg_fg", "mask", "depth"), columns))
    _draw(path, "The prepared data", subtitle, sections, scale)


def composed_sheet(
    path: Path,
    scenes: Scene[np.ndarray],
    *,
    unit: str = "metre",
    title: str = "Composed scenes",
    subtitle: str = "",
    num_scenes: int = NUM_SHOWN,
) -> None:
    """Draw composed samples, a column each: bg, bg_fg, mask, depth.

    Args:
        scenes: arrays with a leading axis N; images uint8 N x H x W x 3.
    """
    choice = spread(len(scenes.bg_fg), num_scenes)
    scale = DepthScale.spanning(scenes.depth[choice], unit=unit)
    columns = _scene_columns(scenes, choice, scale, Scene._fields)
    _draw(path, title, subtitle, [Section("", "", Scene._fields, columns)], scale)


def augmented_sheet(
    path: Path,
    *,
    plates: np.ndarray,
    plate_variants: np.ndarray,
    cutouts: np.ndarray,
    cutout_variants: np.ndarray,
    subtitle: str = "",
) -> None:
    """Draw training plates and cutouts, the original on top and its variants beneath.

    Args:
        plates: uint8, P x S x S x 3; plate_variants: V x P x S x S x 3.
        cutouts: uint8, C x h x w x 4; cutout_variants: V x C x h x w x 3.
    """
    labels = ("original", *(f"variant {number + 1}" for number in range(len(plate_variants))))
    rooms = [(plates[i], *plate_variants[:, i]) for i in spread(len(plates), COLUMNS)]
    choice = spread(len(cutouts), COLUMNS)
    colors = np.concatenate([cutouts[None, ..., :3], cutout_variants])[:, choice]
    alpha = np.broadcast_to(cutouts[choice, ..., 3:], (*colors.shape[:-1], 1))
    rgba = np.concatenate([colors, alpha], axis=-1)
    pictures = _on_ground(rgba.reshape(-1, *rgba.shape[2:]))
    people = [pictures[number :: len(choice)] for number in range(len(choice))]
    sections = [
        Section("Rooms", "of the training split, in other colour and light", labels, rooms),
        Section("People", "of the training split, each varied on its own", labels, people,
                height=PERSON_HEIGHT),
    ]  # fmt: skip
    _draw(path, "Augmented sources", subtitle, sections, None)


def _draw(
    path: Path, title: str, subtitle: str, sections: Sequence[Section], scale: DepthScale | None
) -> None:
    height = HEADER + sum(part.head + part.num_rows * part.row_height for part in sections)
    canvas = Canvas(WIDTH, height)
    canvas.text(MARGIN, 40, title, size=24, weight="bold")
    canvas.text(MARGIN, 68, subtitle, size=14, color=LIGHT["muted"])
    if scale is not None:
        canvas.depth_legend(WIDTH - MARGIN - 260, 36, 260, scale)
    top = HEADER
    for part in sections:
        canvas.text(MARGIN, top + 16, part.name, part.note, size=17, weight="bold")
        top += part.head
        _draw_section(canvas, top, part)
        top += part.num_rows * part.row_height
    canvas.save(path)


def _draw_section(canvas: Canvas, top: int, part: Section) -> None:
    for number, pictures in enumerate(part.columns):
        row, column = divmod(number, COLUMNS)
        x, y = LEFT + column * (TILE + GAP), top + row * part.row_height
        if part.splits:
            split = part.splits[number]
            canvas.box(x, y - 8, TILE, 3, SPLIT_COLORS[split], radius=1)
            if number == 0 or split != part.splits[number - 1]:
                canvas.text(x, y - 17, split, color=SPLIT_COLORS[split], weight="bold")
        for place, pixels in enumerate(pictures):
            canvas.image(x, y + place * (part.height + GAP), TILE, part.height, pixels)
            if column == 0:
                middle = y + place * (part.height + GAP) + part.height / 2
                canvas.text(
                    LEFT - 14, middle, part.labels[place], color=LIGHT["muted"], anchor="end"
                )


def _scene_columns(
    scenes: Scene[np.ndarray], choice: list[int], scale: DepthScale, fields: Sequence[str]
) -> list[list[np.ndarray]]:
    shown = scenes._replace(mask=mask_rgb(scenes.mask), depth=scale.rgb(scenes.depth))
    return [[getattr(shown, field)[index] for field in fields] for index in choice]


def _on_ground(rgba: np.ndarray) -> list[np.ndarray]:
    """Cutouts, C x h x w x 4, cropped alike and stood at the foot of a tile on a checkerboard."""
    rows, columns = shared_crop(rgba)
    rgba = rgba[:, rows, columns]
    height, width = rgba.shape[1:3]
    full_height = max(height, round(width * PERSON_HEIGHT / TILE))
    full_width = max(width, round(full_height * TILE / PERSON_HEIGHT))
    left = (full_width - width) // 2
    sides = ((0, 0), (full_height - height, 0), (left, full_width - width - left), (0, 0))
    square = max(2, round(8 * full_height / PERSON_HEIGHT))
    return [on_checkerboard(person, square) for person in np.pad(rgba, sides)]


def on_checkerboard(rgba: np.ndarray, square_px: int) -> np.ndarray:
    """Lay a cutout, uint8 H x W x 4 of straight alpha, on a faint checkerboard."""
    height, width = rgba.shape[:2]
    rows, columns = np.mgrid[:height, :width] // square_px
    ground = np.where((rows + columns) % 2, 222.0, 232.0)[..., None]
    alpha = rgba[..., 3:] / 255
    return np.round(rgba[..., :3] * alpha + ground * (1 - alpha)).astype(np.uint8)


def shared_crop(rgba: np.ndarray, margin: float = 0.04) -> tuple[slice, slice]:
    """Rows and columns that hold every cutout of C x h x w x 4, so their sizes stay comparable."""
    opaque = np.any(rgba[..., 3] > 8, axis=0)
    if not opaque.any():
        return slice(None), slice(None)
    bounds = []
    for axis in (1, 0):
        used = np.flatnonzero(np.any(opaque, axis=axis))
        extra = round(margin * opaque.shape[1 - axis])
        bounds.append(slice(max(0, used[0] - extra), used[-1] + 1 + extra))
    return bounds[0], bounds[1]


def sample_splits(splits: Sequence[str], num_wanted: int = NUM_SHOWN) -> list[int]:
    """Choose indices from every split, half of them of the first, ordered by split."""
    members = {split: [i for i, s in enumerate(splits) if s == split] for split in SPLITS}
    shares = {split: min(len(members[split]), num_wanted // 4) for split in SPLITS[1:]}
    shares[SPLITS[0]] = min(len(members[SPLITS[0]]), num_wanted - sum(shares.values()))
    return [members[s][i] for s in SPLITS for i in spread(len(members[s]), shares[s])]
