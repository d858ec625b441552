"""What stages hand each other: bad files are named, and no reader meets half a one."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

from depthmask.data.scenes import files
from depthmask.data.scenes.files import read_array, read_json, read_table, read_text, replaced_file
from depthmask.errors import InputError

READERS = [read_array, read_table, read_json, read_text]


@pytest.mark.parametrize("read", READERS)
def test_a_missing_file_and_a_dead_link_are_named(read, tmp_path):
    path = tmp_path / "gone.npy"
    with pytest.raises(InputError, match=r"gone\.npy is missing: run `dvc repro`"):
        read(path)
    path.symlink_to(tmp_path / "cache")
    with pytest.raises(InputError, match=r"gone\.npy is a link .*: run `dvc pull`"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"{", b"\x93NUMPY\x01\x00"])
@pytest.mark.parametrize("read", READERS[:3])
def test_a_damaged_file_is_named(read, content, tmp_path):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(InputError, match=r"file is damaged \(.+\): run `dvc repro --force`"):
        read(tmp_path / "file")


def test_an_array_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((2, 3), np.float64))
    assert read_array(path, np.float64, (None, 3)).shape == (2, 3)
    with pytest.raises(InputError, match="it holds float64, not float32"):
        read_array(path, np.float32)
    for shape, words in (((None, 4), "any x 4"), ((2,), "2")):
        with pytest.raises(InputError, match=f"it is 2 x 3, not {words}"):
            read_array(path, shape=shape)


@pytest.mark.parametrize("end", ["csv", "parquet"])
def test_a_table_needs_its_columns_and_a_row(end, tmp_path):
    path, write = tmp_path / f"t.{end}", getattr(pd.DataFrame, f"to_{end}")
    write(pd.DataFrame({"a": []}), path, index=False)
    with pytest.raises(InputError, match="it has no rows"):
        read_table(path, ["a"])
    write(pd.DataFrame({"a": [1]}), path, index=False)
    assert read_table(path, ["a"])["a"].tolist() == [1]
    with pytest.raises(InputError, match="it lacks the column b"):
        read_table(path, ["a", "b"])


def test_json_is_an_object_with_its_keys_and_content_hash_follows_arrays_alone(tmp_path):
    hashes = []
    for text, number, words in (("{}", 3, "lacks unit"), ("[]", 3, "it is no object"), ("", 4, "")):
        (tmp_path / "s.json").write_text(text)
        with pytest.raises(InputError, match=words):
            read_json(tmp_path / "s.json", ["unit"])
        np.save(tmp_path / "a.npy", np.full(3, number))
        hashes.append(files.content_hash(tmp_path))
    assert hashes[0] == hashes[1] != hashes[2]


def test_writers_at_a_time_leave_one_whole_file(tmp_path):
    path = tmp_path / "deep" / "file.txt"

    def write(number: int) -> None:
        with replaced_file(path) as temporary:
            temporary.write_text(f"{number % 10}" * 5000)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(400)))
    assert path.read_text() in {f"{number}" * 5000 for number in range(10)}
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_what_was_there_and_a_killed_one_s_rest_goes(tmp_path):
    path, out = tmp_path / "file.txt", tmp_path / "out"
    (tmp_path / ".out.partial/rest").mkdir(parents=True)
    for text in ("old", "half"):
        try:
            with replaced_file(path) as file, files.replaced_folder(out) as folder:
                file.write_text(text)
                (folder / text).touch()
                assert text == "old"
        except AssertionError:
            pass
    assert path.read_text() == "old" and [item.name for item in out.iterdir()] == ["old"]
    with files.replaced_folder(out) as folder:
        (folder / "new").touch()
    assert [item.name for item in out.iterdir()] == ["new"]
    assert sorted(item.name for item in tmp_path.iterdir()) == ["file.txt", "out"]
