"""Image files of the layout: decoded no larger than needed, and checked before training.

OpenCV shrinks inside the JPEG decoder, but fills what a truncated file lacks with grey and only
warns: so a file's end is looked at first.
"""

import hashlib
import io
import math
import os
import statistics
import struct
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from PIL import Image
from torch.utils.data import DataLoader

from depthmask.data.sources.modest.layout import FOLDERS
from depthmask.data.work import num_cores, progress
from depthmask.errors import InputError

_UNREADABLE = (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError)
"""What Pillow's readers raise on files that are no image, cut short, damaged or oversized."""

_MEND = "unpack it again, or remove its line from file_map.txt"
_TAIL_BYTES = 32
_FILES_AT_ONCE = 500


def image_side(folder: str | os.PathLike[str], table: pd.DataFrame) -> int:
    """The side of the folder's images, px: the commonest of a few; InputError if not square."""
    sizes = []
    for row in np.linspace(0, len(table) - 1, min(5, len(table))).astype(int):
        for field in FOLDERS:
            try:
                with Image.open(os.path.join(folder, table[field].iloc[row])) as image:
                    sizes.append(image.size)
            except _UNREADABLE:
                continue
    if not sizes:
        first = os.path.join(folder, table["bg"].iloc[0])
        raise InputError(f"{first} and others cannot be read as images: unpack the data set again")
    width, height = statistics.mode(sizes)
    if width != height:
        raise InputError(f"{folder} holds images of {width} x {height} px: they must be square")
    return width


def read_image(
    path: str | os.PathLike[str], size: int, *, side: int, grey: bool = False
) -> np.ndarray:
    """Decode a JPEG or PNG of `side` px as uint8, size x size x 3, RGB; size x size if `grey`.

    A JPEG is decoded at an eighth, a quarter or half its size where that is enough. What is left
    is less than a halving, for which bilinear interpolation skips no pixel, at a fifth of
    INTER_AREA's time.

    Raises:
        InputError: the file is missing, cut short, no image or of another size.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            data = file.read()
    except OSError as error:
        raise InputError(f"{os.fspath(path)} cannot be read ({error.strerror}): {_MEND}") from None
    if not _has_end(data) and (fault := _decoding_fault(data)):
        raise InputError(f"{os.fspath(path)} is {fault}: {_MEND}")
    is_jpeg = data.startswith(b"\xff\xd8")
    shrink = next((by for by in (8, 4, 2) if is_jpeg and math.ceil(side / by) >= size), 1)
    flags = cv2.IMREAD_IGNORE_ORIENTATION
    flags |= cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR_RGB
    if shrink > 1:
        flags |= getattr(cv2, f"IMREAD_REDUCED_GRAYSCALE_{shrink}")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if image is None:
        raise InputError(f"{os.fspath(path)} is no image that opens: {_MEND}")
    height, width = image.shape[:2]
    if width != math.ceil(side / shrink) or height != width:
        raise InputError(f"{os.fspath(path)} is not {side} x {side} px as others are: {_MEND}")
    if width == size:
        return image
    method = cv2.INTER_AREA if width > 2 * size else cv2.INTER_LINEAR
    return cv2.resize(image, (size, size), interpolation=method)


def check_images(
    folder: Path, table: pd.DataFrame, *, decode: int = 0, num_workers: int | None = None
) -> str:
    """Check that every image of a table of `read_layout` is a whole JPEG or PNG of one size.

    A file's head says its size and its end whether it is all there: decoding 1.2 million files
    would take ten times as long. Of `decode` rows, evenly spread, they are decoded too.

    Returns:
        16 hex digits that follow from every file's name, length and end.

    Raises:
        InputError: counting the images that fail, by what is wrong, and naming the first.
    """
    side = image_side(folder, table)
    decoded = table.iloc[np.linspace(0, len(table) - 1, min(decode, len(table))).astype(int)]
    to_decode = {path for field in FOLDERS for path in decoded[field]}
    paths = [path for field in FOLDERS for path in table[field].unique()]
    if num_workers is None:
        num_workers = 0 if len(paths) <= 4 * _FILES_AT_ONCE else num_cores()
    check = partial(_check_files, os.fspath(folder), side, to_decode)
    files: Any = paths
    options: dict[str, Any] = {"collate_fn": check, "num_workers": num_workers}
    faults: list[tuple[str, str]] = []
    content = hashlib.sha256()
    cv2.setNumThreads(0)  # before the fork: OpenCV's threads do not come along
    with progress(len(paths), "images checked") as advance:
        for count, found, digest in DataLoader(files, _FILES_AT_ONCE, **options):
            faults.extend(found)
            content.update(digest)
            advance(count)
    if faults:
        kinds = Counter(what for _, what in faults).most_common()
        summary = ", ".join(f"{number} {what}" for what, number in kinds)
        raise InputError(
            f"{len(faults)} of {len(paths)} images in {folder} cannot be used ({summary}); the"
            f" first: {' is '.join(faults[0])}: unpack them again, or remove their lines from"
            " file_map.txt"
        )
    return content.hexdigest()[:16]


def _check_files(
    folder: str, side: int, to_decode: set[str], paths: list[str]
) -> tuple[int, list[tuple[str, str]], bytes]:
    """How many files there are, what is wrong with which, and their digest."""
    faults, content = [], hashlib.sha256()
    for path in paths:
        fault = None
        try:
            with open(os.path.join(folder, path), "rb") as file:
                with Image.open(file, formats=("JPEG", "PNG")) as image:
                    size = image.size
                length = file.seek(0, os.SEEK_END)
                file.seek(-min(_TAIL_BYTES, length), os.SEEK_END)
                tail = file.read()
                content.update(f"{path} {length} ".encode() + tail)
                if not _has_end(tail) or path in to_decode:
                    file.seek(0)
                    fault = _decoding_fault(file.read())
            if size != (side, side):
                fault = fault or f"not {side} x {side} px"
        except _UNREADABLE:
            fault = "no JPEG or PNG that opens"
        if fault:
            faults.append((path, fault))
    return len(paths), faults, content.digest()


def _has_end(data: bytes) -> bool:
    """Whether a file ends with the marker of a JPEG or PNG, but for some padding.

    Compressed data cannot hold the marker: a JPEG that is cut short lacks it.
    """
    return data[-_TAIL_BYTES:].rstrip(b"\x00\r\n ").endswith((b"\xff\xd9", b"IEND\xaeB`\x82"))


def _decoding_fault(data: bytes) -> str | None:
    """What Pillow, which is strict, finds wrong with a file's pixels; None if nothing."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
    except _UNREADABLE as error:
        return "cut short" if "truncated" in str(error) else "no image that opens"
    return None
