"""What a folder holds already: `recipe.json` says of what, a log says which scenes are complete.

A line of the log is a chunk of scenes all of whose files are written: what was begun when a run
was killed has none, and is composed and written again, the same bytes.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from depthmask.data.materialise.files import SUFFIXES
from depthmask.data.scenes.files import replaced_file
from depthmask.errors import InputError
from depthmask.tracking.provenance import run_key

RECIPE = "recipe.json"
LOG = ".written.jsonl"
_LOCK = ".lock"


@dataclass(frozen=True)
class Chunk:
    """Consecutive scenes whose files are complete.

    Attributes:
        start: number of the first, from 0.
        names: of the scenes.
        bg_names: of the plates' files written with them.
        boxes, num_bytes, sums: see `depthmask.data.materialise.files.Written`.
    """

    start: int
    names: list[str]
    bg_names: list[str]
    boxes: list[tuple[int, ...]]
    num_bytes: dict[str, list[int]]
    sums: dict[str, list[list[int]]]

    def check(self) -> None:
        """Raises TypeError if a line of the log holds something else than this class writes."""
        lists = (self.names, self.bg_names, self.boxes, *self.num_bytes.values())
        if not isinstance(self.start, int) or not all(isinstance(each, list) for each in lists):
            raise TypeError("no chunk")

    @property
    def stop(self) -> int:
        return self.start + len(self.names)

    def is_whole(self, out: Path) -> bool:
        """Whether every file is there in the size in which it was written."""
        for folder, sizes in self.num_bytes.items():
            stems = self.bg_names if folder == "bg" else self.names
            for stem, size in zip(stems, sizes, strict=True):
                try:
                    if os.path.getsize(out / folder / f"{stem}{SUFFIXES[folder]}") != size:
                        return False
                except FileNotFoundError:
                    return False
        return True


@contextmanager
def claimed(out: Path, settings: dict[str, Any]) -> Iterator[None]:
    """Keep `out` to this process, for what `settings` describe.

    Args:
        settings: JSON values, all that decides the files' content.

    Raises:
        InputError: another process writes there, or something else was written there.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file: name a folder")
    if out.is_dir() and not (out / RECIPE).exists():
        if any(not path.name.startswith(".") for path in out.iterdir()):
            raise InputError(f"{out} holds something else: name a new or an empty folder")
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / _LOCK, timeout=0):
            _check_recipe(out, settings)
            yield
    except Timeout:
        raise InputError(f"another run writes to {out}: wait for it, or name another") from None


def _check_recipe(out: Path, settings: dict[str, Any]) -> None:
    path = out / RECIPE
    if not path.exists():
        with replaced_file(path) as temporary:
            content = {"key": run_key(**settings), "settings": settings}
            temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
        key, old = before["key"], before["settings"]
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path} is damaged: name another folder, or delete this one") from None
    if key != run_key(**settings):
        # as JSON gives it back: a tuple is a list there
        new = json.loads(json.dumps(settings))
        names = [name for name in new if old.get(name) != new[name]]
        raise InputError(
            f"{out} was written with other settings ({', '.join(names)}):"
            " name another folder, or delete this one"
        )


class WrittenLog:
    """The complete chunks of a folder, by their first scene's number.

    A chunk with a file that is missing or of another size does not count. A line that was cut off
    is removed, so that the next one starts on its own.
    """

    def __init__(self, out: Path) -> None:
        self.path = out / LOG
        self.chunks: dict[int, Chunk] = {}
        if not self.path.exists():
            return
        good = 0
        with open(self.path, "rb") as file:
            for line in file:
                try:
                    chunk = Chunk(**json.loads(line))
                    chunk.check()
                except (ValueError, TypeError, AttributeError):
                    break
                if not line.endswith(b"\n"):
                    break
                self.chunks[chunk.start] = chunk
                good += len(line)
        os.truncate(self.path, good)
        self.chunks = {start: c for start, c in self.chunks.items() if c.is_whole(out)}

    @property
    def num_scenes(self) -> int:
        return sum(len(chunk.names) for chunk in self.chunks.values())

    @property
    def stop(self) -> int:
        """One more than the highest number of a complete scene."""
        return max((chunk.stop for chunk in self.chunks.values()), default=0)

    def missing(self, count: int, step: int) -> list[int]:
        """Where chunks of `step` scenes start that are yet to be written for `count` scenes."""
        return [
            start
            for start in range(0, count, step)
            if start not in self.chunks or self.chunks[start].stop < min(start + step, count)
        ]

    def append(self, chunk: Chunk) -> None:
        """Note a chunk whose files are all written."""
        self.chunks[chunk.start] = chunk
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(chunk), separators=(",", ":")) + "\n")

    def ordered(self) -> Sequence[Chunk]:
        return [self.chunks[start] for start in sorted(self.chunks)]
