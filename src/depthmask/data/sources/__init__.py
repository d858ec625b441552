"""Where scenes come from: a package each, whose `SOURCE` is a `data.composition.source.Source`."""

from importlib import import_module
from pathlib import Path
from typing import get_args

from depthmask.config import PrepareParams
from depthmask.data.composition.source import Source
from depthmask.data.scenes.files import read_summary
from depthmask.errors import InputError

NAMES: tuple[str, ...] = get_args(PrepareParams.model_fields["source"].annotation)


def source_named(name: str) -> Source:
    """The source that `prepare.source` names; its package is imported here, what it needs too."""
    return import_module(f"{__name__}.{name}").SOURCE


def read_source(prepared: Path) -> Source:
    """The source of prepared data; raises InputError if they are missing, damaged or of none."""
    name = read_summary(prepared)["source"]
    if name not in NAMES:
        raise InputError(f"{prepared} is of no source that there is: run `dvc repro --force`")
    return source_named(name)
