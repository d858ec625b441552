r"""The folder's layout, as the data set's authors describe it and their loaders read it.

    bg/bg001.jpeg                                    the plates, 224 x 224 px, RGB
    bg_fg/bg001_fg001_01.jpeg                        the composites; 01 to 40, 21 on mirrored
    bg_fg_mask/bg001_fg001_01_mask.jpeg              grey, white is person
    bg_fg_depth_map/bg001_fg001_01_depth_map.jpeg    grey, relative depth, 0 is nearest
    file_map.txt    bg001\tbg001_fg001_01\tbg001_fg001_01_mask\tbg001_fg001_01_depth_map
    bbox.txt        bg001_fg001_01.jpeg\t123\t113\t35\t108    (x, y, width, height, px; optional)

`bg001` is plate 1 and `fg001` person 1. Also read: commas or blanks for tabs; names with or without
a suffix or a path before them; `.jpg` and `.png`; a mask or depth map that is called like its
composite, or so and another ending; a plate of its own for a composite, called like it, as
`depthmask materialise` writes where light varies.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
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
_BOX = re.compile(r"(bg\d+_fg\d+_\d+)" + r"\t\d+(?:\.\d+)?" * 4, re.IGNORECASE | re.ASCII)

_Lines = dict[int, str]
"""Lines by their numbers, from 1."""


def read_layout(folder: Path) -> pd.DataFrame:
    """Index a folder of this layout without opening an image.

    Returns:
        A row per line of file_map.txt, in its order: `bg`, `bg_fg`, `mask`, `depth` (paths within
        the folder), `plate` and `cutout` (the numbers in the names).

    Raises:
        InputError: a folder or file_map.txt is missing; a line cannot be read, names what is not
            there, or repeats another; images that no line names; a bbox.txt that does not agree.
            Named and counted.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: name the folder that holds file_map.txt")
    for name in FOLDERS.values():
        if not (folder / name).is_dir():
            raise InputError(f"{folder / name}/ is missing: unpack the whole data set there")
    path = folder / "file_map.txt"
    lines = _read_lines(path)
    if not lines:
        raise InputError(f"{path} is empty: it must name a composite a line, as `{_EXAMPLE}`")
    matches = [_LINE.fullmatch("\t".join(_names(line))) for line in lines.values()]
    bad = [n for n, match in zip(lines, matches, strict=True) if match is None]
    mend = f"mend or remove such lines; one that is right is `{_EXAMPLE}`"
    _refuse(path, lines, bad, "cannot be read", mend)
    table = pd.DataFrame([match.groupdict() for match in matches if match is not None])
    repeated = table["bg_fg"].duplicated().tolist()
    bad = [n for n, is_repeated in zip(lines, repeated, strict=True) if is_repeated]
    _refuse(path, lines, bad, "repeat a composite", "remove such lines")
    composites = table["bg_fg"].tolist()
    _find_files(folder, path, lines, table)
    if (folder / "bbox.txt").exists():
        _check_boxes(folder / "bbox.txt", composites)
    return table.astype({"plate": int, "cutout": int})[[*FOLDERS, "plate", "cutout"]]


def _read_lines(path: Path) -> _Lines:
    """Those that are not blank."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path} is missing: unpack the whole data set there") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is no text file: unpack it again") from None
    stripped = ((number, line.strip()) for number, line in enumerate(text.split("\n"), start=1))
    return {number: line for number, line in stripped if line}


def _columns(line: str) -> list[str]:
    """Blanks part the columns only where neither tabs nor commas do: a path may hold them."""
    separator = next((mark for mark in "\t," if mark in line), None)
    return [part.strip() for part in line.split(separator)]


def _names(line: str) -> list[str]:
    """The columns without paths and suffixes."""
    return [_AROUND_NAME.sub("", part) for part in _columns(line)]


def _refuse(path: Path, lines: _Lines, bad: Iterable[int], what: str, remedy: str) -> None:
    numbers = list(bad)
    if numbers:
        raise InputError(
            f"{len(numbers)} of {len(lines)} lines of {path} {what}; the first:"
            f" line {numbers[0]}, {lines[numbers[0]][:200]!r}: {remedy}"
        )


def _find_files(folder: Path, path: Path, lines: _Lines, table: pd.DataFrame) -> None:
    """Put the files' paths in the place of their names."""
    missing: dict[int, str] = {}
    unnamed: list[str] = []
    for field, name in FOLDERS.items():
        # one listing a folder: 1.2 million stat calls would take minutes on a network disk
        listed = [file for file in os.listdir(folder / name) if _is_image(file)]
        paths = {file.rpartition(".")[0]: f"{name}/{file}" for file in listed}
        for number, stem in zip(lines, table[field], strict=True):
            if stem not in paths:
                missing.setdefault(number, f"{name}/{stem}")
        table[field] = [paths.get(stem, "") for stem in table[field]]
        if field != "bg" and len(listed) > len(table) and not missing:
            extra = min(set(paths.values()) - set(table[field])).rpartition("/")[2]
            unnamed.append(f"{len(listed)} images in {name}/, such as {extra}")
    remedy = "unpack the missing files or remove such lines"
    _refuse(path, lines | missing, sorted(missing), "name a missing file", remedy)
    if unnamed:
        raise InputError(
            f"{path} has {len(lines)} lines but there are {'; '.join(unnamed)}: restore the"
            " lines that are missing or move the other images away"
        )


def _is_image(name: str) -> bool:
    return name.lower().endswith((".jpeg", ".jpg", ".png")) and not name.startswith(".")


def _check_boxes(path: Path, composites: Sequence[str]) -> None:
    lines = _read_lines(path)
    remedy = "mend the file, or remove it: it is optional"
    found = {}
    for number, line in lines.items():
        name, *box = _columns(line)
        found[number] = _BOX.fullmatch("\t".join([_AROUND_NAME.sub("", name), *box]))
    bad = [number for number, match in found.items() if match is None]
    _refuse(path, lines, bad, "cannot be read", remedy)
    counts = Counter(match[1] for match in found.values() if match is not None)
    wrong = sorted(counts.keys() ^ set(composites))
    wrong += [name for name, count in counts.items() if count > 1]
    if wrong:
        raise InputError(
            f"{path} must have one line for each composite of file_map.txt; {len(wrong)} have"
            f" none, several or are not there; the first: {wrong[0]}: {remedy}"
        )
