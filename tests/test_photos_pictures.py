import numpy as np
import pytest
from PIL import Image

from depthmask.data.sources.museum.people import CANVAS_M, FOOT_MARGIN_M
from depthmask.data.sources.photos import pictures
from depthmask.data.sources.photos.pictures import centre_square, read_cutout, read_plate
from depthmask.errors import InputError
from photo_files import person, save, texture

PATCHES = np.array([[[250, 20, 30], [10, 240, 40]], [[20, 30, 230], [200, 200, 60]]], np.uint8)
QUADRANTS = PATCHES.repeat(40, 0).repeat(40, 1)


def corners(image: np.ndarray) -> np.ndarray:
    """The middles of the four quadrants."""
    size = len(image)
    at = [size // 4, 3 * size // 4]
    return image[np.ix_(at, at)]


def test_a_plate_is_the_middle_square_resized(tmp_path):
    wide = np.hstack([np.zeros((80, 30, 3), np.uint8), QUADRANTS, np.zeros((80, 30, 3), np.uint8)])
    plate = read_plate(save(tmp_path / "wide.png", wide), 40)
    assert plate.image.shape == (40, 40, 3)
    assert plate.shape == (80, 140)
    np.testing.assert_array_equal(corners(plate.image), PATCHES)
    tall = read_plate(save(tmp_path / "tall.png", wide.transpose(1, 0, 2)), 40)
    np.testing.assert_array_equal(corners(tall.image), PATCHES.transpose(1, 0, 2))
    assert centre_square(np.zeros((5, 8))).shape == (5, 5)


def test_shrinking_is_antialiased(tmp_path):
    stripes = np.zeros((128, 128, 3), np.uint8)
    stripes[:, ::2] = 255
    plate = read_plate(save(tmp_path / "stripes.png", stripes), 32)
    assert 120 < plate.image[:, 4:-4].min() and plate.image[:, 4:-4].max() < 135


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_is_turned_as_its_orientation_says(tmp_path, orientation):
    stored = {
        1: QUADRANTS,
        2: QUADRANTS[:, ::-1],
        3: QUADRANTS[::-1, ::-1],
        4: QUADRANTS[::-1],
        5: QUADRANTS.transpose(1, 0, 2),
        6: np.rot90(QUADRANTS),
        7: QUADRANTS[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(QUADRANTS, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "a.jpg", np.ascontiguousarray(stored), exif=exif, quality=95)
    found = corners(read_plate(path, 40).image).astype(int)
    assert np.abs(found - PATCHES).max() < 12


@pytest.mark.parametrize(
    "kind", ["deep", "grey", "palette", "grey-alpha", "cmyk", "cmyk-tif", "webp", "tif", "bmp"]
)
def test_every_kind_of_file_is_read(tmp_path, kind):
    grey = QUADRANTS[..., 1]
    expected, tolerance, image = np.repeat(PATCHES[..., 1:2], 3, 2), 0, Image.fromarray(grey)
    end, options = "png", {}
    if kind == "deep":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    elif kind == "palette":
        image, expected = Image.fromarray(QUADRANTS).quantize(4), PATCHES
    elif kind == "grey-alpha":
        image = Image.fromarray(np.dstack([grey, np.full_like(grey, 90)]), "LA")
    elif kind != "grey":
        image, expected, end = Image.fromarray(QUADRANTS), PATCHES, kind
        if kind.startswith("cmyk"):
            image, end, tolerance = image.convert("CMYK"), "jpg", 12
            end = "tif" if kind == "cmyk-tif" else "jpg"
            options = {} if end == "tif" else {"quality": 95}
        elif kind == "webp":
            options = {"lossless": True}
    image.save(tmp_path / f"a.{end}", **options)
    found = corners(read_plate(tmp_path / f"a.{end}", 40).image).astype(int)
    assert np.abs(found - expected).max() <= tolerance


def test_plates_are_refused(tmp_path):
    small = save(tmp_path / "small.png", texture(0, (39, 200)))
    with pytest.raises(InputError, match=r"small.png is too small: 200x39 px.* 40 px"):
        read_plate(small, 40)
    whole = save(tmp_path / "whole.jpg", texture(0, (200, 200))).read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cut.jpg cannot be read as an image"):
        read_plate(tmp_path / "cut.jpg", 40)


def test_the_canvas_is_the_museum_s():
    assert (pictures.CANVAS_M, pictures.FOOT_MARGIN_M) == (CANVAS_M, FOOT_MARGIN_M)


def test_a_cutout_stands_on_the_canvas_at_its_height(tmp_path):
    path = save(tmp_path / "p.png", person(0, height=400, margin=30))
    cutout = read_cutout(path, 96, 1.7)
    alpha = cutout.rgba[..., 3]
    assert cutout.rgba.shape == (96, 72, 4)
    assert cutout.metres_per_px == pytest.approx(CANVAS_M / 96, rel=0.01)
    rows = np.flatnonzero((alpha > 127).any(1))
    assert len(rows) * cutout.metres_per_px == pytest.approx(1.7, abs=0.03)
    assert cutout.foot == pytest.approx((36, rows[-1] + 1), abs=0.6)
    assert (96 - cutout.foot[1]) * CANVAS_M / 96 == pytest.approx(FOOT_MARGIN_M, abs=0.012)
    assert (cutout.rgba[alpha == 0] == 0).all()
    assert cutout.warnings == ()


def test_what_is_transparent_lends_the_edge_no_colour(tmp_path):
    rgba = np.zeros((400, 200, 4), np.uint8)
    rgba[...] = (0, 255, 0, 0)  # the green screen, made transparent
    rgba[20:380, 60:140] = (200, 0, 0, 255)
    cutout = read_cutout(save(tmp_path / "p.png", rgba), 96, 1.7)
    edge = cutout.rgba[cutout.rgba[..., 3] > 0]
    assert (edge[:, 1] <= 4).all() and (edge[edge[:, 3] > 30, 0] > 190).all()


def test_the_feet_are_the_lowest_opaque_row(tmp_path):
    rgba = np.zeros((400, 200, 4), np.uint8)
    rgba[20:340, 60:140] = 255
    rgba[340:380, 120:140] = 255  # stands on the right leg
    rgba[390:, :, 3] = 8  # haze of a bad matte
    cutout = read_cutout(save(tmp_path / "p.png", rgba), 96, 1.7)
    columns = np.flatnonzero((cutout.rgba[..., 3] > 127).any(0))
    width = columns[-1] + 1 - columns[0]
    assert (cutout.foot[0] - columns[0]) / width == pytest.approx(0.875, abs=0.04)


def test_the_tall_and_the_wide_fit_on_the_canvas(tmp_path):
    rgba = np.zeros((300, 500, 4), np.uint8)
    rgba[5:295, 5:495] = 255
    wide = read_cutout(save(tmp_path / "wide.png", rgba), 96, 1.7)
    alpha = wide.rgba[..., 3] > 127
    assert not alpha[:, 0].any() and not alpha[:, -1].any()
    assert alpha.any(1).sum() * wide.metres_per_px == pytest.approx(1.7, abs=0.05)
    tall = read_cutout(save(tmp_path / "tall.png", person(0, height=400)), 96, 2.3)
    rows = np.flatnonzero((tall.rgba[..., 3] > 127).any(1))
    assert rows[0] > 0 and len(rows) * tall.metres_per_px == pytest.approx(2.3, abs=0.05)


@pytest.mark.parametrize("mode", ["LA", "PA", "P", "RGB"])
def test_alpha_of_every_kind(tmp_path, mode):
    rgba = person(0, height=400)
    if mode == "LA":
        image, options = Image.fromarray(rgba[..., [0, 3]].copy(), "LA"), {}
    elif mode == "RGB":  # one colour stands for transparent
        rgba[..., :3] = np.where(rgba[..., 3:] > 0, 200, (0, 255, 0))
        image, options = Image.fromarray(rgba[..., :3].copy()), {"transparency": (0, 255, 0)}
    else:
        indices = Image.fromarray((rgba[..., 3] > 0).astype(np.uint8))
        image = Image.fromarray(np.asarray(indices), "P")
        image.putpalette([0, 255, 0, 200, 100, 50])
        options = {"transparency": 0 if mode == "P" else bytes([0, 255])}
    image.save(tmp_path / "p.png", **options)
    cutout = read_cutout(tmp_path / "p.png", 96, 1.7)
    assert 0.1 < (cutout.rgba[..., 3] > 127).mean() < 0.6


def test_cutouts_are_refused(tmp_path):
    def refused(name: str, array: np.ndarray, match: str) -> None:
        path = save(tmp_path / name, array)
        with pytest.raises(InputError, match=f"{name} {match}"):
            read_cutout(path, 96, 1.7)

    rgba = person(0, height=400)
    refused("rgb.png", rgba[..., :3].copy(), "has no alpha channel")
    refused("nobody.png", rgba * np.array([1, 1, 1, 0], np.uint8), "has an empty alpha channel")
    faint = rgba.copy()
    faint[..., 3] //= 3
    refused("faint.png", faint, "has an empty alpha channel")
    solid = rgba.copy()
    solid[..., 3] = 255
    refused("solid.png", solid, "is opaque all over")
    refused("tiny.png", person(0, height=50), r"is too small: the person is \d+ px high")


def test_a_person_cut_off_and_an_enlarged_one_are_warned_of(tmp_path):
    rgba = person(0, height=400)
    legs_off = read_cutout(save(tmp_path / "legs.png", rgba[:300]), 96, 1.7)
    assert [code for code, _ in legs_off.warnings] == ["cut-off"]
    assert "lower edge with 100% of the person's width" in legs_off.warnings[0][1]
    side_off = read_cutout(save(tmp_path / "side.png", rgba[:, 100:]), 96, 1.7)
    assert "left edge" in side_off.warnings[0][1]
    small = read_cutout(save(tmp_path / "small.png", person(0, height=70, margin=5)), 96, 1.7)
    assert [code for code, _ in small.warnings] == ["enlarged"]
    # trimmed to the person, the head and the shoes only touch
    round_one = np.zeros((300, 120, 4), np.uint8)
    v, u = np.mgrid[-1:1:300j, -1:1:120j]
    round_one[u**2 + v**2 <= 1] = 255
    assert read_cutout(save(tmp_path / "trimmed.png", round_one), 96, 1.7).warnings == ()
