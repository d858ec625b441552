"""Depth maps that come with the plates: millimetres, metres, or relative."""

from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np

from depthmask.data.scenes.images import open_upright
from depthmask.data.sources.photos.pictures import centre_square
from depthmask.errors import InputError

Unit = Literal["metre", "relative"]

_MOST_ASPECT_OFF = 0.02
_MOST_HOLES = 0.5
_FEW_HOLES = 0.01
_BEND = 0.02  # of the range of inverse depth, a pixel to the next
_FAR_MEDIAN_M = 30.0


class DepthMap(NamedTuple):
    """The depth of a plate, cropped and resized as the plate is.

    Attributes:
        values: float32, S x S: planar depth in metres, or inverse depth (larger is nearer) up to
            an unknown scale and shift.
        unit: `metre` or `relative`.
        warnings: (code, text) about the file.
    """

    values: np.ndarray
    unit: Unit
    warnings: tuple[tuple[str, str], ...]


def read_depth_map(path: Path, plate_shape: tuple[int, int], size: int) -> DepthMap:
    """Read a depth map.

    16 bits are millimetres; floating-point pixels (.npy, .tif) are metres; in both 0 and what is
    not finite mean "not measured" and take the nearest measured value. 8 bits are relative
    *inverse* depth, 255 the nearest point, as depth networks draw it.

    Args:
        plate_shape: (height, width) of the plate's file, whose aspect the map must have.
        size: side of the result, px.

    Raises:
        InputError: it cannot be read, is no depth map, is mostly unmeasured or flat, or has
            another aspect.
    """
    array = _read(path)
    height, width = array.shape
    if array.size == 0:
        raise InputError(f"{path} has no pixels: make it again")
    aspect, expected = width / height, plate_shape[1] / plate_shape[0]
    if abs(aspect / expected - 1) > _MOST_ASPECT_OFF:
        turned = (
            " (turned as its EXIF orientation says)" if abs(aspect * expected - 1) < 0.02 else ""
        )
        raise InputError(
            f"{path} is {width}x{height} px, another aspect than its plate's"
            f" {plate_shape[1]}x{plate_shape[0]} px{turned}: make it from the whole picture"
        )
    array = centre_square(array)
    if array.dtype == np.uint8:
        if array.min() == array.max():
            raise InputError(f"{path} has the same value everywhere: it tells nothing")
        return DepthMap(resized_inverse(array.astype(np.float32), size), "relative", ())
    metres = array.astype(np.float32) * (1.0 if array.dtype == np.float32 else 0.001)
    measured = np.isfinite(metres) & (metres > 0)
    holes = 1 - measured.mean()
    if holes > _MOST_HOLES:
        raise InputError(f"{path} is not measured (0 or not finite) in {holes:.0%} of its pixels")
    warnings = []
    if holes > _FEW_HOLES:
        warnings.append(
            ("holes", f"is not measured in {holes:.0%}: the nearest value stands there")
        )
    median = float(np.median(metres[measured]))
    if median > _FAR_MEDIAN_M:
        kind = "metres" if array.dtype == np.float32 else "millimetres"
        warnings.append(
            (
                "far",
                f"has a median of {median:.0f} m: is it in {kind}? A relative depth map has 8 bits",
            )
        )
    inverse = resized_inverse(1 / _filled(metres, measured), size)
    return DepthMap(1 / inverse, "metre", tuple(warnings))


def resized_inverse(inverse: np.ndarray, size: int) -> np.ndarray:
    """Resize inverse depth, H x W, to float32 size x size without hanging anything in the air.

    Interpolating inverse depth is exact on planes; where it bends, at the edges of things, the
    nearest pixel is taken, since between an edge and the wall behind it there is nothing.
    """
    inverse = np.ascontiguousarray(inverse, np.float32)
    smooth = cv2.resize(inverse, (size, size), interpolation=cv2.INTER_LINEAR)
    nearest = cv2.resize(inverse, (size, size), interpolation=cv2.INTER_NEAREST_EXACT)
    low, high = np.percentile(inverse, (2, 98))
    bends = np.zeros(inverse.shape, np.uint8)
    limit = _BEND * (high - low)
    bends[1:-1] |= np.abs(inverse[:-2] - 2 * inverse[1:-1] + inverse[2:]) > limit
    bends[:, 1:-1] |= np.abs(inverse[:, :-2] - 2 * inverse[:, 1:-1] + inverse[:, 2:]) > limit
    bends = cv2.dilate(bends, np.ones((3, 3), np.uint8))
    at_edges = cv2.resize(bends, (size, size), interpolation=cv2.INTER_NEAREST_EXACT) > 0
    return np.where(at_edges, nearest, smooth)


def _read(path: Path) -> np.ndarray:
    """H x W: float32 metres, int32 millimetres or uint8 relative."""
    if path.suffix.lower() == ".npy":
        try:
            array = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            raise InputError(f"{path} cannot be read: save it with numpy.save") from None
        if array.ndim != 2 or not np.issubdtype(array.dtype, np.floating):
            shape = " x ".join(map(str, array.shape))
            raise InputError(f"{path} is {array.dtype} {shape}: save metres as floats, H x W")
        return array.astype(np.float32)
    image = open_upright(path)
    if image.mode == "F":
        return np.asarray(image, np.float32)
    if image.mode.startswith("I"):
        return np.asarray(image).astype(np.int32)
    grey = np.asarray(image.convert("RGB"))
    if (grey[..., 0] != grey[..., 1]).any() or (grey[..., 0] != grey[..., 2]).any():
        raise InputError(
            f"{path} is in colour: save depth as grey, 8 bits relative or 16 bits in mm"
        )
    return grey[..., 0]


def _filled(values: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Give each unmeasured pixel the value of the nearest measured one."""
    if measured.all():
        return values
    _, labels = cv2.distanceTransformWithLabels(
        (~measured).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    by_label = np.zeros(labels.max() + 1, np.float32)
    by_label[labels[measured]] = values[measured]
    return np.where(measured, values, by_label[labels])
