"""MODEST's layout: what is read, and what is refused before an image is opened."""

import re

import pytest

from depthmask.data.sources.modest import read_layout
from depthmask.errors import InputError
from modest_folder import write_modest


@pytest.fixture
def folder(tmp_path):
    return write_modest(tmp_path / "data", num_plates=3, num_cutouts=2)


def edit(folder, name, change):
    path = folder / name
    lines = change(path.read_text().splitlines())
    path.write_text("".join(f"{line}\n" for line in lines), errors="surrogateescape")


def test_table_has_a_row_per_line_with_paths_and_numbers(folder):
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
def test_variants_of_a_line_read_the_same(folder, line):
    expected = read_layout(folder)
    edit(folder, "file_map.txt", lambda lines: [line.format(*old.split("\t")) for old in lines])
    assert read_layout(folder).equals(expected)


def test_other_suffixes_blank_lines_and_no_boxes(folder):
    for path in folder.glob("bg_fg_mask/*_mask.jpeg"):
        path.rename(path.with_name(path.name.replace("_mask.jpeg", ".jpg")))
    edit(folder, "file_map.txt", lambda lines: ["", *[x.replace("_mask", "") for x in lines], ""])
    (folder / "bbox.txt").unlink()
    assert read_layout(folder)["mask"].iloc[0] == "bg_fg_mask/bg001_fg001_01.jpg"


@pytest.mark.parametrize("name", ["bg", "bg_fg", "bg_fg_mask", "bg_fg_depth_map", "file_map.txt"])
def test_what_is_missing_is_named(folder, name):
    (folder / name).rename(folder / "elsewhere")
    with pytest.raises(InputError, match=f"{name}/? is missing"):
        read_layout(folder)
    with pytest.raises(InputError, match="nowhere is no folder"):
        read_layout(folder / "nowhere")


def test_missing_files_are_counted_and_the_first_line_named(folder):
    (folder / "bg_fg_depth_map/bg001_fg002_01_depth_map.jpeg").unlink()
    (folder / "bg_fg/bg001_fg002_02.jpeg").unlink()
    (folder / "bg_fg_mask/bg001_fg002_02_mask.jpeg").unlink()
    text = (
        f"2 of 12 lines of {folder}/file_map.txt name a missing file; the first: line 3,"
        " 'bg_fg_depth_map/bg001_fg002_01_depth_map'"
    )
    with pytest.raises(InputError, match=re.escape(text)) as error:
        read_layout(folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "line",
    [
        "bg001\tbg001_fg001_01\tbg001_fg001_01_mask",
        "bg001\tbg001_fg001_01\tbg001_fg001_01_mask\tbg001_fg001_01_depth_map\tbg001",
        "bg001\tbg001_person_01\tbg001_person_01_mask\tbg001_person_01_depth_map",
        "bg002\tbg001_fg001_01\tbg001_fg001_01_mask\tbg001_fg001_01_depth_map",
        "bg001\tbg001_fg001_01\tbg001_fg001_02_mask\tbg001_fg001_01_depth_map",
        "bg001\tbg001_fg001_01\tbg001_fg001_01_mask\tbg001_fg001_012_depth_map",
    ],
)
def test_lines_that_do_not_name_one_composite(folder, line):
    edit(folder, "file_map.txt", lambda lines: [*lines[:4], line, *lines[5:], line])
    with pytest.raises(InputError, match=r"2 of 13 lines .* cannot be read; the first: line 5, "):
        read_layout(folder)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda x: [*x, x[0], x[3]], "2 of 14 lines .* repeat a composite.*line 13"),
        (lambda x: x[:-2], "has 10 lines but there are 12 images in bg_fg/, such as bg003_fg002"),
        (lambda x: ["", ""], "file_map.txt is empty"),
        (lambda x: ["\udcff"], "file_map.txt is no text"),
    ],
)
def test_lines_that_do_not_agree_with_the_images(folder, change, text):
    edit(folder, "file_map.txt", change)
    with pytest.raises(InputError, match=text):
        read_layout(folder)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda x: [*x[:1], "bg001_fg001_02.jpeg\t1\t2\t3", *x[2:]], "1 of 12 .* line 2"),
        (lambda x: [*x[:1], "bg001_fg001_02.jpeg\t1\t-2\t3\t4", *x[2:]], "1 of 12 .* line 2"),
        (lambda x: [*x, x[0]], "1 have .* the first: bg001_fg001_01"),
        (lambda x: [*x, "bg009_fg001_01\t1\t2\t3\t4"], "1 have .* the first: bg009_fg001_01"),
        (lambda x: x[2:], "2 have none, .* the first: bg001_fg001_01"),
    ],
)
def test_boxes_that_do_not_agree(folder, change, text):
    edit(folder, "bbox.txt", change)
    with pytest.raises(InputError, match=text):
        read_layout(folder)
