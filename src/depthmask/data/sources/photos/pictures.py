"""Files become plates, cutouts and the plates' depth, from maps or a network as the teacher."""

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

from depthmask.data.scenes.files import replaced_file
from depthmask.data.scenes.images import DEAD_LINK, open_upright, read_rgb, read_rgba
from depthmask.data.scenes.onnx_session import open_session
from depthmask.data.scenes.scene import Cutout
from depthmask.data.sources.photos.folder import Findings
from depthmask.errors import InputError

Unit = Literal["metre", "relative"]

# height that a cutout's canvas covers, and how much of it lies below the feet: the museum's
CANVAS_M, FOOT_MARGIN_M = 2.2, 0.13

_SEEN, _OPAQUE = 13, 128  # alpha: 5 % is haze of a bad matte, half is person
_FORMAT = "depthmask teacher 1"  # of the cache; changes with cropping, resizing or normalisation
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_STD = np.array([0.229, 0.224, 0.225], np.float32)
_PORTS = [[("tensor(float)", 4), ("tensor(float)", rank)] for rank in (3, 4)]
_EXPECTED = (
    "a teacher has one input, float32 N x 3 x H x W, and one output, float32 N x H x W"
    " (Depth Anything V2's contract): name such an ONNX file under prepare.photos.teacher"
)


def read_plate(path: Path, size: int) -> tuple[np.ndarray, tuple[int, int]]:
    """A plate's middle square as uint8 size x size x 3, and (height, width) of the file, which is
    no smaller: else InputError."""
    image = read_rgb(path)
    height, width = image.shape[:2]
    if min(height, width) < size:
        needs = f"{width}x{height} px, and prepare.size needs {size} px on the shorter side"
        raise InputError(f"{path} is too small: {needs}: take a larger picture or lower it")
    square = Image.fromarray(_centre_square(image))
    return np.array(square.resize((size, size), Image.Resampling.LANCZOS)), (height, width)


def _centre_square(image: np.ndarray) -> np.ndarray:
    """The largest square in the middle of H x W (x C), where the camera's optical axis is."""
    side = min(image.shape[:2])
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return np.ascontiguousarray(image[top : top + side, left : left + side])


def read_cutout(path: Path, size: int, height_m: float, findings: Findings) -> Cutout:
    """A person on a canvas `size` px high and 3/4 of that wide, without relief; InputError if the
    file has no alpha or nothing to cut out, or is far too small."""
    rgba = read_rgba(path)
    alpha = rgba[..., 3]
    if (alpha < _OPAQUE).all():
        raise InputError(f"{path} has an empty alpha channel: nobody is in it, cut the person out")
    if (alpha >= _SEEN).mean() > 0.995:
        raise InputError(f"{path} is opaque all over: its background is there, cut the person out")
    _doubt(path, rgba, findings)
    rows, columns = (np.flatnonzero((alpha >= _SEEN).any(axis)) for axis in (1, 0))
    person = rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    file_height, file_width = person.shape[:2]
    canvas_width = size * 3 // 4
    metres_per_px = max(
        CANVAS_M / size,  # the museum's; a very tall or wide person makes it coarser
        height_m / (size - FOOT_MARGIN_M / CANVAS_M * size - 1),
        height_m * file_width / file_height / (canvas_width - 2),
    )
    height = max(2, round(height_m / metres_per_px))
    # rounding up a wide person's height would carry the width over the canvas
    width = min(canvas_width, max(1, round(height * file_width / file_height)))
    if height > 2 * file_height:
        needs = f"the person is {file_height} px high and the canvas needs {height}"
        raise InputError(f"{path} is too small: {needs}: take a larger one or lower prepare.size")
    if height > 1.2 * file_height:
        text = f"is enlarged from {file_height} to {height} px: a larger one is better"
        findings.warn("enlarged", path, text)
    # Pillow resizes RGBA premultiplied: what is transparent lends the edge no colour
    small = Image.fromarray(person).resize((width, height), Image.Resampling.LANCZOS)
    canvas = np.zeros((size, canvas_width, 4), np.uint8)
    bottom = size - round(FOOT_MARGIN_M / CANVAS_M * size)
    left = (canvas_width - width) // 2
    canvas[bottom - height : bottom, left : left + width] = np.asarray(small)
    canvas[canvas[..., 3] == 0] = 0
    opaque = canvas[..., 3] >= _OPAQUE
    rows = np.flatnonzero(opaque.any(1))
    soles = opaque[rows[-1] - int(0.03 * (rows[-1] - rows[0])) : rows[-1] + 1]
    columns = np.flatnonzero(soles.any(0))
    foot = float(columns[0] + columns[-1] + 1) / 2, float(rows[-1] + 1)
    relief = np.zeros(opaque.shape, np.float32)
    return Cutout(path.stem, canvas, relief, height_m / height, foot, height_m)


def _doubt(path: Path, rgba: np.ndarray, findings: Findings) -> None:
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
            if share > 0.2:
                where = f"the picture's {edge} edge with {share:.0%} of the person"
                findings.warn("cut-off", path, f"touches {where}: is it cut off?")


def read_depth_map(
    path: Path, plate_shape: tuple[int, int], size: int, findings: Findings
) -> tuple[np.ndarray, Unit]:
    """A plate's depth map as float32 size x size: metres, holes filled with the nearest, or inverse
    depth. InputError if it is none, mostly unmeasured, flat or of another aspect."""
    array = _read_depth(path)
    height, width = array.shape
    if not 1 / 1.02 < width * plate_shape[0] / (height * plate_shape[1]) < 1.02:
        other = f"another aspect than its plate's {plate_shape[1]}x{plate_shape[0]} px"
        raise InputError(f"{path} is {width}x{height} px, {other}: make it of the whole picture")
    array = _centre_square(array)
    if array.dtype == np.uint8:
        if array.min() == array.max():
            raise InputError(f"{path} has the same value everywhere: it tells nothing")
        return _resized(array, size), "relative"
    measured = np.isfinite(array) & (array > 0)
    holes = 1 - measured.mean()
    if holes > 0.5:
        raise InputError(f"{path} is not measured (0 or not finite) in {holes:.0%} of its pixels")
    if holes > 0.01:
        findings.warn("holes", path, f"is not measured in {holes:.0%}: the nearest value is taken")
    if (median := np.median(array[measured])) > 30:
        text = f"has a median of {median:.0f} m: is it in metres? A relative depth map has 8 bits"
        findings.warn("far", path, text)
    if holes:
        _, labels = cv2.distanceTransformWithLabels(
            (~measured).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
        )
        by_label = np.zeros(labels.max() + 1, np.float32)
        by_label[labels[measured]] = array[measured]
        array = by_label[labels]
    return 1 / _resized(1 / array, size), "metre"


def _read_depth(path: Path) -> np.ndarray:
    """H x W: float32 metres (16 bits are millimetres, floats metres), or uint8 relative."""
    if path.suffix.lower() == ".npy":
        try:
            array = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            array = np.array([])
        if array.ndim != 2 or not array.size or array.dtype.kind != "f":
            raise InputError(f"{path} holds no floats, H x W: save metres with numpy.save")
        return array.astype(np.float32)
    image = open_upright(path)
    if image.mode == "F":
        return np.asarray(image, np.float32)
    if image.mode.startswith("I"):
        return (np.asarray(image).astype(np.int32) / 1000).astype(np.float32)
    colours = np.asarray(image.convert("RGB"))
    if (colours != colours[..., :1]).any():
        raise InputError(f"{path} is in colour: save depth as grey, 8 bits relative or 16 in mm")
    return colours[..., 0]


def _resized(inverse: np.ndarray, size: int) -> np.ndarray:
    """Inverse depth as float32 size x size: interpolated, which is exact on planes, but for edges,
    where nothing lies between what is near and the wall behind it."""
    inverse = np.ascontiguousarray(inverse, np.float32)
    smooth = cv2.resize(inverse, (size, size), interpolation=cv2.INTER_LINEAR)
    nearest = cv2.resize(inverse, (size, size), interpolation=cv2.INTER_NEAREST_EXACT)
    edges = np.abs(smooth - nearest) > 0.05 * np.ptp(np.percentile(inverse, (2, 98)))
    return np.where(edges, nearest, smooth)


class Teacher:
    """A network with the contract of Depth Anything V2 (Yang et al. 2024), and in the folder
    `cache` what it has said, one file a picture.

    In: RGB / 255 normalised as ImageNet, float32 N x 3 x H x W, `batch` pictures of `size` px or as
    it fixes them. Out: inverse depth, float32 N x H x W or N x 1 x H x W; else InputError.
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

    def inverse_depths(self, paths: Sequence[Path], size: int) -> list[np.ndarray]:
        """Relative inverse depth of the plates' middle squares, float32 size x size."""
        entries = [self._entry(path) for path in paths]
        by_entry = dict(zip(entries, paths, strict=True))  # equal pictures are asked about once
        todo = [(entry, path) for entry, path in by_entry.items() if not _is_whole(entry)]
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
        return [_resized(np.load(entry)["arr_0"], size) for entry in entries]

    def _run(self, paths: Sequence[Path]) -> np.ndarray:
        squares = (Image.fromarray(_centre_square(read_rgb(path))) for path in paths)
        sides, cubic = (self._width, self._height), Image.Resampling.BICUBIC
        small = (np.asarray(square.resize(sides, cubic), np.float32) for square in squares)
        pictures = [(image / 255 - _MEAN) / _STD for image in small]
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


def _is_whole(entry: Path) -> bool:
    try:
        with zipfile.ZipFile(entry) as file:
            return file.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False


def _shape(shape: Sequence) -> str:
    return " x ".join(str(side) for side in shape)
