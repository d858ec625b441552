"""From picture files to plates and cutouts of the sizes that training needs, and their checks."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from depthmask.data.scenes.duplicates import Look, look_at
from depthmask.data.scenes.images import read_rgb, read_rgba
from depthmask.errors import InputError

CANVAS_M = 2.2
"""Height that a cutout's canvas covers, and how much of it lies below the feet: the museum's."""

FOOT_MARGIN_M = 0.13

_SEEN, _OPAQUE = 13, 128  # alpha: 5 % is haze of a bad matte, half is person
_FEET = 0.03  # share of a person's height in which the soles lie
_MOST_ENLARGED = 2.0
_VISIBLY_ENLARGED = 1.2
_LONGEST_CONTACT = 0.2


class PlatePicture(NamedTuple):
    """A plate's picture, cropped and resized.

    Attributes:
        image: uint8, S x S x 3.
        shape: (height, width) of the upright file.
        digest: SHA-256 of the file, hexadecimal.
        look: what tells it from other pictures.
    """

    image: np.ndarray
    shape: tuple[int, int]
    digest: str
    look: Look


class CutoutPicture(NamedTuple):
    """A person on a canvas as the museum's.

    Attributes:
        rgba: uint8, h x w x 4.
        metres_per_px: the canvas's scale.
        foot: (u, v), the middle of the soles.
        look: what tells it from other pictures.
        warnings: (code, text) about the file.
    """

    rgba: np.ndarray
    metres_per_px: float
    foot: tuple[float, float]
    look: Look
    warnings: tuple[tuple[str, str], ...]


def centre_square(image: np.ndarray) -> np.ndarray:
    """The largest square in the middle of H x W (x C).

    Cropped and not letterboxed: black bars would be a third of what a network learns from wide
    pictures, and the middle of a picture is where its camera's optical axis is.
    """
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def read_plate(path: Path, size: int) -> PlatePicture:
    """Read a plate of any size and aspect as a square of `size` px.

    Raises:
        InputError: it cannot be read, or its shorter side is below `size`.
    """
    image = read_rgb(path)
    height, width = image.shape[:2]
    if min(height, width) < size:
        raise InputError(
            f"{path} is too small: {width}x{height} px, and prepare.size needs {size} px on the"
            " shorter side: take a larger picture or lower it"
        )
    square = resized(centre_square(image), size)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return PlatePicture(square, (height, width), digest, look_at(square))


def resized(image: np.ndarray, size: int) -> np.ndarray:
    """uint8 S x S x 3, antialiased."""
    picture = Image.fromarray(np.ascontiguousarray(image))
    return np.array(picture.resize((size, size), Image.Resampling.LANCZOS))


def read_cutout(path: Path, size: int, height_m: float) -> CutoutPicture:
    """Read a person with alpha onto a canvas `size` px high and 3/4 of that wide.

    Args:
        height_m: of the person, which sets the scale.

    Raises:
        InputError: it cannot be read, has no alpha or nothing to cut out, or is far too small.
    """
    rgba = read_rgba(path)
    alpha = rgba[..., 3]
    if (alpha < _OPAQUE).all():
        raise InputError(f"{path} has an empty alpha channel: nobody is in it, cut the person out")
    if (alpha >= _SEEN).mean() > 0.995:
        raise InputError(
            f"{path} is opaque all over: its background is still there, cut the person out"
        )
    warnings = list(_cut_off(alpha))
    rows, columns = (np.flatnonzero((alpha >= _SEEN).any(axis)) for axis in (1, 0))
    person = rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    canvas_height, canvas_width = size, size * 3 // 4
    metres_per_px = max(
        CANVAS_M / size,  # the museum's; a very tall or wide person makes it coarser
        height_m / (canvas_height - FOOT_MARGIN_M / CANVAS_M * size - 1),
        height_m * person.shape[1] / person.shape[0] / (canvas_width - 2),
    )
    height = max(2, round(height_m / metres_per_px))
    # rounding up a wide person's height would carry the width over the canvas
    width = min(canvas_width, max(1, round(height * person.shape[1] / person.shape[0])))
    if height > _MOST_ENLARGED * person.shape[0]:
        raise InputError(
            f"{path} is too small: the person is {person.shape[0]} px high and the canvas needs"
            f" {height} px: take a larger picture or lower prepare.size"
        )
    if height > _VISIBLY_ENLARGED * person.shape[0]:
        warnings.append(
            (
                "enlarged",
                f"is enlarged from {person.shape[0]} to {height} px: a larger one is better",
            )
        )
    # Pillow resizes RGBA premultiplied: what is transparent lends the edge no colour
    small = Image.fromarray(person).resize((width, height), Image.Resampling.LANCZOS)
    canvas = np.zeros((canvas_height, canvas_width, 4), np.uint8)
    bottom = canvas_height - round(FOOT_MARGIN_M / CANVAS_M * size)
    left = (canvas_width - width) // 2
    canvas[bottom - height : bottom, left : left + width] = np.asarray(small)
    canvas[canvas[..., 3] == 0] = 0
    return CutoutPicture(
        canvas, height_m / height, _foot(canvas[..., 3]), look_at(canvas), tuple(warnings)
    )


def _foot(alpha: np.ndarray) -> tuple[float, float]:
    """(u, v): the lower edge of the lowest opaque row, and the middle of the soles over it.

    One row alone would be the toe of one shoe.
    """
    rows = np.flatnonzero((alpha >= _OPAQUE).any(1))
    soles = alpha[rows[-1] - int(_FEET * (rows[-1] - rows[0])) : rows[-1] + 1] >= _OPAQUE
    columns = np.flatnonzero(soles.any(0))
    return float(columns[0] + columns[-1] + 1) / 2, float(rows[-1] + 1)


def _cut_off(alpha: np.ndarray) -> Iterator[tuple[str, str]]:
    """Warn of edges of the file that cut through the person: a trimmed file only touches them."""
    opaque = alpha >= _OPAQUE
    extent = {True: opaque.any(0).sum(), False: opaque.any(1).sum()}
    for edge, line, across in (
        ("upper", opaque[0], True),
        ("lower", opaque[-1], True),
        ("left", opaque[:, 0], False),
        ("right", opaque[:, -1], False),
    ):
        share = line.sum() / extent[across]
        if share > _LONGEST_CONTACT:
            yield (
                "cut-off",
                f"touches the picture's {edge} edge with {share:.0%} of the person's"
                f" {'width' if across else 'height'}: is a part cut off?",
            )
