"""Errors end in one line and an exit code, and leave nothing half-written."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from depthmask.errors import InputError, MetricRefused, TrainingDiverged, exit_on_error

WRITER = """
import pathlib, time
from depthmask.errors import exit_on_error
from depthmask.data.scenes.files import replaced_folder
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
        (MetricRefused("it lies"), 1, "depthmask: it lies\n"),
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


def test_a_stage_ends_with_a_killed_dvc(tmp_path):
    """DVC runs a stage as its child and names it in DVC_STAGE."""
    told = tmp_path / "pid"
    stage = (
        "import os, pathlib, time\n"
        "from depthmask.errors import exit_on_error\n"
        "with exit_on_error():\n"
        f"    pathlib.Path({str(told)!r}).write_text(str(os.getpid()))\n"
        "    time.sleep(60)\n"
    )
    parent_code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {stage!r}])"
    parent = subprocess.Popen(
        [sys.executable, "-c", parent_code], env={**os.environ, "DVC_STAGE": "x"}
    )
    limit = time.monotonic() + 20
    while not (told.exists() and told.read_text()) and time.monotonic() < limit:
        time.sleep(0.05)
    pid = int(told.read_text())
    parent.kill()
    parent.wait()

    def alive() -> bool:
        return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE

    while alive() and time.monotonic() < limit:
        time.sleep(0.05)
    assert not alive()


def test_ctrl_c_stays_ctrl_c_where_a_library_makes_an_exit_of_it(capsys):
    with pytest.raises(SystemExit) as stop, exit_on_error():
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            sys.exit(1)  # as Lightning does
    assert stop.value.code == 130
    assert capsys.readouterr().err == "depthmask: interrupted\n"


def test_a_path_that_fails_is_named(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop, exit_on_error():
        (tmp_path / "none" / "file").read_text()
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert str(tmp_path) in message and message.count("\n") == 1
