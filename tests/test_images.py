import cv2
import numpy as np
import pytest
from PIL import Image

from depthmask.data.scenes.images import encode_depth, encode_mask, read_rgb, read_rgba
from depthmask.errors import InputError


def save(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return path


@pytest.mark.parametrize("end", ["png", "tif"])
def test_16_bits_become_8(tmp_path, end):
    deep = np.array([[0, 128, 129, 257, 32896, 65535]], dtype=np.uint16)
    found = read_rgb(save(tmp_path / f"deep.{end}", deep))
    assert found[0].tolist() == [[grey] * 3 for grey in (0, 0, 1, 1, 128, 255)]


@pytest.mark.parametrize("name", ["a.png", "a.tif", "grey.png", "grey.tif", "rgba.png"])
def test_12_bits_in_16_are_refused(tmp_path, name):
    """They would be read as nearly black."""
    grey = np.linspace(0, 4095, 48).astype(np.uint16).reshape(4, 12)
    image = (
        grey if "grey" in name else np.dstack([grey] * 3 + [grey * 0 + 65535] * ("rgba" in name))
    )
    cv2.imwrite(str(tmp_path / name), image.clip(0, 4095) * 16)
    assert read_rgb(tmp_path / name).max() == 255
    cv2.imwrite(str(tmp_path / name), image.clip(0, 4095))
    with pytest.raises(InputError, match=f"{name} has 16 bits and uses 12"):
        read_rgb(tmp_path / name)


def test_colours_grey_palette_and_transparency(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(read_rgb(save(tmp_path / "a.png", image)), image)
    grey = np.array([[0, 200]], dtype=np.uint8)
    assert read_rgb(save(tmp_path / "grey.png", grey))[0].tolist() == [[0] * 3, [200] * 3]
    rgba = np.array([[[10, 20, 30, 0], [40, 50, 60, 255]]], dtype=np.uint8)
    assert read_rgb(save(tmp_path / "rgba.png", rgba))[0].tolist() == [[10, 20, 30], [40, 50, 60]]
    palette = Image.fromarray(rgba[..., :3]).convert("P", palette=Image.Palette.ADAPTIVE)
    palette.save(tmp_path / "palette.png")
    assert read_rgb(tmp_path / "palette.png")[0].tolist() == [[10, 20, 30], [40, 50, 60]]
    Image.fromarray(grey > 100).save(tmp_path / "bits.png")
    assert read_rgb(tmp_path / "bits.png")[0].tolist() == [[0] * 3, [255] * 3]


def test_obeys_the_cameras_orientation(tmp_path):
    image = Image.new("RGB", (4, 2))
    image.putpixel((0, 0), (255, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    image.save(tmp_path / "turned.png", exif=exif)
    found = read_rgb(tmp_path / "turned.png")
    assert found.shape == (4, 2, 3)
    assert found[0, 1].tolist() == [255, 0, 0]


def test_refuses(tmp_path):
    with pytest.raises(InputError, match=r"gone.png is missing"):
        read_rgb(tmp_path / "gone.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(InputError, match="link.png is a link to .*: run `dvc checkout`, or `dvc p"):
        read_rgb(tmp_path / "link.png")
    with pytest.raises(InputError, match="is a folder"):
        read_rgb(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole = save(tmp_path / "whole.png", noise).read_bytes()
    for name, content in (
        ("empty.png", b""),
        ("text.png", b"hello"),
        ("cut.png", whole[: len(whole) // 2]),
        ("header.png", whole[:20]),
        ("damaged.png", whole[:60] + bytes(40) + whole[100:]),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name} cannot be read as an image"):
            read_rgb(tmp_path / name)
    floats = save(tmp_path / "float.tif", np.ones((2, 2), dtype=np.float32))
    with pytest.raises(InputError, match="float.tif holds floating-point pixels"):
        read_rgb(floats)


def test_written_files_keep_their_values(tmp_path):
    encode_mask(np.array([[0, 0.5, 1, 1.2]])).save(tmp_path / "mask.png")
    with Image.open(tmp_path / "mask.png") as mask:
        assert mask.mode == "L"
        assert np.asarray(mask).tolist() == [[0, 128, 255, 255]]
    encode_depth(np.array([[0.5, 2.3456, 65.5, 80.0]])).save(tmp_path / "depth.png")
    with Image.open(tmp_path / "depth.png") as depth:
        assert np.asarray(depth).tolist() == [[500, 2346, 65500, 65535]]
        assert depth.mode == "I;16"


def test_reads_alpha_upright(tmp_path):
    rgba = np.random.default_rng(0).integers(0, 256, (5, 7, 4), dtype=np.uint8)
    np.testing.assert_array_equal(read_rgba(save(tmp_path / "a.png", rgba)), rgba)
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    turned = read_rgba(save(tmp_path / "turned.png", rgba, exif=exif))
    np.testing.assert_array_equal(turned, rgba[::-1, ::-1])
    with pytest.raises(InputError, match="rgb.png has no alpha channel: cut the person out"):
        read_rgba(save(tmp_path / "rgb.png", rgba[..., :3].copy()))
