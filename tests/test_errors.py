"""Errors end in one line and an exit code, and leave nothing half-written."""

import signal
import subprocess
import sys

import pytest

from depthmask.errors import InputError, TrainingDiverged, exit_on_error

WRITER = """
import pathlib, time
from depthmask.errors import exit_on_error
from depthmask.output import replaced_folder
with exit_on_error(), replaced_folder(pathlib.Path("out")) as folder:
    (folder / "half").touch()
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("mend this"), 2, "depthmask: mend this\n"),
        (TrainingDiverged("lower that"), 1, "depthmask: lower that\n"),
        (KeyboardInterrupt(), 130, "depthmask: interrupted\n"),
    ],
)
def test_one_line_and_an_exit_code(error, code, line, capsys):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stopped, exit_on_error():
        raise error
    assert stopped.value.code == code
    assert capsys.readouterr() == ("", line)
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_sigterm_leaves_nothing_half_written(tmp_path, environment):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "writing\n"
    process.terminate()
    assert process.wait(timeout=30) == 143
    assert list(tmp_path.iterdir()) == []
