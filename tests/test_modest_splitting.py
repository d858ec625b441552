"""Splits by plate and person: no source on both sides, everybody in turn."""

import itertools

import numpy as np
import pandas as pd
import pytest

from depthmask.data.scenes.scene import COMPOSED_SETS
from depthmask.data.sources.modest.splitting import draw_sets, split_sources
from depthmask.errors import InputError

SIDES = {"train": ("train", "train"), "val": ("val", "val"), "seen_seen": ("train", "train")}
SIDES |= {"seen_unseen": ("train", "test"), "unseen_seen": ("test", "train")}
SIDES |= {"unseen_unseen": ("test", "test")}
SIZES = {"val": 9, "seen_seen": 24, "seen_unseen": 18, "unseen_seen": 18, "unseen_unseen": 6}
COUNTS = {"train": 6, "val": 2, "test": 2}
SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}


def make_table(num_plates=10, num_cutouts=10, num_positions=4):
    pairs = itertools.product(range(1, num_plates + 1), range(1, num_cutouts + 1))
    rows = [pair for pair in pairs for _ in range(num_positions)]
    return pd.DataFrame(rows, columns=["plate", "cutout"])


@pytest.fixture(scope="module")
def split():
    return split_sources(make_table(), SHARES, SHARES, seed=1)


def test_every_source_has_one_split_of_the_size_asked_for(split):
    for column in ("plate", "cutout"):
        per_source = split.groupby(column)[f"{column}_split"].unique()
        assert per_source.map(len).eq(1).all()
        assert per_source.map(lambda names: names[0]).value_counts().to_dict() == COUNTS
    plates, people = (split.groupby(x)[f"{x}_split"].first().tolist() for x in ("plate", "cutout"))
    other = split_sources(make_table(), SHARES, SHARES, seed=2).groupby("plate")["plate_split"]
    assert plates != people and plates != other.first().tolist()
    with pytest.raises(InputError, match="leaves a split of 3 plates empty"):
        split_sources(make_table(num_plates=3), SHARES, SHARES, seed=0)


def test_sets_lie_in_their_rectangles_and_share_nothing(split):
    sets = draw_sets(split, SIZES, seed=3)
    again, other = draw_sets(split, SIZES, seed=3), draw_sets(split, SIZES, seed=4)
    assert set(sets) == set(SIDES) and sets["val"].tolist() != other["val"].tolist()
    for name, rows in sets.items():
        plate, cutout = SIDES[name]
        assert set(split["plate_split"].iloc[rows]) == {plate}
        assert set(split["cutout_split"].iloc[rows]) == {cutout}
        assert (np.diff(rows) > 0).all() and np.array_equal(rows, again[name])
        if name != "train":
            assert len(rows) == SIZES[name]
    together = np.concatenate(list(sets.values()))
    assert len(set(together)) == len(together)
    # what is left of the rectangle of plates and people that training sees
    assert len(sets["train"]) == 6 * 6 * 4 - SIZES["seen_seen"]


def test_a_small_set_holds_sources_and_pairs_evenly():
    table = make_table(20, 50, 3)
    shares = {"train": 0.2, "val": 0.05, "test": 0.75}, {"train": 0.8, "val": 0.02, "test": 0.18}
    split = split_sources(table, *shares, seed=0)
    sizes = dict.fromkeys(COMPOSED_SETS, 3) | {"unseen_seen": 120, "seen_seen": 80}
    sets = draw_sets(split, sizes, seed=0)
    for name, plates, people in (("unseen_seen", 15, 40), ("seen_seen", 4, 40)):
        part = split.iloc[sets[name]]
        assert part.groupby("plate").size().tolist() == [sizes[name] // plates] * plates
        per_person = part.groupby("cutout").size()
        assert len(per_person) == people and per_person.max() - per_person.min() <= 1
        assert part.groupby(["plate", "cutout"]).size().max() == 1


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"val": 17}, "val asks for 17 composites of 16"),
        ({"unseen_unseen": 0}, "unseen_unseen asks for 0 composites of 16"),
        ({"seen_seen": 144}, "seen_seen asks for 144 composites of 143"),
    ],
)
def test_more_than_there_is(split, change, text):
    with pytest.raises(InputError, match=text):
        draw_sets(split, SIZES | change, seed=0)
