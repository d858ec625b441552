r"""The folder's layout, as the data set's authors describe it and their loaders read it.

    bg/bg001.jpeg                                    the plates, 224 x 224 px, RGB
    bg_fg/bg001_fg001_01.jpeg                        the composites; 01 to 40, 21 on mirrored
    bg_fg_mask/bg001_fg001_01_mask.jpeg              grey, white is person
    bg_fg_depth_map/bg001_fg001_01_depth_map.jpeg    grey, relative depth, 0 is nearest
    file_map.txt    bg001\tbg001_fg001_01\tbg001_fg001_01_mask\tbg001_fg001_01_depth_map
    bbox.txt        bg001_fg001_01.jpeg\t123\t113\t35\t108    (x, y, width, height, px; optional)

`bg001` is plate 1 and `fg001` person 1. Also read: commas or blanks for tabs; names with or without
a suffix or a path; `.jpg` and `.png`; masks and depth maps with another ending or none; a plate of
its own for a composite, called like it, as `depthmask materialise` writes where light varies.
"""

import os
import re
from collections import Counter
from pathlib import Path

import pandas as pd

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
_BOX = re.compile(r"(?P<bg_fg>bg\d+_fg\d+_\d+)" + r"\t\d+" * 4, re.IGNORECASE | re.ASCII)


def read_layout(folder: Path) -> pd.DataFrame:
    """Index a folder of this layout without opening an image.

    Returns:
        A row per line of file_map.txt, in its order: `bg`, `bg_fg`, `mask`, `depth` (paths within
        the folder), `plate` and `cutout` (the numbers in the names).

    Raises:
        InputError: files and lines are missing, unreadable or do not agree; named and counted.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: name the folder that holds file_map.txt")
    for name in FOLDERS.values():
        if not (folder / name).is_dir():
            raise InputError(f"{folder / name}/ is missing: unpack the whole data set there")
    path = folder / "file_map.txt"
    lines = _read_lines(path)
    if lines.empty:
        raise InputError(f"{path} is empty: it must name a composite a line, as `{_EXAMPLE}`")
    remedy = f"mend or remove such lines; one that is right is `{_EXAMPLE}`"
    table = _parse(path, lines, _LINE, remedy)
    _refuse(path, lines, table["bg_fg"].duplicated(), "repeat a composite", "remove such lines")
    composites = set(table["bg_fg"])
    _find_files(folder, path, lines, table)
    if (folder / "bbox.txt").exists():
        _check_boxes(folder / "bbox.txt", composites)
    table = table.astype({"plate": int, "cutout": int}).reset_index(drop=True)
    return table[[*FOLDERS, "plate", "cutout"]]


def _read_lines(path: Path) -> pd.Series:
    """The lines that are not blank, by their numbers, from 1."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path} is missing: unpack the whole data set there") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is no text file: unpack it again") from None
    lines = {number: line.strip() for number, line in enumerate(text.split("\n"), start=1)}
    return pd.Series({number: line for number, line in lines.items() if line}, dtype=object)


def _parse(path: Path, lines: pd.Series, pattern: re.Pattern[str], remedy: str) -> pd.DataFrame:
    """The pattern's named groups, a row a line."""
    matches = [pattern.fullmatch("\t".join(_names(line))) for line in lines]
    is_bad = pd.Series([match is None for match in matches], lines.index, dtype=bool)
    _refuse(path, lines, is_bad, "cannot be read", remedy)
    return pd.DataFrame([match.groupdict() for match in matches if match], lines.index)


def _names(line: str) -> list[str]:
    """The columns without paths and suffixes; blanks part them only where tabs and commas do not,
    since a path may hold them."""
    separator = next((mark for mark in "\t," if mark in line), None)
    return [_AROUND_NAME.sub("", part.strip()) for part in line.split(separator)]


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
        listed = [file for file in os.listdir(folder / name) if _is_image(file)]
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


def _is_image(name: str) -> bool:
    return name.lower().endswith((".jpeg", ".jpg", ".png")) and not name.startswith(".")


def _check_boxes(path: Path, composites: set[str]) -> None:
    remedy = "mend the file, or remove it: it is optional"
    lines = _read_lines(path)
    counts = Counter([] if lines.empty else _parse(path, lines, _BOX, remedy)["bg_fg"])
    wrong = sorted(counts.keys() ^ composites)
    wrong += [name for name, count in counts.items() if count > 1]
    if wrong:
        raise InputError(
            f"{path} must have one line for each composite of file_map.txt; {len(wrong)} have"
            f" none, several or are not there; the first: {wrong[0]}: {remedy}"
        )
