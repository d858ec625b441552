"""Depth of the plates: from maps that come with them, or from a depth network as the teacher.

The teacher's contract is Depth Anything V2's (Yang et al. 2024). Input: RGB / 255 normalised with
ImageNet's mean and deviation, float32 N x 3 x H x W, sides multiples of 14. Output: float32
N x H x W (or N x 1 x H x W), relative inverse depth, larger is nearer.
"""

import hashlib
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

from depthmask.data.scenes.files import replaced_file
from depthmask.data.scenes.images import DEAD_LINK, open_upright, read_rgb
from depthmask.data.scenes.onnx_session import open_session
from depthmask.data.sources.photos.folder import Findings
from depthmask.data.sources.photos.pictures import centre_square
from depthmask.errors import InputError

Unit = Literal["metre", "relative"]

_MOST_ASPECT_OFF = 1.02
_MOST_HOLES, _FEW_HOLES = 0.5, 0.01
_FAR_MEDIAN_M = 30.0
_EDGE = 0.05  # of the range of inverse depth
_FORMAT = "depthmask teacher 1"  # of the cache; changes with cropping, resizing or normalisation
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_STD = np.array([0.229, 0.224, 0.225], np.float32)
_PORTS = [[("tensor(float)", 4), ("tensor(float)", rank)] for rank in (3, 4)]
_EXPECTED = (
    "a teacher has one input, float32 N x 3 x H x W, and one output, float32 N x H x W"
    " (Depth Anything V2's contract): name such an ONNX file under prepare.photos.teacher"
)


def read_depth_map(
    path: Path, plate_shape: tuple[int, int], size: int, findings: Findings
) -> tuple[np.ndarray, Unit]:
    """Read a depth map as float32 size x size: metres, or relative inverse depth.

    16 bits are millimetres; floating-point pixels (.npy, .tif) are metres; in both 0 and what is
    not finite take the nearest measured value. 8 bits are relative *inverse* depth, 255 nearest.

    Raises:
        InputError: it cannot be read, is no depth map, is mostly unmeasured or flat, or has
            another aspect than the plate's file, (height, width).
    """
    array = _read(path)
    height, width = array.shape
    ratio = width * plate_shape[0] / (height * plate_shape[1])
    if not 1 / _MOST_ASPECT_OFF < ratio < _MOST_ASPECT_OFF:
        raise InputError(
            f"{path} is {width}x{height} px, turned as its EXIF orientation says, another aspect"
            f" than its plate's {plate_shape[1]}x{plate_shape[0]} px: make it of the whole picture"
        )
    array = centre_square(array)
    if array.dtype == np.uint8:
        if array.min() == array.max():
            raise InputError(f"{path} has the same value everywhere: it tells nothing")
        return _resized(array, size), "relative"
    kind, per_metre = ("metres", 1) if array.dtype == np.float32 else ("millimetres", 1000)
    metres = (array / per_metre).astype(np.float32)
    measured = np.isfinite(metres) & (metres > 0)
    holes = 1 - measured.mean()
    if holes > _MOST_HOLES:
        raise InputError(f"{path} is not measured (0 or not finite) in {holes:.0%} of its pixels")
    if holes > _FEW_HOLES:
        findings.warn("holes", path, f"is not measured in {holes:.0%}: the nearest value is taken")
    median = np.median(metres[measured])
    if median > _FAR_MEDIAN_M:
        text = f"has a median of {median:.0f} m: is it in {kind}? A relative depth map has 8 bits"
        findings.warn("far", path, text)
    if holes:
        _, labels = cv2.distanceTransformWithLabels(
            (~measured).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
        )
        by_label = np.zeros(labels.max() + 1, np.float32)
        by_label[labels[measured]] = metres[measured]
        metres = by_label[labels]
    return 1 / _resized(1 / metres, size), "metre"


def _resized(inverse: np.ndarray, size: int) -> np.ndarray:
    """Inverse depth as float32 size x size: interpolated, which is exact on planes, but for edges,
    where nothing lies between what is near and the wall behind it."""
    inverse = np.ascontiguousarray(inverse, np.float32)
    smooth = cv2.resize(inverse, (size, size), interpolation=cv2.INTER_LINEAR)
    nearest = cv2.resize(inverse, (size, size), interpolation=cv2.INTER_NEAREST_EXACT)
    edges = np.abs(smooth - nearest) > _EDGE * np.ptp(np.percentile(inverse, (2, 98)))
    return np.where(edges, nearest, smooth)


def _read(path: Path) -> np.ndarray:
    """H x W: float32 metres, int32 millimetres or uint8 relative."""
    if path.suffix.lower() == ".npy":
        try:
            array = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            raise InputError(f"{path} cannot be read: save it with numpy.save") from None
        if array.ndim != 2 or not array.size or not np.issubdtype(array.dtype, np.floating):
            told = f"{array.dtype} {_shape(array.shape)}"
            raise InputError(f"{path} is {told}: save metres as floats, H x W")
        return array.astype(np.float32)
    image = open_upright(path)
    if image.mode == "F":
        return np.asarray(image, np.float32)
    if image.mode.startswith("I"):
        return np.asarray(image).astype(np.int32)
    colours = np.asarray(image.convert("RGB"))
    if (colours != colours[..., :1]).any():
        raise InputError(f"{path} is in colour: save depth as grey, 8 bits relative or 16 in mm")
    return colours[..., 0]


class Teacher:
    """A depth network, and in the folder `cache` what it has said, one file a picture.

    It sees `batch` pictures of `size` px, a multiple of 14, at a time, unless it fixes them itself.
    InputError is raised if it keeps another contract, or its answer is no depth.
    """

    def __init__(self, path: Path, size: int, batch: int, cache: Path) -> None:
        if not path.is_file():
            remedy = "is missing: mend prepare.photos.teacher, or give depth maps"
            raise InputError(f"the teacher {path} {DEAD_LINK if path.is_symlink() else remedy}")
        self._path, self._cache = path, cache
        self._session = open_session(path, "auto", None, unreadable=_EXPECTED)
        ports = [*self._session.get_inputs(), *self._session.get_outputs()]
        fixed = [side if isinstance(side, int) else None for side in ports[0].shape]
        kinds = [(port.type, len(port.shape)) for port in ports]
        if kinds not in _PORTS or fixed[1] not in (None, 3):
            told = ", ".join(f"{port.name} ({port.type} {_shape(port.shape)})" for port in ports)
            raise InputError(f"the teacher {path} has the inputs and outputs {told}; {_EXPECTED}")
        self._input, self._fixed_batch = ports[0].name, fixed[0]
        self._batch = fixed[0] or batch
        self._height, self._width = (side or size for side in fixed[2:])
        self._digest = hashlib.sha256(path.read_bytes()).hexdigest()

    def inverse_depths(self, paths: Sequence[Path], size: int) -> Iterator[np.ndarray]:
        """Relative inverse depth of the plates' middle squares, float32 size x size, in order."""
        entries = [self._entry(path) for path in paths]
        by_entry = dict(zip(entries, paths, strict=True))  # equal pictures are asked about once
        todo = [(entry, path) for entry, path in by_entry.items() if _cached(entry) is None]
        starts, console = range(0, len(todo), self._batch), Console(stderr=True)
        for start in track(starts, "depth of the plates", console=console, disable=not todo):
            batch = todo[start : start + self._batch]
            answers = self._run([path for _, path in batch])
            for (entry, path), answer in zip(batch, answers, strict=True):
                if not np.isfinite(answer).all() or answer.min() == answer.max():
                    remedy = "look at the picture, and whether the model is a depth network"
                    raise InputError(f"{path}: the teacher's depth is not finite or flat: {remedy}")
                with replaced_file(entry) as temporary, temporary.open("wb") as file:
                    np.savez(file, answer)
        for entry in entries:
            answer = _cached(entry)
            assert answer is not None, entry  # written a moment ago
            yield _resized(answer, size)

    def _run(self, paths: Sequence[Path]) -> np.ndarray:
        pictures = []
        for path in paths:
            square = Image.fromarray(centre_square(read_rgb(path)))
            small = square.resize((self._width, self._height), Image.Resampling.BICUBIC)
            pictures.append((np.asarray(small, np.float32) / 255 - _MEAN) / _STD)
        if self._fixed_batch:
            pictures += pictures[-1:] * (self._fixed_batch - len(paths))
        feed = np.ascontiguousarray(np.stack(pictures).transpose(0, 3, 1, 2))
        try:
            answers = self._session.run(None, {self._input: feed})[0]
        except Exception as error:  # onnxruntime's own classes share no base but this one
            if not type(error).__module__.startswith("onnxruntime"):
                raise
            remedy = "try another prepare.photos.teacher_size, or 1 as teacher_batch"
            raise InputError(f"{self._path} fails on {_shape(feed.shape)}: {remedy}") from None
        if answers.ndim == 4 and answers.shape[1] == 1:
            answers = answers[:, 0]
        if answers.ndim != 3 or len(answers) != len(feed) or min(answers.shape[1:]) < 2:
            told = f"{_shape(feed.shape)} with {_shape(answers.shape)}"
            raise InputError(f"the teacher {self._path} answers {told}; {_EXPECTED}")
        return answers[: len(paths)].astype(np.float32)

    def _entry(self, path: Path) -> Path:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        key = f"{_FORMAT}\n{self._digest}\n{self._height}x{self._width}\n{digest}"
        return self._cache / f"{hashlib.sha256(key.encode()).hexdigest()}.npz"


def _cached(entry: Path) -> np.ndarray | None:
    """An answer of before, None if there is none or its file is damaged (its CRC tells)."""
    try:
        with np.load(entry, allow_pickle=False) as file:
            return file["arr_0"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _shape(shape: Sequence) -> str:
    return " x ".join(str(side) for side in shape)
