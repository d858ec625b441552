"""A depth network as the teacher: each plate is shown to it once, and the answer is kept.

The contract is Depth Anything V2's (Yang et al. 2024), whose published ONNX files name the input
`pixel_values` and the output `predicted_depth`; the names are free, the rest is not. Input:
RGB / 255 normalised with ImageNet's mean and deviation, float32 N x 3 x H x W, sides multiples of
14. Output: float32 N x H x W (or N x 1 x H x W), relative inverse depth, larger is nearer.
"""

import hashlib
import zipfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

from depthmask.data.scenes.files import replaced_file
from depthmask.data.scenes.images import read_rgb
from depthmask.data.scenes.onnx_session import open_session
from depthmask.data.sources.photos.depth_maps import resized_inverse
from depthmask.data.sources.photos.pictures import centre_square
from depthmask.errors import InputError

_FORMAT = "depthmask teacher 1"
"""Part of each cache key; changes with the cropping, the resizing or the normalisation."""

_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_STD = np.array([0.229, 0.224, 0.225], np.float32)
_EXPECTED = (
    "a teacher has one input, float32 N x 3 x H x W, and one output, float32 N x H x W"
    " (Depth Anything V2's contract): name such an ONNX file under prepare.photos.teacher"
)


class Teacher:
    """A depth network and the cache of what it has said.

    Args:
        path: of the ONNX file.
        size: side that pictures are resized to, px, a multiple of 14; a model with fixed sides
            has its own way.
        batch: pictures in one call; a model with a fixed batch has its own way.
        cache: folder of the answers, one file a picture.

    Attributes:
        input_size: (height, width) that the model is given, px.
        batch: pictures in one call.

    Raises:
        InputError: the file is missing, no ONNX model, or keeps another contract.
    """

    def __init__(self, path: Path, *, size: int, batch: int, cache: Path) -> None:
        if not path.is_file():
            raise InputError(
                f"the teacher {path} is missing: mend prepare.photos.teacher, or give depth maps"
            )
        self._path, self._cache = path, cache
        self._session = open_session(path, "auto", None, unreadable=_EXPECTED)
        model = _checked_input(path, self._session)
        self._input = self._session.get_inputs()[0].name
        self._fixed_batch = model[0] if isinstance(model[0], int) else None
        self.batch = self._fixed_batch or batch
        self.input_size = tuple(side if isinstance(side, int) else size for side in model[2:])
        self._digest = hashlib.sha256(path.read_bytes()).hexdigest()

    def inverse_depths(
        self, paths: Sequence[Path], digests: Sequence[str], size: int
    ) -> Iterator[np.ndarray]:
        """Relative inverse depth of the plates' middle squares, float32 size x size, in order.

        Args:
            paths: picture files.
            digests: SHA-256 of their bytes.
            size: of the result, px.

        Raises:
            InputError: the answer is not finite, the same everywhere, or of another shape.
        """
        self._ask_about(paths, digests)
        for path, digest in zip(paths, digests, strict=True):
            answer = self._read(digest)
            assert answer is not None, path  # written a moment ago
            yield resized_inverse(answer, size)

    def _ask_about(self, paths: Sequence[Path], digests: Sequence[str]) -> None:
        """Fill the cache: call the model for what it has not seen."""
        known: set[str] = set()
        unknown = []
        for path, digest in zip(paths, digests, strict=True):
            if digest not in known and self._read(digest) is None:
                unknown.append((path, digest))
            known.add(digest)
        batches = iter(_batched(unknown, self.batch))
        num_batches = -(-len(unknown) // self.batch)
        console = Console(stderr=True)
        for batch in track(
            batches,
            "depth of the plates",
            total=num_batches,
            console=console,
            disable=not (unknown and console.is_terminal),
        ):
            for (path, digest), answer in zip(batch, self._run([p for p, _ in batch]), strict=True):
                _check_answer(path, answer)
                with (
                    replaced_file(self._entry(digest)) as temporary,
                    temporary.open("wb") as file,
                ):
                    np.savez(file, inverse_depth=answer)

    def _run(self, paths: Sequence[Path]) -> np.ndarray:
        height, width = self.input_size
        pictures = []
        for path in paths:
            square = Image.fromarray(np.ascontiguousarray(centre_square(read_rgb(path))))
            small = square.resize((width, height), Image.Resampling.BICUBIC)
            pictures.append((np.asarray(small, np.float32) / 255 - _MEAN) / _STD)
        count = len(pictures)
        if self._fixed_batch:
            pictures += pictures[-1:] * (self._fixed_batch - count)
        feed = np.ascontiguousarray(np.stack(pictures).transpose(0, 3, 1, 2))
        try:
            answers = self._session.run(None, {self._input: feed})[0]
        except Exception as error:  # onnxruntime's own classes share no base but this one
            if not type(error).__module__.startswith("onnxruntime"):
                raise
            raise InputError(
                f"the teacher {self._path} fails on float32 {_shape(feed.shape)}: try another"
                " prepare.photos.teacher_size (a multiple of 14), or 1 as teacher_batch"
            ) from None
        if answers.ndim == 4 and answers.shape[1] == 1:
            answers = answers[:, 0]
        if answers.ndim != 3 or len(answers) != len(feed) or min(answers.shape[1:]) < 2:
            raise InputError(
                f"the teacher {self._path} answers float32 {_shape(feed.shape)} with"
                f" {_shape(answers.shape)}; {_EXPECTED}"
            )
        return answers[:count].astype(np.float32)

    def _entry(self, digest: str) -> Path:
        height, width = self.input_size
        key = f"{_FORMAT}\n{self._digest}\n{height}x{width}\n{digest}"
        return self._cache / f"{hashlib.sha256(key.encode()).hexdigest()}.npz"

    def _read(self, digest: str) -> np.ndarray | None:
        """An answer of before, None if there is none or its file is damaged (its CRC tells)."""
        try:
            with np.load(self._entry(digest), allow_pickle=False) as file:
                return file["inverse_depth"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None


def _checked_input(path: Path, session) -> list:
    """The dimensions of the model's input, numbers or names, if it keeps the contract."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    told = f"inputs {_ports(inputs)} and outputs {_ports(outputs)}"
    if len(inputs) == 1 and len(outputs) == 1:
        into, out = inputs[0], outputs[0]
        rank, shape = len(out.shape), out.shape
        if (
            into.type == out.type == "tensor(float)"
            and len(into.shape) == 4
            and _may_be(into.shape[1], 3)
            and (rank == 3 or (rank == 4 and _may_be(shape[1], 1)))
        ):
            return into.shape
    raise InputError(f"the teacher {path} has the {told}; {_EXPECTED}")


def _check_answer(path: Path, answer: np.ndarray) -> None:
    if not np.isfinite(answer).all():
        raise InputError(
            f"{path}: the teacher's depth is not finite: is the model damaged or in half precision?"
        )
    if answer.min() == answer.max():
        raise InputError(
            f"{path}: the teacher's depth is {answer.min():.4g} everywhere: look at the picture,"
            " and at whether the model is a depth network"
        )


def _may_be(dimension: int | str | None, value: int) -> bool:
    return dimension == value or not isinstance(dimension, int)


def _ports(ports: Sequence) -> str:
    return ", ".join(
        f"{port.name} ({port.type.removeprefix('tensor(').removesuffix(')')} {_shape(port.shape)})"
        for port in ports
    )


def _shape(shape: Sequence) -> str:
    return " x ".join(str(side) for side in shape) or "scalar"


def _batched(rows: Sequence, count: int) -> Iterator[list]:
    rows = iter(rows)
    while batch := list(islice(rows, count)):
        yield batch
