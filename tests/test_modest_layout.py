"""MODEST's layout and splits: what is read, what is refused, no source on both sides."""

import itertools

import pandas as pd
import pytest

from depthmask.config import Splits, SplitSizes
from depthmask.data.scenes.scene import SET_SPLITS
from depthmask.data.sources.modest import read_layout
from depthmask.data.sources.modest.layout import draw_sets
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
        "{0} {1} {2} {3}",
        "my data/{0}.jpeg\tmy data/{1}.jpeg\ta, b/{2}.jpeg\t{3} ",
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


THREE = "bg001\tbg001_fg001_01\tbg001_fg001_01_mask"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda x: [*x[:4], THREE, *x[5:], THREE], "2 of 13 lines of .* are wrong; first line 5: "),
        (lambda x: [*x[:4], f"{x[4]}\tbg001", *x[5:]], "cannot be read .* line 5"),
        (lambda x: [x[0].replace("01_mask", "02_mask"), *x[1:]], "1 of 12 .* first line 1: "),
        (lambda x: [x[0].replace("bg001\t", "bg002\t"), *x[1:]], "1 of 12 .* first line 1: "),
        (
            lambda x: [f"{x[0]}1", *x[1:]],
            "name a missing file, such as bg_fg_depth_map/bg001_f",
        ),
        (lambda x: x[:-2], "does not name 2 images, such as bg_fg/bg003_fg002_01.jpeg"),
        (lambda x: ["", ""], "does not name 12 images"),
        (lambda x: ["\udcff"], "cannot be read .*utf-8"),
    ],
)
def test_lines_that_name_no_composite_or_do_not_agree_with_the_images(folder, change, text):
    edit(folder, "file_map.txt", change)
    with pytest.raises(InputError, match=text):
        read_layout(folder)


WEIGHTS = SplitSizes(train=6, val=2, test=2)
SIZES = {"val": 9, "seen_seen": 24, "seen_unseen": 18, "unseen_seen": 18, "unseen_unseen": 6}
SIDES = {"train": ("train", "train"), **SET_SPLITS}


def draw(sizes=SIZES, seed=3) -> pd.DataFrame:
    numbers = itertools.product(range(10), range(10), range(4))
    table = pd.DataFrame(numbers, columns=["plate", "cutout", "position"])
    return draw_sets(table, Splits(plates=WEIGHTS, cutouts=WEIGHTS), sizes, seed)


def test_sets_are_of_their_sides_and_hold_plates_and_pairs_evenly():
    drawn = draw()
    assert drawn.equals(draw()) and not drawn.equals(draw(seed=4))
    counts = SIZES | {"train": 6 * 6 * 4 - SIZES["seen_seen"]}
    assert drawn["set"].value_counts().to_dict() == counts and drawn.index.is_unique
    for number, kind in enumerate(("plate", "cutout")):
        sides = drawn["set"].map({name: splits[number] for name, splits in SIDES.items()})
        assert (sides.groupby(drawn[kind]).nunique() == 1).all()
    for name, per_plate in (("seen_seen", 4), ("unseen_seen", 9), ("unseen_unseen", 3)):
        part = drawn[drawn["set"] == name]
        assert (part["plate"].value_counts() == per_plate).all()
        assert part.groupby(["plate", "cutout"]).size().max() <= 2
    for name, count, most in (("val", 17, 16), ("seen_seen", 144, 143)):
        with pytest.raises(InputError, match=f"{name} asks for {count} composites of {most}"):
            draw(SIZES | {name: count})
