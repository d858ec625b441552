"""Plates and people into train, val and test; composites into sets that keep them apart.

Every composite belongs to one plate and one person, so a set of composites is a rectangle of the
table plates x people:

                    people: train           val       test
    plates: train   train, seen_seen        unused    seen_unseen
            val     unused                  val       unused
            test    unseen_seen             unused    unseen_unseen

Unused are the composites of a validation source with one of another split, which would show half of
the validation's sources: 102,000 of the original's 400,000 at shares 0.7, 0.15, 0.15.
"""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from depthmask.data.scenes.scene import SET_SPLITS, SPLITS
from depthmask.errors import InputError


def split_sources(
    table: pd.DataFrame, plates: Mapping[str, float], cutouts: Mapping[str, float], seed: int
) -> pd.DataFrame:
    """Add the columns `plate_split` and `cutout_split` to a table of `read_layout`.

    Shares of train, val and test add up to 1; InputError if they leave one empty.
    """
    split = table.copy()
    for kind, (column, shares) in enumerate((("plate", plates), ("cutout", cutouts))):
        numbers = np.sort(table[column].unique())
        shuffled = np.random.default_rng([seed, kind]).permutation(numbers)
        ends = np.rint(np.cumsum([shares[name] for name in SPLITS]) * len(numbers)).astype(int)
        counts = np.diff(ends, prepend=0)
        if min(counts) < 1:
            raise InputError(
                f"the {column} split {dict(shares)} leaves a split of {len(numbers)} {column}s"
                " empty: give each its own"
            )
        names = np.repeat(SPLITS, counts)
        split[f"{column}_split"] = split[column].map(dict(zip(shuffled, names, strict=True)))
    return split


def draw_sets(table: pd.DataFrame, sizes: Mapping[str, int], seed: int) -> dict[str, np.ndarray]:
    """Choose the composites of `train` and of the composed sets from a table of `split_sources`.

    A set of `sizes` holds plates and people evenly; `train` has what `seen_seen` leaves of their
    rectangle. Row numbers, rising, int64; InputError if there are too few composites for a set.
    """
    chosen: dict[str, np.ndarray] = {}
    for number, (name, (plate, cutout)) in enumerate(SET_SPLITS.items()):
        inside = (table["plate_split"] == plate) & (table["cutout_split"] == cutout)
        rows = _in_turns(table, np.flatnonzero(inside), np.random.default_rng([seed, number]))
        count = sizes[name]
        # what is left of seen_seen's rectangle is trained on: something must be
        available = len(rows) - (name == "seen_seen")
        if not 0 < count <= available:
            raise InputError(
                f"the set {name} asks for {count} composites of {available}: change its size or"
                " give the split more plates and people"
            )
        chosen[name] = np.sort(rows[:count])
        if name == "seen_seen":
            chosen["train"] = np.sort(rows[count:])
    return chosen


def _in_turns(table: pd.DataFrame, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Order composites so that any first few hold plates, people and their pairs evenly.

    The n-th pair is of plate n mod P and person n mod C; where that comes round to a pair that it
    had, people move on by one. A pair's second composite comes after every pair's first.
    """
    if len(rows) == 0:
        return rows
    shuffled = rng.permutation(rows)
    part = table.iloc[shuffled]
    plate, plates = pd.factorize(part["plate"])  # numbered as they appear, so at random
    cutout, cutouts = pd.factorize(part["cutout"])
    turn = part.groupby(["plate", "cutout"]).cumcount().to_numpy()
    number = np.arange(len(plates) * len(cutouts))
    rank = np.empty((len(plates), len(cutouts)), np.int64)
    round_ = number // math.lcm(*rank.shape)
    rank[number % len(plates), (number + round_) % len(cutouts)] = number
    return shuffled[np.lexsort((rank[plate, cutout], turn))]
