"""Where the figures are from: versions, hashes, parameters."""

import importlib.metadata
import platform
from collections.abc import Iterator
from typing import Any

from depthmask.visualization.numbers import setting_text
from depthmask.visualization.run_files import RunFiles

PACKAGES = ("depthmask", "torch", "lightning", "onnxruntime", "onnxruntime-gpu", "mlflow", "dvc",
            "albumentations", "mitsuba", "numpy")  # fmt: skip


def versions() -> Iterator[tuple[str, str]]:
    """Of Python, the system and the packages that decide a result, as installed here."""
    yield "Python", platform.python_version()
    for name in PACKAGES:
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    yield "system", f"{platform.system()} {platform.machine()}"


def hashes(run: RunFiles, code: str) -> Iterator[tuple[str, str]]:
    """What names the code, the data, every run and the exported file."""
    yield "code", code
    if data := run.metrics.get("data"):
        yield "data", data
    for name in run.experiments:
        keys = [card["key"] for card in run.cards.get(name, [])]
        if keys:
            yield f"run{'s' * (len(keys) > 1)} of {name}", " ".join(keys)
    if run.model is not None:
        made = run.model.metadata
        of = f" of {made['experiment']}, run {made.get('run_key', 'unknown')}" if made else ""
        yield "exported file", f"model.onnx{of}, {run.model.num_bytes / 1e6:.1f} MB"
        yield "its SHA-256", run.model.sha256


def parameters(run: RunFiles) -> dict[str, list[tuple[str, str]]]:
    """Every parameter in force by section of `params.yaml`, nested ones with dots."""
    if run.params is None:
        sections = (run.settings.get(run.best) or [{}])[0]
    else:
        sections = run.params.model_dump(mode="json")
        experiments, prepare = sections.pop("experiments"), sections["prepare"]
        for other in {"museum", "photos", "modest"} - {prepare["source"]}:
            prepare.pop(other, None)
        sections = {
            "run": {key: sections.pop(key) for key in ("profile", "compare")},
            "experiments": {name: experiments.get(name, {}) for name in run.experiments},
            **sections,
        }
    return {name: list(_flat(values)) for name, values in sections.items() if values}


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif value != []:
            yield f"{prefix}{key}", setting_text(value)
