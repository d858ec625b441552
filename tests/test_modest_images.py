"""MODEST's images: decoded as Pillow does, shrunk without shifting, damage found."""

import re

import cv2
import numpy as np
import pytest
from PIL import Image

from depthmask.data.sources.modest.images import check_images, image_side, read_image
from depthmask.data.sources.modest.layout import read_layout
from depthmask.errors import InputError
from modest_folder import SIDE, save, write_modest


@pytest.fixture
def folder(tmp_path):
    return write_modest(tmp_path / "data", num_plates=2, num_cutouts=2)


def smooth(size: int, channels: int = 3) -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 256, (6, 6, channels), dtype=np.uint8)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("size", [224, 200, 128, 112, 64, 50, 28, 24])
def test_smaller_is_the_mean_of_the_pixels_it_covers(tmp_path, size):
    save(tmp_path / "a.jpeg", smooth(224))
    full = np.asarray(Image.open(tmp_path / "a.jpeg"))
    expected = cv2.resize(full, (size, size), interpolation=cv2.INTER_AREA).astype(int)
    image = read_image(tmp_path / "a.jpeg", size, side=224)
    assert image.shape == (size, size, 3) and image.dtype == np.uint8
    assert size < 224 or np.abs(image - expected).max() <= 2
    # a shift by a pixel of the file would be above 5 at most sizes
    assert np.abs(image - expected).mean() < 1.5


def test_grey_files_and_coloured_ones_read_grey(tmp_path):
    grey = smooth(64, 1)[..., None]
    save(tmp_path / "grey.jpeg", grey[..., 0])
    save(tmp_path / "rgb.jpeg", np.repeat(grey, 3, axis=2))
    for name in ("grey.jpeg", "rgb.jpeg"):
        image = read_image(tmp_path / name, 32, side=64, grey=True)
        assert image.shape == (32, 32)
        expected = cv2.resize(grey[..., 0], (32, 32), interpolation=cv2.INTER_AREA)
        assert np.abs(image.astype(int) - expected).mean() < 1.5


def test_larger_than_the_file_and_png(tmp_path):
    save(tmp_path / "a.jpeg", np.full((16, 16, 3), (200, 100, 50)))
    enlarged = read_image(tmp_path / "a.jpeg", 24, side=16)
    assert enlarged[12, 12] == pytest.approx((200, 100, 50), abs=3)
    picture = smooth(33)
    Image.fromarray(picture).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", 33, side=33), picture)
    assert read_image(tmp_path / "a.png", 8, side=33).shape == (8, 8, 3)


def test_damaged_files_are_refused_by_name(tmp_path):
    path = tmp_path / "a.jpeg"
    save(path, smooth(64))
    whole = path.read_bytes()
    for data, text in (
        (whole[:-2], "is cut short"),
        (whole[: len(whole) // 2], "is cut short"),
        (whole[:20], "is no image that opens"),
        (b"", "is no image that opens"),
        (b"not an image \xff\xd9", "is no image that opens"),
    ):
        path.write_bytes(data)
        with pytest.raises(InputError, match=re.escape(f"{path} {text}")):
            read_image(path, 32, side=64)
    path.write_bytes(whole + b"\n\x00\x00")  # padding does no harm
    assert read_image(path, 32, side=64).shape == (32, 32, 3)
    with pytest.raises(InputError, match="not 128 x 128 px"):
        read_image(path, 32, side=128)
    with pytest.raises(InputError, match=r"b.jpeg cannot be read \(No such file"):
        read_image(tmp_path / "b.jpeg", 32, side=64)


def test_side_is_that_of_most_images_which_are_square(folder):
    save(folder / "bg/bg001.jpeg", smooth(48))
    assert image_side(folder, read_layout(folder)) == SIDE
    for path in folder.glob("bg*/*.jpeg"):
        save(path, smooth(32)[:24])
    with pytest.raises(InputError, match="32 x 24 px: they must be square"):
        image_side(folder, read_layout(folder))
    for path in folder.glob("bg*/*.jpeg"):
        path.write_bytes(b"")
    with pytest.raises(InputError, match="bg/bg001.jpeg and others cannot be read"):
        check_images(folder, read_layout(folder))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_faults_are_counted_by_kind_and_the_first_named(folder, num_workers, capfd):
    table = read_layout(folder)
    check_images(folder, table, num_workers=num_workers)
    assert "images checked: 26 of 26" in capfd.readouterr().err
    for name in ("bg_fg/bg001_fg002_01", "bg_fg_depth_map/bg001_fg002_01_depth_map"):
        path = folder / f"{name}.jpeg"
        path.write_bytes(path.read_bytes()[:-100])
    (folder / "bg_fg_mask/bg002_fg001_01_mask.jpeg").write_bytes(b"")
    save(folder / "bg/bg002.jpeg", smooth(48))
    with pytest.raises(InputError) as error:
        check_images(folder, table, num_workers=num_workers)
    assert str(error.value).startswith(
        f"4 of 26 images in {folder} cannot be used (2 cut short, 1 not 32 x 32 px,"
        " 1 no JPEG or PNG that opens); the first: bg/bg002.jpeg is not 32 x 32 px: "
    )
    assert "\n" not in str(error.value)


def test_only_decoding_finds_damage_within(folder):
    path = folder / "bg_fg_mask/bg002_fg002_02_mask.png"
    path.with_suffix(".jpeg").unlink()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32), np.uint8)).save(path)
    table = read_layout(folder)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    check_images(folder, table)
    check_images(folder, table.iloc[:-1], decode=len(table))
    with pytest.raises(InputError, match="1 of 26 .*bg002_fg002_02_mask.png is no image"):
        check_images(folder, table, decode=len(table))
