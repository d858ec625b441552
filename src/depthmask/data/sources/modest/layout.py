r"""The folder's layout, as the data set's authors describe it, and its sets.

    bg/bg001.jpeg                                    the plates, 224 x 224 px, RGB
    bg_fg/bg001_fg001_01.jpeg                        the composites; 01 to 40, 21 on mirrored
    bg_fg_mask/bg001_fg001_01_mask.jpeg              grey, white is person
    bg_fg_depth_map/bg001_fg001_01_depth_map.jpeg    grey, relative depth, 0 is nearest
    file_map.txt    bg001\tbg001_fg001_01\tbg001_fg001_01_mask\tbg001_fg001_01_depth_map

`bg001` is plate 1 and `fg001` person 1. Also read: commas or blanks for tabs; names with or without
a suffix or a path, which may hold blanks where they part no names; `.jpg` and `.png`; masks and
depth maps with another ending or none; a plate of its own for a composite, called like it, as
`depthmask materialise` writes where light varies. The original's bbox.txt is not needed.
"""

import hashlib
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from depthmask.config import Splits
from depthmask.data.scenes.images import UNREADABLE
from depthmask.data.scenes.leakage_check import assign_splits
from depthmask.data.scenes.scene import SET_SPLITS
from depthmask.data.work import progress
from depthmask.errors import InputError

FOLDERS = {"bg": "bg", "bg_fg": "bg_fg", "mask": "bg_fg_mask", "depth": "bg_fg_depth_map"}
"""Which folder each field of a scene lies in."""

_EXAMPLE = "bg001 bg001_fg001_01 bg001_fg001_01_mask bg001_fg001_01_depth_map"
_LINE = (  # the plate, the maps and the composite are of one scene
    r"^bg(?P<plate>\d+)(?:_fg\d+_\d+)?\t(?P<scene>bg(?P=plate)_fg(?P<cutout>\d+)_\d+)"
    r"\t(?P=scene)(?:_\w+)?\t(?P=scene)(?:_\w+)?$"
)
_ENDS = b"\xff\xd9", b"IEND\xaeB`\x82"  # of JPEG and PNG, which compressed data cannot hold


def read_layout(folder: Path) -> pd.DataFrame:
    """A row a line of file_map.txt: `bg`, `bg_fg`, `mask`, `depth` (paths within the folder),
    `plate` and `cutout` (the numbers in the names). InputError counts what does not agree."""
    path = folder / "file_map.txt"
    for needed in (path, *(folder / name for name in FOLDERS.values())):
        if not needed.exists():
            raise InputError(f"{needed} is missing: unpack the whole data set there")
    remedy = f"mend or remove such lines; one that is right is `{_EXAMPLE}`"
    try:
        text = path.read_text(encoding="utf-8-sig")
        # blanks part the names only where tabs and commas do not, since a path may hold them
        mark = next((mark for mark in "\t," if mark in text), " ")
        table = pd.read_csv(
            StringIO(text), sep=f" *{mark} *", names=[*FOLDERS], dtype=str, engine="python"
        )
    except ValueError as error:  # pandas' own classes and UnicodeDecodeError are such
        raise InputError(f"{path} cannot be read ({error}): {remedy}") from None
    table = table.replace(r".*[/\\]|\.\w+$", "", regex=True)
    joined = table["bg"].str.cat(table[["bg_fg", "mask", "depth"]], sep="\t")
    numbers = joined.str.extract(_LINE)[["plate", "cutout"]]
    wrong = numbers.isna().any(axis=1)
    if wrong.any():
        first = f"line {int(wrong.argmax()) + 1}: {remedy}"
        raise InputError(f"{wrong.sum()} of {len(table)} lines of {path} are wrong; first {first}")
    for field, name in FOLDERS.items():
        # one listing a folder: 1.2 million stat calls would take minutes on a network disk
        files = [file for file in os.listdir(folder / name) if file[0] != "."]
        files = [file for file in files if file.lower().endswith((".jpeg", ".jpg", ".png"))]
        found = table[field].map({file.rpartition(".")[0]: f"{name}/{file}" for file in files})
        if (gone := found.isna()).any():
            first = f"{name}/{table[field][gone].iloc[0]}: unpack such files or remove the lines"
            lines = f"{gone.sum()} of {len(table)} lines of {path}"
            raise InputError(f"{lines} name a missing file, such as {first}")
        unnamed = {f"{name}/{file}" for file in files}.difference(found)
        if unnamed and field != "bg":
            remedy = "restore the lines that are missing or move the images away"
            first = f"such as {min(unnamed)}: {remedy}"
            raise InputError(f"{path} does not name {len(unnamed)} images, {first}")
        table[field] = found
    return table.join(numbers.astype(int))


def check_images(folder: Path, table: pd.DataFrame) -> tuple[int, str]:
    """The images' side, px, and 16 hex digits of all names, lengths and ends; InputError counts
    those that are no JPEG or PNG, cut short or of another size than the first."""
    paths = [path for field in FOLDERS for path in table[field].unique()]
    faults, content, side = [], hashlib.sha256(), 0
    with progress(len(paths), "images checked") as advance, ThreadPoolExecutor() as pool:
        looks = pool.map(_look, (folder / path for path in paths), chunksize=100)
        for path, (size, end) in zip(paths, looks, strict=True):
            content.update(f"{path} ".encode() + end)
            side = side or size[0]
            if not size[0]:
                faults.append(f"{path} is no JPEG or PNG, or cut short")
            elif size != (side, side):
                faults.append(f"{path} is not {side} x {side} px")
            advance(1)
    if faults:
        remedy = "unpack them again, or remove their lines from file_map.txt"
        images = f"{len(faults)} of {len(paths)} images in {folder}"
        raise InputError(f"{images} cannot be used, such as {faults[0]}: {remedy}")
    return side, content.hexdigest()[:16]


def _look(path: Path) -> tuple[tuple[int, int], bytes]:
    """An image's width and height, 0 if it does not open or end, and its length and last bytes."""
    end = b""
    try:
        with path.open("rb") as file, Image.open(file, formats=("JPEG", "PNG")) as image:
            length = file.seek(0, os.SEEK_END)
            file.seek(max(0, length - 32))
            end = file.read()
            is_whole = end.rstrip(b"\x00\r\n ").endswith(_ENDS)
            return image.size if is_whole else (0, 0), f"{length} ".encode() + end
    except UNREADABLE:
        return (0, 0), end


def draw_sets(
    table: pd.DataFrame, splits: Splits, sizes: Mapping[str, int], seed: int
) -> pd.DataFrame:
    """Rows of a table of `read_layout`, with a column `set`: those of `sizes`, which hold plates
    and people of their splits evenly, and `train`, which has what `seen_seen` leaves."""
    weights, split_of = splits.model_dump(), {}
    for kind, column in (("plates", "plate"), ("cutouts", "cutout")):
        numbers = np.sort(table[column].unique())
        names, groups = numbers.astype(str).tolist(), np.arange(len(numbers))
        drawn = assign_splits(kind, names, weights[kind], seed, groups)
        split_of[column] = table[column].map(dict(zip(numbers, drawn, strict=True)))
    parts = []
    for number, (name, (plate, cutout)) in enumerate(SET_SPLITS.items()):
        inside = table[(split_of["plate"] == plate) & (split_of["cutout"] == cutout)]
        inside = inside.sample(frac=1, random_state=np.random.default_rng([seed, number]))
        # every pair before one comes twice, and plates in turns
        turn = inside.groupby(["plate", "cutout"]).cumcount()
        inside = inside.iloc[np.lexsort((inside.groupby(["plate", turn]).cumcount(), turn))]
        # what is left of seen_seen's rectangle is trained on: something must be
        count, available = sizes[name], len(inside) - (name == "seen_seen")
        if count > available:
            remedy = "change its size or give the split more plates and people"
            raise InputError(f"the set {name} asks for {count} composites of {available}: {remedy}")
        parts.append(inside[:count].assign(set=name))
        if name == "seen_seen":
            parts.append(inside[count:].assign(set="train"))
    return pd.concat(parts).sort_index()
