"""From picture files to plates and cutouts of the sizes that training needs, and their checks."""

from pathlib import Path

import numpy as np
from PIL import Image

from depthmask.data.scenes.images import read_rgb, read_rgba
from depthmask.data.scenes.scene import Cutout
from depthmask.data.sources.photos.folder import Findings
from depthmask.errors import InputError

# height that a cutout's canvas covers, and how much of it lies below the feet: the museum's
CANVAS_M, FOOT_MARGIN_M = 2.2, 0.13

_SEEN, _OPAQUE = 13, 128  # alpha: 5 % is haze of a bad matte, half is person
_FEET = 0.03  # share of a person's height in which the soles lie
_VISIBLY_ENLARGED, _MOST_ENLARGED = 1.2, 2.0
_LONGEST_CONTACT = 0.2


def centre_square(image: np.ndarray) -> np.ndarray:
    """The largest square in the middle of H x W (x C), where the camera's optical axis is."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return np.ascontiguousarray(image[top : top + side, left : left + side])


def read_plate(path: Path, size: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Read a plate of any size and aspect as uint8 size x size x 3; (height, width) of the file.

    Raises InputError if it cannot be read, or its shorter side is below `size`.
    """
    image = read_rgb(path)
    height, width = image.shape[:2]
    if min(height, width) < size:
        raise InputError(
            f"{path} is too small: {width}x{height} px, and prepare.size needs {size} px on the"
            " shorter side: take a larger picture or lower it"
        )
    square = Image.fromarray(centre_square(image))
    return np.array(square.resize((size, size), Image.Resampling.LANCZOS)), (height, width)


def read_cutout(path: Path, size: int, height_m: float, findings: Findings) -> Cutout:
    """Read a person with alpha onto a canvas `size` px high and 3/4 of that wide.

    The person's height sets the scale. A photograph is flat: the relief is 0.

    Raises:
        InputError: it cannot be read, has no alpha or nothing to cut out, or is far too small.
    """
    rgba = read_rgba(path)
    alpha = rgba[..., 3]
    if (alpha < _OPAQUE).all():
        raise InputError(f"{path} has an empty alpha channel: nobody is in it, cut the person out")
    if (alpha >= _SEEN).mean() > 0.995:
        raise InputError(f"{path} is opaque all over: its background is there, cut the person out")
    _warn(path, rgba, findings)
    rows, columns = (np.flatnonzero((alpha >= _SEEN).any(axis)) for axis in (1, 0))
    person = rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    file_height, file_width = person.shape[:2]
    canvas_height, canvas_width = size, size * 3 // 4
    metres_per_px = max(
        CANVAS_M / size,  # the museum's; a very tall or wide person makes it coarser
        height_m / (canvas_height - FOOT_MARGIN_M / CANVAS_M * size - 1),
        height_m * file_width / file_height / (canvas_width - 2),
    )
    height = max(2, round(height_m / metres_per_px))
    # rounding up a wide person's height would carry the width over the canvas
    width = min(canvas_width, max(1, round(height * file_width / file_height)))
    if height > _MOST_ENLARGED * file_height:
        raise InputError(
            f"{path} is too small: the person is {file_height} px high and the canvas needs"
            f" {height} px: take a larger picture or lower prepare.size"
        )
    if height > _VISIBLY_ENLARGED * file_height:
        text = f"is enlarged from {file_height} to {height} px: a larger one is better"
        findings.warn("enlarged", path, text)
    # Pillow resizes RGBA premultiplied: what is transparent lends the edge no colour
    small = Image.fromarray(person).resize((width, height), Image.Resampling.LANCZOS)
    canvas = np.zeros((canvas_height, canvas_width, 4), np.uint8)
    bottom = canvas_height - round(FOOT_MARGIN_M / CANVAS_M * size)
    left = (canvas_width - width) // 2
    canvas[bottom - height : bottom, left : left + width] = np.asarray(small)
    canvas[canvas[..., 3] == 0] = 0
    relief = np.zeros(canvas.shape[:2], np.float32)
    foot = _foot(canvas[..., 3])
    return Cutout(path.stem, canvas, relief, height_m / height, foot, height_m)


def _foot(alpha: np.ndarray) -> tuple[float, float]:
    """(u, v): the lower edge of the lowest opaque row, and the middle of the soles over it."""
    rows = np.flatnonzero((alpha >= _OPAQUE).any(1))
    soles = alpha[rows[-1] - int(_FEET * (rows[-1] - rows[0])) : rows[-1] + 1] >= _OPAQUE
    columns = np.flatnonzero(soles.any(0))
    return float(columns[0] + columns[-1] + 1) / 2, float(rows[-1] + 1)


def _warn(path: Path, rgba: np.ndarray, findings: Findings) -> None:
    """Warn of premultiplied colours, and of edges of the file that cut through the person."""
    alpha = rgba[..., 3]
    soft = (alpha > 0) & (alpha < _OPAQUE)
    brightest = rgba[soft, :3].max(-1)
    # straight colours know nothing of alpha; black ones tell nothing
    if soft.sum() > 50 and brightest.max() > 32 and (brightest <= alpha[soft] + 1.0).mean() > 0.99:
        text = "seems to have premultiplied alpha, which darkens the edges: save it straight"
        findings.warn("premultiplied", path, text)
    opaque = alpha >= _OPAQUE
    for image, edges in ((opaque, ("upper", "lower")), (opaque.T, ("left", "right"))):
        for edge, line in zip(edges, (image[0], image[-1]), strict=True):
            share = line.sum() / image.any(0).sum()
            if share > _LONGEST_CONTACT:
                where = f"the picture's {edge} edge with {share:.0%} of the person"
                findings.warn("cut-off", path, f"touches {where}: is it cut off?")
