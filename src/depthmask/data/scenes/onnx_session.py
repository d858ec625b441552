"""An ONNX file opened with onnxruntime, on CUDA where that really works."""

import contextlib
import io
import re
from pathlib import Path
from typing import Any, Literal

import onnxruntime

from depthmask.errors import InputError

Device = Literal["auto", "cpu", "cuda"]

CUDA = "CUDAExecutionProvider"
_SILENT, _WARNING = 4, 2  # onnxruntime's severities; warning is its default
_UNREADABLE = ("InvalidProtobuf", "InvalidGraph", "InvalidArgument", "NotImplemented", "Fail")


def cuda_in_build() -> bool:
    """Whether this onnxruntime was built with CUDA, which does not mean that CUDA works."""
    return CUDA in onnxruntime.get_available_providers()


def open_session(
    path: Path, device: Device, num_threads: int | None, *, unreadable: str
) -> onnxruntime.InferenceSession:
    """Open any ONNX file where `device` says; `auto` takes CUDA where it works.

    Raises InputError, with the remedy `unreadable`, for a file that is no model, or without CUDA.
    """
    providers: list[Any] = ["CPUExecutionProvider"]
    if device != "cpu" and cuda_in_build():
        # finds the CUDA libraries that came as wheels; quietly, it may find none
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(OSError):
            onnxruntime.preload_dlls()
        # TensorFloat-32 would round depth by millimetres; the export's parity gate is stricter
        providers.insert(0, (CUDA, {"use_tf32": "0"}))
    elif device == "cuda":
        raise InputError(
            "device cuda needs onnxruntime-gpu, and this onnxruntime is the CPU's:"
            " uninstall it and install that, or use --device cpu"
        )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _SILENT
    # threads that spin while they wait take the cores from decoding and encoding
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if num_threads is not None:
        options.intra_op_num_threads = num_threads
    # without a driver the library complains at length on stderr and goes on with the CPU
    onnxruntime.set_default_logger_severity(_SILENT)
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # onnxruntime's own classes share no base but this one
        if type(error).__name__ not in _UNREADABLE:  # no fault of the user's
            raise
        raise InputError(f"{path} {_why_unreadable(path, str(error), unreadable)}") from None
    finally:
        onnxruntime.set_default_logger_severity(_WARNING)
    # only the session knows: `get_available_providers` lists CUDA on any machine
    if device == "cuda" and session.get_providers()[0] != CUDA:
        raise InputError(
            "device cuda does not work here: check the driver with nvidia-smi and the libraries"
            " with `depthmask doctor`, or use --device cpu"
        )
    return session


def _why_unreadable(path: Path, error: str, remedy: str) -> str:
    with path.open("rb") as file:
        if file.read(40).startswith(b"version https://git-lfs"):
            return "is a Git LFS pointer, not the model: run `git lfs pull`"
    if newer := re.search(r"IR version: \d+|Opset \d+(?= is under development)", error):
        version = f"onnxruntime {onnxruntime.__version__}"
        return f"is newer than {version} reads ({newer[0]}): upgrade onnxruntime"
    said = " ".join(error.rpartition("failed:")[2].split())
    return f"is cut short or no ONNX model ({said}): {remedy}"
