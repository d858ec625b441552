r"""The folder's layout, as the data set's authors describe it and their loaders read it.

    bg/bg001.jpeg                                    the plates, 224 x 224 px, RGB
    bg_fg/bg001_fg001_01.jpeg                        the composites; 01 to 40, 21 on mirrored
    bg_fg_mask/bg001_fg001_01_mask.jpeg              grey, white is person
    bg_fg_depth_map/bg001_fg001_01_depth_map.jpeg    grey, relative depth
    file_map.txt    bg001\tbg001_fg001_01\tbg001_fg001_01_mask\tbg001_fg001_01_depth_map
    bbox.txt        bg001_fg001_01.jpeg\t123\t113\t35\t108    (x, y of the top left corner, width,
                    height, px of the composite; optional here)

`bg001` is plate 1 and `fg001` person 1. The originals `fg/` and `fg_mask/` are not needed. Also
read: commas or blanks for tabs; names with or without a suffix or a path before them; `.jpg` and
`.png`; a mask or depth map that is called like its composite, or so and another ending; a plate
of its own for a composite, called like it, as `depthmask materialise` writes where light varies.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from depthmask.errors import InputError

FOLDERS = {"bg": "bg", "bg_fg": "bg_fg", "mask": "bg_fg_mask", "depth": "bg_fg_depth_map"}
"""Which folder each field of a scene lies in."""

BOX_COLUMNS = ("bbox_x_px", "bbox_y_px", "bbox_width_px", "bbox_height_px")

_SUFFIXES = (".jpeg", ".jpg", ".png")
_EXAMPLE = "bg001 bg001_fg001_01 bg001_fg001_01_mask bg001_fg001_01_depth_map"

_PATH = r"(?:[^\s,]*[/\\])?"
_GAP = r"(?:\.\w+)?[\s,]+"  # of a name's suffix, and what parts it from the next
_LINE = re.compile(
    rf"{_PATH}(bg(\d{{1,9}})(?:_fg\d+_\d+)?){_GAP}{_PATH}(bg\2_fg(\d{{1,9}})_\d+){_GAP}"
    rf"{_PATH}(\3(?:_\w+)?){_GAP}{_PATH}(\3(?:_\w+)?)(?:\.\w+)?",
    re.IGNORECASE | re.ASCII,
)
_GROUPS = ("bg", "plate", "bg_fg", "cutout", "mask", "depth")
_NUMBER = r"(\d+(?:\.\d+)?)"
_BOX = re.compile(
    rf"{_PATH}(bg\d+_fg\d+_\d+){_GAP}" + r"[\s,]+".join([_NUMBER] * 4), re.IGNORECASE | re.ASCII
)

_Faults = list[tuple[int, str]]
"""Lines that are wrong: their numbers, from 1, and what to show of them."""


def read_layout(folder: Path) -> pd.DataFrame:
    """Index a folder of this layout without opening an image.

    Returns:
        A row per line of file_map.txt, in its order: `bg`, `bg_fg`, `mask`, `depth` (paths within
        the folder), `plate` and `cutout` (the numbers in the names) and, where there is a
        bbox.txt, `BOX_COLUMNS`.

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
    matches = [_LINE.fullmatch(line) for _, line in lines]
    _refuse(
        [line for line, match in zip(lines, matches, strict=True) if match is None],
        of=f"{len(lines)} lines of {path}",
        what="cannot be read",
        remedy=f"mend or remove such lines; one that is right is `{_EXAMPLE}`",
    )
    found = [match.groups() for match in matches if match is not None]
    stems = {name: [groups[n] for groups in found] for n, name in enumerate(_GROUPS)}
    _refuse(
        _repeated(lines, stems["bg_fg"]),
        of=f"{len(lines)} lines of {path}",
        what="repeat a composite",
        remedy="remove such lines",
    )
    table = _existing_files(folder, path, lines, {name: stems[name] for name in FOLDERS})
    for name in ("plate", "cutout"):
        table[name] = [int(number) for number in stems[name]]
    boxes = folder / "bbox.txt"
    if boxes.exists():
        table[list(BOX_COLUMNS)] = _read_boxes(boxes, stems["bg_fg"])
    return table


def _read_lines(path: Path) -> _Faults:
    """The lines that are not blank, with their numbers."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path} is missing: unpack the whole data set there") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is no text file: unpack it again") from None
    stripped = ((number, line.strip()) for number, line in enumerate(text.split("\n"), start=1))
    return [(number, line) for number, line in stripped if line]


def _refuse(faults: _Faults, *, of: str, what: str, remedy: str) -> None:
    if faults:
        number, shown = faults[0]
        raise InputError(
            f"{len(faults)} of {of} {what}; the first: line {number}, {shown[:200]!r}: {remedy}"
        )


def _repeated(lines: _Faults, names: Sequence[str]) -> _Faults:
    seen: set[str] = set()
    if len(set(names)) == len(names):
        return []
    # set.add returns None: a name is kept where it was seen before
    return [line for line, n in zip(lines, names, strict=True) if n in seen or seen.add(n)]


def _existing_files(
    folder: Path, path: Path, lines: _Faults, stems: dict[str, Sequence[str]]
) -> pd.DataFrame:
    columns: dict[str, list[str]] = {}
    missing: dict[int, str] = {}
    unnamed: list[str] = []
    for field, names in stems.items():
        # one listing a folder: 1.2 million stat calls would take minutes on a network disk
        listed = [name for name in os.listdir(folder / FOLDERS[field]) if _is_image(name)]
        there = {name.rpartition(".")[0]: f"{FOLDERS[field]}/{name}" for name in listed}
        for (number, _), name in zip(lines, names, strict=True):
            if name not in there:
                missing.setdefault(number, f"{FOLDERS[field]}/{name}")
        columns[field] = [there.get(name, "") for name in names]
        if field != "bg" and len(listed) > len(names) and not missing:
            extra = min(set(listed) - {name.rpartition("/")[2] for name in columns[field]})
            unnamed.append(f"{len(listed)} images in {FOLDERS[field]}/, such as {extra}")
    _refuse(
        sorted(missing.items()),
        of=f"{len(lines)} lines of {path}",
        what="name a missing file",
        remedy="unpack the missing files or remove such lines",
    )
    if unnamed:
        raise InputError(
            f"{path} has {len(lines)} lines but there are {'; '.join(unnamed)}: restore the"
            " lines that are missing or move the other images away"
        )
    return pd.DataFrame(columns)


def _is_image(name: str) -> bool:
    return name.lower().endswith(_SUFFIXES) and not name.startswith(".")


def _read_boxes(path: Path, composites: Sequence[str]) -> list[tuple[float, ...]]:
    lines = _read_lines(path)
    matches = [_BOX.fullmatch(line) for _, line in lines]
    remedy = "mend the file, or remove it: it is optional"
    of = f"{len(lines)} lines of {path}"
    _refuse(
        [line for line, match in zip(lines, matches, strict=True) if match is None],
        of=of,
        what="cannot be read",
        remedy=remedy,
    )
    found = [match.groups() for match in matches if match is not None]
    names = [name for name, *_ in found]
    _refuse(_repeated(lines, names), of=of, what="repeat a composite", remedy=remedy)
    known = set(composites)
    _refuse(
        [line for line, name in zip(lines, names, strict=True) if name not in known],
        of=of,
        what="name a composite that file_map.txt does not",
        remedy=remedy,
    )
    if len(names) < len(composites):
        first = min(known - set(names))
        raise InputError(
            f"{path} has no box for {len(composites) - len(names)} of {len(composites)} composites;"
            f" the first: {first}: {remedy}"
        )
    boxes = {name: tuple(float(number) for number in box) for name, *box in found}
    return [boxes[name] for name in composites]
