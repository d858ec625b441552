"""A run's journal: one JSON line an event, in ROOT/.tracking/EXPERIMENT-KEY/journal.jsonl.

The journal is what is true about a run; MLflow holds a copy of it. Images lie beside it under
`images/`, other files under `artifacts/`. It says when and where a run took place, so it stays
out of DVC's outputs.

The events, each with `type` and `time` (milliseconds since 1970):

    start       run (an id of its own), experiment, key, params, tags, data, host, pid
    resume      host, pid
    metrics     step, metrics {name: value}
    evaluation  metrics {name: value}, tags {name: value}; a later one replaces it
    file        name (as MLflow shows it), path (in the journal's folder)
    end         status: FINISHED, FAILED or KILLED
"""

import json
import math
import os
import platform
import re
import shutil
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from filelock import FileLock
from PIL import Image

from depthmask.data.scenes.files import replaced_file
from depthmask.errors import InputError

FOLDER = ".tracking"
FILE = "journal.jsonl"

Event = dict[str, Any]


def copied_checkout(folder: Path) -> Path | None:
    """The checkout of which DVC made the copy that a folder lies in; None outside a copy.

    `dvc exp run --temp` and DVC's queue work in ROOT/.dvc/tmp/exps/…, deleted afterwards.
    """
    parts = folder.resolve().parts
    for index in range(len(parts) - 2):
        if parts[index : index + 3] == (".dvc", "tmp", "exps"):
            return Path(*parts[:index])
    return None


def find_root(start: Path | None = None) -> Path:
    """The checkout that a run belongs to, which is where `mlflow.db` and the journals lie.

    What runs in a copy made by DVC belongs to the checkout it was copied from.

    Args:
        start: a folder in the checkout; the current one if None.
    """
    folder = (start or Path.cwd()).resolve()
    folder = copied_checkout(folder) or folder
    for candidate in (folder, *folder.parents):
        if (candidate / ".git").exists():
            return candidate
    return folder


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, names joined by dots; sequences become JSON text."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            flat[f"{prefix}{name}"] = json.dumps(value)
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def metric_values(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Nested metrics flattened with slashes; numpy and torch scalars become numbers."""
    flat: dict[str, float] = {}
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}/{inner}": v for inner, v in metric_values(value).items()}
        elif value is not None:
            flat[name] = float(value)
    return flat


def epoch_metrics(row: Mapping[str, Any]) -> dict[str, float]:
    """A row of the curves under the names that MLflow shows.

    What is no figure of `val`, such as the learning rate, is one of `train`. MLflow's comparison
    of chosen runs begins with the metric that came first, so that is the mask's IoU.
    """
    named = {
        name if "/" in name else f"train/{name}": value
        for name, value in metric_values(row).items()
        if name not in ("epoch", "seed")
    }
    return dict(sorted(named.items(), key=lambda item: item[0] != "val/mask_iou"))


def _file_name(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise ValueError(f"a file's name must be relative and inside the run: {name!r}")
    return str(path)


def _to_json(value: Any) -> Any:
    """JSON knows neither NaN nor infinity: they are written as text, which `float` reads."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(name): _to_json(inner) for name, inner in value.items()}
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    return str(value)


@dataclass
class Record:
    """What the events of one journal amount to."""

    run: str
    experiment: str
    key: str
    params: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    host: str = ""
    pid: int = 0
    started_ms: int = 0
    ended_ms: int | None = None
    status: str | None = None  # None: it has not ended, or was killed
    steps: set[tuple[str, int]] = field(default_factory=set)  # metrics recorded, (name, step)

    @property
    def name(self) -> str:
        return f"{self.experiment}-{self.key}"


class Journal:
    """The journal in one folder; several processes may append to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / FILE

    def lock(self) -> FileLock:
        """Held by the process that carries the journal to MLflow."""
        return FileLock(self.folder / "lock")

    def begin(
        self,
        experiment: str,
        key: str,
        *,
        params: Mapping[str, Any],
        tags: Mapping[str, str],
        data: Mapping[str, str],
    ) -> None:
        """Start an empty journal in place of what the folder holds.

        Raises:
            InputError: if the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.path.unlink(missing_ok=True)
            for name in ("images", "artifacts"):
                shutil.rmtree(self.folder / name, ignore_errors=True)
            self.append(
                "start",
                run=uuid.uuid4().hex,
                experiment=experiment,
                key=key,
                params=flatten(params),
                tags=dict(tags),
                data=dict(data),
                host=platform.node(),
                pid=os.getpid(),
            )
        except OSError as error:
            raise InputError(
                f"{self.folder}: cannot be written ({error.strerror}); remove it or mend its rights"
            ) from None

    def append(self, event_type: str, **values: Any) -> None:
        """Add one line, written at once: a killed process loses nothing that it appended."""
        event = {"type": event_type, "time": int(time.time() * 1000)} | values
        line = json.dumps(_to_json(event), ensure_ascii=False, allow_nan=False) + "\n"
        with self.path.open("ab") as file:
            if file.tell() and not self._ends_with_newline():
                line = "\n" + line  # what a killed process began to write is not read
            file.write(line.encode())

    def _ends_with_newline(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"

    def add_image(self, name: str, image: Path | str | np.ndarray) -> None:
        """Keep a picture under `name`; a later one of that name replaces it.

        Args:
            image: a file, or u8[H,W,3] (RGB) or u8[H,W] (gray), written as PNG.
        """
        name = _file_name(name)
        path = self.folder / "images" / name
        with replaced_file(path) as temporary:
            if isinstance(image, np.ndarray):
                if image.dtype != np.uint8:
                    raise ValueError(f"{name}: an image is uint8, not {image.dtype}")
                Image.fromarray(image).save(temporary, format="PNG")
            else:
                shutil.copyfile(image, temporary)
        self.append("file", name=name, path=f"images/{name}")

    def add_artifact(self, source: Path | str, name: str | None = None) -> None:
        """Keep a copy of a file under `name`, by default the file's own."""
        name = _file_name(name or Path(source).name)
        with replaced_file(self.folder / "artifacts" / name) as temporary:
            shutil.copyfile(source, temporary)
        self.append("file", name=name, path=f"artifacts/{name}")

    def read(self, offset: int = 0) -> tuple[list[Event], int]:
        """The events after a place in the file, and the place after them."""
        with self.path.open("rb") as file:
            file.seek(offset)
            content = file.read()
        content = content[: content.rfind(b"\n") + 1]  # the last line may be half-written
        events = []
        for line in content.splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue  # torn by a kill
            if isinstance(event, dict) and "type" in event:
                events.append(event)
        return events, offset + len(content)

    def record(self) -> Record | None:
        """What the journal says; None if there is none, or its first line is not a start."""
        try:
            events, _ = self.read()
        except FileNotFoundError:
            return None
        if not events or events[0]["type"] != "start":
            return None
        first = events[0]
        record = Record(
            **{
                name: first[name] for name in ("run", "experiment", "key", "params", "tags", "data")
            },
            host=first["host"],
            pid=first["pid"],
            started_ms=first["time"],
        )
        for event in events[1:]:
            if event["type"] == "metrics":
                record.steps |= {(name, event["step"]) for name in event["metrics"]}
            elif event["type"] == "evaluation":
                record.tags |= event.get("tags", {})
            elif event["type"] == "resume":
                record.status, record.ended_ms = None, None
                record.host, record.pid = event["host"], event["pid"]
            elif event["type"] == "end":
                record.status, record.ended_ms = event["status"], event["time"]
        return record


def journal_at(root: Path, experiment: str, key: str) -> Journal:
    """The journal of an experiment under a checkout; it need not exist."""
    if not re.fullmatch(r"[\w.-]+", f"{experiment}-{key}"):
        raise ValueError(f"an experiment and its key name a folder: not {experiment!r}, {key!r}")
    return Journal(root / FOLDER / f"{experiment}-{key}")
