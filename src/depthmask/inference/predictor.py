"""The exported model on arrays, through onnxruntime: neither torch nor lightning is imported."""

import re
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
import onnxruntime

from depthmask.data.scenes.onnx_session import CUDA, Device, open_session
from depthmask.data.scenes.scene import UNITS
from depthmask.errors import InputError

FORMAT = "1"
"""Of the exported file: raised when its inputs, outputs or their meaning change."""

INPUTS = ("bg", "bg_fg")
OUTPUTS = ("mask", "depth")
METADATA = ("depthmask_format", "experiment", "data_hash", "training_size", "depth_unit")
"""What every exported file says about itself."""

_EXPORT_AGAIN = "export it again with `dvc repro export`, or name another with --model"
_NOT_OURS = "it is not a model that `dvc repro export` made: name another with --model"


class Result(NamedTuple):
    """What the model says about a frame, or about N frames with a leading axis.

    mask: float32, H x W, 0 to 1: the share of person in each pixel.
    depth: float32, H x W, along the optical axis, in the model's `depth_unit`.
    """

    mask: np.ndarray
    depth: np.ndarray


class Predictor:
    """A person's mask and the scene's depth from a clean plate and a frame.

    Example:
        >>> predictor = Predictor("models/best/model.onnx")
        >>> mask, depth = predictor.predict(bg, bg_fg)  # uint8 H x W x 3, RGB

    Attributes:
        path: the model's file.
        device: `cpu` or `cuda`, where it really runs.
        providers: onnxruntime's, the first one tried first.
        metadata: what the file says about itself; `METADATA` at least.
    """

    def __init__(
        self, path: str | Path, device: Device = "auto", num_threads: int | None = None
    ) -> None:
        """Load a model that depthmask exported.

        Args:
            device: `auto` takes CUDA where it works, `cuda` insists on it.
            num_threads: of the CPU; onnxruntime takes one a core by default.

        Raises:
            InputError: the file is missing or no such model, or the device cannot be used.
        """
        self.path = Path(path)
        if device not in get_args(Device):
            raise InputError(f"device {device!r} is unknown; use {', '.join(get_args(Device))}")
        if num_threads is not None and num_threads < 1:
            raise InputError(f"num_threads is {num_threads}; give at least 1")
        if not self.path.is_file():
            raise InputError(
                f"{self.path} is missing: make it with `make repro`, or name another with --model"
            )
        self._session = open_session(self.path, device, num_threads, unreadable=_EXPORT_AGAIN)
        self.metadata = _checked_metadata(self.path, self._session)
        self.providers: list[str] = self._session.get_providers()
        self.device = "cuda" if self.providers[0] == CUDA else "cpu"

    @property
    def depth_unit(self) -> str:
        """`metre`, or `relative`: depth grows with distance, its scale and shift are unknown."""
        return self.metadata["depth_unit"]

    @property
    def training_size(self) -> int:
        """Pixels; the side that every image is resized to before the network sees it."""
        return int(self.metadata["training_size"])

    def predict(self, bg: np.ndarray, bg_fg: np.ndarray) -> Result:
        """Find the person and the depth.

        Args:
            bg: uint8, H x W x 3, RGB: the room with nobody in it, from the same camera.
            bg_fg: uint8, H x W x 3, RGB: the frame.

        Returns:
            mask and depth, float32, H x W.

        Raises:
            InputError: an image is no such array, or the two differ in size.
        """
        for name, image in zip(INPUTS, (bg, bg_fg), strict=True):
            if image.ndim != 3:
                raise InputError(f"{name} is {_describe(image)}; it must be uint8 H x W x 3, RGB")
        mask, depth = self.predict_batch(bg[np.newaxis], bg_fg[np.newaxis])
        return Result(mask[0], depth[0])

    def predict_batch(self, bg: np.ndarray, bg_fg: np.ndarray) -> Result:
        """The same for N frames: uint8 N x H x W x 3 in, float32 N x H x W out."""
        for name, images in zip(INPUTS, (bg, bg_fg), strict=True):
            if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
                raise InputError(f"{name} is {_describe(images)}; it must be uint8 H x W x 3, RGB")
            if images.size == 0:
                raise InputError(f"{name} is {_describe(images)}; it has no pixels")
        if bg.shape != bg_fg.shape:
            raise InputError(
                f"the plate is {_size(bg)} px and the frame {_size(bg_fg)} px:"
                " take both with the same camera at one size"
            )
        feed = {"bg": np.ascontiguousarray(bg), "bg_fg": np.ascontiguousarray(bg_fg)}
        return Result(*self._session.run(list(OUTPUTS), feed))


def _checked_metadata(path: Path, session: onnxruntime.InferenceSession) -> dict[str, str]:
    """The file's metadata, once its inputs, outputs and metadata are those of the contract."""
    for kind, expected, ports, dtype, rank in (
        ("inputs", INPUTS, session.get_inputs(), "tensor(uint8)", 4),
        ("outputs", OUTPUTS, session.get_outputs(), "tensor(float)", 3),
    ):
        found = {port.name: (port.type, len(port.shape)) for port in ports}
        if found != dict.fromkeys(expected, (dtype, rank)):
            listed = ", ".join(
                f"{name} {type_} of rank {num}" for name, (type_, num) in found.items()
            )
            raise InputError(f"{path} has the {kind} {listed}; {_NOT_OURS}")
    metadata: dict[str, str] = dict(session.get_modelmeta().custom_metadata_map)
    if missing := [key for key in METADATA if key not in metadata]:
        raise InputError(f"{path} lacks the metadata {', '.join(missing)}; {_NOT_OURS}")
    if not re.fullmatch("[1-9][0-9]{0,4}", metadata["training_size"]):
        raise InputError(f"{path} has the training_size {metadata['training_size']!r}; {_NOT_OURS}")
    if metadata["depth_unit"] not in UNITS:
        raise InputError(f"{path} has the depth_unit {metadata['depth_unit']!r}; {_NOT_OURS}")
    if metadata["depthmask_format"] != FORMAT:
        raise InputError(
            f"{path} has format {metadata['depthmask_format']}, this depthmask reads {FORMAT}:"
            " export it again with `dvc repro export`"
        )
    return metadata


def _describe(array: np.ndarray) -> str:
    return f"{array.dtype} {' x '.join(map(str, array.shape))}"


def _size(images: np.ndarray) -> str:
    """Width x height, as cameras and viewers say it."""
    size = f"{images.shape[2]}x{images.shape[1]}"
    return size if len(images) == 1 else f"{len(images)} of {size}"
