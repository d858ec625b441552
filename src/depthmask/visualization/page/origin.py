"""Where the figures are from: versions, hashes, parameters."""

import importlib.metadata
import platform
from collections.abc import Iterator
from typing import Any

from depthmask.tracking.provenance import commit_date, git_commit
from depthmask.visualization.page.files import RunFiles
from depthmask.visualization.page.numbers import setting_text, size_of

PACKAGES = (
    "depthmask",
    "torch",
    "lightning",
    "onnxruntime",
    "onnxruntime-gpu",
    "mlflow",
    "dvc",
    "albumentations",
    "mitsuba",
    "numpy",
)
SOURCES = ("museum", "photos", "modest")


def versions() -> Iterator[tuple[str, str]]:
    """Of Python, the system and the packages that decide a result, as installed here."""
    yield "Python", platform.python_version()
    for name in PACKAGES:
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    yield "system", f"{platform.system()} {platform.machine()}"


def hashes(run: RunFiles) -> Iterator[tuple[str, str]]:
    """What names the code, the data, every run and the exported file."""
    commit = git_commit(run.root)
    date = commit_date(run.root)
    yield "code", f"{commit}, {date}" if date else commit
    data = run.metrics.get("data") or (run.summary or {}).get("data_hash")
    if data:
        yield "data", data
    for name in run.experiments:
        keys = [card["key"] for card in run.cards.get(name, []) if "key" in card]
        if keys:
            yield f"run of {name}" if len(keys) == 1 else f"runs of {name}", " ".join(keys)
    if run.model is not None:
        made = run.model.metadata
        of = f" of {made['experiment']}, run {made.get('run_key', 'unknown')}" if made else ""
        yield "exported file", f"model.onnx{of}, {size_of(run.model.num_bytes)}"
        yield "its SHA-256", run.model.sha256
        if "git_commit" in made:
            yield "its code", made["git_commit"]


def parameters(run: RunFiles) -> dict[str, list[tuple[str, str]]]:
    """Every parameter in force by section of `params.yaml`, nested ones with dots."""
    if run.params is not None:
        sections = run.params.model_dump(mode="json")
        experiments = sections.pop("experiments")
        source = sections["prepare"]["source"]
        for other in SOURCES:
            if other != source:
                sections["prepare"].pop(other, None)
        general = {key: sections.pop(key) for key in ("profile", "compare")}
        chosen = {name: experiments.get(name, {}) for name in run.experiments}
        sections = {"run": general, "experiments": chosen, **sections}
    else:
        sections = (run.settings.get(run.best) or [{}])[0]
    return {name: list(_flat(values)) for name, values in sections.items() if values}


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif value != []:
            yield f"{prefix}{key}", setting_text(value)
