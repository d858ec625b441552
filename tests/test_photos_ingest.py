import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from depthmask.data.composition.compositor import Compositor
from depthmask.data.scenes.library import Library
from depthmask.data.scenes.placement import Placer, visible_shares
from depthmask.data.sources.photos import teacher as teachers
from depthmask.data.sources.photos.splits import assign_splits
from depthmask.errors import InputError
from photo_files import (
    WEIGHTS,
    ingest,
    params,
    person,
    room_depth,
    save,
    texture,
    write_photos,
    write_red_photos,
    write_teacher,
)
from synthetic import TINY


@pytest.fixture
def folder(tmp_path):
    write_photos(tmp_path / "photos")
    return tmp_path / "photos"


def findings(folder) -> pd.DataFrame:
    return pd.read_csv(folder.parent / "findings.csv", keep_default_na=False)


def refusal(folder, **changes) -> str:
    """The one line of the error."""
    with pytest.raises(InputError) as refused:
        ingest(folder, **changes)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_photographs_become_a_library(folder, tmp_path):
    source = ingest(folder)
    library = source.library
    assert source.unit == "metre"
    assert library.images.shape == (5, 48, 48, 3) and library.depths.shape == (5, 48, 48)
    assert library.stands.shape == (5, 64, 3)
    assert library.rgba.shape == (4, 48, 36, 4) and library.relief.shape == (4, 48, 36)
    assert library.plates.name.tolist() == [f"room-{number}" for number in range(5)]
    assert set(library.plates.split) == set(library.cutouts.split) == {"train", "val", "test"}
    np.testing.assert_allclose(library.plates.height_m, 1.6, atol=0.02)
    np.testing.assert_allclose(source.report.pitch_degrees, 3.0 * np.arange(5), atol=0.5)
    np.testing.assert_array_equal(library.cutouts.height_m, 1.7)
    expected = room_depth((64, 80), pitch_degrees=6.0)[:, 8:72]
    np.testing.assert_allclose(library.depths[2, 24, 24], expected[32, 32], rtol=0.05)
    library.write(tmp_path)
    again = Library.read(tmp_path)
    np.testing.assert_array_equal(again.depths, library.depths)


def test_the_same_folder_gives_the_same_library(folder):
    first, again, other = (ingest(folder, seed=seed).library for seed in (0, 0, 1))
    for name in ("images", "depths", "stands", "rgba"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    pd.testing.assert_frame_equal(first.plates, again.plates)
    pd.testing.assert_frame_equal(first.cutouts, again.cutouts)
    assert (first.stands != other.stands).any()


def test_people_are_composed_where_the_floor_is(folder):
    library = ingest(folder).library
    placer = Placer(library, visible_shares(library), TINY.placement)
    recipes = placer.draw(0, 0, range(64))
    scene = Compositor(library, TINY.compositor)(recipes, 48)
    shares = scene.mask.mean((1, 2, 3))
    assert 0.02 < shares.mean() < 0.15 and (shares > 0.003).all()
    foot_m = torch.as_tensor(library.stands[recipes.plate, recipes.stand, 2])
    person_m = (scene.depth * (scene.mask > 0.5)).sum((1, 2, 3)) / (scene.mask > 0.5).sum((1, 2, 3))
    assert ((person_m - foot_m).abs() < 0.35 * foot_m).all()


def test_the_heights_of_people_are_drawn_by_name(folder):
    heights = ingest(folder, person_height_m=[1.5, 1.9]).library.cutouts.height_m
    assert heights.between(1.5, 1.9).all() and heights.nunique() == 4
    (folder / "fg/person-0.png").unlink()
    fewer = ingest(folder, person_height_m=[1.5, 1.9]).library.cutouts.height_m
    assert fewer.tolist() == heights.tolist()[1:]
    with pytest.raises(ValueError, match="the shortest, then the tallest"):
        params(folder, person_height_m=[1.9, 1.5])


def test_relative_maps_are_nominal_metres(folder):
    for number in range(5):
        inverse = 1 / room_depth((64, 80), pitch_degrees=3.0 * number)
        share = (inverse - inverse.min()) / np.ptp(inverse)
        save(folder / f"depth/room-{number}.png", np.rint(255 * share).astype(np.uint8))
    source = ingest(folder)
    assert source.unit == "relative"
    assert (source.library.plates.height_m == 1.6).all()
    # the level one is the nominal camera's own: its metres come back
    expected = room_depth((64, 80))[:, 8:72][::4, ::4]
    np.testing.assert_allclose(source.library.depths[0][::3, ::3], expected, rtol=0.12)


def test_a_teacher_s_depth_is_asked_for_once(tmp_path, monkeypatch):
    folder = tmp_path / "photos"
    write_red_photos(folder)
    teacher = str(write_teacher(tmp_path / "teacher.onnx", scale=20.0, shift=3.0))
    first = ingest(folder, teacher=teacher)
    assert first.unit == "relative"
    np.testing.assert_allclose(first.library.depths[0, :24, 24], 6.0, rtol=0.08)  # the wall
    assert (first.report.floor_share > 0.25).all()

    def refuse(*_):
        raise AssertionError("the teacher was asked again")

    monkeypatch.setattr(teachers.Teacher, "_run", refuse)
    again = ingest(folder, teacher=teacher)
    np.testing.assert_array_equal(first.library.depths, again.library.depths)


def test_depth_maps_go_before_a_teacher(folder, tmp_path):
    source = ingest(folder, teacher=str(tmp_path / "not-even-there.onnx"))
    assert source.unit == "metre"
    assert findings(folder).code.tolist() == ["teacher"]


def test_without_depth_the_remedy_is_named(tmp_path):
    write_photos(tmp_path / "photos", depth=False)
    message = refusal(tmp_path / "photos")
    assert "tells no depth" in message and "prepare.photos.teacher" in message


def test_every_error_is_listed_and_the_first_one_named(folder, capsys):
    content = (folder / "bg/room-1.png").read_bytes()
    (folder / "bg/room-1.png").write_bytes(content[: len(content) // 2])
    save(folder / "bg/room-2.png", texture(2, (40, 90)))
    save(folder / "fg/person-0.png", person(0)[..., :3].copy())
    (folder / "depth/room-3.png").unlink()
    save(folder / "depth/room-4.png", np.full((64, 64), 2000, np.uint16))
    message = refusal(folder)
    assert "has 5 errors, the first: fg/person-0.png has no alpha channel" in message
    assert str(folder.parent / "findings.csv") in message
    table = findings(folder)
    assert table[["code", "file"]].apply(tuple, axis=1).tolist() == [
        ("cutout", "fg/person-0.png"),
        ("depth", "depth/room-4.png"),
        ("depth-missing", "bg/room-3.png"),
        ("plate", "bg/room-1.png"),
        ("plate", "bg/room-2.png"),
    ]
    assert (table.level == "error").all()
    shown = capsys.readouterr().err
    assert "5 errors" in shown and "bg/room-1.png" in shown and "cannot be read" in shown


def test_maps_of_two_units_are_refused(folder):
    grey = np.tile(np.arange(80, dtype=np.uint8), (64, 1))
    save(folder / "depth/room-2.png", grey)
    message = refusal(folder)
    assert "depth/room-2.png is relative (8 bits) while room-0.png is in metres" in message


def test_two_files_of_one_name_are_refused(folder):
    save(folder / "bg/room-0.jpg", texture(9, (64, 80)))
    np.save(folder / "depth/room-1.npy", room_depth((64, 80)))
    message = refusal(folder)
    assert "has 2 errors" in message and "room-0.png has the same name as room-0.jpg" in message


def test_what_is_not_read_is_said(folder):
    (folder / "bg/notes.txt").write_text("which room is which")
    (folder / "bg/.DS_Store").write_bytes(b"")
    (folder / "bg/IMG_1.HEIC").write_bytes(b"")
    (folder / "bg/more").mkdir()
    save(folder / "fg/scan.jpg", texture(0, (64, 64)))
    save(folder / "depth/other.png", np.full((64, 80), 2000, np.uint16))
    ingest(folder)
    table = findings(folder).set_index("code")
    assert table.loc["format"].file.tolist() == ["bg/IMG_1.HEIC", "fg/scan.jpg"]
    assert table.loc["folder"].file == "bg/more"
    assert table.loc["depth-without-plate"].file == "depth/other.png"
    assert table.loc["no-picture"].text == "1 files that are no pictures are ignored"
    assert len(table) == 5 and not (table.level == "error").any()


def test_a_file_whose_name_looks_like_markup_is_shown(folder, capsys):
    (folder / "bg/[red] [b].heic").write_bytes(b"")
    ingest(folder)
    assert "[red] [b]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("gone", "match"),
    [(".", "is no folder: prepare it"), ("bg", "has no folder bg"), ("fg", "has no folder fg")],
)
def test_a_missing_folder_names_init(folder, gone, match):
    shutil.rmtree(folder / gone)
    message = refusal(folder)
    assert match in message and "depthmask init photos" in message


@pytest.mark.parametrize("empty", ["bg", "fg"])
def test_an_empty_folder_is_refused(folder, empty):
    for path in (folder / empty).iterdir():
        path.unlink()
    assert f"{empty} is empty: put" in refusal(folder)


def test_a_plate_where_nobody_fits_is_an_error(folder):
    save(folder / "depth/room-0.png", np.full((64, 80), 200, np.uint16))
    assert "bg/room-0.png has no place where a person" in refusal(folder)
    assert "no-floor" in findings(folder).code.tolist()


def test_near_duplicates_share_a_split_and_are_reported(tmp_path):
    folder = tmp_path / "photos"
    write_photos(folder, num_plates=12, num_cutouts=6)
    brighter = np.clip(texture(0, (64, 80)) * 1.1, 0, 255).astype(np.uint8)[1:]
    Image.fromarray(brighter).save(folder / "bg/again.jpg", quality=80)
    save(folder / "bg/mirrored.png", np.ascontiguousarray(texture(0, (64, 80))[:, ::-1]))
    for name in ("again", "mirrored"):
        shutil.copy(folder / "depth/room-0.png", folder / f"depth/{name}.png")
    shutil.copy(folder / "fg/person-3.png", folder / "fg/twin.png")
    for seed in range(5):
        source = ingest(folder, seed=seed)
        plates, cutouts = (t.set_index("name").split for t in _tables(source))
        assert len({plates["again"], plates["mirrored"], plates["room-0"]}) == 1
        assert cutouts["twin"] == cutouts["person-3"]
    table = findings(folder)
    table = table[table.code == "near-duplicate"]
    assert table.file.tolist() == ["bg/mirrored.png", "bg/room-0.png", "fg/twin.png"]
    assert source.report.set_index("name").group["mirrored"] == "again"


def _tables(source):
    return source.library.plates, source.library.cutouts


def test_too_few_that_differ_are_refused(folder):
    for number in range(1, 5):
        shutil.copy(folder / "bg/room-0.png", folder / f"bg/room-{number}.png")
    assert "5 plates make 1 groups that differ" in refusal(folder)
    assert (findings(folder).code == "near-duplicate").sum() == 4


def test_splits_keep_groups_and_follow_the_weights():
    names = [f"picture-{number}" for number in range(120)]
    groups = np.arange(120) // 2 * 2
    weights = {"train": 200, "val": 20, "test": 20}
    splits = assign_splits(names, groups, weights, seed=0, kind="plates")
    assert pd.Series(splits).value_counts().to_dict() == {"train": 100, "val": 10, "test": 10}
    assert splits[::2] == splits[1::2]
    assert splits != assign_splits(names, groups, weights, seed=1, kind="plates")


@pytest.mark.parametrize("sizes", [(1, 1, 1), (9, 1, 1), (3, 3, 1), (1, 1, 5, 1)])
def test_every_split_has_a_group(sizes):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    names = [str(number) for number in range(len(groups))]
    splits = np.array(assign_splits(names, groups, WEIGHTS["plates"], seed=0, kind="plates"))
    assert set(splits) == {"train", "val", "test"}
    for number in range(len(sizes)):
        assert len(set(splits[groups == number])) == 1


def test_one_more_picture_moves_few_others():
    names = [f"picture-{number}" for number in range(100)]
    weights = {"train": 8, "val": 1, "test": 1}
    before = assign_splits(names, np.arange(100), weights, seed=0, kind="plates")
    after = assign_splits([*names, "new"], np.arange(101), weights, seed=0, kind="plates")
    assert sum(a != b for a, b in zip(before, after, strict=False)) <= 4
