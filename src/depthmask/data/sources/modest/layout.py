r"""The folder's layout, as the data set's authors describe it, and its splits.

    bg/bg001.jpeg                                    the plates, 224 x 224 px, RGB
    bg_fg/bg001_fg001_01.jpeg                        the composites; 01 to 40, 21 on mirrored
    bg_fg_mask/bg001_fg001_01_mask.jpeg              grey, white is person
    bg_fg_depth_map/bg001_fg001_01_depth_map.jpeg    grey, relative depth, 0 is nearest
    file_map.txt    bg001\tbg001_fg001_01\tbg001_fg001_01_mask\tbg001_fg001_01_depth_map

`bg001` is plate 1 and `fg001` person 1. Also read: commas or blanks for tabs; names with or without
a suffix or a path; `.jpg` and `.png`; masks and depth maps with another ending or none; a plate of
its own for a composite, called like it, as `depthmask materialise` writes where light varies. The
original's bbox.txt is not needed.
"""

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from depthmask.data.scenes.scene import SET_SPLITS, SPLITS
from depthmask.errors import InputError

FOLDERS = {"bg": "bg", "bg_fg": "bg_fg", "mask": "bg_fg_mask", "depth": "bg_fg_depth_map"}
"""Which folder each field of a scene lies in."""

_EXAMPLE = "bg001 bg001_fg001_01 bg001_fg001_01_mask bg001_fg001_01_depth_map"
_AROUND_NAME = re.compile(r".*[/\\]|\.\w+$")
_LINE = re.compile(
    r"(?P<bg>bg(?P<plate>\d{1,9})(?:_fg\d+_\d+)?)"
    r"\t(?P<bg_fg>bg(?P=plate)_fg(?P<cutout>\d{1,9})_\d+)"
    r"\t(?P<mask>(?P=bg_fg)(?:_\w+)?)\t(?P<depth>(?P=bg_fg)(?:_\w+)?)",
    re.IGNORECASE | re.ASCII,
)


def read_layout(folder: Path) -> pd.DataFrame:
    """A row a line of file_map.txt: `bg`, `bg_fg`, `mask`, `depth` (paths within the folder),
    `plate` and `cutout` (the numbers in the names). InputError counts what does not agree."""
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: name the folder that holds file_map.txt")
    for name in FOLDERS.values():
        if not (folder / name).is_dir():
            raise InputError(f"{folder / name}/ is missing: unpack the whole data set there")
    path = folder / "file_map.txt"
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path} is missing: unpack the whole data set there") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is no text file: unpack it again") from None
    stripped = {number: line.strip() for number, line in enumerate(text.split("\n"), start=1)}
    lines = pd.Series({number: line for number, line in stripped.items() if line}, dtype=object)
    if lines.empty:
        raise InputError(f"{path} is empty: it must name a composite a line, as `{_EXAMPLE}`")
    matches = lines.map(_match)
    remedy = f"mend or remove such lines; one that is right is `{_EXAMPLE}`"
    _refuse(path, lines, matches.isna(), "cannot be read", remedy)
    table = pd.DataFrame([match.groupdict() for match in matches], lines.index)
    _refuse(path, lines, table["bg_fg"].duplicated(), "repeat a composite", "remove such lines")
    _find_files(folder, path, lines, table)
    table = table.astype({"plate": int, "cutout": int}).reset_index(drop=True)
    return table[[*FOLDERS, "plate", "cutout"]]


def _match(line: str) -> re.Match[str] | None:
    # blanks part the names only where tabs and commas do not, since a path may hold them
    separator = next((mark for mark in "\t," if mark in line), None)
    names = (_AROUND_NAME.sub("", part.strip()) for part in line.split(separator))
    return _LINE.fullmatch("\t".join(names))


def _refuse(path: Path, lines: pd.Series, is_bad: pd.Series, what: str, remedy: str) -> None:
    if is_bad.any():
        number, line = next(iter(lines[is_bad].items()))
        raise InputError(
            f"{is_bad.sum()} of {len(lines)} lines of {path} {what}; the first:"
            f" line {number}, {line[:200]!r}: {remedy}"
        )


def _find_files(folder: Path, path: Path, lines: pd.Series, table: pd.DataFrame) -> None:
    """Put the files' paths in the place of their names."""
    missing = pd.Series(None, lines.index, dtype=object)
    unnamed = []
    for field, name in FOLDERS.items():
        # one listing a folder: 1.2 million stat calls would take minutes on a network disk
        listed = [file for file in os.listdir(folder / name) if file[0] != "."]
        listed = [file for file in listed if file.lower().endswith((".jpeg", ".jpg", ".png"))]
        paths = {file.rpartition(".")[0]: f"{name}/{file}" for file in listed}
        found = table[field].map(paths)
        missing = missing.fillna((name + "/" + table[field]).where(found.isna()))
        if field != "bg" and len(listed) > len(table) and missing.isna().all():
            extra = min(set(paths.values()) - set(found)).rpartition("/")[2]
            unnamed.append(f"{len(listed)} images in {name}/, such as {extra}")
        table[field] = found
    remedy = "unpack the missing files or remove such lines"
    _refuse(path, missing, missing.notna(), "name a missing file", remedy)
    if unnamed:
        raise InputError(
            f"{path} has {len(lines)} lines but there are {'; '.join(unnamed)}: restore the"
            " lines that are missing or move the other images away"
        )


def split_sources(
    table: pd.DataFrame, plates: Mapping[str, float], cutouts: Mapping[str, float], seed: int
) -> pd.DataFrame:
    """Add the columns `plate_split` and `cutout_split` to a table of `read_layout`; InputError if
    the shares of train, val and test, which add up to 1, leave one empty."""
    split = table.copy()
    for kind, (column, shares) in enumerate((("plate", plates), ("cutout", cutouts))):
        numbers = np.sort(table[column].unique())
        shuffled = np.random.default_rng([seed, kind]).permutation(numbers)
        ends = np.rint(np.cumsum([shares[name] for name in SPLITS]) * len(numbers)).astype(int)
        counts = np.diff(ends, prepend=0)
        if min(counts) < 1:
            raise InputError(
                f"the {column} split {dict(shares)} leaves a split of {len(numbers)} {column}s"
                " empty: give each its own"
            )
        names = np.repeat(SPLITS, counts)
        split[f"{column}_split"] = split[column].map(dict(zip(shuffled, names, strict=True)))
    return split


def draw_sets(table: pd.DataFrame, sizes: Mapping[str, int], seed: int) -> dict[str, np.ndarray]:
    """The rows of each set of `sizes`, rising, which hold plates and people of its splits evenly,
    and of `train`, which has what `seen_seen` leaves. InputError if there are too few for a set."""
    chosen: dict[str, np.ndarray] = {}
    for number, (name, (plate, cutout)) in enumerate(SET_SPLITS.items()):
        inside = (table["plate_split"] == plate) & (table["cutout_split"] == cutout)
        rows = _in_turns(table, np.flatnonzero(inside), np.random.default_rng([seed, number]))
        count = sizes[name]
        # what is left of seen_seen's rectangle is trained on: something must be
        available = len(rows) - (name == "seen_seen")
        if not 0 < count <= available:
            raise InputError(
                f"the set {name} asks for {count} composites of {available}: change its size or"
                " give the split more plates and people"
            )
        chosen[name] = np.sort(rows[:count])
        if name == "seen_seen":
            chosen["train"] = np.sort(rows[count:])
    return chosen


def _in_turns(table: pd.DataFrame, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Order composites so that any first few hold plates, people and their pairs evenly."""
    if len(rows) == 0:
        return rows
    shuffled = rng.permutation(rows)
    part = table.iloc[shuffled]
    plate, plates = pd.factorize(part["plate"])  # numbered as they appear, so at random
    cutout, cutouts = pd.factorize(part["cutout"])
    turn = part.groupby(["plate", "cutout"]).cumcount().to_numpy()
    # the n-th pair is of plate n mod P and person n mod C; where it repeats, people move on by one
    number = np.arange(len(plates) * len(cutouts))
    rank = np.empty((len(plates), len(cutouts)), np.int64)
    round_ = number // math.lcm(*rank.shape)
    rank[number % len(plates), (number + round_) % len(cutouts)] = number
    return shuffled[np.lexsort((rank[plate, cutout], turn))]
