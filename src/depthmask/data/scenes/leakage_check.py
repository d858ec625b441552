"""No room and nobody on both sides of a split: asked of what training and testing will read.

Every name stands once, every set's scenes show plates and people of its own splits, and no picture
nearly equals one of another split (see `duplicates`). What `prepare` divides itself passes; but a
folder in MODEST's layout may hold one room under two numbers, and prepared data may be edited.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from depthmask.data.scenes.duplicates import near_pairs
from depthmask.data.scenes.files import read_table
from depthmask.data.scenes.library import Library
from depthmask.data.scenes.scene import SET_SPLITS
from depthmask.errors import InputError

_REDO = "run `dvc repro --force prepare`"
_KINDS = ("plate", "cutout")


class SplitLeak(InputError):
    """Something stands on both sides of a split."""


class Sources(NamedTuple):
    """The plates or the cutouts of a data set: a table with columns name and split, and pictures
    in its order (see `near_pairs`), None where there is none, or [] not to compare any."""

    kind: str
    table: pd.DataFrame
    images: Sequence[np.ndarray | None] | np.ndarray


def check_library(prepared: Path, *, compare: bool) -> None:
    """Refuse a prepared library, as it lies on disk, if anything is on both sides of a split.

    Args:
        compare: look at the pictures too: rooms that were drawn at random cannot be the same.

    Raises:
        SplitLeak: one line: how many, the first of them, the remedy.
        InputError: the data are missing or damaged.
    """
    library = Library.read(prepared)
    tables = {"plate": library.plates, "cutout": library.cutouts}
    path = prepared / "placements.parquet"
    _refuse_strangers(path, read_table(path, ("set", *_KINDS)), tables)
    for name in ("in_scene", "nobody"):
        path = prepared / f"{name}.parquet"
        if path.exists():
            frames = read_table(path, ("plate",)).assign(set="unseen_unseen")
            _refuse_strangers(path, frames, tables)
    pictures = {"plate": library.images, "cutout": library.rgba}
    sources = [Sources(kind, tables[kind], pictures[kind] if compare else []) for kind in _KINDS]
    refuse_leaks(sources, f"{_REDO}, and with another prepare.seed if it comes again")


def check_files(
    path: Path, images: Mapping[str, Mapping[int, np.ndarray | None]], remedy: str
) -> None:
    """The same of scenes that are image files, listed in the table `path`.

    Args:
        images: of each kind, pictures by number.
        remedy: against pictures that stand on both sides.
    """
    table = read_table(path, ("set", *_KINDS, "bg_fg"))
    sides = {"train": ("train", "train"), **SET_SPLITS}
    _refuse_twice("composites", table["bg_fg"], table["set"])
    sources = []
    for position, kind in enumerate(_KINDS):
        splits = table["set"].map({name: pair[position] for name, pair in sides.items()})
        shown = pd.DataFrame({"name": table[kind], "split": splits}).drop_duplicates()
        sources.append(Sources(kind, shown, [images[kind][number] for number in shown["name"]]))
    refuse_leaks(sources, remedy)


def refuse_leaks(sources: Sequence[Sources], remedy: str) -> None:
    """Refuse names that stand twice, and pictures of two splits that are nearly the same.

    Raises:
        SplitLeak: one line: how many, the first of them, the remedy.
    """
    for kind, table, _ in sources:
        _refuse_twice(f"{kind}s", table["name"], table["split"])
    leaks = []
    for kind, table, images in sources:
        labels = [f"{kind} {name} of {split}" for name, split in table[["name", "split"]].values]
        seen = [(index, image) for index, image in enumerate(images) if image is not None]
        splits = [table["split"].iloc[index] for index, _ in seen]
        for pair in near_pairs([image for _, image in seen], splits):
            first, second = labels[seen[pair.first][0]], labels[seen[pair.second][0]]
            differ = f"differ by {pair.bits} of 64 bits" if pair.bits else "look the same"
            mirrored = ", mirrored" if pair.mirrored else ""
            leaks.append(f"{first} and {second} {differ}{mirrored}")
    if leaks:
        pairs = "pair stands" if len(leaks) == 1 else "pairs stand"
        raise SplitLeak(
            f"{len(leaks)} {pairs} on both sides of a split; the first: {leaks[0]}: {remedy}"
        )


def _refuse_twice(what: str, names: pd.Series, where: pd.Series) -> None:
    twice = names.duplicated()
    if twice.any():
        name = names[twice].iloc[0]
        places = " and ".join(where[names == name])
        raise SplitLeak(f"{twice.sum()} {what} stand twice; the first: {name} in {places}: {_REDO}")


def _refuse_strangers(path: Path, scenes: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> None:
    """Refuse scenes of a set that show what is not of the set's splits."""
    for position, kind in enumerate(_KINDS):
        if kind not in scenes:
            continue
        shown = tables[kind].iloc[scenes[kind]]
        wanted = scenes["set"].map({name: pair[position] for name, pair in SET_SPLITS.items()})
        wrong = np.flatnonzero(shown["split"].to_numpy() != wanted.to_numpy())
        if len(wrong):
            first, meant = shown.iloc[wrong[0]], wanted.iloc[wrong[0]]
            raise SplitLeak(
                f"{len(wrong)} of {len(scenes)} scenes in {path} show a {kind} of another split;"
                f" the first: {first['name']} of {first['split']}, where {meant} is meant: {_REDO}"
            )
