"""A stage runs the code of the folder that DVC runs it in, whatever is installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import depthmask

PACKAGE = Path(depthmask.__file__).parent
PROBE = """
import sys
from depthmask.checkout import run_own_code
run_own_code()
import depthmask
print(depthmask.__file__, *sys.argv[1:])
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with a `src/depthmask` of its own."""
    package = tmp_path / "src" / "depthmask"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "checkout.py").write_text((PACKAGE / "checkout.py").read_text())
    return tmp_path


def probe(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess:
    inherited = {name: value for name, value in os.environ.items() if name != "DVC_STAGE"}
    return subprocess.run(
        [sys.executable, *options, "-c", PROBE, "an argument"],
        cwd=folder,
        env=inherited | {"PYTHONPATH": str(PACKAGE.parent)} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_stage_in_a_copy_runs_the_code_of_the_copy(copy: Path):
    done = probe(copy, DVC_STAGE="train@best")
    assert done.stdout.split("\n")[0] == f"{copy}/src/depthmask/__init__.py an argument"
    assert done.returncode == 0


def test_what_is_no_stage_runs_what_is_installed(copy: Path, tmp_path: Path):
    assert probe(copy).stdout.startswith(str(PACKAGE))
    (tmp_path / "elsewhere").mkdir()
    done = probe(tmp_path / "elsewhere", DVC_STAGE="train@best")
    assert done.stdout.startswith(str(PACKAGE))


def test_the_checkout_that_is_installed_starts_once():
    done = probe(PACKAGE.parents[1], "-v", DVC_STAGE="train@best")
    assert done.stdout.startswith(str(PACKAGE))
    assert done.stderr.count("import 'depthmask.checkout'") == 1


def test_code_that_cannot_come_first_is_an_error_and_no_loop(copy: Path):
    before = f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r})\n"
    done = subprocess.run(
        [sys.executable, "-c", before + PROBE],
        cwd=copy,
        env=os.environ | {"DVC_STAGE": "train@best", "PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "is shadowed by" in done.stderr
