"""What the user can mend: one line, the remedy in it, exit code 2."""

import io
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


class InputError(ValueError):
    """Something that the user supplied is wrong; the message is one line and says what to do."""


class TrainingDiverged(RuntimeError):
    """The loss is no longer a number; the message says when and what to change."""


class MetricRefused(RuntimeError):
    """A metric under which the truth does not win; the message says what scored how much."""


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Turn an error meant for the user into one line on stderr and an exit code.

    Raises:
        SystemExit: 2 after an `InputError`, or where a path, a file or memory fails; 1 after a
            `TrainingDiverged` or a `MetricRefused`, 130 after Ctrl-C, 143 after SIGTERM.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that knows no δ is no reason to fail
            stream.reconfigure(errors="replace")
    try:
        with _sigterm_unwinds():
            yield
    except InputError as error:
        print(f"depthmask: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except (TrainingDiverged, MetricRefused) as error:
        print(f"depthmask: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(
            f"depthmask: {where}{error.strerror or error}: mend the path or its rights",
            file=sys.stderr,
        )
        raise SystemExit(2) from None
    except (EOFError, UnicodeDecodeError) as error:
        print(
            f"depthmask: a file is damaged ({error}): run `dvc repro --force` again",
            file=sys.stderr,
        )
        raise SystemExit(2) from None
    except MemoryError:
        print("depthmask: out of memory: lower the size or the count asked for", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        _say_interrupted()
    except SystemExit as stop:
        # Lightning turns Ctrl-C into an exit of its own
        if isinstance(stop.__context__, KeyboardInterrupt):
            _say_interrupted()
        raise


def _say_interrupted() -> NoReturn:
    print("depthmask: interrupted", file=sys.stderr)
    raise SystemExit(130) from None


@contextmanager
def _sigterm_unwinds() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does: what is half-written goes, and workers end.

    Left to itself Python dies on the spot, and Lightning leaves with exit code 0.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set a handler
        return

    def leave(number: int, _: object) -> NoReturn:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    if "DVC_STAGE" in os.environ:
        threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _end_with_parent(parent: int) -> None:
    """DVC, when it is killed itself, leaves its stage running: a rerun would be a second one."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
