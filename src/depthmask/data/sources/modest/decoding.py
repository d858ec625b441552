"""Image files of the layout, decoded no larger than needed.

OpenCV decodes faster than Pillow and shrinks inside the JPEG decoder, but it fills what a
truncated file lacks with grey and only warns: so a file's end is looked at first.
"""

import io
import math
import os
import statistics
import struct

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from depthmask.data.sources.modest.layout import FOLDERS
from depthmask.errors import InputError

TAIL_BYTES = 32
"""How much of a file's end `ends_whole` wants to see."""

UNREADABLE = (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError)
"""What Pillow's readers raise on files that are no image, cut short, damaged or oversized."""

_JPEG_START, _JPEG_END, _PNG_END = b"\xff\xd8", b"\xff\xd9", b"IEND\xaeB`\x82"

_REDUCED = {
    1: cv2.IMREAD_GRAYSCALE,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}


def ends_whole(tail: bytes) -> bool:
    """Whether a file's last bytes are the end marker of a JPEG or PNG, but for some padding.

    Compressed data cannot hold the marker (a 0xff in it is followed by 0x00), so a JPEG that is
    cut short lacks it.
    """
    return tail.rstrip(b"\x00\r\n ").endswith((_JPEG_END, _PNG_END))


def image_side(folder: str | os.PathLike[str], table: pd.DataFrame) -> int:
    """The side of the folder's images, px: the commonest of a few.

    Raises:
        InputError: none of them can be read, or they are not square.
    """
    sizes = []
    for row in np.linspace(0, len(table) - 1, min(5, len(table))).astype(int):
        for field in FOLDERS:
            try:
                with Image.open(os.path.join(folder, table[field].iloc[row])) as image:
                    sizes.append(image.size)
            except UNREADABLE:
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
    """Decode a file and resize it.

    A JPEG is decoded at an eighth, a quarter or half its size where that is enough. What is left
    is less than a halving, for which bilinear interpolation skips no pixel; it takes a fifth of
    the time of INTER_AREA.

    Args:
        path: of a JPEG or PNG.
        size: side of the result, px.
        side: side of the file's image, px.
        grey: return its lightness alone.

    Returns:
        uint8, size x size x 3, RGB, or size x size.

    Raises:
        InputError: the file is missing, cut short, no image or of another size.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            data = file.read()
    except OSError as error:
        raise InputError(f"{os.fspath(path)} cannot be read ({error.strerror}): {_MEND}") from None
    if not ends_whole(data[-TAIL_BYTES:]):
        fault = decoding_fault(data)
        if fault:
            raise InputError(f"{os.fspath(path)} is {fault}: {_MEND}")
    shrink = 1
    if data.startswith(_JPEG_START):
        shrink = next((by for by in (8, 4, 2) if math.ceil(side / by) >= size), 1)
    flags = _REDUCED[shrink] | cv2.IMREAD_IGNORE_ORIENTATION
    flags |= 0 if grey else cv2.IMREAD_COLOR_RGB
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


_MEND = "unpack it again, or remove its line from file_map.txt"


def decoding_fault(data: bytes) -> str | None:
    """What Pillow, which is strict, finds wrong with a file's pixels; None if nothing."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            size = image.size
            image.load()
    except UNREADABLE as error:
        return "cut short" if "truncated" in str(error) else "no image that opens"
    return None if min(size) > 0 else "empty"
