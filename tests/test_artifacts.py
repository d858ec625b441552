"""What stages hand each other: missing, damaged and misfit files are named."""

import json

import numpy as np
import pandas as pd
import pytest

from depthmask.data.scenes.files import read_array, read_json, read_table, read_text
from depthmask.errors import InputError


@pytest.mark.parametrize("read", [read_array, read_table, read_json, read_text])
def test_a_missing_file_is_named(read, tmp_path):
    with pytest.raises(InputError, match=r"gone\.npy is missing: run `dvc repro`"):
        read(tmp_path / "gone.npy")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"{", b"\x93NUMPY\x01\x00"])
@pytest.mark.parametrize("read", [read_array, read_table, read_json])
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
    with pytest.raises(InputError, match="it is 2 x 3, not any x 4"):
        read_array(path, shape=(None, 4))
    with pytest.raises(InputError, match="it is 2 x 3, not 2"):
        read_array(path, shape=(2,))


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_table_needs_its_columns_and_a_row(suffix, tmp_path):
    path = tmp_path / f"t.{suffix}"

    def write(table):
        getattr(table, f"to_{suffix}")(path, **({"index": False} if suffix == "csv" else {}))

    write(pd.DataFrame({"a": [1]}))
    assert read_table(path, ["a"])["a"].tolist() == [1]
    with pytest.raises(InputError, match="it lacks the column b"):
        read_table(path, ["a", "b"])
    write(pd.DataFrame({"a": []}))
    with pytest.raises(InputError, match="it has no rows"):
        read_table(path, ["a"])


@pytest.mark.parametrize(
    ("content", "words"),
    [([], "lacks unit"), ({}, "lacks unit"), (3, "lacks unit")],
)
def test_json_needs_its_keys(content, words, tmp_path):
    (tmp_path / "s.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=words):
        read_json(tmp_path / "s.json", ["unit"])
    if not isinstance(content, dict):
        with pytest.raises(InputError, match="it is no object"):
            read_json(tmp_path / "s.json")
