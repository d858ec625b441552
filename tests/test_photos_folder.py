"""From a folder of photographs, made, listed and checked, to a library."""

import shutil
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from depthmask import cli
from depthmask.data.scenes.leakage_check import assign_splits, refuse_leaks
from depthmask.data.sources.photos.folder import init_photos, list_photos
from depthmask.data.sources.photos.pictures import Teacher
from depthmask.errors import InputError
from photo_files import ingest, person, room_depth, save, texture, write_photos, write_teacher


@pytest.fixture
def folder(tmp_path):
    write_photos(tmp_path / "photos")
    return tmp_path / "photos"


def listed(folder) -> list[str]:
    errors = []
    list_photos(folder, errors)
    return errors


def test_the_folder_is_made_and_explained_once(tmp_path):
    folder = tmp_path / "data/mine"
    guide = folder / "README.md"
    assert init_photos(folder) == guide
    assert {path.name for path in folder.iterdir()} == {"bg", "fg", "depth", guide.name}
    assert f"dvc add {folder.as_posix()}/bg" in guide.read_text()
    write_photos(folder)
    assert listed(folder) == []  # the guide is no picture
    guide.write_text("# Photographs for depthmask\nmy own notes")
    assert init_photos(folder) == guide and "my own notes" in guide.read_text()
    shutil.rmtree(folder / "fg")
    with pytest.raises(InputError, match="fg is missing: .*depthmask init photos"):
        listed(folder)
    init_photos(folder)
    with pytest.raises(InputError, match="fg is empty: put pictures"):
        listed(folder)


def test_the_verb_of_the_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["depthmask", "init", "photos", "mine"])
    with pytest.raises(SystemExit):
        cli.main()
    assert capsys.readouterr().out.startswith("Read mine/README.md")
    save(tmp_path / "other/thesis.png", texture(0, (8, 8)))
    with pytest.raises(InputError, match="name an empty folder"):
        init_photos(tmp_path / "other")


def test_names_and_maps_that_cannot_be_and_what_is_not_read(folder, capsys):
    for name in ("notes.txt", ".DS_Store", "IMG_1.HEIC", "sum.dvc"):
        (folder / "bg" / name).write_bytes(b"")
    (folder / "bg/more").mkdir()
    save(folder / "depth/other.png", np.full((64, 80), 2000, np.uint16))
    save(folder / "bg/room-0.jpg", texture(9, (64, 80)))
    np.save(folder / "depth/room-1.npy", room_depth((64, 80)))
    (folder / "depth/room-3.png").unlink()
    same_picture, same_map, no_map = listed(folder)
    assert "bg/room-0.png has the same name as room-0.jpg" in same_picture
    assert "depth/room-1.png has the same name as room-1.npy" in same_map
    assert "bg/room-3.png has no depth map, others have" in no_map
    warnings = capsys.readouterr().err.splitlines()
    ignored = ["bg/IMG_1.HEIC", "bg/more", "bg/notes.txt", "depth/other.png"]
    assert [line.split()[1] for line in warnings] == [str(folder / name) for name in ignored]


@pytest.mark.parametrize("name", ["bg", "fg", "depth"])
def test_what_dvc_keeps_elsewhere_is_called_back(folder, name):
    path = sorted((folder / name).iterdir())[0]
    path.unlink()
    path.symlink_to(folder.parent / "cache" / path.name)
    assert "is a link to a file that is away: run `dvc checkout`" in refusal(folder)
    (folder / name).rename(folder.parent / "elsewhere")
    (folder / f"{name}.dvc").write_text("outs: []")
    with pytest.raises(InputError, match=f"{name} is away: run `dvc checkout`, or `dvc pull`"):
        listed(folder)


def refusal(folder, **changes) -> str:
    with pytest.raises(InputError) as refused:
        ingest(folder, **changes)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_photographs_become_a_library(folder, tmp_path):
    library, unit = ingest(folder, teacher=str(tmp_path / "not-even-asked.onnx"))
    assert unit == "metre"
    assert library.images.shape == (5, 48, 48, 3) and library.stands.shape == (5, 64, 3)
    assert library.rgba.shape == (4, 48, 36, 4)
    assert library.plates.name.tolist() == [f"room-{number}" for number in range(5)]
    assert set(library.plates.split) == set(library.cutouts.split) == {"train", "val", "test"}
    np.testing.assert_allclose(library.plates.height_m, 1.6, atol=0.02)
    pitch = np.degrees(np.arctan2(-library.plates.up_z, -library.plates.up_y))
    np.testing.assert_allclose(pitch, 3.0 * np.arange(5), atol=0.5)
    np.testing.assert_array_equal(library.cutouts.height_m, 1.7)
    expected = room_depth((64, 80), pitch_degrees=6.0)[:, 8:72]
    np.testing.assert_allclose(library.depths[2, 24, 24], expected[32, 32], rtol=0.05)
    again = ingest(folder)[0]
    for name, values in vars(library).items():
        np.testing.assert_array_equal(values, getattr(again, name))


def test_the_heights_of_people_are_drawn_by_name(folder):
    heights = ingest(folder, person_height_m=[1.5, 1.9])[0].cutouts.height_m
    assert heights.between(1.5, 1.9).all() and heights.nunique() == 4
    (folder / "fg/person-0.png").unlink()
    fewer = ingest(folder, person_height_m=[1.5, 1.9])[0].cutouts.height_m
    assert fewer.tolist() == heights.tolist()[1:]


def test_relative_maps_are_nominal_metres(folder, capsys):
    for number in range(5):
        inverse = 1 / room_depth((64, 80), pitch_degrees=3.0 * number)
        share = (inverse - inverse.min()) / np.ptp(inverse)
        save(folder / f"depth/room-{number}.png", np.rint(255 * share).astype(np.uint8))
    library, unit = ingest(folder)
    assert unit == "relative" and np.allclose(library.plates.height_m, 1.6)
    # the level one is the nominal camera's own: its metres come back
    expected = room_depth((64, 80))[:, 8:72][::4, ::4]
    np.testing.assert_allclose(library.depths[0][::3, ::3], expected, rtol=0.12)
    for number in (2, 0, 1, 3, 4):
        save(folder / f"depth/room-{number}.png", np.full((64, 80), 200, np.uint16))
        if number == 2:
            assert "is relative (8 bits) and room-2.png in metres" in refusal(folder)
    assert "bg/room-0.png has no place where a person" in refusal(folder)
    assert "bg/room-0.png shows no floor" in capsys.readouterr().err


def test_a_teacher_s_depth_is_asked_for_once(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "photos"
    write_photos(folder, red=True)
    assert "prepare.photos.teacher" in refusal(folder)  # the remedy where nothing tells the depth
    teacher = str(write_teacher(tmp_path / "teacher.onnx", scale=20.0, shift=3.0))
    first, unit = ingest(folder, teacher=teacher)
    assert unit == "relative" and "shows no floor" not in capsys.readouterr().err
    np.testing.assert_allclose(first.depths[0, :24, 24], 6.0, rtol=0.08)  # the wall
    monkeypatch.setattr(Teacher, "ask", None)
    np.testing.assert_array_equal(first.depths, ingest(folder, teacher=teacher)[0].depths)


def test_every_error_is_listed_and_the_first_one_named(folder, capsys):
    content = (folder / "bg/room-1.png").read_bytes()
    (folder / "bg/room-1.png").write_bytes(content[: len(content) // 2])
    save(folder / "bg/room-2.png", texture(2, (40, 90)))
    save(folder / "fg/person-0.png", person(0)[..., :3].copy())
    (folder / "depth/room-3.png").unlink()
    save(folder / "depth/room-4.png", np.full((64, 64), 2000, np.uint16))
    files = ["bg/room-3.png", "bg/room-1.png", "bg/room-2.png", "depth/room-4.png"]
    message, named = refusal(folder), [str(folder / name) for name in (*files, "fg/person-0.png")]
    assert f"has errors: 5, listed above, such as: {named[0]} has no depth map" in message
    lines = [line.split() for line in capsys.readouterr().err.splitlines()]
    assert [line[1] for line in lines if line[0] == "error:"] == named


def test_near_duplicates_share_a_split_and_are_reported(tmp_path, capsys):
    folder = tmp_path / "photos"
    write_photos(folder, num_plates=12, num_cutouts=6)
    brighter = np.clip(texture(0, (64, 80)) * 1.1, 0, 255).astype(np.uint8)[1:]
    Image.fromarray(brighter).save(folder / "bg/again.jpg", quality=80)
    save(folder / "bg/mirrored.png", np.ascontiguousarray(texture(0, (64, 80))[:, ::-1]))
    for name in ("again", "mirrored"):
        shutil.copy(folder / "depth/room-0.png", folder / f"depth/{name}.png")
    shutil.copy(folder / "fg/person-3.png", folder / "fg/twin.png")
    for seed in range(2):
        library = ingest(folder, seed=seed)[0]
        plates, cutouts = (t.set_index("name").split for t in (library.plates, library.cutouts))
        assert len({plates["again"], plates["mirrored"], plates["room-0"]}) == 1
        assert cutouts["twin"] == cutouts["person-3"]
        refuse_leaks("plate", library.plates, library.images, "")
    told = [line.split()[1] for line in capsys.readouterr().err.splitlines() if "nearly" in line]
    files = ["bg/mirrored.png", "bg/room-0.png", "fg/twin.png"]
    assert told == 2 * [str(folder / name) for name in files]
    for number in range(12):
        shutil.copy(folder / "bg/mirrored.png", folder / f"bg/room-{number}.png")
    assert "14 plates make 1 groups that differ" in refusal(folder)
    assert capsys.readouterr().err.count("looks nearly like") >= 13


def test_splits_keep_groups_and_follow_the_weights():
    names = [f"picture-{number}" for number in range(120)]
    groups = np.arange(120) // 2 * 2
    weights = {"train": 200, "val": 20, "test": 20}
    splits = assign_splits("plates", names, weights, 0, groups)
    assert pd.Series(splits).value_counts().to_dict() == {"train": 100, "val": 10, "test": 10}
    assert splits[::2] == splits[1::2] != assign_splits("plates", names, weights, 1, groups)[::2]
    more = assign_splits("plates", [*names, "new"], weights, 0, np.append(groups, 120))
    assert sum(a != b for a, b in zip(splits, more, strict=False)) <= 4
    for sizes in ((1, 1, 1), (9, 1, 1), (1, 1, 5, 1)):  # every split has a group
        groups = np.repeat(np.arange(len(sizes)), sizes)
        splits = assign_splits("plates", names[: len(groups)], weights, 0, groups)
        assert set(splits) == {"train", "val", "test"}
        assert len(set(zip(groups, splits, strict=True))) == len(sizes)
