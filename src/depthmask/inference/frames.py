"""The frames that a user names: pictures, videos, folders and patterns; a plate made from them."""

import glob
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from depthmask.data.scenes import images
from depthmask.errors import InputError

PICTURES = (*images.SUFFIXES, ".avif", ".jfif", ".jpe")
VIDEOS = (
    *(".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg"),
    *(".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv"),
)
SUFFIXES = (*PICTURES, *VIDEOS)
RESULTS = {  # by the file that tells a picture's and a video's from a user's own
    ".json": (
        "_mask.png",
        "_depth.png",
        "_depth_relative.png",
        "_overlay.png",
        "_alpha.png",
        "_colors.png",
        ".ply",
    ),
    ".jsonl": (
        *("_mask.mp4", "_overlay.mp4", "_overlay.mkv", "_alpha.webm"),
        *("_depth.mkv", "_depth_relative.mkv", "_colors.mp4"),
        *("_mask", "_overlay", "_alpha", "_depth", "_depth_relative", "_colors"),  # folders
    ),
}
PLATE_FRAMES = 62  # at most, and half as many at least, of which a plate is the median
_PLATE_BYTES = 2**29  # that they may take
_STRIP = 64  # rows of it made at once
_APART = 25  # of 255: farther from the plate a pixel shows something else
_SHARE = 0.2  # of the frames: shown less often, it passed by


def parse_path(text: str, option: str) -> Path:
    """The path of a picture or a folder that exists; InputError says what else it is."""
    path = Path(text)
    if not text:
        raise InputError(f"{option} is empty: name a file")
    if "://" in text:
        raise InputError(f"{text} is an address: download it and name the file")
    if path.exists() and not path.is_file() and not path.is_dir():
        raise InputError(f"{text} is a pipe or a device: save what it gives and name the file")
    return path


def list_frames(texts: Sequence[str], out: Path) -> tuple[list[Path], list[str]]:
    """The frames that paths and patterns name, and a line for each folder of which something was
    left out; InputError where a result would take the place of another or of a user's file."""
    frames, notes = dict[str, Path](), list[str]()
    for text in texts:
        for path in _expand(text):
            found = [path]
            if path.is_dir():
                found, note = _list_folder(path, out)
                notes += note
            for frame in found:
                frames.setdefault(os.path.abspath(frame), frame)
    if len(frames) > 1:  # a pattern may match what an earlier run wrote
        results = [name for name, frame in frames.items() if _is_result(frame)]
        if results:
            notes.append(f"left out {len(results)} results of an earlier run")
        for name in results:
            del frames[name]
        if not frames:
            remedy = "name others, or one of them alone"
            raise InputError(f"all of these are results of an earlier run: {remedy}")
    by_result = {(frame.stem, is_video(frame)): frame for frame in reversed(frames.values())}
    for frame in frames.values():
        if (other := by_result[frame.stem, is_video(frame)]) is not frame:
            both = f"{other} and {frame} would both become {frame.stem}_mask"
            raise InputError(f"{both}: rename one, or predict them into two folders")
        if len(os.fsencode(frame.stem)) > 255 - 40:  # of a temporary name, around the result's
            raise InputError(f"{frame} has a long name that no result's would fit: shorten it")
        _check_results(out, frame)
    return list(frames.values()), notes


def _expand(text: str) -> list[Path]:
    path = parse_path(text, "--scene")
    if path.exists():
        return [path]
    if not glob.has_magic(text):
        what = images.DEAD_LINK if path.is_symlink() else "is missing: check the path"
        raise InputError(f"{path} {what}")
    if not (found := sorted(glob.glob(text, recursive=True))):
        raise InputError(f"{text} matches no file: check the pattern")
    return [parse_path(each, "--scene") for each in found]


def _list_folder(folder: Path, out: Path) -> tuple[list[Path], list[str]]:
    if folder.resolve() == out.resolve():
        raise InputError(f"--out {out} is the frames' own folder: name another")
    files = [each for each in sorted(folder.iterdir()) if each.name[0] != "." and not each.is_dir()]
    frames = [each for each in files if each.suffix.lower() in SUFFIXES and each.is_file()]
    if not frames:
        raise InputError(f"{folder} holds no frames: give {', '.join(SUFFIXES)}")
    left = Counter(each.suffix.lower() or "no suffix" for each in files if each not in frames)
    kinds = ", ".join(f"{count} of {suffix}" for suffix, count in left.items())
    note = f"{folder}: left out what is no picture or video that can be read here: {kinds}"
    return frames, [note] if left else []


def _check_results(out: Path, frame: Path) -> None:
    """InputError if a result would take the place of what `predict` has not written."""
    record = ".jsonl" if is_video(frame) else ".json"
    ends = (*RESULTS[record], record)
    present = {p: end for end in ends if (p := out / f"{frame.stem}{end}").exists()}
    others = [p for p, end in present.items() if not _may_be_replaced(p, is_file="." in end)]
    if present and not _is_record(out / f"{frame.stem}{record}"):
        others = list(present)
    if others:
        raise InputError(f"{others[0]} is no earlier result: name another --out, or move it")


def _may_be_replaced(path: Path, *, is_file: bool) -> bool:
    """Whether something of a result's name is a file or a folder of `--png`, as it should be."""
    if is_file:
        return path.is_file()
    return path.is_dir() and not path.is_symlink() and all(map(_is_numbered, path.iterdir()))


def _is_numbered(path: Path) -> bool:
    return path.suffix == ".png" and path.stem.isdecimal()


def _is_result(path: Path) -> bool:
    """Whether `predict` has written a file, or the folder in which a numbered one is."""
    if _is_numbered(path) and path.parent.name and _is_result(path.parent):
        return True
    return is_made_plate(path) or any(
        path.name.endswith(end) and _is_record(path.with_name(path.name.removesuffix(end) + record))
        for record, ends in RESULTS.items()
        for end in (*ends, record)
    )


def is_made_plate(path: Path) -> bool:
    """Whether a file is a plate that `predict --bg auto` has made."""
    if not path.name.endswith("_plate.png"):
        return False
    with suppress(*images.UNREADABLE), Image.open(path) as image:
        return bool(image.info.get("Software") == "depthmask")
    return False


def _is_record(path: Path) -> bool:
    """Whether a file is what `predict` tells of a frame or a video."""
    try:
        with path.open(encoding="utf-8") as file:
            return '"area_share"' in file.read(10_000)
    except (OSError, ValueError):
        return False


def is_video(path: Path) -> bool:
    """Whether a file is taken for a video."""
    return path.suffix.lower() in VIDEOS


def median_plate(frames: Iterable[np.ndarray]) -> tuple[np.ndarray, str]:
    """The empty room, uint8 H x W x 3: each pixel's median over frames of one size, evenly spread,
    of large ones fewer; and a warning where something stays long enough for the median to show it,
    else ""."""
    kept: list[np.ndarray] = []
    every, most = 1, PLATE_FRAMES
    for number, frame in enumerate(frames):
        if number % every == 0:
            if kept and frame.shape != kept[0].shape:
                sizes = " and ".join(
                    f"{each.shape[1]}x{each.shape[0]}" for each in (kept[0], frame)
                )
                raise InputError(
                    f"the frames are {sizes} px, not of one size: give a plate with --bg"
                )
            kept.append(frame)
            most = min(PLATE_FRAMES, max(6, _PLATE_BYTES // frame.nbytes))
        if len(kept) >= most:
            kept, every = kept[::2], 2 * every
    if len(kept) < 3:
        raise InputError("a plate needs three frames or more: give one with --bg")
    plate, changed = np.empty_like(kept[0]), 0
    for top in range(0, len(plate), _STRIP):
        strip = np.stack([frame[top : top + _STRIP] for frame in kept])
        rows = plate[top : top + _STRIP] = np.median(strip, axis=0).astype(np.uint8)
        apart = np.stack([cv2.absdiff(frame, rows).max(axis=2) > _APART for frame in strip])
        changed += int(np.count_nonzero(apart.mean(axis=0) > _SHARE))
    if changed < 0.005 * plate[..., 0].size:
        return plate, ""
    share = f"{changed / plate[..., 0].size:.0%} of the room"
    return plate, f"{share} looks otherwise for a fifth of the time or longer: look at the plate"
