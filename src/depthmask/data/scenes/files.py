"""Files that one stage writes and another reads: missing and damaged ones are named.

What is written goes to a temporary name first: a reader never meets half a file or half a folder.
"""

import hashlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import DTypeLike

from depthmask.errors import InputError


def content_hash(folder: Path) -> str:
    """SHA-256 over the names and bytes of a folder's arrays and tables, as 16 hex digits."""
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.npy"), *folder.glob("*.parquet")]):
        digest.update(path.name.encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Make an InputError of what goes wrong with a file."""
    try:
        yield
    except FileNotFoundError:
        if path.is_symlink():
            raise InputError(f"{path} is a link to a cache that is away: run `dvc pull`") from None
        raise InputError(f"{path} is missing: run `dvc repro` (or `dvc pull`) first") from None
    except (ValueError, OSError, EOFError) as error:  # also of json, pandas and pyarrow
        said = " ".join(str(error).split())[:160]
        raise InputError(f"{path} is damaged ({said}): run `dvc repro --force` again") from None


def read_array(
    path: Path, dtype: DTypeLike | None = None, shape: Sequence[int | None] | None = None
) -> np.ndarray:
    """Memory-map an array; raises InputError if it is missing, damaged or of another shape.

    In a shape None stands for any length.
    """
    with _naming(path):
        array = np.load(path, mmap_mode="r")
        if dtype is not None and array.dtype != dtype:
            raise ValueError(f"it holds {array.dtype}, not {np.dtype(dtype)}")
        if shape is not None and (
            array.ndim != len(shape)
            or any(want not in (None, have) for want, have in zip(shape, array.shape, strict=True))
        ):
            wanted = " x ".join("any" if length is None else str(length) for length in shape)
            raise ValueError(f"it is {' x '.join(map(str, array.shape))}, not {wanted}")
    return array


def read_table(path: Path, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Read a Parquet or CSV table; raises InputError if it is missing, damaged or empty."""
    with _naming(path):
        table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
        if missing := [column for column in columns if column not in table]:
            raise ValueError(f"it lacks the column {missing[0]}")
        if table.empty:
            raise ValueError("it has no rows")
    return table


def read_json(path: Path, keys: Sequence[str] = ()) -> dict[str, Any]:
    """Read a JSON object; raises InputError if it is missing, damaged or lacks a key."""
    with _naming(path):
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it is no object")
        if missing := [key for key in keys if key not in content]:
            raise ValueError(f"it lacks {missing[0]}")
    return content


def read_summary(prepared: Path) -> dict[str, Any]:
    """Read `summary.json` of the prepared data; errors as for `read_json`."""
    keys = ("source", "unit", "size", "num_scenes", "data_hash")
    return read_json(prepared / "summary.json", keys)


def read_text(path: Path) -> str:
    """Read a text file; raises InputError if it is missing or no text."""
    with _naming(path):
        return path.read_text(encoding="utf-8")


@contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """Yield a new path beside `path`; what is written there takes its place if the block succeeds.

    Each writer has a name of its own: of two at a time the last wins.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path`; it takes the place of `path` if the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{path.name}.*.partial"):
        if not _is_alive(left.name.removeprefix(f".{path.name}.").partition(".")[0]):
            shutil.rmtree(left, ignore_errors=True)  # of a process that was killed
    with tempfile.TemporaryDirectory(
        prefix=f".{path.name}.{os.getpid()}.",
        suffix=".partial",
        dir=path.parent,
        ignore_cleanup_errors=True,  # it is in its place by then
    ) as temporary:
        Path(temporary).chmod(0o755)
        yield Path(temporary)
        if path.exists():
            shutil.rmtree(path)
        Path(temporary).replace(path)


def _is_alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        pass  # it is another user's
    return True
