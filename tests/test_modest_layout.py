"""MODEST's layout: what is read, and what is refused before an image is opened."""

import re
import time

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
    path.write_text("".join(f"{line}\n" for line in lines))


def test_table_has_a_row_per_line_with_paths_and_numbers(folder):
    table = read_layout(folder)
    assert len(table) == 3 * 2 * 2
    row = table.iloc[7]
    assert row["bg"] == "bg/bg002.jpeg"
    assert row["bg_fg"] == "bg_fg/bg002_fg002_02.jpeg"
    assert row["mask"] == "bg_fg_mask/bg002_fg002_02_mask.jpeg"
    assert row["depth"] == "bg_fg_depth_map/bg002_fg002_02_depth_map.jpeg"
    assert (row["plate"], row["cutout"]) == (2, 2)


@pytest.mark.parametrize(
    "line",
    [
        "{0},{1},{2},{3}",
        "{0}  {1}  {2}  {3}",
        "my data/bg/{0}\tmy data/bg_fg/{1}\tmy data/bg_fg_mask/{2}\tmy data/bg_fg_depth_map/{3}",
        "my data/{0}.jpeg, my data/{1}.jpeg, my data/{2}.jpeg, my data/{3}.jpeg",
        "{0}.jpeg\t{1}.jpeg\t{2}.jpeg\t{3}.jpeg",
        "bg/{0}.jpeg\tbg_fg/{1}.jpeg\tbg_fg_mask/{2}.jpeg\tbg_fg_depth_map/{3}.jpeg",
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
    ids=["three", "five", "no person", "other plate", "other mask", "other depth"],
)
def test_lines_that_do_not_name_one_composite(folder, line):
    edit(folder, "file_map.txt", lambda lines: [*lines[:4], line, *lines[5:], line])
    with pytest.raises(InputError, match=r"2 of 13 lines .* cannot be read; the first: line 5, "):
        read_layout(folder)


def test_repeated_lines(folder):
    edit(folder, "file_map.txt", lambda lines: [*lines, lines[0], lines[3]])
    with pytest.raises(InputError, match=r"2 of 14 lines .* repeat a composite.*line 13"):
        read_layout(folder)


def test_images_without_a_line(folder):
    edit(folder, "file_map.txt", lambda lines: lines[:-2])
    with pytest.raises(
        InputError, match=r"has 10 lines but there are 12 images in bg_fg/, such as bg003_fg002_01"
    ):
        read_layout(folder)


@pytest.mark.parametrize(
    ("content", "text"), [(b"\n\n", "is empty"), (b"\xff\xfe\x00bg", "is no text")]
)
def test_a_file_map_without_lines(folder, content, text):
    (folder / "file_map.txt").write_bytes(content)
    with pytest.raises(InputError, match=f"file_map.txt {text}"):
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
    ids=["short", "negative", "repeated", "unknown", "missing"],
)
def test_boxes_that_do_not_agree(folder, change, text):
    edit(folder, "bbox.txt", change)
    with pytest.raises(InputError, match=text):
        read_layout(folder)


def test_many_lines_are_read_fast_and_no_image_is_opened(tmp_path):
    for name in ("bg", "bg_fg", "bg_fg_mask", "bg_fg_depth_map"):
        (tmp_path / name).mkdir()
    lines = []
    for number in range(4000):
        stem = f"bg{number % 10:03d}_fg{number % 100:03d}_{number // 100:02d}"
        (tmp_path / f"bg/bg{number % 10:03d}.jpeg").touch()
        (tmp_path / f"bg_fg/{stem}.jpeg").touch()
        (tmp_path / f"bg_fg_mask/{stem}_mask.jpeg").touch()
        (tmp_path / f"bg_fg_depth_map/{stem}_depth_map.jpeg").touch()
        lines.append(f"bg{number % 10:03d}\t{stem}\t{stem}_mask\t{stem}_depth_map\n")
    (tmp_path / "file_map.txt").write_text("".join(lines))
    start = time.process_time()
    table = read_layout(tmp_path)  # the files are empty
    # 400,000 lines within some 10 s; ten times that is allowed for a busy machine
    assert time.process_time() - start < 1.0
    assert table.groupby("plate").size().tolist() == [400] * 10
    assert table["cutout"].nunique() == 100
