"""Picture sheets and the report's scenes: what they show, the same bytes for the same input."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from depthmask.data.scenes.scene import Scene, spread
from depthmask.metrics import score_scenes
from depthmask.visualization import canvas, sheets
from depthmask.visualization.canvas import (
    INVALID_RGB,
    MASK_ERRORS,
    DepthScale,
    depth_colors,
)
from depthmask.visualization.gallery import MAX_SIDE_PX, chosen_scenes, draw_scene_tiles

SIZE, NUM, NUM_TILES = 32, 8, 7
RNG = np.random.default_rng(0)
MASK = np.zeros((NUM, SIZE, SIZE), np.float32)
MASK[:, 8:28, 12:18] = 1
DEPTH = np.where(MASK > 0, 2.5, RNG.uniform(3, 9, MASK.shape)).astype(np.float32)
SCENES = Scene(*RNG.integers(0, 255, (2, NUM, SIZE, SIZE, 3), np.uint8), MASK, DEPTH)
PEOPLE = np.full((NUM, 40, 24, 4), 200, np.uint8)
PEOPLE[..., 3] = 0
PEOPLE[:, 6:38, 8:16, 3] = 255
TABLE = pd.DataFrame({"split": ["train"] * 4 + ["val"] * 2 + ["test"] * 2})
TABLES = {"plates": TABLE, "cutouts": TABLE}
LIBRARY = SimpleNamespace(images=SCENES.bg, depths=DEPTH, rgba=PEOPLE, **TABLES)


def draw_contact_sheet(path, scenes=SCENES, unit="metre"):
    sheets.contact_sheet(path, LIBRARY, scenes, unit=unit, subtitle="a")


def draw_panels(path, num=2, has_depth=True):
    pictures = dict.fromkeys(list(sheets.FIELDS)[: 7 if has_depth else 4], SCENES.bg[:num])
    captions, words = ["IoU 0.700"] * num, {"title": "a", "subtitle": "b"}
    sheets.panels(path, pictures, captions, **words, scale=DepthScale(1, 9))


@pytest.mark.parametrize("draw", [draw_contact_sheet, draw_panels])
def test_two_calls_give_the_same_bytes_that_tell_neither_software_nor_date(draw, tmp_path):
    for file in ("one.png", "two.png"):
        draw(tmp_path / file)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert set(Image.open(tmp_path / "one.png").info) <= {"dpi"}


def test_panels_need_no_depth_and_sheets_no_in_scene_frames(tmp_path):
    draw_panels(tmp_path / "panels.png", has_depth=False)
    width = sheets.PANEL_LEFT + 4 * (sheets.PANEL + sheets.GAP) + sheets.MARGIN
    assert Image.open(tmp_path / "panels.png").width == width
    draw_contact_sheet(tmp_path / "a.png", SCENES.take(slice(0)), "relative")
    assert Image.open(tmp_path / "a.png").height > 300


@pytest.mark.parametrize("mask", [MASK, 0 * MASK])
def test_the_hero_is_clear_outside_its_corners_with_or_without_a_person(mask, tmp_path):
    scenes = SCENES._replace(mask=mask).take(slice(2))
    sheets.hero(tmp_path / "hero.png", scenes, unit="metre")
    hero = Image.open(tmp_path / "hero.png")
    assert hero.mode == "RGBA" and hero.getpixel((0, 0))[3] == 0
    assert hero.getpixel((hero.width // 2, 10))[3] == 255


def test_depth_is_logarithmic_in_metres_and_linear_otherwise_near_bright_and_unknown_grey():
    depth = np.array([1, 2, 4, 16, 99, 0, np.nan])
    metres = DepthScale(1, 16).unit_interval(depth)
    np.testing.assert_allclose(metres, [0, 0.25, 0.5, 1, 1, np.nan, np.nan])
    relative = DepthScale(0, 8, "relative").unit_interval(depth[:3])
    np.testing.assert_allclose(relative, [0.125, 0.25, 0.5])
    rgb = DepthScale(1, 16).rgb(np.array([[1.0, 16.0, np.inf]]))[0]
    np.testing.assert_array_equal(rgb, [*depth_colors(np.arange(2)), INVALID_RGB])
    unit = depth_colors(np.linspace(0, 1, 32)) / 255
    luminance = np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)
    assert (np.diff(luminance @ [0.2126, 0.7152, 0.0722]) < 0).all()


def test_depth_scale_spans_all_but_the_extremes_and_only_metres_are_called_so():
    depth = np.linspace(1, 11, 1001)
    depth[0], depth[-1] = 0, 1e6
    scale = DepthScale.spanning(depth)
    assert (scale.near, scale.far) == pytest.approx((1.06, 10.96), abs=0.01)
    flat = DepthScale.spanning(np.full((2, 2), 3.0))
    assert (flat.near, flat.far) == (3.0, 4.5)
    for scale, expected in (
        (DepthScale(0.9, 22), ["0.9 m", "4.4 m", "22 m"]),
        (DepthScale(0.1, 0.9, "relative"), ["0.1", "0.5", "0.9"]),
    ):
        assert [words for _, words in scale.ticks()] == expected


def test_errors_are_coloured_and_mask_kinds_mean_the_same():
    true = np.array([[2.0, 2.0, 2.0, 0.0]])
    colours = canvas.error_rgb(np.array([[1.0, 2.0, 3.0, 2.0]]), true)[0]
    near, right, far, unknown = colours.astype(int)  # too near is blue, too far red
    assert near[2] > near[0] + 50 and far[0] > far[2] + 50 and right.min() > 240
    assert tuple(unknown) == tuple(INVALID_RGB)
    for mask in (np.array([False, True]), np.array([0, 255], np.uint8), np.array([0.0, 1.0])):
        np.testing.assert_array_equal(canvas.unit_mask(mask), [0, 1])
        np.testing.assert_array_equal(canvas.mask_rgb(mask)[:, 0], [0, 255])
    true, pred = np.array([[1, 1, 0, 0]]), np.array([[0.9, 0.2, 0.8, 0.1]])
    hit, missed, false, empty = map(tuple, canvas.mask_errors_rgb(pred, true)[0])
    assert hit == (255, 255, 255) and empty == (0, 0, 0)
    assert missed[2] > missed[0] and false[0] > false[2]  # blue, orange


def test_samples_are_spread_and_from_every_split():
    assert (spread(10, 4), spread(3, 9), spread(0, 9)) == ([0, 3, 6, 9], [0, 1, 2], [])
    splits = ["test"] * 9 + ["train"] * 20 + ["val"]
    chosen = sheets.sample_splits(splits)
    assert [*chosen.values()] == [splits[i] for i in chosen]
    assert [*chosen.values()] == ["train"] * 12 + ["val"] + ["test"] * 6


class Sets:
    """Frames with a square person, 3 m from the camera before a wall 6 m away, in two batches."""

    headline = "in_scene"

    def __init__(self, side: int = SIZE, unit="metre", alignment=None) -> None:
        self.unit, self.alignment = unit, alignment
        mask = torch.zeros(NUM_TILES, 1, side, side)
        mask[..., side // 4 : side // 2, side // 4 : side // 2] = 1
        shade = torch.arange(1, NUM_TILES + 1).float().view(-1, 1, 1, 1) / 10
        bg, bg_fg = (each.repeat(1, 3, 1, 1) for each in (shade + 0 * mask, shade + mask / 5))
        depth, focal = torch.where(mask > 0, 3.0, 6.0), torch.full((len(mask), 1, 1, 1), 0.9)
        self.all = Scene(bg, bg_fg, mask, depth, focal)

    def scenes(self, name):
        assert name == self.headline
        for part in (slice(0, 4), slice(4, None)):
            yield self.all.take(part)


class Model:
    """Scene k, by its shade, misses the person's first k rows and is 10 % too far everywhere."""

    card, scale, shift = {"experiment": "bce_ssim"}, 1.1, 0

    def predict(self, scene):
        mask = scene.mask.clone()
        first = scene.mask.shape[-1] // 4
        for row, shade in enumerate(scene.bg[:, 0, 0, 0].tolist()):
            mask[row, :, first : first + round(10 * shade) - 1] = 0
        return mask, self.scale * scene.depth + self.shift


def draw(folder, sets, model) -> None:
    truth = sets.all.mask, sets.all.depth
    figures = score_scenes(*model.predict(sets.all), *truth, alignment=sets.alignment)
    table = pd.DataFrame({name: values.numpy() for name, values in figures.items()})
    table = table.assign(scene=range(NUM_TILES), cutout="person-1")
    table["plate"] = [f"room-{k}" for k in range(NUM_TILES)]
    draw_scene_tiles(folder, model, sets, table, num_each=1)


def rows(ious, errors=0.1) -> pd.DataFrame:
    return pd.DataFrame({"scene": range(len(ious)), "mask_iou": ious, "depth_abs_rel": errors})


def test_best_median_and_worst_are_chosen_by_their_figures():
    ious = [0.5, 0.9, 0.1, 0.6, 0.8, 0.2, 0.4, 0.3, 0.7]
    errors = [0.1, math.nan, 0.3, 0.2, math.inf, 0.1, 0.1, 0.1, 0.1]
    assert chosen_scenes(rows(ious, errors), 2) == {
        "best": [1, 4], "median": [3, 0], "worst": [2, 5], "worst_depth": [4, 2],
    }  # fmt: skip
    # a mask that is no number is the worst, equals go by number
    chosen = chosen_scenes(rows([0.5, -math.inf, 0.5, 0.5]), 1)
    assert chosen == {"best": [0], "median": [2], "worst": [1], "worst_depth": [0]}
    assert chosen_scenes(rows([0.5], math.nan))["worst_depth"] == []


def test_pictures_and_index_show_the_scenes_of_the_table(tmp_path):
    sets = Sets()
    draw(tmp_path / "tiles", sets, Model())
    index = json.loads((tmp_path / "tiles/index.json").read_text())
    assert index["groups"] == {"best": [0], "median": [3], "worst": [6], "worst_depth": [0]}

    def pixels(field):
        return np.array(Image.open(tmp_path / f"tiles/6_{field}.png"))

    assert (pixels("bg") == round(0.7 * 255)).all()
    assert pixels("true_mask")[10, 10].tolist() == [255] * 3 and pixels("true_mask").sum() > 0
    assert pixels("pred_mask")[8, 10].tolist() == [*bytes.fromhex(MASK_ERRORS["missed"][1:])]
    assert pixels("pred_mask")[15, 10].tolist() == [255] * 3
    scale = DepthScale(**index["scale"])
    assert scale.near == pytest.approx(3) and scale.far == pytest.approx(6)
    assert (pixels("true_depth") == scale.rgb(sets.all.depth[6, 0].numpy())).all()
    assert (pixels("pred_depth") == scale.rgb(1.1 * sets.all.depth[6, 0].numpy())).all()
    red, _, blue = pixels("depth_error")[0, 0].tolist()
    assert red > blue, "too far is red"


def test_relative_depth_is_aligned_before_it_is_shown(tmp_path):
    model = Model()
    model.scale, model.shift = 0.5, 1
    draw(tmp_path, Sets(unit="relative", alignment="depth"), model)
    paths = tmp_path / "0_true_depth.png", tmp_path / "0_pred_depth.png"
    true, found = (np.array(Image.open(path)).astype(int) for path in paths)
    assert np.abs(true - found).max() <= 2


def test_the_same_bytes_each_time_and_large_scenes_are_shrunk(tmp_path):
    contents = []
    for _ in range(2):  # the second replaces the first
        draw(tmp_path / "tiles", Sets(2 * MAX_SIDE_PX), Model())
        contents.append({p.name: p.read_bytes() for p in (tmp_path / "tiles").iterdir()})
    assert contents[0] == contents[1]
    assert Image.open(tmp_path / "tiles/0_bg.png").size == (MAX_SIDE_PX, MAX_SIDE_PX)
