"""The folder of photographs: what lies in it, and what is to be read."""

import os
from pathlib import Path
from typing import NamedTuple

from depthmask.data.scenes.images import SUFFIXES
from depthmask.data.sources.photos.findings import Findings
from depthmask.errors import InputError

DEPTH_SUFFIXES = (".npy", ".png", ".tif", ".tiff")

_UNREAD_PICTURES = (".arw", ".avif", ".cr2", ".cr3", ".dng", ".gif", ".heic", ".heif", ".nef")


class Listing(NamedTuple):
    """The files to read, in the order of their names.

    Attributes:
        plates: pictures of empty rooms.
        cutouts: people with alpha.
        depths: depth maps by the stem of their plate.
    """

    plates: list[Path]
    cutouts: list[Path]
    depths: dict[str, Path]


def list_photos(folder: Path, findings: Findings) -> Listing:
    """List `bg/`, `fg/` and `depth/`; what cannot be used is a finding.

    Raises:
        InputError: there is no such folder, or no picture in `bg/` or `fg/`.
    """
    remedy = f"prepare it with `depthmask init photos {folder}`"
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: {remedy}")
    for name in ("bg", "fg"):
        if not (folder / name).is_dir():
            raise InputError(f"{folder} has no folder {name}: {remedy}")
    plates = _files(folder / "bg", SUFFIXES, findings)
    cutouts = _files(folder / "fg", (".png",), findings)
    depths = _files(folder / "depth", DEPTH_SUFFIXES, findings)
    if not plates or not cutouts:
        where, what = ("bg", "pictures of empty rooms")
        if plates:
            where, what = ("fg", "PNG files of people with alpha")
        raise InputError(f"{folder / where} is empty: put {what} into it")
    for files in (plates, cutouts, depths):
        _refuse_duplicates(files, findings)
    stems = {path.stem for path in plates}
    for path in depths:
        if path.stem not in stems:
            findings.add(
                "warning", "depth-without-plate", path, f"is ignored: bg/ has no {path.stem}"
            )
    by_stem = {path.stem: path for path in depths if path.stem in stems}
    if by_stem:
        for path in plates:
            if path.stem not in by_stem:
                findings.add(
                    "error",
                    "depth-missing",
                    path,
                    f"has no depth map while {len(by_stem)} others have: add"
                    f" depth/{path.stem}.png, or move depth/ away and name a teacher",
                )
    return Listing(plates, cutouts, by_stem)


def _files(folder: Path, suffixes: tuple[str, ...], findings: Findings) -> list[Path]:
    """The files with such suffixes; hidden ones, and what DVC keeps, are passed over in silence."""
    if not folder.is_dir():
        return []
    wanted, others = [], []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix == ".dvc" or path.name == "Thumbs.db":
            continue
        if not _is_utf8(path.name):
            shown = path.with_name(os.fsencode(path.name).decode("utf-8", "replace"))
            findings.add("error", "name", shown, "has a name that is not UTF-8: rename it")
            continue
        (wanted if path.is_file() and path.suffix.lower() in suffixes else others).append(path)
    for path in [path for path in others if path.is_dir()]:
        findings.add("warning", "folder", path, "is ignored: files in folders are not looked for")
    others = [path for path in others if not path.is_dir()]
    pictures = [path for path in others if path.suffix.lower() in (*SUFFIXES, *_UNREAD_PICTURES)]
    for path in pictures:
        findings.add(
            "warning",
            "format",
            path,
            f"is ignored: {folder.name}/ takes {', '.join(end[1:] for end in suffixes)}",
        )
    num_others = len(others) - len(pictures)
    if num_others:
        findings.add(
            "note", "no-picture", folder, f"{num_others} files that are no pictures are ignored"
        )
    return wanted


def _refuse_duplicates(files: list[Path], findings: Findings) -> None:
    first: dict[str, Path] = {}
    for path in files:
        other = first.setdefault(path.stem, path)
        if other is not path:
            findings.add(
                "error",
                "duplicate-name",
                path,
                f"has the same name as {other.name}: rename or remove one",
            )


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
