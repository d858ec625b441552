"""Plates and cutouts from picture files."""

import numpy as np
import pytest
from PIL import Image

from depthmask.data.sources.museum.people import CANVAS_M, FOOT_MARGIN_M
from depthmask.data.sources.photos import pictures
from depthmask.data.sources.photos.folder import Findings
from depthmask.errors import InputError
from photo_files import person, save

PATCHES = np.array([[[250, 20, 30], [10, 240, 40]], [[20, 30, 230], [200, 200, 60]]], np.uint8)
QUADRANTS = PATCHES.repeat(40, 0).repeat(40, 1)


def read_plate(path) -> np.ndarray:
    return pictures.read_plate(path, 40)[0]


def read_cutout(path, height_m=1.7):
    """The cutout and the warnings."""
    findings = Findings(path.parent, path.parent / "findings.csv")
    return pictures.read_cutout(path, 96, height_m, findings), findings.rows


def corners(image: np.ndarray) -> np.ndarray:
    """The middles of the four quadrants."""
    at = [len(image) // 4, 3 * len(image) // 4]
    return image[np.ix_(at, at)].astype(int)


def test_a_plate_is_the_middle_square_resized(tmp_path):
    wide = np.hstack([np.zeros((80, 30, 3), np.uint8), QUADRANTS, np.zeros((80, 30, 3), np.uint8)])
    plate, shape = pictures.read_plate(save(tmp_path / "wide.png", wide), 40)
    assert plate.shape == (40, 40, 3) and shape == (80, 140)
    np.testing.assert_array_equal(corners(plate), PATCHES)
    tall = read_plate(save(tmp_path / "tall.png", wide.transpose(1, 0, 2)))
    np.testing.assert_array_equal(corners(tall), PATCHES.transpose(1, 0, 2))
    with pytest.raises(InputError, match=r"wide.png is too small: 140x80 px.* 81 px"):
        pictures.read_plate(tmp_path / "wide.png", 81)


def test_a_jpeg_is_turned_as_its_orientation_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = np.ascontiguousarray(np.rot90(QUADRANTS))
    path = save(tmp_path / "a.jpg", stored, exif=exif, quality=95)
    assert np.abs(corners(read_plate(path)) - PATCHES).max() < 12


@pytest.mark.parametrize("kind", ["deep.png", "grey.png", "palette.png", "alpha.png", "grey.tif",
                                  "cmyk.jpg", "cmyk.tif", "a.webp", "a.tif", "a.bmp"])  # fmt: skip
def test_every_kind_of_file_is_read(tmp_path, kind):
    grey, image = QUADRANTS[..., 1], Image.fromarray(QUADRANTS)
    images = {
        "deep": Image.fromarray(grey.astype(np.uint16) * 257),
        "grey": Image.fromarray(grey),
        "alpha": Image.fromarray(np.dstack([grey, np.full_like(grey, 90)]), "LA"),
        "palette": image.quantize(4),
        "cmyk": image.convert("CMYK"),
    }
    stem, _, end = kind.partition(".")
    images.get(stem, image).save(tmp_path / kind, **{"webp": {"lossless": True}}.get(end, {}))
    expected = PATCHES[..., 1:2] if stem in ("deep", "grey", "alpha") else PATCHES
    assert np.abs(corners(read_plate(tmp_path / kind)) - expected).max() < 16


def test_a_cutout_stands_on_the_canvas_at_its_height(tmp_path):
    assert (pictures.CANVAS_M, pictures.FOOT_MARGIN_M) == (CANVAS_M, FOOT_MARGIN_M)
    cutout, warnings = read_cutout(save(tmp_path / "p.png", person(0, height=400, margin=30)))
    alpha = cutout.rgba[..., 3]
    assert cutout.rgba.shape == (96, 72, 4) and warnings == []
    assert cutout.metres_per_px == pytest.approx(CANVAS_M / 96, rel=0.01)
    rows = np.flatnonzero((alpha > 127).any(1))
    assert len(rows) * cutout.metres_per_px == pytest.approx(1.7, abs=0.03)
    assert cutout.foot == pytest.approx((36, rows[-1] + 1), abs=0.6)
    assert (96 - cutout.foot[1]) * CANVAS_M / 96 == pytest.approx(FOOT_MARGIN_M, abs=0.012)
    assert (cutout.rgba[alpha == 0] == 0).all()
    one_leg = np.zeros((400, 200, 4), np.uint8)
    one_leg[20:340, 60:140] = one_leg[340:380, 120:140] = 255
    one_leg[390:, :, 3] = 8  # haze of a bad matte
    cutout, _ = read_cutout(save(tmp_path / "p.png", one_leg))
    columns = np.flatnonzero((cutout.rgba[..., 3] > 127).any(0))
    share = (cutout.foot[0] - columns[0]) / len(columns)
    assert share == pytest.approx(0.875, abs=0.04)


def test_what_is_transparent_lends_the_edge_no_colour(tmp_path):
    rgba = np.tile(np.array([0, 255, 0, 0], np.uint8), (400, 200, 1))  # a green screen
    rgba[20:380, 60:140] = (200, 0, 0, 255)
    edge = read_cutout(save(tmp_path / "p.png", rgba))[0].rgba.reshape(-1, 4)
    assert (edge[edge[:, 3] > 0, 1] <= 4).all() and (edge[edge[:, 3] > 30, 0] > 190).all()


def test_premultiplied_alpha_is_warned_of(tmp_path):
    """It would darken the edges; straight alpha and opaque black clothes are left in peace."""
    rgba = person(0, height=400)
    rgba[..., 3] = Image.fromarray(rgba[..., 3]).resize((40, 80)).resize((200, 400), 2)
    rgba[..., :3] = np.maximum(rgba[..., :3], 60)
    assert read_cutout(save(tmp_path / "straight.png", rgba))[1] == []
    black = rgba * np.array([0, 0, 0, 1], np.uint8)
    assert read_cutout(save(tmp_path / "black.png", black))[1] == []
    rgba[..., :3] = np.rint(rgba[..., :3] * (rgba[..., 3:] / 255))
    (warning,) = read_cutout(save(tmp_path / "premultiplied.png", rgba))[1]
    assert warning.code == "premultiplied" and "save it straight" in warning.text


@pytest.mark.parametrize("width, height_m", [(500, 1.7), (100, 2.3)])
def test_the_wide_and_the_tall_fit_on_the_canvas(tmp_path, width, height_m):
    rgba = np.zeros((300, width, 4), np.uint8)
    rgba[5:295, 5:-5] = 255
    cutout, _ = read_cutout(save(tmp_path / "p.png", rgba), height_m)
    alpha = cutout.rgba[..., 3] > 127
    assert not (alpha[:, 0].any() or alpha[:, -1].any() or alpha[0].any())
    assert alpha.any(1).sum() * cutout.metres_per_px == pytest.approx(height_m, abs=0.05)


@pytest.mark.parametrize("mode", ["LA", "P", "RGB"])
def test_alpha_of_every_kind(tmp_path, mode):
    rgba, options = person(0, height=400), {}
    rgba[..., :3] = np.where(rgba[..., 3:] > 0, 200, (0, 255, 0))
    if mode == "LA":
        image = Image.fromarray(rgba[..., [0, 3]].copy(), "LA")
    elif mode == "RGB":  # one colour stands for transparent
        image, options = Image.fromarray(rgba[..., :3].copy()), {"transparency": (0, 255, 0)}
    else:
        image, options = Image.fromarray((rgba[..., 3] > 0) * np.uint8(1), "P"), {"transparency": 0}
        image.putpalette([0, 255, 0, 200, 100, 50])
    image.save(tmp_path / "p.png", **options)
    cutout, _ = read_cutout(tmp_path / "p.png")
    assert 0.1 < (cutout.rgba[..., 3] > 127).mean() < 0.6


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda rgba: rgba[..., :3].copy(), "has no alpha channel"),
        (lambda rgba: rgba * np.array([1, 1, 1, 0], np.uint8), "has an empty alpha channel"),
        (lambda rgba: rgba // np.array([1, 1, 1, 3], np.uint8), "has an empty alpha channel"),
        (lambda rgba: rgba | np.array([0, 0, 0, 255], np.uint8), "is opaque all over"),
        (lambda rgba: rgba[::12, ::12].copy(), r"is too small: the person is \d+ px high"),
    ],
)
def test_cutouts_are_refused(tmp_path, change, match):
    path = save(tmp_path / "a.png", change(person(0, height=400)))
    with pytest.raises(InputError, match=f"a.png {match}"):
        read_cutout(path)


def test_a_person_cut_off_and_an_enlarged_one_are_warned_of(tmp_path):
    rgba = person(0, height=400)
    for picture, code, text in (
        (rgba[:300], "cut-off", "lower edge with 100% of the person"),
        (rgba[:, 100:], "cut-off", "left edge"),
        (person(0, height=70, margin=5), "enlarged", "a larger one is better"),
    ):
        (warning,) = read_cutout(save(tmp_path / "p.png", picture))[1]
        assert warning.code == code and text in warning.text
