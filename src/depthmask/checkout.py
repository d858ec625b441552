"""Whose code a stage runs: that of the checkout, or copy of it, that DVC runs the stage in."""

import os
import sys
from pathlib import Path

SOURCE = Path("src")


def run_own_code() -> None:
    """Start the process anew with the current folder's code, if that is another's so far.

    The package is installed in editable mode, so `python -m depthmask…` finds the code of the
    checkout it was installed from. DVC hashes the code of the folder it works in, which for its
    queue is a copy made when the experiment was queued; without this an edit made since would be
    trained, and cached under the hash of the code before it. The same holds for a second clone.

    Does nothing outside a DVC stage, where the folder holds no `src/depthmask`, and on Windows,
    which cannot put one program in another's place.

    Raises:
        SystemExit: 2, after one line, if the folder's code cannot be put before the installed one.
    """
    package = SOURCE / "depthmask"
    if "DVC_STAGE" not in os.environ or os.name != "posix" or not package.is_dir():
        return
    if package.samefile(Path(__file__).parent):
        return
    source = str(SOURCE.resolve())
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if paths[:1] == [source]:
        print(
            f"depthmask: {package.resolve()} is shadowed by {Path(__file__).parent}: take that"
            " folder out of PYTHONPATH and of the environment's .pth files",
            file=sys.stderr,
        )
        raise SystemExit(2)
    os.environ["PYTHONPATH"] = os.pathsep.join([source, *paths])
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
