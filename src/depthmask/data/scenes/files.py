"""Files that one stage writes and another reads: missing and damaged ones are named.

What is written goes to a temporary name first: a reader never meets half a file or half a folder.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from numpy.typing import DTypeLike

from depthmask.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def content_hash(folder: Path) -> str:
    """SHA-256 over the names and bytes of a folder's arrays, tables and JSON, 16 hex digits."""
    digest = hashlib.sha256()
    for path in sorted(
        path for end in ("npy", "parquet", "json") for path in folder.glob(f"*.{end}")
    ):
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
    except (PermissionError, IsADirectoryError):
        raise  # it is not damaged: `exit_on_error` says what to mend
    except (ValueError, OSError, EOFError) as error:  # also of json, pandas and pyarrow
        said = " ".join(str(error).split())[:160]
        raise InputError(f"{path} is damaged ({said}): run `dvc repro --force` again") from None


def read_array(
    path: Path, dtype: DTypeLike | None = None, shape: Sequence[int | None] | None = None
) -> np.ndarray:
    """Memory-map an array; InputError if it is missing, damaged or of another type or shape, in
    which None stands for any length."""
    with _naming(path):
        array = np.load(path, mmap_mode="r")
        if dtype is not None and array.dtype != dtype:
            raise ValueError(f"it holds {array.dtype}, not {np.dtype(dtype)}")
        wanted = array.shape if shape is None else tuple(shape)
        pairs = zip(wanted, array.shape, strict=False)
        if len(wanted) != array.ndim or any(want not in (None, have) for want, have in pairs):
            named = " x ".join("any" if length is None else str(length) for length in wanted)
            raise ValueError(f"it is {' x '.join(map(str, array.shape))}, not {named}")
    return array


def read_table(path: Path, columns: Sequence[str] = ()) -> "pd.DataFrame":
    """Read a Parquet or CSV table; raises InputError if it is missing, damaged or empty."""
    import pandas as pd  # of the extra `pipeline`: inference does without

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
    """Yield a new path beside `path`, of each writer its own; what is written there takes the place
    of `path` if the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path`, of each process its own; it takes the place of `path` if
    the block succeeds. What killed processes left there goes."""
    for left in path.parent.glob(f".{path.name}.*.partial"):
        pid = left.name.split(".")[-2]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(left, ignore_errors=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    shutil.rmtree(temporary, ignore_errors=True)  # of a killed one that had this number
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if path.exists():
            shutil.rmtree(path)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
