"""A repository of the working tree as it is, in a temporary folder, and commands run in it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
DVC = [sys.executable, "-m", "dvc"]


def clone_environment(folder: Path) -> dict[str, str]:
    """In which a clone runs its own code, with this interpreter."""
    environment = os.environ | {
        "PYTHONPATH": str(folder / "src"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DVC_NO_ANALYTICS": "1",
        "CI": "true",
        "OMP_NUM_THREADS": "1",  # more are slower on pictures this small, and beside other tests
    }
    environment.pop("MLFLOW_TRACKING_URI", None)
    return environment


def run(folder: Path, *command: str, code: int = 0) -> str:
    environment = clone_environment(folder)
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def stages_run(output: str) -> list[str]:
    marker = "Running stage '"
    return [
        line.partition(marker)[2].partition("'")[0]
        for line in output.splitlines()
        if line.startswith(marker)
    ]


def edit(folder: Path, change: Callable[[Any], None]) -> None:
    path = folder / "params.yaml"
    content = yaml.safe_load(path.read_text())
    change(content)
    path.write_text(yaml.safe_dump(content, sort_keys=False))


def clone_working_tree(folder: Path, change: Callable[[Any], None]) -> None:
    """Commit what git does not ignore, without `dvc.lock` and with `params.yaml` changed."""
    listed = run(ROOT, "git", "ls-files", "--cached", "--others", "--exclude-standard")
    for name in listed.splitlines():
        if not (ROOT / name).is_file() or name == "dvc.lock":
            continue
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    edit(folder, change)
    run(folder, "git", "init", "--quiet")
    run(folder, "git", "config", "user.email", "nobody@example.org")
    run(folder, "git", "config", "user.name", "nobody")
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", "clone")
