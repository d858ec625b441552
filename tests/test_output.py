import os
import subprocess
import sys

import pytest

from depthmask.data.scenes.files import replaced_file, replaced_folder


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    with replaced_file(path) as temporary:
        temporary.write_text("old")
    with pytest.raises(RuntimeError), replaced_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [item.name for item in path.parent.iterdir()] == ["file.txt"]


def test_a_failed_folder_leaves_the_old_one(tmp_path):
    path = tmp_path / "out"
    with replaced_folder(path) as temporary:
        (temporary / "a").write_text("old")
    with pytest.raises(RuntimeError), replaced_folder(path) as temporary:
        (temporary / "a").write_text("half")
        raise RuntimeError
    assert (path / "a").read_text() == "old"
    with replaced_folder(path) as temporary:
        (temporary / "b").write_text("new")
    assert [item.name for item in path.iterdir()] == ["b"]
    assert [item.name for item in tmp_path.iterdir()] == ["out"]


def test_what_a_killed_process_left_goes_and_a_living_one_s_stays(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    dead, alive = (tmp_path / f".out.{pid}.x.partial" for pid in (child.pid, os.getpid()))
    dead.mkdir()
    alive.mkdir()
    with replaced_folder(tmp_path / "out"):
        pass
    assert not dead.exists() and alive.exists()
