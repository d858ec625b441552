"""No room and nobody on both sides of a split: asked of what training and testing will read.

Every name stands once, every set's scenes show plates and people of its own splits, and no picture
nearly equals one of another split: a folder in MODEST's layout may hold one room twice.

A perceptual hash (Zauner 2010) finds candidates; as some of many agree by chance, the correlation
of the colours, which other light leaves alone, confirms. Of the tests' 250 rooms and 250 people
strangers with at most 16 differing bits correlate by up to 0.52; copies in other light, mirrored,
cropped by 2 %, halved or as JPEG of quality 30 differ by up to 16 bits and correlate by 0.98.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

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


class SplitLeak(InputError):
    """Something stands on both sides of a split."""


def check_library(prepared: Path, *, compare: bool) -> None:
    """Raise SplitLeak if anything of a prepared library is on both sides of a split.

    `compare` looks at the pictures too: rooms that were drawn at random cannot be the same.
    """
    library = Library.read(prepared)
    tables = {"plate": library.plates, "cutout": library.cutouts}
    unseen = dict.fromkeys(("in_scene", "nobody"), "unseen_unseen")
    for name, one_set in ({"placements": "", "rendered": "seen_seen"} | unseen).items():
        path = prepared / f"{name}.parquet"
        if name == "placements" or path.exists():
            scenes = read_table(path, ["plate"])
            sets = scenes.get("set", pd.Series(one_set, scenes.index))
            for kind in scenes.columns.intersection([*_KINDS]):
                shown, wanted = tables[kind].iloc[scenes[kind]], _splits(sets, kind).to_numpy()
                if len(wrong := shown[shown["split"] != wanted]):
                    raise SplitLeak(
                        f"{len(wrong)} of {len(scenes)} scenes in {path} show a {kind} of another"
                        f" split, such as {wrong['name'].iloc[0]}: {_REDO}"
                    )
    for kind, images in (("plate", library.images), ("cutout", library.rgba)):
        remedy = f"{_REDO}, and with another prepare.seed if it comes again"
        refuse_leaks(kind, tables[kind], images if compare else (), remedy)


def check_files(
    table: pd.DataFrame, images: Mapping[str, Mapping[int, np.ndarray | None]], remedy: str
) -> None:
    """The same of scenes that are image files, listed in a table with columns set, plate, cutout
    and bg_fg, with the pictures of each kind by number."""
    _refuse_twice("composites", table["bg_fg"], table["set"], remedy)
    for kind in _KINDS:
        sources = pd.DataFrame({"name": table[kind], "split": _splits(table["set"], kind)})
        sources = sources.drop_duplicates()
        refuse_leaks(kind, sources, [images[kind].get(name) for name in sources["name"]], remedy)


def refuse_leaks(
    kind: str, table: pd.DataFrame, images: Sequence[np.ndarray | None] | np.ndarray, remedy: str
) -> None:
    """Raise SplitLeak for names of a table (name, split) that stand twice, and for nearly equal
    pictures of two splits; None where there is no picture, or an empty list not to compare them."""
    _refuse_twice(f"{kind}s", table["name"], table["split"], remedy)
    seen, splits = [n for n, image in enumerate(images) if image is not None], table["split"].array
    near = near_pairs([np.asarray(images[n]) for n in seen])
    pairs = [(seen[a], seen[b]) for a, b in near if splits[seen[a]] != splits[seen[b]]]
    if pairs:
        first, second = (f"{kind} {table['name'].iloc[n]} of {splits[n]}" for n in pairs[0])
        raise SplitLeak(
            f"{len(pairs)} pairs of {kind}s stand on both sides of a split; the first: {first} and"
            f" {second} look the same: {remedy}"
        )


def _splits(sets: pd.Series, kind: str) -> pd.Series:
    """The split that a kind is of in each of the sets."""
    sides = {"train": ("train", "train"), **SET_SPLITS}
    return sets.map({name: pair[_KINDS.index(kind)] for name, pair in sides.items()})


def _refuse_twice(what: str, names: pd.Series, where: pd.Series, remedy: str) -> None:
    if (twice := names.duplicated()).any():
        name = names[twice].iloc[0]
        places = " and ".join(where[names == name])
        raise SplitLeak(f"{twice.sum()} {what} stand twice, such as {name} in {places}: {remedy}")


def near_pairs(images: Sequence[np.ndarray] | np.ndarray) -> list[tuple[int, int]]:
    """The pairs of indices, the lower first, of pictures that are nearly the same, mirror images
    included: uint8 H x W x 3, or H x W x 4 with alpha: people, wherever on the canvas."""
    if not len(images):
        return []
    plain = [_thumbnail(image) for image in images]
    signs, found = _hash_signs(plain), set()
    for one in (plain, [thumbnail[:, ::-1] for thumbnail in plain]):
        agreeing = _hash_signs(one) @ signs.T >= 64 - 2 * MOST_DIFFERENT_BITS
        for first, second in np.argwhere(np.triu(agreeing, 1)).tolist():
            if _correlation(one[first], plain[second]) >= LEAST_CORRELATION:
                found.add((first, second))
    return sorted(found)


def group(images: Sequence[np.ndarray]) -> np.ndarray:
    """Number the groups of nearly equal pictures, int64 [N]: each has its first member's index."""
    groups = np.arange(len(images))
    for pair in near_pairs(images):
        lower, upper = sorted(groups[[*pair]])
        groups[groups == upper] = lower
    return groups


def assign_splits(
    kind: str, names: Sequence[str], weights: Mapping[str, float], seed: int, groups: np.ndarray
) -> list[str]:
    """Divide sources among the splits, whole groups (equal numbers in `groups`) at a time, one at
    least, by a hash of seed and name, so that another picture moves few; weights have any sum."""
    members = [np.flatnonzero(groups == number) for number in np.unique(groups)]
    if len(members) < 3:
        raise InputError(
            f"{len(names)} {kind} make {len(members)} groups that differ, and train, val and test"
            f" need one each: add {kind}"
        )

    def order(rows: np.ndarray) -> tuple[int, bytes]:
        return len(rows), hashlib.sha256(f"{seed}/{kind}/{names[rows[0]]}".encode()).digest()

    queue, chosen = sorted(members, key=order), np.full(len(names), "train")
    for split in ("test", "val"):
        wanted, taken = round(len(names) * weights[split] / sum(weights.values())), 0
        while taken == 0 or (taken + len(queue[0]) <= wanted and len(queue) > 2):
            taken += len(queue[0])
            chosen[queue.pop(0)] = split
    return chosen.tolist()


def _thumbnail(image: np.ndarray) -> np.ndarray:
    """uint8, 32 x 32 x 3; of a person the box around them, on their own mean colour."""
    picture = Image.fromarray(np.ascontiguousarray(image))
    if picture.mode == "RGBA":
        alpha = picture.getchannel("A")
        mean = np.average(image[..., :3].reshape(-1, 3), 0, weights=image[..., 3].ravel())
        around = Image.new("RGBA", picture.size, (*np.rint(mean).astype(int).tolist(), 255))
        box = alpha.point(lambda value: 255 * (value > 127)).getbbox()
        picture = Image.alpha_composite(around, picture).convert("RGB").crop(box)
    return np.asarray(picture.resize((32, 32), Image.Resampling.LANCZOS))


def _hash_signs(thumbnails: Sequence[np.ndarray]) -> np.ndarray:
    """Perceptual hashes, int16 [N, 64] of -1 and 1."""
    import imagehash  # not above: a GPU machine that evaluates rendered rooms can do without

    hashes = [imagehash.phash(Image.fromarray(thumbnail)).hash for thumbnail in thumbnails]
    return 2 * np.stack(hashes).reshape(len(hashes), -1).astype(np.int16) - 1


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's of the colours with a gain and an offset for each; 0 where nothing varies, unless
    they are equal."""
    if np.array_equal(one, other):
        return 1.0
    one, other = (image - image.mean((0, 1)) for image in (one, other))
    most = (one.std((0, 1)) * other.std((0, 1))).mean()
    return float((one * other).mean() / most) if most > 0 else 0.0
