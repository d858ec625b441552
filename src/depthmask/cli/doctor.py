"""What this machine and environment can do, and what stands in the way."""

import importlib.metadata
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from depthmask.errors import InputError


class Finding(NamedTuple):
    """What was looked at and found, with the remedy; a `problem` keeps one from predicting."""

    subject: str
    text: str
    level: Literal["ok", "warning", "problem"] = "ok"


def examine(model: Path) -> Iterator[Finding]:
    """Look at everything, the model that `predict` would take too; it may take seconds."""
    yield Finding("python", f"{platform.python_version()} at {sys.executable}")
    yield Finding("system", f"{platform.system()} {platform.machine()}")
    yield _torch()
    yield from _runtime()
    for package in ("dvc", "mlflow", "lightning", "mitsuba"):
        yield Finding(package, _version(package) or "not installed; only the pipeline needs it")
    for package, extra in (("av", "video"), ("fastapi", "serve")):
        yield Finding(package, _version(package) or f"not installed; it is in the extra `{extra}`")
    yield _model(model)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _torch() -> Finding:
    if (version := _version("torch")) is None:
        return Finding("torch", "not installed; `predict` does not need it, training does")
    from depthmask.models.hardware import choose_hardware

    return Finding("torch", f"{version}, trains on {choose_hardware()}")


def _runtime() -> Iterator[Finding]:
    packages = ("onnxruntime", "onnxruntime-gpu")
    installed = [f"{name} {version}" for name in packages if (version := _version(name))]
    if not installed:
        yield Finding(
            "onnxruntime", "not installed: `pip install onnxruntime`, or onnxruntime-gpu", "problem"
        )
        return
    text, are_both = ", ".join(installed), len(installed) > 1
    remedy = ": they overwrite each other; uninstall both, then install one"
    yield Finding("onnxruntime", text + remedy * are_both, "warning" if are_both else "ok")
    try:
        from onnxruntime.datasets import get_example

        from depthmask.data.scenes.onnx_session import CUDA, open_session

        example = Path(get_example("sigmoid.onnx"))
        providers = open_session(example, "auto", None, unreadable="reinstall").get_providers()
    except Exception as error:  # whatever a broken driver makes onnxruntime raise
        yield Finding("providers", f"none runs: {' '.join(str(error).split())[:160]}", "problem")
        return
    names = ", ".join(name.removesuffix("ExecutionProvider") for name in providers)
    if "onnxruntime-gpu" in text and CUDA not in providers:
        remedy = "CUDA does not load: onnxruntime-gpu needs the driver, CUDA 13 and cuDNN 9"
        yield Finding("providers", f"{names}; {remedy}", "warning")
    else:
        yield Finding("providers", f"{names} (tried, not only listed)")


def _model(path: Path) -> Finding:
    if not path.exists():
        return Finding("model", f"{path} is missing: make it with `make repro`", "warning")
    try:
        from depthmask.inference.predictor import Predictor

        predictor = Predictor(path)
    except (InputError, ImportError) as error:
        return Finding("model", str(error), "problem")
    about = f"experiment {predictor.metadata['experiment']}, {predictor.training_size} px"
    return Finding("model", f"{predictor.path}: {about}; runs on {predictor.device}")
