"""What the user can mend: one line, the remedy in it, exit code 2."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Something that the user supplied is wrong; the message is one line and says what to do."""


class TrainingDiverged(RuntimeError):
    """The loss is no longer a number; the message says when and what to change."""


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Turn an error meant for the user into one line on stderr and an exit code.

    Raises:
        SystemExit: 2 after an `InputError`, 1 after a `TrainingDiverged`, 130 after Ctrl-C.
    """
    try:
        yield
    except InputError as error:
        print(f"depthmask: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except TrainingDiverged as error:
        print(f"depthmask: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("depthmask: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
