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
    """A source by its name, whose package is imported here; InputError if there is none."""
    if name not in NAMES:
        raise InputError(f"there is no source {name!r}: run `dvc repro --force`")
    return import_module(f"{__name__}.{name}").SOURCE


def read_source(prepared: Path) -> Source:
    """The source of prepared data; raises InputError if they are missing, damaged or of none."""
    return source_named(read_summary(prepared)["source"])
