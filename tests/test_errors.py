"""Errors end in one line and an exit code, and leave nothing half-written."""

import os
import signal
import subprocess
import sys

import psutil
import pytest
import torch

from depthmask.errors import InputError, TrainingDiverged, exit_on_error

WRITER = """
import os, tempfile, time
from depthmask.errors import exit_on_error
with exit_on_error(), tempfile.TemporaryDirectory(dir="."):
    try:
        print(os.getpid(), flush=True)
        time.sleep(60)
    finally:
        print("clearing", flush=True)
        time.sleep(0.5)
"""


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("mend this"), 2, "mend this"),
        (TrainingDiverged("lower that"), 1, "lower that"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 2, "out of memory: lower the size or the count asked for"),
        (FileNotFoundError(2, "No such file", "a/b"), 2, "a/b: No such file: mend the path or its"),
        (PermissionError(13, "Denied", "a"), 2, "a: Denied: mend the path or its rights"),
        (OSError(28, "No space left on device"), 2, "the disk: No space left on device: make room"),
        (RuntimeError("unexpected pos 64 vs 0"), 2, "a checkpoint cannot be written: make room"),
        (
            torch.OutOfMemoryError("of 80 GiB"),
            2,
            "the GPU's memory is full: lower the batch",
        ),
    ],
)
def test_one_line_and_an_exit_code(error, code, line, capsys):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stopped, exit_on_error():
        raise error
    assert stopped.value.code == code
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"depthmask: {line}") and err.count("\n") == 1
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("error", [BrokenPipeError(32, "x"), OSError("no F"), KeyError("lr")])
def test_a_fault_of_ours_keeps_its_traceback_and_says_where_to_report_it(error, capsys):
    with pytest.raises(type(error)) as kept, exit_on_error():
        raise error
    assert kept.value is error
    assert "please report this with the traceback" in error.__notes__[0]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("say", ["print", "Console().print"])
@pytest.mark.parametrize("count", [1, 100_000], ids=["at the end", "on the way"])
def test_it_ends_quietly_where_nobody_reads_on(environment, count, say):
    code = "from depthmask.errors import *\nfrom rich.console import Console\n"
    code += f"with exit_on_error(): {say}('x\\n' * {count})"
    reader, writer = os.pipe()
    os.close(reader)
    options = {"env": environment | {"PYTHONUNBUFFERED": ""}, "stderr": subprocess.PIPE}
    done = subprocess.run([sys.executable, "-c", code], stdout=writer, **options)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0 if count == 1 and say == "print" else 141, b"")


@pytest.mark.parametrize(
    ("number", "code", "err"),
    [
        (signal.SIGTERM, 143, b""),
        (signal.SIGHUP, 129, b""),
        (signal.SIGINT, 130, b"depthmask: interrupted\n"),
    ],
)
def test_a_signal_leaves_nothing_half_written(tmp_path, environment, number, code, err):
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER],
        cwd=tmp_path,
        env=environment,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # nohup has it ignored
        **options,
    )
    assert int(process.stdout.readline()) == process.pid
    process.send_signal(number)
    assert process.stdout.readline() == b"clearing\n"
    process.send_signal(number)  # a hasty user's, or a terminal's, second
    _, told = process.communicate(timeout=30)
    assert (process.returncode, told) == (code, err)
    assert list(tmp_path.iterdir()) == []


def test_streams_that_are_closed_are_no_reason_to_fail(environment):
    code = "import sys\nfrom depthmask.errors import *\nfrom depthmask.data.work import progress\n"
    code += "with exit_on_error(), progress(2, 'x') as advance: advance(2); print(1)"
    shell = ["sh", "-c", '"$0" -c "$1" <&- >&- 2>&-', sys.executable, code]
    assert subprocess.run(shell, env=environment).returncode == 0


def test_a_stage_ends_with_a_killed_dvc(tmp_path, environment):
    """DVC runs a stage as its child and names it in DVC_STAGE."""
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {WRITER!r}])"
    options = {"cwd": tmp_path, "env": environment | {"DVC_STAGE": "x"}}
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, **options)
    process = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    process.wait(timeout=20)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), BrokenPipeError(32, "of a worker")])
def test_what_a_library_makes_an_exit_of_stays_what_it_is(error):
    with pytest.raises((SystemExit, BrokenPipeError)) as stop, exit_on_error():
        try:
            raise error
        except KeyboardInterrupt:
            try:
                raise RuntimeError
            except RuntimeError:
                sys.exit(1)  # as Typer does
        except BrokenPipeError:
            sys.exit(1)  # as Typer does
    assert stop.value is error or stop.value.code == 130
