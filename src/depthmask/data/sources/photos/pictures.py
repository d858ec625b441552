"""Files become plates, cutouts and the plates' depth, from maps or a network as the teacher."""

import hashlib
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from PIL import Image, ImageOps
from scipy.ndimage import distance_transform_edt

from depthmask.data.scenes.files import replaced_file
from depthmask.data.scenes.images import DEAD_LINK, open_upright, read_depth, read_rgba
from depthmask.data.scenes.onnx_session import open_session
from depthmask.data.scenes.scene import Cutout
from depthmask.data.sources.photos.folder import warn
from depthmask.errors import InputError

Unit = Literal["metre", "relative"]

_SEEN, _OPAQUE = 13, 128  # alpha: 5 % is haze of a bad matte, half is person
_FORMAT = "depthmask teacher 2"  # of the cache; changes with cropping, resizing or normalisation
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_STD = np.array([0.229, 0.224, 0.225], np.float32)
_EXPECTED = (
    "a teacher has one input, float32 1 x 3 x H x W, and one output, float32 1 x H x W"
    " (Depth Anything V2's contract): name such an ONNX file under prepare.photos.teacher,"
    " or try another prepare.photos.teacher_size"
)


def plate_image(path: Path, picture: np.ndarray, size: int) -> np.ndarray:
    """The middle square of a picture as uint8 size x size x 3; InputError if it is smaller."""
    height, width = picture.shape[:2]
    if min(height, width) < size:
        needs = f"{width}x{height} px, and prepare.size needs {size} px on the shorter side"
        raise InputError(f"{path} is too small: {needs}: take a larger picture or lower it")
    square = Image.fromarray(_middle_square(picture))
    return np.array(square.resize((size, size), Image.Resampling.LANCZOS))


def _middle_square(image: np.ndarray) -> np.ndarray:
    """The largest square in the middle of H x W (x C), where the camera's optical axis is."""
    side = min(image.shape[:2])
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return np.ascontiguousarray(image[top : top + side, left : left + side])


def read_cutout(path: Path, size: int, height_m: float) -> Cutout:
    """A person on a canvas `size` px high and 3/4 of that wide, without relief; InputError if the
    file has no alpha or nothing to cut out, or is far too small."""
    rgba = read_rgba(path)
    seen, opaque = rgba[..., 3] >= _SEEN, rgba[..., 3] >= _OPAQUE
    if not opaque.any():
        raise InputError(f"{path} has an empty alpha channel: nobody is in it, cut the person out")
    if seen.mean() > 0.995:
        raise InputError(f"{path} is opaque all over: its background is there, cut the person out")
    for edge, row in (("upper", opaque[0]), ("lower", opaque[-1])):
        if row.sum() > 0.2 * opaque.any(0).sum():
            warn(path, f"touches the picture's {edge} edge: is the person cut off?")
    soft = rgba[seen & ~opaque].astype(int)
    brightest = soft[:, :3].max(1, initial=0)
    # straight colours know nothing of alpha; black ones tell nothing
    if (brightest > 32).sum() > 50 and (brightest <= soft[:, 3] + 1).mean() > 0.99:
        warn(path, "seems to have premultiplied alpha, which darkens edges: save it straight")
    person = Image.fromarray(rgba).crop(Image.fromarray(seen).getbbox())
    canvas = Image.new("RGBA", (size * 3 // 4, size))
    # Pillow resizes RGBA premultiplied: what is transparent lends the edge no colour
    small = ImageOps.contain(person, (canvas.width - 2, size - 2), Image.Resampling.LANCZOS)
    if small.height > 2 * person.height:
        needs = f"the person is {person.height} px high and the canvas needs {small.height}"
        raise InputError(f"{path} is too small: {needs}: take a larger one or lower prepare.size")
    canvas.paste(small, ((canvas.width - small.width) // 2, size - 1 - small.height))
    pixels = np.array(canvas)
    pixels[pixels[..., 3] == 0] = 0
    rows, columns = np.nonzero(pixels[..., 3] >= _OPAQUE)
    soles = columns[rows >= rows.max() - 0.03 * np.ptp(rows)]
    foot = float(soles.min() + soles.max() + 1) / 2, float(rows.max() + 1)
    relief = np.zeros(pixels.shape[:2], np.float32)
    return Cutout(path.stem, pixels, relief, height_m / small.height, foot, height_m)


def read_depth_map(path: Path, plate_shape: tuple[int, ...], size: int) -> tuple[np.ndarray, Unit]:
    """A plate's depth map as float32 size x size: metres, holes filled with the nearest, or inverse
    depth. InputError if it is none, mostly unmeasured, flat or of another aspect."""
    array = _read_depth(path)
    height, width = array.shape
    if not 1 / 1.02 < width * plate_shape[0] / (height * plate_shape[1]) < 1.02:
        other = f"another aspect than its plate's {plate_shape[1]}x{plate_shape[0]} px"
        raise InputError(f"{path} is {width}x{height} px, {other}: make it of the whole picture")
    if array.dtype == np.uint8:
        if array.min() == array.max():
            raise InputError(f"{path} has the same value everywhere: it tells nothing")
        return _resized(array, size), "relative"
    missing = ~(np.isfinite(array) & (array > 0))
    if (share := missing.mean()) > 0.5:
        raise InputError(f"{path} is not measured (0 or not finite) in {share:.0%} of its pixels")
    if share > 0.01:
        warn(path, f"is not measured in {share:.0%}: the nearest value is taken")
    if (median := np.median(array[~missing])) > 30:
        warn(path, f"has a median of {median:.0f} m: is it in metres? A relative one has 8 bits")
    nearest = distance_transform_edt(missing, return_distances=False, return_indices=True)
    return 1 / _resized(1 / array[tuple(nearest)], size), "metre"


def _read_depth(path: Path) -> np.ndarray:
    """H x W: float32 metres (16 bits are millimetres, floats metres), or uint8 relative."""
    if path.suffix.lower() != ".npy":
        image = open_upright(path)
        if image.mode != "F" and not image.mode.startswith("I"):
            colours = np.asarray(image.convert("RGB"))
            if (colours != colours[..., :1]).any():
                raise InputError(f"{path} is in colour: save depth as grey, 8 bits or 16 in mm")
            return colours[..., 0]
    return read_depth(path)


def _resized(inverse: np.ndarray, size: int) -> np.ndarray:
    """The middle square of inverse depth as float32 size x size: interpolated, which is exact on
    planes, but for edges, where nothing lies between what is near and the wall behind it."""
    square = _middle_square(inverse).astype(np.float32)
    smooth = cv2.resize(square, (size, size), interpolation=cv2.INTER_LINEAR)
    nearest = cv2.resize(square, (size, size), interpolation=cv2.INTER_NEAREST_EXACT)
    edges = np.abs(smooth - nearest) > 0.05 * np.ptp(np.percentile(square, (2, 98)))
    return np.where(edges, nearest, smooth)


class Teacher:
    """A network with the contract of Depth Anything V2 (Yang et al. 2024), and in the folder
    `cache` what it has said, one file a picture.

    In: RGB / 255 normalised as ImageNet, float32 1 x 3 x H x W, `size` px the shorter side or as it
    fixes them. Out: inverse depth, float32 1 x H x W or 1 x 1 x H x W; else InputError.
    """

    def __init__(self, path: Path, size: int, cache: Path) -> None:
        if not path.is_file():
            remedy = "is missing: mend prepare.photos.teacher, or give depth maps"
            raise InputError(f"the teacher {path} {DEAD_LINK if path.is_symlink() else remedy}")
        self._path, self._cache = path, cache
        self._session = open_session(path, "auto", None, unreadable=_EXPECTED)
        self._input, *more = self._session.get_inputs()
        if more or len(self._input.shape) != 4 or len(self._session.get_outputs()) > 1:
            raise InputError(f"the teacher {path} has other inputs or outputs: {_EXPECTED}")
        self._size = size
        self._fixed = [side if isinstance(side, int) else None for side in self._input.shape[2:]]
        self._digest = hashlib.sha256(path.read_bytes()).hexdigest()

    def inverse_depth(self, path: Path, picture: np.ndarray, size: int) -> np.ndarray:
        """Relative inverse depth of a picture's middle square, float32 size x size."""
        square = _middle_square(picture)
        key = f"{_FORMAT} {self._digest} {self._size} {self._fixed} {square.shape}".encode()
        entry = self._cache / f"{hashlib.sha256(key + square.tobytes()).hexdigest()}.npy"
        if not entry.exists():
            answer = self.ask(square)
            if not np.isfinite(answer).all() or answer.min() == answer.max():
                remedy = "look at the picture, and whether the model is a depth network"
                raise InputError(f"{path}: the teacher's depth is not finite or flat: {remedy}")
            with replaced_file(entry) as temporary, temporary.open("wb") as file:
                np.save(file, answer)
        return _resized(np.load(entry), size)

    def ask(self, picture: np.ndarray) -> np.ndarray:
        """Relative inverse depth of a whole picture, uint8 H x W x 3, as large as it is told."""
        scale = self._size / min(picture.shape[:2]) / 14  # of the patches of a vision transformer
        height, width = (
            fixed or round(side * scale) * 14
            for fixed, side in zip(self._fixed, picture.shape, strict=False)
        )
        small = Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC)
        normalised = (np.asarray(small, np.float32) / 255 - _MEAN) / _STD
        feed = np.ascontiguousarray(normalised.transpose(2, 0, 1)[None])
        try:
            answer = np.squeeze(self._session.run(None, {self._input.name: feed})[0])
        except Exception as error:  # onnxruntime's own classes share no base but this one
            if not type(error).__module__.startswith("onnxruntime"):
                raise
            told = f"fails on 1 x 3 x {height} x {width}"
            raise InputError(f"the teacher {self._path} {told}: {_EXPECTED}") from None
        if answer.ndim != 2:
            raise InputError(f"the teacher {self._path} answers no H x W: {_EXPECTED}")
        return answer.astype(np.float32)
