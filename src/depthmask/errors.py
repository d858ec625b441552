"""What the user can mend: one line with the remedy, exit code 2. A fault of ours: a traceback."""

import errno
import io
import multiprocessing
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

_FULL = ("PytorchStreamWriter", "iostream error", "unexpected pos")  # torch's words for a full disk
_EXTRAS = {"av": "video"} | dict.fromkeys(("fastapi", "uvicorn", "prometheus_client"), "serve")
"""Of pyproject.toml, beside `pipeline`, by what is imported."""

_received: list[int] = []  # signals, of `_ENDS`
_ENDS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class InputError(ValueError):
    """Something that the user supplied is wrong; the message is one line and says what to do."""


class DeviceError(InputError):
    """The GPU failed; the message is as of an `InputError`."""


class TrainingDiverged(RuntimeError):
    """The loss is no longer a number; the message says when and what to change."""


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Turn an error meant for the user into one line on stderr and an exit code.

    2 after an `InputError` or an error about a path, space or memory; 1 after
    `TrainingDiverged`, 129 after SIGHUP, 130 after Ctrl-C, 141 where nobody reads stdout, 143 after
    SIGTERM. Any other error keeps its traceback and a note where to report it.
    """
    # closed by whoever started it: what is opened next would be written to as stderr
    while (free := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(free)
    sys.stdout, sys.stderr = (
        stream or open(os.devnull, "w")  # noqa: SIM115  # as long as the process
        for stream in (sys.stdout, sys.stderr)
    )
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that knows no δ is no reason to fail
            stream.reconfigure(errors="replace")
    # SIGTERM unwinds as Ctrl-C does: left to itself Python dies on the spot, half-written files
    # and workers stay, and Lightning leaves with exit code 0
    usual = (signal.SIG_DFL, signal.default_int_handler)
    before = {n: signal.signal(n, _leave) for n in _ENDS if signal.getsignal(n) in usual}
    if "DVC_STAGE" in os.environ:
        end_with_parent()
    try:
        yield
    except SystemExit as stop:
        if traceback.extract_tb(stop.__traceback__)[-1].name == "on_broken_pipe":
            raise SystemExit(141) from None  # Rich's, which has dropped what was left to write
        # Lightning makes an exit of Ctrl-C, Typer too, over another error, and of a broken pipe
        first = cause = stop.__context__
        while cause and not isinstance(cause, KeyboardInterrupt):
            cause = cause.__context__
        if cause := cause or (first if isinstance(first, BrokenPipeError) else None):
            _end(cause)
        raise
    except BaseException as error:
        _end(error)
    finally:
        for number, earlier in before.items():
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, earlier)
    _nobody_reads_stdout()


def _leave(number: int, _: object) -> NoReturn:
    _received.append(number)
    for each in _ENDS:
        signal.signal(each, signal.SIG_IGN)  # a second one would leave half-written files
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + number)


def _end(error: BaseException) -> NoReturn:
    if _received and not isinstance(error, KeyboardInterrupt):  # FFmpeg makes other errors of it
        if _received[0] != signal.SIGINT:
            raise SystemExit(128 + _received[0]) from None
        error = KeyboardInterrupt()
    if isinstance(error, BrokenPipeError) and _nobody_reads_stdout():
        raise SystemExit(141) from None
    code, line = 2, str(error)
    if isinstance(error, TrainingDiverged):
        code = 1
    elif isinstance(error, KeyboardInterrupt):
        code, line = 130, "interrupted"
    elif isinstance(error, MemoryError):
        line = "out of memory: lower the size or the count asked for"
    elif type(error).__name__ == "OutOfMemoryError":  # torch's, which takes seconds to import
        line = "the GPU's memory is full: lower the batch size, or free it of others"
    elif isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("depthmask"):
        extra = _EXTRAS.get(str(error.name), "pipeline")
        line = f"{error.name} is not installed: install depthmask with its extra `{extra}`"
    elif isinstance(error, RuntimeError) and any(words in line for words in _FULL):
        line = "a checkpoint cannot be written: make room on the disk"
    elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        line = f"{error.filename or 'the disk'}: {error.strerror}: make room"
    elif isinstance(error, OSError) and error.filename is not None:
        line = f"{error.filename}: {error.strerror}: mend the path or its rights"
    elif not isinstance(error, InputError):
        wish = "please report this with the traceback in the project's issue tracker"
        error.add_note(f"depthmask: this is no fault of yours: {wish}")
        raise error
    print(f"depthmask: {line}", file=sys.stderr)
    raise SystemExit(code) from None


def _nobody_reads_stdout() -> bool:
    """Whether its reader has gone, as `| head` does; what is left to write is then dropped."""
    stdout = sys.__stdout__  # Typer may have wrapped `sys.stdout`
    if stdout is None or not hasattr(select, "poll"):  # Windows has none
        return False
    poll = select.poll()
    poll.register(stdout, 0)  # errors alone
    if not poll.poll(0):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
    return True


def end_with_parent() -> None:
    """Send this process SIGTERM once its parent has ended: one that is killed ends no child."""
    started_by = multiprocessing.parent_process()
    parent = started_by.pid if started_by else os.getppid()
    above = _parent_of_torchrun()

    def wait() -> None:
        while os.getppid() == parent and _parent_of_torchrun() == above:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def _parent_of_torchrun() -> str | None:
    """The process above the one that started this one with others, and would not end by itself."""
    if "TORCHELASTIC_RUN_ID" not in os.environ or sys.platform != "linux":
        return None
    try:
        status = Path(f"/proc/{os.getppid()}/stat").read_text()
    except FileNotFoundError:
        return None
    return status.rpartition(")")[2].split()[1]
