"""MODEST's layout and splits: what is read, what is refused, no source on both sides."""

import itertools
import re

import numpy as np
import pandas as pd
import pytest

from depthmask.data.scenes.scene import COMPOSED_SETS, SET_SPLITS
from depthmask.data.sources.modest import read_layout
from depthmask.data.sources.modest.layout import draw_sets, split_sources
from depthmask.errors import InputError
from modest_folder import write_modest


@pytest.fixture
def folder(tmp_path):
    return write_modest(tmp_path / "data", num_plates=3, num_cutouts=2)


def edit(folder, name, change):
    path = folder / name
    lines = change(path.read_text().splitlines())
    path.write_text("".join(f"{line}\n" for line in lines), errors="surrogateescape")


@pytest.mark.parametrize(
    "line",
    [
        "{0},{1},{2},{3}",
        "{0}  {1}  {2}  {3}",
        "my data/{0}.jpeg, my data/{1}.jpeg, my data/{2}.jpeg, my data/{3}.jpeg",
        "./data/bg/{0}, ./data/bg_fg/{1}, ./data/bg_fg_mask/{2}, ./data/bg_fg_depth_map/{3}",
        "bg\\{0}\tbg_fg\\{1}\tbg_fg_mask\\{2}\tbg_fg_depth_map\\{3}\r",
    ],
)
def test_a_row_per_line_whose_variants_read_the_same(folder, line):
    table = read_layout(folder)
    assert len(table) == 3 * 2 * 2
    assert table.iloc[7].to_dict() == {
        "bg": "bg/bg002.jpeg",
        "bg_fg": "bg_fg/bg002_fg002_02.jpeg",
        "mask": "bg_fg_mask/bg002_fg002_02_mask.jpeg",
        "depth": "bg_fg_depth_map/bg002_fg002_02_depth_map.jpeg",
        "plate": 2,
        "cutout": 2,
    }
    edit(folder, "file_map.txt", lambda lines: [line.format(*old.split("\t")) for old in lines])
    assert read_layout(folder).equals(table)


def test_other_suffixes_and_blank_lines(folder):
    for path in folder.glob("bg_fg_mask/*_mask.jpeg"):
        path.rename(path.with_name(path.name.replace("_mask.jpeg", ".jpg")))
    edit(folder, "file_map.txt", lambda lines: ["", *[x.replace("_mask", "") for x in lines], ""])
    assert read_layout(folder)["mask"].iloc[0] == "bg_fg_mask/bg001_fg001_01.jpg"


@pytest.mark.parametrize("name", ["bg", "bg_fg", "bg_fg_mask", "bg_fg_depth_map", "file_map.txt"])
def test_what_is_missing_is_named(folder, name):
    (folder / name).rename(folder / "elsewhere")
    with pytest.raises(InputError, match=f"{name}/? is missing"):
        read_layout(folder)
    with pytest.raises(InputError, match="nowhere is no folder"):
        read_layout(folder / "nowhere")


UNREAD = r"2 of 13 lines .* cannot be read; the first: line 5, "
THREE = "bg001\tbg001_fg001_01\tbg001_fg001_01_mask"
OTHER_MASK = "bg001\tbg001_fg001_01\tbg001_fg001_02_mask\tbg001_fg001_01_depth_map"


def test_missing_files_are_counted_and_the_first_line_named(folder):
    (folder / "bg_fg_depth_map/bg001_fg002_01_depth_map.jpeg").unlink()
    (folder / "bg_fg/bg001_fg002_02.jpeg").unlink()
    (folder / "bg_fg_mask/bg001_fg002_02_mask.jpeg").unlink()
    text = (
        f"2 of 12 lines of {folder}/file_map.txt name a missing file; the first: line 3,"
        " 'bg_fg_depth_map/bg001_fg002_01_depth_map'"
    )
    with pytest.raises(InputError, match=re.escape(text)):
        read_layout(folder)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda x: [*x[:4], THREE, *x[5:], THREE], UNREAD),
        (lambda x: [*x[:4], f"{x[4]}\tbg001", *x[5:], f"{x[0]}\tbg001"], UNREAD),
        (lambda x: [*x[:4], f"bg002{x[0][5:]}", *x[5:], f"bg002{x[0][5:]}"], UNREAD),
        (lambda x: [*x[:4], OTHER_MASK, *x[5:], OTHER_MASK], UNREAD),
        (lambda x: [*x, x[0], x[3]], "2 of 14 lines .* repeat a composite.*line 13"),
        (lambda x: x[:-2], "has 10 lines but there are 12 images in bg_fg/, such as bg003_fg002"),
        (lambda x: ["", ""], "file_map.txt is empty"),
        (lambda x: ["\udcff"], "file_map.txt is no text"),
    ],
)
def test_lines_that_name_no_composite_or_do_not_agree_with_the_images(folder, change, text):
    edit(folder, "file_map.txt", change)
    with pytest.raises(InputError, match=text):
        read_layout(folder)


SIDES = {"train": ("train", "train"), **SET_SPLITS}
SIZES = {"val": 9, "seen_seen": 24, "seen_unseen": 18, "unseen_seen": 18, "unseen_unseen": 6}
COUNTS = {"train": 6, "val": 2, "test": 2}
SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}


def make_table(num_plates=10, num_cutouts=10, num_positions=4):
    numbers = itertools.product(range(num_plates), range(num_cutouts), range(num_positions))
    return pd.DataFrame(numbers, columns=["plate", "cutout", "position"])


@pytest.fixture(scope="module")
def split():
    return split_sources(make_table(), SHARES, SHARES, seed=1)


def test_every_source_has_one_split_of_the_size_asked_for(split):
    for column in ("plate", "cutout"):
        per_source = split.groupby(column)[f"{column}_split"].unique()
        assert per_source.map(len).eq(1).all()
        assert per_source.map(lambda names: names[0]).value_counts().to_dict() == COUNTS
    other = split_sources(make_table(), SHARES, SHARES, seed=2)
    assert not split["plate_split"].equals(other["plate_split"])
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
    assert len(sets["train"]) == 6 * 6 * 4 - SIZES["seen_seen"]
    for name, count, most in (("val", 17, 16), ("unseen_unseen", 0, 16), ("seen_seen", 144, 143)):
        with pytest.raises(InputError, match=f"{name} asks for {count} composites of {most}"):
            draw_sets(split, SIZES | {name: count}, seed=0)


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
