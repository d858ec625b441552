"""The picture sheets: what they hold, and that the same input gives the same bytes."""

import numpy as np
import pytest
from PIL import Image

from depthmask.data.scenes.scene import Scene
from depthmask.errors import InputError
from depthmask.evaluation.robustness_table import ConditionExample
from depthmask.visualization import panels, sheets
from depthmask.visualization.canvas import Canvas, mask_errors_rgb, mask_rgb, spread, unit_mask
from depthmask.visualization.depth_colors import INVALID_RGB, DepthScale, depth_ramp, error_rgb
from depthmask.visualization.theme import LIGHT

SIZE = 32
SPLITS = ["train"] * 4 + ["val"] * 2 + ["test"] * 2


@pytest.fixture
def scenes():
    rng = np.random.default_rng(0)
    mask = np.zeros((4, SIZE, SIZE), np.float32)
    mask[:, 8:28, 12:18] = 1
    return Scene(
        bg=rng.integers(0, 255, (4, SIZE, SIZE, 3), np.uint8),
        bg_fg=rng.integers(0, 255, (4, SIZE, SIZE, 3), np.uint8),
        mask=mask,
        depth=np.where(mask > 0, 2.5, rng.uniform(3, 9, mask.shape)).astype(np.float32),
    )


@pytest.fixture
def people():
    rgba = np.full((8, 40, 24, 4), 200, np.uint8)
    rgba[..., 3] = 0
    rgba[:, 6:38, 8:16, 3] = 255
    return rgba


def panel_rows(scenes, has_depth=True):
    return [
        panels.PanelRow("in_scene", bg, bg_fg, mask, np.roll(mask, 1, axis=1),
                        depth if has_depth else None, 1.2 * depth if has_depth else None,
                        {"mask_iou": 0.7})
        for bg, bg_fg, mask, depth in zip(*scenes, strict=True)
    ]  # fmt: skip


def draw_panels(path, rows):
    panels.panels(path, rows, title="a", subtitle="b", scale=DepthScale(1, 9))


@pytest.fixture
def draw(scenes, people):
    """Every sheet, by name: a function of the path alone."""
    rooms = sheets.SplitImages(np.repeat(scenes.bg, 2, axis=0), SPLITS)
    return {
        "contact": lambda path: sheets.contact_sheet(
            path,
            rooms=rooms,
            rooms_depth=np.repeat(scenes.depth, 2, axis=0),
            people=sheets.SplitImages(people, SPLITS),
            frames=scenes,
        ),
        "composed": lambda path: sheets.composed_sheet(path, scenes),
        "augmented": lambda path: sheets.augmented_sheet(
            path,
            plates=scenes.bg,
            plate_variants=scenes.bg_fg[None],
            cutouts=people,
            cutout_variants=people[None, ..., :3],
        ),
        "panels": lambda path: draw_panels(path, panel_rows(scenes)),
        "hero": lambda path: panels.hero(path, scenes),
    }


@pytest.mark.parametrize("name", ["contact", "composed", "augmented", "panels", "hero"])
def test_two_calls_give_the_same_bytes_that_tell_neither_software_nor_date(draw, name, tmp_path):
    for file in ("one.png", "two.png"):
        draw[name](tmp_path / file)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert set(Image.open(tmp_path / "one.png").info) <= {"dpi"}


def test_a_network_without_depth_has_no_depth_columns(scenes, tmp_path):
    draw_panels(tmp_path / "with.png", panel_rows(scenes))
    draw_panels(tmp_path / "without.png", panel_rows(scenes, has_depth=False))
    wide, narrow = (Image.open(tmp_path / f"{name}.png") for name in ("with", "without"))
    assert wide.height == narrow.height and wide.width - narrow.width > 3 * 170


def test_no_rows_is_the_user_s_error(tmp_path):
    with pytest.raises(InputError, match="num_panels"):
        draw_panels(tmp_path / "panels.png", [])
    assert not list(tmp_path.iterdir())


def test_a_source_without_in_scene_frames_has_a_contact_sheet(scenes, people, tmp_path):
    sheets.contact_sheet(
        tmp_path / "sheet.png",
        rooms=sheets.SplitImages(scenes.bg, SPLITS[2:6]),
        rooms_depth=scenes.depth,
        people=sheets.SplitImages(people, SPLITS),
        frames=Scene(*(field[:0] for field in scenes)),
        unit="relative",
    )
    assert Image.open(tmp_path / "sheet.png").height > 300


def test_the_hero_is_clear_outside_its_corners_with_or_without_a_person(scenes, tmp_path):
    panels.hero(tmp_path / "hero.png", scenes._replace(mask=np.zeros_like(scenes.mask)))
    hero = Image.open(tmp_path / "hero.png")
    assert hero.mode == "RGBA" and hero.getpixel((0, 0))[3] == 0
    assert hero.getpixel((hero.width // 2, 10))[3] == 255


def test_a_canvas_pastes_pixels_where_it_is_told(tmp_path):
    pixels = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    canvas = Canvas(20, 10)
    canvas.image(7, 3, 5, 4, pixels, radius=0)
    canvas.save(tmp_path / "canvas.png")
    written = np.array(Image.open(tmp_path / "canvas.png").convert("RGB"))
    np.testing.assert_array_equal(written[3:7, 7:12], pixels)
    written[3:7, 7:12] = 255
    assert (written == 255).all()


def test_depth_scale_is_logarithmic_in_metres_and_linear_otherwise():
    depth = np.array([1, 2, 4, 16, 99, 0, np.nan])
    metres = DepthScale(1, 16).unit_interval(depth)
    np.testing.assert_allclose(metres, [0, 0.25, 0.5, 1, 1, np.nan, np.nan])
    relative = DepthScale(0, 8, "relative").unit_interval(depth[:3])
    np.testing.assert_allclose(relative, [0.125, 0.25, 0.5])


def test_near_is_bright_far_is_dark_evenly_and_unknown_is_grey():
    rgb = DepthScale(1, 16).rgb(np.array([[1.0, 16.0, np.inf]]))
    assert rgb[0, 0].astype(int).sum() > rgb[0, 1].astype(int).sum() + 300
    assert tuple(rgb[0, 2]) == INVALID_RGB
    np.testing.assert_array_equal(depth_ramp(2), rgb[0, :2])
    unit = depth_ramp(32) / 255
    luminance = np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)
    assert (np.diff(luminance @ [0.2126, 0.7152, 0.0722]) < 0).all()


def test_depth_scale_spans_all_but_the_extremes():
    depth = np.linspace(1, 11, 1001)
    depth[0], depth[-1] = 0, 1e6
    scale = DepthScale.spanning(depth)
    assert (scale.near, scale.far) == pytest.approx((1.06, 10.96), abs=0.01)
    flat = DepthScale.spanning(np.full((2, 2), 3.0))
    assert (flat.near, flat.far) == (3.0, 4.5)
    with pytest.raises(InputError, match="furlong"):
        DepthScale.spanning(depth, unit="furlong")


def test_only_metres_are_called_metres():
    ticks = DepthScale(0.9, 22).ticks()
    assert [words for _, words in ticks] == ["1 m", "2 m", "5 m", "10 m", "20 m"]
    assert [words for _, words in DepthScale(0.1, 0.9, "relative").ticks()] == ["0.1", "0.9"]


def test_depth_error_is_blue_too_near_white_right_red_too_far():
    true = np.array([[2.0, 2.0, 2.0, 0.0]])
    near, right, far, unknown = error_rgb(np.array([[1.0, 2.0, 3.0, 2.0]]), true)[0].astype(int)
    assert near[2] > near[0] + 50 and far[0] > far[2] + 50 and right.min() > 240
    assert tuple(unknown) == INVALID_RGB


def test_mask_kinds_mean_the_same_and_errors_are_coloured():
    for mask in (np.array([False, True]), np.array([0, 255], np.uint8), np.array([0.0, 1.0])):
        np.testing.assert_array_equal(unit_mask(mask), [0, 1])
        np.testing.assert_array_equal(mask_rgb(mask)[:, 0], [0, 255])
    true, pred = np.array([[1, 1, 0, 0]]), np.array([[0.9, 0.2, 0.8, 0.1]])
    hit, missed, false, empty = (tuple(color) for color in mask_errors_rgb(pred, true)[0])
    assert hit == (255, 255, 255) and empty == (0, 0, 0)
    assert missed[2] > missed[0] and false[0] > false[2]  # blue, orange


def test_people_lie_on_their_ground_by_their_alpha_at_one_scale():
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 3] = 0, 255, 51
    np.testing.assert_array_equal(sheets.on_checkerboard(rgba, 8)[0, :, 0], [232, 0, 186])
    rgba = np.zeros((2, 100, 50, 4), np.uint8)
    rgba[0, 20:60, 10:20, 3] = 255
    rgba[1, 30:90, 15:30, 3] = 255
    assert sheets.shared_crop(rgba) == (slice(16, 94), slice(8, 32))


def test_samples_are_spread_and_from_every_split():
    assert (spread(10, 4), spread(3, 9), spread(0, 9)) == ([0, 2, 5, 7], [0, 1, 2], [])
    splits = ["test"] * 5 + ["train"] * 20 + ["val"] * 1
    chosen = sheets.sample_splits(splits, 8)
    assert [splits[i] for i in chosen] == ["train"] * 5 + ["val"] + ["test"] * 2


def test_a_sheet_shows_what_is_changed_and_whether_it_was_trained_for(tmp_path):
    plate, frame = (np.full((24, 24, 3), level, np.uint8) for level in (200, 90))
    mask = np.zeros((24, 24), bool)
    mask[8:20, 8:14] = True
    examples = [
        ConditionExample(condition, strength, trained, plate, frame, mask, mask, 0.3)
        for condition, strength, trained in (
            ("shift", 0, True), ("noise", 0, True), ("noise", 0.1, False),
        )
    ]  # fmt: skip
    panels.conditions_sheet(tmp_path / "sheet.png", examples, subtitle="")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB"))
    top = panels.HEADER + panels.BLOCK_TOP
    left = panels.MARGIN + panels.GUTTER
    right = left + panels.BLOCK_WIDTH + panels.BLOCK_GAP
    assert (sheet[top + 20, left + 20] == 200).all(), "the plate was shifted"
    assert (sheet[top + 20, right + 20] == 90).all(), "the frame is noisy"
    bars = [bytes(sheet[top - 6, x + 20]).hex() for x in (right, right + panels.EXAMPLE + 6)]
    assert bars == [LIGHT["blue"][1:], LIGHT["rule"][1:]]
