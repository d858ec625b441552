import sys

import pytest
import yaml

from depthmask import cli
from depthmask.config import PhotosParams
from depthmask.data.sources.photos.layout import init_photos
from depthmask.errors import InputError
from photo_files import ingest, write_photos


def listing(folder) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_the_folder_is_made_and_explained(tmp_path):
    folder = tmp_path / "data/mine"
    made = init_photos(folder)
    assert made == [folder, folder / "bg", folder / "fg", folder / "depth", folder / "README.md"]
    assert listing(folder) == ["README.md", "bg", "depth", "fg"]
    guide = (folder / "README.md").read_text()
    assert f"dvc add {folder.as_posix()}/bg" in guide
    assert "FOLDER" not in guide
    for word in ("HEIC", "teacher", "millimetres", "fov_degrees", "dvc repro"):
        assert word in guide


def test_its_parameters_are_those_that_are_read(tmp_path):
    init_photos(tmp_path / "mine")
    guide = (tmp_path / "mine/README.md").read_text()
    section = yaml.safe_load(guide[guide.index("    source: photos") : guide.index("The numbers")])
    assert section["source"] == "photos"
    assert PhotosParams.model_validate(section["photos"]).teacher_size == 518


def test_repeating_it_changes_nothing(tmp_path):
    init_photos(tmp_path)
    (tmp_path / "README.md").write_text("# Photographs for depthmask\nmy own notes")
    write_photos(tmp_path)
    assert init_photos(tmp_path) == []
    assert "my own notes" in (tmp_path / "README.md").read_text()
    (tmp_path / "README.md").unlink()
    (tmp_path / "depth").rename(tmp_path.parent / "elsewhere")
    assert init_photos(tmp_path) == [tmp_path / "depth", tmp_path / "README.md"]


def test_the_guide_is_no_picture(tmp_path):
    init_photos(tmp_path / "mine")
    write_photos(tmp_path / "mine")
    assert ingest(tmp_path / "mine").findings.rows == []


def test_somebody_else_s_folder_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(InputError, match="is not empty and no folder of photographs"):
        init_photos(tmp_path)
    assert listing(tmp_path) == ["thesis.tex"]
    with pytest.raises(InputError, match="thesis.tex is a file"):
        init_photos(tmp_path / "thesis.tex")


def test_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["depthmask", *arguments])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        return stopped.value.code or 0, *capsys.readouterr()

    code, out, err = run("init", "photos", "mine")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "made mine"
    assert "Read mine/README.md" in out
    code, out, err = run("init", "photos", "mine")
    assert code == 0 and "is prepared already" in out
    (tmp_path / "mine/README.md").unlink()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").write_text("")
    code, out, err = run("init", "photos", "other")
    assert (code, out) == (2, "") and err.count("\n") == 1
