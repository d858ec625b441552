"""No room and nobody on both sides of a split: asked of what training and testing will read.

Asked is that every name stands once, that every set's scenes show plates and people of its own
splits, and that no picture nearly equals one of another split, mirrored or not (see `duplicates`).
What `prepare` divides itself passes, photographs too: they are grouped by the same comparison. But
a folder in MODEST's layout may hold one room under two numbers, and prepared data may have been
edited.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from depthmask.data.scenes.files import read_summary, read_table
from depthmask.data.scenes.library import Library
from depthmask.data.scenes.scene import SET_SPLITS, SPLITS
from depthmask.errors import InputError

_REDO = "run `dvc repro --force prepare`"
_KINDS = ("plate", "cutout")
_RENDERED = ("in_scene", "nobody")


class SplitLeak(InputError):
    """Something stands on both sides of a split."""


class Sources(NamedTuple):
    """The plates or the cutouts of a data set, in one order.

    Attributes:
        kind: `plate` or `cutout`.
        names: str or int, as messages show them.
        splits: train, val or test.
        pictures: uint8, H x W x 3, or H x W x 4 with alpha; None where there is none to compare.
    """

    kind: str
    names: Sequence[str | int]
    splits: Sequence[str]
    pictures: Sequence[np.ndarray | None] | np.ndarray


def check_prepared(prepared: Path) -> None:
    """Refuse prepared data, as they lie on disk, if anything is on both sides of a split.

    Where scenes are image files (MODEST), one picture of each plate is compared, and one of each
    person, cut out of a composite.

    Raises:
        SplitLeak: one line: how many, the first of them, the remedy.
        InputError: the data are missing or damaged.
    """
    if read_summary(prepared)["source"] == "modest":
        _check_files(prepared)
    else:
        _check_library(prepared)


def refuse_leaks(sources: Sequence[Sources], remedy: str) -> None:
    """Refuse names that stand twice, and pictures of two splits that are nearly the same.

    Raises:
        SplitLeak: one line: how many, the first of them, the remedy.
    """
    # not above: OpenCV, which it needs, is not on every GPU machine
    from depthmask.data.scenes.duplicates import look_at, near_pairs

    for kind, names, splits, _ in sources:
        _refuse_twice(f"{kind}s", pd.Series(names), splits)
        strange = [n for n, split in zip(names, splits, strict=True) if split not in SPLITS]
        if strange:
            raise SplitLeak(
                f"{len(strange)} {kind}s are of no split; the first: {strange[0]}: {_REDO}"
            )
    leaks = []
    for kind, names, splits, pictures in sources:
        seen = [index for index, picture in enumerate(pictures) if picture is not None]
        looks = [look_at(pictures[index]) for index in seen]
        for pair in near_pairs(looks, [splits[index] for index in seen]):
            first, second = (
                f"{kind} {names[seen[i]]} of {splits[seen[i]]}" for i in (pair.first, pair.second)
            )
            differ = "are equal" if pair.equal else f"differ by {pair.bits} of 64 bits"
            leaks.append(f"{first} and {second} {differ}{', mirrored' if pair.mirrored else ''}")
    if leaks:
        pairs = "pair stands" if len(leaks) == 1 else "pairs stand"
        raise SplitLeak(
            f"{len(leaks)} {pairs} on both sides of a split; the first: {leaks[0]}: {remedy}"
        )


def _refuse_twice(what: str, names: pd.Series, where: Sequence[str]) -> None:
    twice = names.duplicated().to_numpy()
    if twice.any():
        name = names[twice].iloc[0]
        places = " and ".join(np.asarray(where)[(names == name).to_numpy()])
        raise SplitLeak(f"{twice.sum()} {what} stand twice; the first: {name} in {places}: {_REDO}")


def _check_library(prepared: Path) -> None:
    library = Library.read(prepared)
    tables = {"plate": library.plates, "cutout": library.cutouts}
    path = prepared / "placements.parquet"
    _refuse_strangers(path, read_table(path, ("set", *_KINDS)), tables)
    for name in _RENDERED:
        path = prepared / f"{name}.parquet"
        if path.exists():
            frames = read_table(path, ("plate",)).assign(set="unseen_unseen")
            _refuse_strangers(path, frames, tables)
    refuse_leaks(
        [
            Sources(kind, table["name"].tolist(), table["split"].tolist(), pictures)
            for (kind, table), pictures in zip(
                tables.items(), (library.images, library.rgba), strict=True
            )
        ],
        remedy=f"{_REDO}, and with another prepare.seed if it comes again",
    )


def _refuse_strangers(path: Path, scenes: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> None:
    """Refuse scenes of a set that show what is not of the set's splits."""
    if not scenes["set"].isin(SET_SPLITS).all():
        raise InputError(f"{path} is damaged (it names a set that is none): {_REDO}")
    for position, kind in enumerate(_KINDS):
        if kind not in scenes:
            continue
        table, index = tables[kind], scenes[kind].to_numpy()
        if index.min() < 0 or index.max() >= len(table):
            raise InputError(f"{path} is damaged (it names a {kind} that is none): {_REDO}")
        shown = table.iloc[index].reset_index(drop=True)
        wanted = np.array([SET_SPLITS[name][position] for name in scenes["set"]])
        wrong = np.flatnonzero(shown["split"].to_numpy() != wanted)
        if len(wrong):
            first = shown.iloc[wrong[0]]
            raise SplitLeak(
                f"{len(wrong)} of {len(scenes)} scenes in {path} show a {kind} of another split;"
                f" the first: {first['name']} of {first['split']}, where {wanted[wrong[0]]} is"
                f" meant: {_REDO}"
            )


def _check_files(prepared: Path) -> None:
    # not above: as in `refuse_leaks`
    from depthmask.data.sources.modest.portraits import pictures_of
    from depthmask.data.sources.modest.preparing import SAMPLES

    path = prepared / SAMPLES
    table = read_table(path, ("set", "plate", "cutout", "bg", "bg_fg", "mask"))
    sides = {"train": ("train", "train"), **SET_SPLITS}
    if not table["set"].isin(sides).all():
        raise InputError(f"{path} is damaged (it names a set that is none): {_REDO}")
    _refuse_twice("composites", table["bg_fg"], table["set"].tolist())
    folder = Path(read_summary(prepared)["folder"])
    sources = []
    for position, kind in enumerate(_KINDS):
        splits = table["set"].map(lambda name, at=position: sides[name][at])
        standing = table.assign(split=splits).drop_duplicates([kind, "split"])
        pictures = pictures_of(kind, folder, table)
        names, split = standing[kind].tolist(), standing["split"].tolist()
        sources.append(Sources(kind, names, split, [pictures[name] for name in names]))
    refuse_leaks(sources, remedy=f"remove one's lines from {folder / 'file_map.txt'}")
