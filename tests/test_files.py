"""What stages hand each other: bad files are named, and no reader meets half a one."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from depthmask.data.scenes import files
from depthmask.data.scenes.files import read_array, read_json, read_table, read_text, replaced_file
from depthmask.data.scenes.images import encode_depth, encode_mask, read_rgb, read_rgba
from depthmask.errors import InputError
from photo_files import save

BYTES = np.random.default_rng(0).integers(0, 256, (64, 64, 4), dtype=np.uint8)
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
    with pytest.raises(IsADirectoryError):  # to be mended by other means than hours of work
        read_text(tmp_path)


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


def test_json_is_an_object_with_its_keys_and_content_hash_follows_arrays_and_json(tmp_path):
    hashes, path = [], tmp_path / "s.json"
    for text, number in (("{}", 3), ("{}", 3), ("[]", 3), ("", 3), ("", 4)):
        path.write_text(text)
        words = {"{}": "lacks unit", "[]": "it is no object", "": "damaged"}[text]
        with pytest.raises(InputError, match=words):
            read_json(path, ["unit"])
        np.save(tmp_path / "a.npy", np.full(3, number))
        hashes.append(files.content_hash(tmp_path))
    assert hashes[0] == hashes[1] and len(set(hashes)) == 4


def test_writers_at_a_time_leave_one_whole_file(tmp_path):
    path = tmp_path / "deep" / "file.txt"

    def write(number: int) -> None:
        with replaced_file(path) as temporary:
            temporary.write_text(f"{number % 10}" * 5000)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(400)))
    assert path.read_text() in {f"{number}" * 5000 for number in range(10)}
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_what_was_there_and_what_a_killed_one_left_goes(tmp_path):
    path, out = tmp_path / "file.txt", tmp_path / "out"
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    dead, other = (tmp_path / f".out.{pid}.partial" for pid in (child.pid, os.getppid()))
    for left in (dead, other):
        left.mkdir()
        (left / "left").touch()
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
    assert sorted(item.name for item in tmp_path.iterdir()) == [other.name, "file.txt", "out"]


@pytest.mark.parametrize("end", ["png", "tif"])
def test_16_bits_become_8(tmp_path, end):
    deep = np.array([[0, 128, 129, 257, 32896, 65535]], dtype=np.uint16)
    found = read_rgb(save(tmp_path / f"deep.{end}", deep))
    assert found[0].tolist() == [[grey] * 3 for grey in (0, 0, 1, 1, 128, 255)]


@pytest.mark.parametrize("name", ["rgb.png", "rgb.tif", "grey.png", "grey.tif", "rgba.png"])
def test_12_bits_in_16_are_refused(tmp_path, name):
    """They would be read as nearly black."""
    grey = np.linspace(0, 4095, 48).astype(np.uint16).reshape(4, 12)
    opaque = np.full_like(grey, 65535)
    bands = {"grey": [grey], "rgb": [grey] * 3, "rgba": [grey] * 3 + [opaque]}
    image = np.dstack(bands[name[:-4]])
    cv2.imwrite(str(tmp_path / name), image.clip(0, 4095) * 16)
    assert read_rgb(tmp_path / name).max() == 255
    cv2.imwrite(str(tmp_path / name), image.clip(0, 4095))
    with pytest.raises(InputError, match=f"{name} has 16 bits and uses 12"):
        read_rgb(tmp_path / name)


def test_colours_grey_palette_transparency_and_orientation(tmp_path):
    rgb, grey = BYTES[:5, :7, :3].copy(), np.array([[0, 200]], dtype=np.uint8)
    rgba = np.array([[[10, 20, 30, 255], [40, 50, 60, 255]]], dtype=np.uint8)
    palette = Image.fromarray(rgba[..., :3]).convert("P", palette=Image.Palette.ADAPTIVE)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    for image, expected, options in (
        (Image.fromarray(rgb), rgb, {}),
        (Image.fromarray(grey), np.dstack([grey] * 3), {}),
        (Image.fromarray(grey > 100), np.dstack([255 * (grey > 100)] * 3), {}),
        (Image.fromarray(rgba), rgba[..., :3], {}),
        (palette, rgba[..., :3], {}),
        (Image.fromarray(rgb), np.rot90(rgb, -1), {"exif": exif}),
        (Image.fromarray(rgb), rgb, {"exif": b"damaged"}),
    ):
        image.save(tmp_path / "a.png", **options)
        np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), expected)


def test_refuses(tmp_path, monkeypatch):
    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "link.png").symlink_to(tmp_path / "gone.png")
    save(tmp_path / "float.tif", np.ones((2, 2), dtype=np.float32))
    save(tmp_path / "clear.png", BYTES[:5, :7])
    for name, words in (
        ("gone.png", "gone.png is missing"),
        ("link.png", "link.png is a link to .*: run `dvc checkout`, or `dvc p"),
        ("", "is a folder"),
        ("float.tif", "float.tif holds floating-point pixels"),
        ("clear.png", "clear.png is transparent in places"),
    ):
        with pytest.raises(InputError, match=words):
            read_rgb(tmp_path / name)
    whole = save(tmp_path / "whole.png", BYTES).read_bytes()
    monkeypatch.setattr(Image, "open", denied)
    with pytest.raises(PermissionError):  # no damage
        read_rgb(tmp_path / "whole.png")
    monkeypatch.undo()
    damaged = whole[:60] + bytes(40) + whole[100:]
    for content in (b"", b"hello", whole[: len(whole) // 2], whole[:20], damaged):
        (tmp_path / "a.png").write_bytes(content)
        with pytest.raises(InputError, match="a.png cannot be read as an image"):
            read_rgb(tmp_path / "a.png")


def test_written_files_keep_their_values(tmp_path):
    for encoded, mode, values in (
        (encode_mask(np.array([[0, 0.5, 1, 1.2]])), "L", [0, 128, 255, 255]),
        (encode_depth(np.array([[0.5, 2.3456, 65.5, 80]])), "I;16", [500, 2346, 65500, 65535]),
    ):
        encoded.save(tmp_path / "a.png")
        with Image.open(tmp_path / "a.png") as image:
            assert image.mode == mode and np.asarray(image).tolist() == [values]


def test_reads_alpha_upright(tmp_path):
    rgba = BYTES[:5, :7]
    np.testing.assert_array_equal(read_rgba(save(tmp_path / "a.png", rgba)), rgba)
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    turned = read_rgba(save(tmp_path / "turned.png", rgba, exif=exif))
    np.testing.assert_array_equal(turned, rgba[::-1, ::-1])
    with pytest.raises(InputError, match="rgb.png has no alpha channel: cut the person out"):
        read_rgba(save(tmp_path / "rgb.png", rgba[..., :3].copy()))
