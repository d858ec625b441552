"""Image files of the layout: decoded no larger than needed, and checked before training."""

import contextlib
import hashlib
import io
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

# what Pillow's readers raise on files that are no image, cut short, damaged or oversized
_UNREADABLE = (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError)
_TAIL_BYTES = 32
_FILES_AT_ONCE = 500


def image_side(folder: Path | str, table: pd.DataFrame) -> int:
    """The side of the folder's images, px: the commonest of a few; InputError if not square."""
    rows = np.linspace(0, len(table) - 1, min(5, len(table))).astype(int)
    paths = [os.path.join(folder, path) for path in table[[*FOLDERS]].iloc[rows].to_numpy().flat]
    sizes = []
    for path in paths:
        with contextlib.suppress(*_UNREADABLE), Image.open(path) as image:
            sizes.append(image.size)
    if not sizes:
        raise InputError(f"{paths[0]} and others cannot be read: unpack the data set again")
    width, height = statistics.mode(sizes)
    if width != height:
        raise InputError(f"{folder} holds images of {width} x {height} px: they must be square")
    return width


def read_image(path: Path | str, size: int, *, side: int, grey: bool = False) -> np.ndarray:
    """Decode a JPEG or PNG of `side` px as uint8, size x size x 3, RGB; size x size if `grey`.

    A JPEG is decoded at an eighth, a quarter or half its size where that is enough. InputError.
    """
    remedy = "unpack it again, or remove its line from file_map.txt"
    try:
        with open(path, "rb", buffering=0) as file:
            data = file.read()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): {remedy}") from None
    shrunk = {by: -(-side // by) for by in (8, 4, 2) if data.startswith(b"\xff\xd8")}
    shrink = next((by for by, length in shrunk.items() if length >= size), 1)
    length = shrunk.get(shrink, side)
    flags = cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR_RGB
    if shrink > 1:
        flags |= getattr(cv2, f"IMREAD_REDUCED_GRAYSCALE_{shrink}")
    # what a truncated file lacks OpenCV fills with grey, and only warns
    image, fault = None, None if _has_end(data) else _fault(data, side, decode=True)
    if not fault:
        encoded = np.frombuffer(data, np.uint8)
        image = cv2.imdecode(encoded, flags | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None or image.shape[:2] != (length, length):
        fault = fault or _fault(data, side, decode=True) or "not as OpenCV decodes it"
        raise InputError(f"{path} is {fault}: {remedy}")
    if length == size:
        return image
    # up to a halving, bilinear interpolation skips no pixel, at a fifth of INTER_AREA's time
    method = cv2.INTER_AREA if length > 2 * size else cv2.INTER_LINEAR
    return cv2.resize(image, (size, size), interpolation=method)


def check_images(
    folder: Path, table: pd.DataFrame, *, decode: int = 0, num_workers: int | None = None
) -> str:
    """Read every whole file, and decode those of `decode` rows: 16 hex digits of names, lengths and
    ends; InputError counts those that are no JPEG or PNG, cut short or of another size."""
    decoded = table.iloc[np.linspace(0, len(table) - 1, min(decode, len(table))).astype(int)]
    to_decode = {path for field in FOLDERS for path in decoded[field]}
    paths: Any = [path for field in FOLDERS for path in table[field].unique()]
    if num_workers is None:
        num_workers = 0 if len(paths) <= 4 * _FILES_AT_ONCE else num_cores()
    check: Any = partial(_check_files, os.fspath(folder), image_side(folder, table), to_decode)
    faults: list[tuple[str, str]] = []
    content = hashlib.sha256()
    cv2.setNumThreads(0)  # before the fork: OpenCV's threads do not come along
    loader = DataLoader(paths, _FILES_AT_ONCE, collate_fn=check, num_workers=num_workers)
    with progress(len(paths), "images checked") as advance:
        for count, found, digest in loader:
            faults.extend(found)
            content.update(digest)
            advance(count)
    if faults:
        kinds = Counter(what for _, what in faults).most_common()
        raise InputError(
            f"{len(faults)} of {len(paths)} images in {folder} cannot be used"
            f" ({', '.join(f'{number} {what}' for what, number in kinds)}); the first:"
            f" {' is '.join(faults[0])}: unpack them again, or remove their lines from file_map.txt"
        )
    return content.hexdigest()[:16]


def _check_files(
    folder: str, side: int, to_decode: set[str], paths: list[str]
) -> tuple[int, list[tuple[str, str]], bytes]:
    """How many files there are, what is wrong with which, and their digest."""
    faults, content = [], hashlib.sha256()
    for path in paths:
        data = b""
        with contextlib.suppress(OSError), open(os.path.join(folder, path), "rb") as file:
            data = file.read()
        content.update(f"{path} {len(data)} ".encode() + data[-_TAIL_BYTES:])
        if fault := _fault(data, side, decode=path in to_decode):
            faults.append((path, fault))
    return len(paths), faults, content.digest()


def _has_end(data: bytes) -> bool:
    """Whether a file ends with a JPEG's or PNG's marker, which compressed data cannot hold."""
    return data[-_TAIL_BYTES:].rstrip(b"\x00\r\n ").endswith((b"\xff\xd9", b"IEND\xaeB`\x82"))


def _fault(data: bytes, side: int, *, decode: bool) -> str | None:
    """What Pillow, which is strict, finds wrong with a file, decoded if it has no end."""
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
            if decode or not _has_end(data):
                image.load()
            return None if image.size == (side, side) else f"not {side} x {side} px"
    except _UNREADABLE as error:
        return "cut short" if "truncated" in str(error) else "no JPEG or PNG that opens"
