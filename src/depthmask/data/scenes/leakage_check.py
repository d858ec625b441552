"""No room and nobody on both sides of a split: asked of what training and testing will read.

Every name stands once, every set's scenes show plates and people of its own splits, and no picture
nearly equals one of another split: a folder in MODEST's layout may hold one room twice.

A perceptual hash (Zauner 2010) finds candidates; as some of many agree by chance, the correlation
of the colours, which other light leaves alone, confirms. Of the tests' 250 rooms and 250 people
strangers with at most 16 differing bits correlate by up to 0.52; copies in other light, mirrored,
cropped by 2 %, halved or as JPEG of quality 30 differ by up to 16 bits and correlate by 0.98.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from depthmask.data.scenes.files import read_table
from depthmask.data.scenes.library import Library
from depthmask.data.scenes.scene import SET_SPLITS
from depthmask.errors import InputError

MOST_DIFFERENT_BITS = 16
LEAST_CORRELATION = 0.8

_REDO = "run `dvc repro --force prepare`"
_KINDS = ("plate", "cutout")

Sources = dict[str, tuple[pd.DataFrame, Sequence[np.ndarray | None] | np.ndarray]]
"""Of each kind a table with columns name and split, and pictures: None where there is none, or
an empty list not to compare them."""


class SplitLeak(InputError):
    """Something stands on both sides of a split."""


def check_library(prepared: Path, *, compare: bool) -> None:
    """Raise SplitLeak if anything of a prepared library is on both sides of a split.

    `compare` looks at the pictures too: rooms that were drawn at random cannot be the same.
    """
    library = Library.read(prepared)
    tables = {"plate": library.plates, "cutout": library.cutouts}
    for name, kinds in {"placements": _KINDS, "in_scene": _KINDS, "nobody": _KINDS[:1]}.items():
        path = prepared / f"{name}.parquet"
        if name == "placements" or path.exists():
            scenes = read_table(path, kinds)
            sets = scenes["set"] if "set" in scenes else pd.Series(["unseen_unseen"] * len(scenes))
            for kind in kinds:
                _refuse_strangers(path, kind, tables[kind].iloc[scenes[kind]], _splits(sets, kind))
    end = None if compare else 0
    pictures = {"plate": library.images[:end], "cutout": library.rgba[:end]}
    sources: Sources = {kind: (tables[kind], pictures[kind]) for kind in _KINDS}
    refuse_leaks(sources, f"{_REDO}, and with another prepare.seed if it comes again")


def check_files(
    path: Path, images: Mapping[str, Mapping[int, np.ndarray | None]], remedy: str
) -> None:
    """The same of scenes that are image files, listed in the table `path`, with the pictures of
    each kind by number."""
    table = read_table(path, ("set", *_KINDS, "bg_fg"))
    _refuse_twice("composites", table["bg_fg"], table["set"])
    sources: Sources = {}
    for kind in _KINDS:
        names = pd.DataFrame({"name": table[kind], "split": _splits(table["set"], kind)})
        names = names.drop_duplicates()
        sources[kind] = names, [images[kind][number] for number in names["name"]]
    refuse_leaks(sources, remedy)


def refuse_leaks(sources: Sources, remedy: str) -> None:
    """Raise SplitLeak for names that stand twice and equal pictures of two splits."""
    leaks = []
    for kind, (table, images) in sources.items():
        _refuse_twice(f"{kind}s", table["name"], table["split"])
        rows = zip(table["name"], table["split"], images, strict=False)
        seen = [row for row in rows if row[2] is not None]
        labels = [f"{kind} {name} of {split}" for name, split, _ in seen]
        for pair in near_pairs([row[2] for row in seen], [row[1] for row in seen]):
            differ = f"differ by {pair.bits} of 64 bits" if pair.bits else "look the same"
            mirrored = ", mirrored" if pair.mirrored else ""
            leaks.append(f"{labels[pair.first]} and {labels[pair.second]} {differ}{mirrored}")
    if leaks:
        what = f"{len(leaks)} {'pair stands' if len(leaks) == 1 else 'pairs stand'}"
        raise SplitLeak(f"{what} on both sides of a split; the first: {leaks[0]}: {remedy}")


def _splits(sets: pd.Series, kind: str) -> pd.Series:
    """The split that a kind is of in each of the sets."""
    sides = {"train": ("train", "train"), **SET_SPLITS}
    return sets.map({name: pair[_KINDS.index(kind)] for name, pair in sides.items()})


def _refuse_twice(what: str, names: pd.Series, where: pd.Series) -> None:
    twice = names.duplicated()
    if twice.any():
        name = names[twice].iloc[0]
        places = " and ".join(where[names == name])
        raise SplitLeak(f"{twice.sum()} {what} stand twice; the first: {name} in {places}: {_REDO}")


def _refuse_strangers(path: Path, kind: str, shown: pd.DataFrame, wanted: pd.Series) -> None:
    scenes = shown.assign(wanted=wanted.to_numpy())
    wrong = scenes[scenes["split"] != scenes["wanted"]]
    if len(wrong):
        name, split, meant = wrong[["name", "split", "wanted"]].iloc[0]
        raise SplitLeak(
            f"{len(wrong)} of {len(scenes)} scenes in {path} show a {kind} of another split;"
            f" the first: {name} of {split}, where {meant} is meant: {_REDO}"
        )


class NearPair(NamedTuple):
    """Two pictures that are nearly the same, by their indices; `bits` of 64 differ."""

    first: int
    second: int
    bits: int
    mirrored: bool


def near_pairs(images: Sequence[np.ndarray], splits: Sequence[str] | None = None) -> list[NearPair]:
    """Find the pairs that are nearly the same, mirror images included; the first index is lower.

    Images are uint8 H x W x 3, or H x W x 4 with alpha: people, wherever on the canvas. With
    `splits` pairs of one split are passed over.
    """
    if not len(images):
        return []
    plain = [_thumbnail(image) for image in images]
    mirrored = [thumbnail[:, ::-1] for thumbnail in plain]
    signs = _hash_signs(plain)
    differ = np.stack([(64 - _hash_signs(kind) @ signs.T) // 2 for kind in (plain, mirrored)])
    allowed = np.triu(np.ones(differ.shape[1:], bool), 1)
    if splits is not None:
        allowed &= np.not_equal.outer(splits, splits)
    found = []
    for first, second in np.argwhere(allowed & (differ.min(0) <= MOST_DIFFERENT_BITS)).tolist():
        flip = int(differ[:, first, second].argmin())
        one = (plain, mirrored)[flip][first]
        if np.array_equal(images[first], images[second]):  # of one colour, perhaps
            found.append(NearPair(first, second, 0, False))
        elif _correlation(one, plain[second]) >= LEAST_CORRELATION:
            found.append(NearPair(first, second, int(differ[flip, first, second]), bool(flip)))
    return found


def group(images: Sequence[np.ndarray]) -> np.ndarray:
    """Number the groups of nearly equal pictures, int64 [N]: each has its first member's index."""
    groups = np.arange(len(images))
    for pair in near_pairs(images):
        lower, upper = sorted((groups[pair.first], groups[pair.second]))
        groups[groups == upper] = lower
    return groups


def _thumbnail(image: np.ndarray) -> np.ndarray:
    """uint8, 32 x 32 x 3; of a person the box around them, on their own mean colour."""
    picture = Image.fromarray(np.ascontiguousarray(image[..., :3]))
    if image.shape[2] == 4:
        alpha = Image.fromarray(np.ascontiguousarray(image[..., 3]))
        shares = image[..., 3:] / max(float(image[..., 3].sum()), 1.0)
        red, green, blue = np.rint((image[..., :3] * shares).sum((0, 1))).astype(int).tolist()
        around = Image.new("RGB", picture.size, (red, green, blue))
        person = Image.composite(picture, around, alpha)
        picture = person.crop(alpha.point(lambda value: value > 127 and 255).getbbox())
    return np.asarray(picture.resize((32, 32), Image.Resampling.LANCZOS))


def _hash_signs(thumbnails: Sequence[np.ndarray]) -> np.ndarray:
    """Perceptual hashes, int16 [N, 64] of -1 and 1."""
    import imagehash  # not above: a GPU machine that evaluates rendered rooms can do without

    hashes = [imagehash.phash(Image.fromarray(thumbnail)).hash for thumbnail in thumbnails]
    return 2 * np.stack(hashes).reshape(len(hashes), -1).astype(np.int16) - 1


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's of the colours with a gain and an offset for each; 0 where nothing varies."""
    one, other = (image.reshape(-1, 3) - image.mean((0, 1)) for image in (one, other))
    most = float((np.linalg.norm(one, axis=0) * np.linalg.norm(other, axis=0)).sum())
    return float((one * other).sum()) / most if most > 0 else 0.0
