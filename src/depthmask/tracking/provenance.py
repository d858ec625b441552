"""What a result came from: the commit, the data, the code, the parameters."""

import hashlib
import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import depthmask

# what decides a training's result; a checkpoint of other code is not resumed
TRAINING = ("data/composition", "data/scenes", "metrics", "models", "stages/train.py", "training")


def git_commit(folder: Path = Path(".")) -> str:
    """The checked-out commit, `-dirty` where code has changed; `unknown` outside git."""
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD") or "unknown"
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", "src")
    return f"{commit}-dirty" if changed else commit


def _git(folder: Path, *arguments: str) -> str:
    try:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.check_output(command, stderr=subprocess.DEVNULL, text=True).strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def code_hash(modules: Iterable[str]) -> str:
    """SHA-256 of files and folders of this package, by their paths in it, 16 hex digits."""
    package = Path(depthmask.__file__).parent
    digest = hashlib.sha256()
    for name in modules:
        path = package / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            place = file.relative_to(package).as_posix().encode()
            digest.update(place + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def run_key(**parts: Any) -> str:
    """A name for a run, 12 hex digits of the SHA-256 of its parts, which must be JSON values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]
