"""The exported model on arrays, through onnxruntime: neither torch nor lightning is imported."""

import math
import re
from pathlib import Path
from typing import NamedTuple, get_args

import cv2
import numpy as np
import onnxruntime

from depthmask.data.scenes.onnx_session import CUDA, Device, cuda_in_build, open_session
from depthmask.data.scenes.plate_depth import depth_with_plate
from depthmask.data.scenes.scene import UNITS
from depthmask.errors import DeviceError, InputError

FORMAT = "2"  # raised when the file's inputs, outputs or metadata change
INPUTS = ("bg", "bg_fg")
OUTPUTS = ("mask", "depth")
_IMAGES, _PLANES = "tensor(uint8) of rank 4", "tensor(float) of rank 3"
_PORTS = dict.fromkeys(INPUTS, _IMAGES) | dict.fromkeys(OUTPUTS, _PLANES)
METADATA = {  # what every exported file says about itself: a pattern of each value
    "depthmask_format": FORMAT,
    "experiment": ".+",
    "data_hash": ".+",
    "training_size": "[1-9][0-9]{0,4}",
    "depth_unit": "|".join(UNITS),
    "reference_focal": r"(?=.*[1-9])[0-9]+(\.[0-9]+)?",
}

_FAILURES = ("EPFail", "Fail", "RuntimeException")  # of a run, such as for want of memory
LARGE_PX = 2**21  # in one run of the file; full HD is below it, and takes 0.2 GB
SAME_SIZE = "take both with the same camera at one size"
_EXPORT_AGAIN = "export it again with `dvc repro export`, or name another with --model"
_NOT_OURS = "it is not a model that `dvc repro export` made: name another with --model"


class Result(NamedTuple):
    """What the model says about a frame, or about N frames with a leading axis."""

    mask: np.ndarray  # float32, H x W, 0 to 1: the share of person in each pixel
    depth: np.ndarray  # float32, H x W, along the optical axis, in the model's `depth_unit`


class Predictor:
    """A person's mask and the scene's depth from a clean plate and a frame.

    Attributes:
        path: of the file that runs.
        device: `cpu` or `cuda`, where it really runs.
        providers: onnxruntime's, the first one tried first.
        metadata: what the file says about itself; `METADATA` at least.
        depth_unit: `metre`, or `relative`: depth grows with distance, scale and shift are unknown.
        training_size: px, the side that every image is resized to before the network sees it.
        reference_focal: of the lens that depth is told for, in heights of the frame.
    """

    def __init__(
        self, path: str | Path, device: Device = "auto", num_threads: int | None = None
    ) -> None:
        """Load a model that depthmask exported; of export's folder `model_int8.onnx` on a CPU, else
        `model.onnx`. `auto` takes CUDA where it works; `num_threads` of the CPU, by default one a
        core. InputError if the file or the device cannot be used."""
        self.path, small = Path(path), None
        if self.path.is_dir():
            small = self.path / "model_int8.onnx"
            is_for_cpu = small.exists() and (device == "cpu" or not cuda_in_build())
            self.path = small if is_for_cpu else self.path / "model.onnx"
        if device not in get_args(Device):
            raise InputError(f"device {device!r} is unknown; use {', '.join(get_args(Device))}")
        if num_threads is not None and num_threads < 1:
            raise InputError(f"num_threads is {num_threads}; give at least 1")
        if not self.path.is_file():
            remedy = "make it with `make repro`, or name another with --model"
            raise InputError(f"{self.path} is missing: {remedy}")
        self._session = open_session(self.path, device, num_threads, unreadable=_EXPORT_AGAIN)
        if small and small.exists() and CUDA not in self._session.get_providers():
            if self.path != small:  # CUDA is in the build, and does not work
                self._session = open_session(small, "cpu", num_threads, unreadable=_EXPORT_AGAIN)
            self.path = small
        self._session.disable_fallback()  # to the CPU in silence, where a run fails on CUDA
        self.metadata = _checked_metadata(self.path, self._session)
        self.num_threads = num_threads
        self.depth_unit = self.metadata["depth_unit"]
        self.training_size = int(self.metadata["training_size"])
        self.reference_focal = float(self.metadata["reference_focal"])
        self.providers: list[str] = self._session.get_providers()
        self.device = "cuda" if self.providers[0] == CUDA else "cpu"

    def predict(
        self,
        bg: np.ndarray,
        bg_fg: np.ndarray,
        *,
        plate_depth: np.ndarray | None = None,
        fov_degrees: float | None = None,
    ) -> Result:
        """Find the person and the depth from uint8 arrays, H x W x 3, RGB: the room with nobody in
        it, and the frame, from the same camera; InputError if they are not that.

        fov_degrees: horizontal, of the camera; without it the lens is taken for that of
        `reference_focal`. plate_depth: H x W, metres, of the empty room, 0 or no number where
        unknown; see `depth_with_plate`. Both need a model in metres. Frames above 2 megapixels are
        answered at that size and the answer enlarged: memory stays bounded.
        """
        if self.depth_unit != "metre" and not plate_depth is fov_degrees is None:
            needs = "a plate's depth and a field of view need a model whose depth is in metres"
            raise InputError(f"{self.path} tells relative depth: {needs}")
        shape = bg.shape[:2]
        if plate_depth is not None and plate_depth.shape != shape:
            sizes = (f"{width}x{height}" for height, width in (plate_depth.shape, shape))
            raise InputError("the plate's depth is {} px and the frame {} px".format(*sizes))
        if is_large := bg.size > 3 * LARGE_PX and bg.shape == bg_fg.shape:
            fraction = math.sqrt(3 * LARGE_PX / bg.size)
            size = [max(1, int(side * fraction)) for side in reversed(shape)]
            bg, bg_fg = (
                cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (bg, bg_fg)
            )
            if plate_depth is not None:
                plate_depth = cv2.resize(plate_depth, size, interpolation=cv2.INTER_NEAREST_EXACT)
        mask, depth = (plane[0] for plane in self.predict_batch(bg[np.newaxis], bg_fg[np.newaxis]))
        if fov_degrees is not None:
            depth = depth * np.float32(focal_of(fov_degrees, mask.shape) / self.reference_focal)
        if plate_depth is not None:
            knows_lens = fov_degrees is not None
            depth = depth_with_plate(mask, depth, plate_depth, knows_lens=knows_lens)
        if is_large:
            mask = cv2.resize(mask, shape[::-1])
            # nothing lies between a person and the wall behind
            depth = cv2.resize(depth, shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        return Result(mask, depth)

    def predict_batch(self, bg: np.ndarray, bg_fg: np.ndarray) -> Result:
        """The same for N frames: uint8 N x H x W x 3 in, float32 N x H x W out."""
        for name, images in zip(INPUTS, (bg, bg_fg), strict=True):
            if images.dtype != np.uint8 or images.shape[3:] != (3,) or images.size == 0:
                found = f"{images.dtype} {' x '.join(map(str, images.shape[1:]))}"
                raise InputError(f"{name} is {found}; it must be uint8 H x W x 3, RGB")
        if bg.shape != bg_fg.shape:
            plate, frame = (
                f"{len(each)} of {each.shape[2]}x{each.shape[1]} px".removeprefix("1 of ")
                for each in (bg, bg_fg)
            )
            remedy = SAME_SIZE if len(bg) == len(bg_fg) else "give as many plates as frames"
            raise InputError(f"the plate is {plate} and the frame {frame}: {remedy}")
        feed = {"bg": np.ascontiguousarray(bg), "bg_fg": np.ascontiguousarray(bg_fg)}
        try:
            return Result(*self._session.run(list(OUTPUTS), feed))
        except Exception as error:  # onnxruntime's own classes share no base but this one
            if self.device == "cpu" or type(error).__name__ not in _FAILURES:
                raise
            why = " ".join(str(error).split())[:200]
            remedy = "give fewer or smaller frames at once, or use --device cpu"
            raise DeviceError(f"CUDA failed in a run ({why}): {remedy}") from None


def focal_of(fov_degrees: float, shape: tuple[int, ...]) -> float:
    """The focal length in heights of a frame, H x W, from its horizontal field of view."""
    if not 1 < fov_degrees < 179:
        raise InputError(f"a field of view of {fov_degrees:g} degrees: give it between 1 and 179")
    return shape[1] / shape[0] / (2 * math.tan(math.radians(fov_degrees) / 2))


def fov_of(focal: float, shape: tuple[int, ...]) -> float:
    """The horizontal field of view in degrees; the inverse of `focal_of`."""
    return math.degrees(2 * math.atan(shape[1] / shape[0] / (2 * focal)))


def _checked_metadata(path: Path, session: onnxruntime.InferenceSession) -> dict[str, str]:
    """The file's metadata, once its inputs, outputs and metadata are those of the contract."""
    ports = (*session.get_inputs(), *session.get_outputs())
    found = {port.name: f"{port.type} of rank {len(port.shape)}" for port in ports}
    if found != _PORTS:
        listed = ", ".join(f"{name} {kind}" for name, kind in found.items())
        raise InputError(f"{path} has {listed}; {_NOT_OURS}")
    metadata: dict[str, str] = dict(session.get_modelmeta().custom_metadata_map)
    for key, pattern in METADATA.items():
        if (value := metadata.get(key)) is None:
            raise InputError(f"{path} lacks the metadata {key}; {_NOT_OURS}")
        if not re.fullmatch(pattern, value):
            raise InputError(f"{path} has the {key} {value!r}, not {pattern}: {_EXPORT_AGAIN}")
    return metadata
