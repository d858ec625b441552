"""The folder of photographs: made, listed, and what is wrong in it."""

import os
import shutil
import sys

import numpy as np
import pytest

from depthmask import cli
from depthmask.data.sources.photos.folder import Findings, init_photos, list_photos
from depthmask.errors import InputError
from photo_files import room_depth, save, texture, write_photos


@pytest.fixture
def folder(tmp_path):
    write_photos(tmp_path / "photos")
    return tmp_path / "photos"


def listed(folder) -> Findings:
    findings = Findings(folder, folder.parent / "findings.csv")
    list_photos(folder, findings)
    return findings


def test_the_folder_is_made_and_explained_once(tmp_path):
    folder = tmp_path / "data/mine"
    guide = folder / "README.md"
    assert init_photos(folder) == [folder, folder / "bg", folder / "fg", folder / "depth", guide]
    assert f"dvc add {folder.as_posix()}/bg" in guide.read_text()
    write_photos(folder)
    assert listed(folder).rows == []  # the guide is no picture
    guide.write_text("# Photographs for depthmask\nmy own notes")
    assert init_photos(folder) == [] and "my own notes" in guide.read_text()
    guide.unlink()
    assert init_photos(folder) == [guide]
    for name in ("bg", "fg"):
        shutil.rmtree(folder / name)
        with pytest.raises(InputError, match=f"has no folder {name}: .*depthmask init photos"):
            listed(folder)
        assert init_photos(folder) == [folder / name]
        with pytest.raises(InputError, match=f"{name} is empty: put pictures"):
            listed(folder)
        write_photos(folder)


def test_the_verb_of_the_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["depthmask", "init", "photos", "mine"])
    for text in ("made mine\n", "mine is prepared already\n"):
        with pytest.raises(SystemExit):
            cli.main()
        out, err = capsys.readouterr()
        assert out.startswith(text) and "Read mine/README.md" in out and err == ""
    save(tmp_path / "other/thesis.png", texture(0, (8, 8)))
    for name in ("other", "other/thesis.png"):
        with pytest.raises(InputError, match="name an? "):
            init_photos(tmp_path / name)
    assert len(list((tmp_path / "other").iterdir())) == 1


def test_what_is_not_read_is_said(folder):
    for name in ("notes.txt", ".DS_Store", "IMG_1.HEIC"):
        (folder / "bg" / name).write_bytes(b"")
    (folder / "bg/more").mkdir()
    save(folder / "fg/scan.jpg", texture(0, (64, 64)))
    save(folder / "depth/other.png", np.full((64, 80), 2000, np.uint16))
    assert sorted(row[:3] for row in listed(folder).rows) == [
        ("warning", "depth-without-plate", "depth/other.png"),
        ("warning", "folder", "bg/more"),
        ("warning", "format", "bg/IMG_1.HEIC"),
        ("warning", "format", "bg/notes.txt"),
        ("warning", "format", "fg/scan.jpg"),
    ]


def test_names_and_maps_that_cannot_be(folder):
    save(folder / "bg/room-0.jpg", texture(9, (64, 80)))
    np.save(folder / "depth/room-1.npy", room_depth((64, 80)))
    (folder / "depth/room-3.png").unlink()
    os.rename(folder / "fg/person-0.png", os.fsencode(folder) + b"/fg/\xff.png")
    rows = {row.file: row for row in listed(folder).rows}
    assert "has the same name as room-0.jpg" in rows["bg/room-0.png"].text
    assert "has the same name as room-1.npy" in rows["depth/room-1.png"].text
    assert "has no depth map, others have" in rows["bg/room-3.png"].text
    assert "is not UTF-8" in rows["fg/?.png"].text and len(rows) == 4


@pytest.mark.parametrize("name", ["bg", "fg", "depth"])
def test_what_dvc_keeps_elsewhere_is_called_back(folder, name):
    """Links of DVC's into a cache that is away, or a folder that was never checked out."""
    paths = sorted((folder / name).iterdir())
    for path in paths:
        path.unlink()
        path.symlink_to(folder.parent / "cache" / path.name)
    if name == "depth":
        links = [row.file for row in listed(folder).rows if row.code == "link"]
        assert links == [f"depth/{path.name}" for path in paths]
    else:
        with pytest.raises(InputError, match=f"{name}/.* a link to .*: run `dvc checkout`, or `dv"):
            listed(folder)
    (folder / name).rename(folder.parent / "elsewhere")
    (folder / f"{name}.dvc").write_text("outs: []")
    with pytest.raises(InputError, match=f"{name} is away: run `dvc checkout`, or `dvc pull`"):
        listed(folder)
