"""The figures: what they hold, and that the same input gives the same bytes."""

import json
import re
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from dvc_render.vega import VegaRenderer
from PIL import Image

from depthmask import visualization as report
from depthmask.data.scenes.scene import Scene
from depthmask.errors import InputError
from depthmask.visualization.canvas import Canvas
from depthmask.visualization.curves import spread_apart
from depthmask.visualization.depth_colors import (
    BRIGHTEST,
    DARKEST,
    DEPTH_COLORS,
    INVALID_RGB,
    depth_ramp,
    error_rgb,
)
from depthmask.visualization.theme import line_styles
from depthmask.visualization.tiles import (
    mask_errors_rgb,
    mask_rgb,
    on_checkerboard,
    sample_splits,
    shared_crop,
    spread,
    unit_mask,
)

ROOT = Path(__file__).parents[1]
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


@pytest.fixture
def table():
    epochs = [
        {
            "experiment": name,
            "epoch": epoch,
            "size": 32 if epoch < 2 else 48,
            "val/loss": 1 / (epoch + 1),
            "val/mask_iou": 0.2 * epoch,
            "val/depth_rmse": np.nan if name == "masknet3_bce" else 3.0 - epoch / 2,
        }
        for name in ("bce_rmse", "masknet3_bce")
        for epoch in range(4)
    ]
    return pd.DataFrame(epochs)


@pytest.fixture
def metrics():
    def both(mask_iou=None, depth_abs_rel=None):
        scores = {}
        if mask_iou is not None:
            scores |= {"mask_iou": mask_iou, "mask_dice": mask_iou}
        if depth_abs_rel is not None:
            scores |= {"depth_abs_rel": depth_abs_rel, "depth_delta1": 0.7, "depth_rmse": 0.9}
        return {"in_scene": scores, "unseen_unseen": scores, "seen_seen": scores}

    return {
        "best": "second",
        "experiments": {
            "third": both(mask_iou=0.5),
            "second": both(mask_iou=0.8, depth_abs_rel=0.2),
            "first": both(mask_iou=0.9, depth_abs_rel=2.0),
        },
        "baselines": {"constant": both(depth_abs_rel=0.1), "difference": both(mask_iou=0.95)},
    }


@pytest.fixture
def rows(scenes):
    return [
        report.PanelRow(
            "in_scene", bg, bg_fg, mask, np.roll(mask, 1, axis=1), depth, 1.2 * depth, 0.71, 0.2
        )
        for bg, bg_fg, mask, depth in zip(*scenes, strict=True)
    ]


@pytest.fixture
def draw(scenes, people, table, metrics, rows):
    """Every figure, by name: a function of the path alone."""
    rooms = report.SplitImages(np.repeat(scenes.bg, 2, axis=0), SPLITS)
    return {
        "contact": lambda path: report.contact_sheet(
            path,
            rooms=rooms,
            rooms_depth=np.repeat(scenes.depth, 2, axis=0),
            people=report.SplitImages(people, SPLITS),
            frames=scenes,
        ),
        "composed": lambda path: report.composed_sheet(path, scenes),
        "augmented": lambda path: report.augmented_sheet(
            path,
            plates=scenes.bg,
            plate_variants=scenes.bg_fg[None],
            cutouts=people,
            cutout_variants=people[None, ..., :3],
        ),
        "panels": lambda path: report.panels(path, rows, title="best"),
        "curves": lambda path: report.curves(path, table, best="bce_rmse"),
        "comparison": lambda path: report.comparison(path, metrics),
        "hero": lambda path: report.hero(path, scenes),
    }


FIGURES = ["contact", "composed", "augmented", "panels", "curves", "comparison", "hero"]


@pytest.mark.parametrize("name", FIGURES)
def test_two_calls_give_the_same_bytes_whatever_the_users_settings(draw, name, tmp_path):
    draw[name](tmp_path / "one.png")
    with matplotlib.rc_context({"font.size": 30, "axes.grid": True, "lines.linewidth": 9}):
        draw[name](tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one.png", "two.png"]


@pytest.mark.parametrize("name", FIGURES)
def test_a_picture_tells_neither_software_nor_date(draw, name, tmp_path):
    draw[name](tmp_path / "figure.png")
    assert set(Image.open(tmp_path / "figure.png").info) <= {"dpi"}


def test_drawing_leaves_the_users_settings_alone(draw, tmp_path):
    with matplotlib.rc_context({"font.size": 30}):
        draw["panels"](tmp_path / "panels.png")
        draw["curves"](tmp_path / "curves.png")
        assert matplotlib.rcParams["font.size"] == 30


def test_a_network_without_depth_has_no_depth_columns(rows, tmp_path):
    without = [
        report.PanelRow("in_scene", r.bg, r.bg_fg, r.true_mask, r.pred_mask, mask_iou=0.7)
        for r in rows
    ]
    report.panels(tmp_path / "with.png", rows, title="a")
    report.panels(tmp_path / "without.png", without, title="a")
    wide, narrow = (Image.open(tmp_path / f"{n}.png") for n in ("with", "without"))
    assert wide.height == narrow.height
    assert wide.width - narrow.width > 3 * 170


def test_no_rows_is_the_users_error(tmp_path):
    with pytest.raises(InputError, match="num_panels"):
        report.panels(tmp_path / "panels.png", [], title="best")
    assert not list(tmp_path.iterdir())


def test_a_source_without_in_scene_frames_has_a_contact_sheet(scenes, people, tmp_path):
    report.contact_sheet(
        tmp_path / "sheet.png",
        rooms=report.SplitImages(scenes.bg, SPLITS[2:6]),
        rooms_depth=scenes.depth,
        people=report.SplitImages(people, SPLITS),
        frames=Scene(*(field[:0] for field in scenes)),
        unit="relative",
    )
    assert Image.open(tmp_path / "sheet.png").height > 300


def test_hero_is_clear_outside_its_corners_and_sharper_on_demand(scenes, tmp_path):
    scenes = Scene(*(field[:1] for field in scenes))
    report.hero(tmp_path / "hero.png", scenes)
    report.hero(tmp_path / "fine.png", scenes, scale=2)
    hero, fine = (Image.open(tmp_path / f"{n}.png") for n in ("hero", "fine"))
    assert hero.mode == "RGBA"
    assert hero.getpixel((0, 0))[3] == 0
    assert hero.getpixel((hero.width // 2, 10))[3] == 255
    assert fine.size == (2 * hero.width, 2 * hero.height)


def test_hero_without_a_person(scenes, tmp_path):
    report.hero(tmp_path / "hero.png", scenes._replace(mask=np.zeros_like(scenes.mask)))


def test_canvas_pastes_pixels_where_it_is_told(tmp_path):
    pixels = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    with Canvas(20, 10) as canvas:
        canvas.image(7, 3, 5, 4, pixels, radius=0)
        canvas.save(tmp_path / "canvas.png")
    written = np.asarray(Image.open(tmp_path / "canvas.png").convert("RGB"))
    np.testing.assert_array_equal(written[3:7, 7:12], pixels)
    written = written.copy()
    written[3:7, 7:12] = 255
    assert (written == 255).all()


def test_depth_scale_is_logarithmic_in_metres_and_linear_otherwise():
    depth = np.array([1, 2, 4, 16, 99, 0, np.nan])
    metres = report.DepthScale(1, 16).unit_interval(depth)
    np.testing.assert_allclose(metres, [0, 0.25, 0.5, 1, 1, np.nan, np.nan])
    relative = report.DepthScale(0, 8, "relative").unit_interval(depth[:3])
    np.testing.assert_allclose(relative, [0.125, 0.25, 0.5])


def test_near_is_bright_far_is_dark_and_unknown_is_grey():
    rgb = report.DepthScale(1, 16).rgb(np.array([[1.0, 16.0, np.inf]]))
    lightness = rgb.astype(int).sum(axis=-1)[0]
    assert lightness[0] > lightness[1] + 300
    assert tuple(rgb[0, 2]) == INVALID_RGB
    np.testing.assert_array_equal(depth_ramp(2), rgb[0, :2])


def test_the_depth_colours_darken_evenly():
    """Lightness falls with every step, so no edge appears where the depth has none."""
    rgb = DEPTH_COLORS(np.linspace(BRIGHTEST, DARKEST, 64))[:, :3]
    luminance = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    assert (np.diff(luminance @ [0.2126, 0.7152, 0.0722]) < 0).all()


def test_depth_scale_spans_all_but_the_extremes():
    depth = np.linspace(1, 11, 1001)
    depth[0], depth[-1] = 0, 1e6
    scale = report.DepthScale.spanning(depth)
    assert scale.near == pytest.approx(1.06, abs=0.01)
    assert scale.far == pytest.approx(10.96, abs=0.01)
    flat = report.DepthScale.spanning(np.full((2, 2), 3.0))
    assert (flat.near, flat.far) == (3.0, 4.5)
    nothing = report.DepthScale.spanning(np.zeros((2, 2)))
    assert nothing.near < nothing.far
    with pytest.raises(InputError, match="furlong"):
        report.DepthScale.spanning(depth, unit="furlong")


def test_only_metres_are_called_metres():
    ticks = report.DepthScale(0.9, 22).ticks()
    assert [words for _, words in ticks] == ["1 m", "2 m", "5 m", "10 m", "20 m"]
    places = [at for at, _ in ticks]
    assert min(np.diff(places)) >= 0.12
    assert all(0 <= at <= 1 for at in places)
    relative = report.DepthScale(0.1, 0.9, "relative")
    assert [words for _, words in relative.ticks()] == ["0.1", "0.9"]
    assert relative.label == "relative depth"


def test_depth_error_is_blue_too_near_white_right_red_too_far():
    true = np.array([[2.0, 2.0, 2.0, 0.0]])
    near, right, far, unknown = error_rgb(np.array([[1.0, 2.0, 3.0, 2.0]]), true)[0].astype(int)
    assert near[2] > near[0] + 50
    assert far[0] > far[2] + 50
    assert right.min() > 240
    assert tuple(unknown) == INVALID_RGB


def test_mask_kinds_mean_the_same():
    expected = [0, 1, 1]
    for mask in (
        np.array([False, True, True]),
        np.array([0, 255, 255], np.uint8),
        np.array([0, 1, 1], np.float32),
    ):
        np.testing.assert_array_equal(unit_mask(mask), expected)
        np.testing.assert_array_equal(mask_rgb(mask)[:, 0], [0, 255, 255])


def test_mask_errors_have_four_colours():
    true, pred = np.array([[1, 1, 0, 0]]), np.array([[0.9, 0.2, 0.8, 0.1]])
    hit, missed, false, empty = (tuple(c) for c in mask_errors_rgb(pred, true)[0])
    assert hit == (255, 255, 255)
    assert empty == (0, 0, 0)
    assert missed[2] > missed[0]  # blue
    assert false[0] > false[2]  # orange


def test_a_cutout_lies_on_its_ground_by_its_alpha():
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 3] = 0, 255, 51
    np.testing.assert_array_equal(on_checkerboard(rgba, 8)[0, :, 0], [232, 0, 186])


def test_shared_crop_holds_every_person():
    rgba = np.zeros((2, 100, 50, 4), np.uint8)
    rgba[0, 20:60, 10:20, 3] = 255
    rgba[1, 30:90, 15:30, 3] = 255
    assert shared_crop(rgba) == (slice(16, 94), slice(8, 32))
    everything = (slice(None), slice(None))
    assert shared_crop(np.zeros((1, 4, 4, 4), np.uint8)) == everything


def test_samples_are_spread_and_from_every_split():
    assert spread(10, 4) == [0, 2, 5, 7]
    assert spread(3, 9) == [0, 1, 2]
    assert spread(0, 9) == []
    splits = ["test"] * 5 + ["train"] * 20 + ["val"] * 1
    chosen = sample_splits(splits, 8)
    assert [splits[i] for i in chosen] == ["train"] * 5 + ["val"] + ["test"] * 2
    assert len(set(chosen)) == 8


def test_labels_keep_their_distance_and_their_order():
    assert spread_apart([0.2, 0.8], 0.1) == pytest.approx([0.2, 0.8])
    assert spread_apart([0.5, 0.5, 0.9], 0.1) == pytest.approx([0.45, 0.55, 0.9])
    assert spread_apart([0.8, 0.98, 1.0], 0.1) == pytest.approx([0.8, 0.9, 1.0])
    places = spread_apart(sorted(np.random.default_rng(0).uniform(0, 1, 12)), 0.07)
    assert min(np.diff(places)) > 0.07 - 1e-9


def test_an_experiments_colour_does_not_hang_on_the_order_of_rows():
    names = [f"experiment_{i:02}" for i in range(20)]
    styles = line_styles(names)
    assert styles == line_styles(reversed(names))
    assert len(set(map(str, styles.values()))) == len(names)


def test_curves_name_the_column_that_lacks(table, tmp_path):
    with pytest.raises(InputError, match="val/depth_rmse"):
        report.curves(tmp_path / "curves.png", table.drop(columns="val/depth_rmse"))


def test_curves_of_no_experiment_with_depth(table, tmp_path):
    masks = table[table.experiment == "masknet3_bce"]
    report.curves(tmp_path / "rmse.png", masks, columns=["val/depth_rmse"])
    assert (tmp_path / "rmse.png").exists()


def test_results_are_ranked_baselines_beneath(metrics):
    lines = report.results_table(metrics).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [row[0] for row in cells[2:]] == [
        "first", "**second** ★", "third", "_difference_", "_constant_",
    ]  # fmt: skip
    assert len({len(row) for row in cells}) == 1
    assert re.fullmatch(r":?-+:?", cells[1][0])
    # a baseline may be ahead, bold is the best experiment
    head = cells[0]
    iou, abs_rel = head.index("in-scene IoU"), head.index("in-scene AbsRel")
    assert [row[iou] for row in cells[2:]] == ["**0.900**", "0.800", "0.500", "0.950", "–"]
    assert [row[abs_rel] for row in cells[2:]] == ["2.000", "**0.200**", "–", "–", "0.100"]


def test_results_with_a_figure_that_is_no_number(metrics):
    metrics["experiments"]["first"]["in_scene"]["mask_iou"] = float("nan")
    lines = report.results_table(metrics).splitlines()
    assert lines[2].startswith("| **second** ★ | **0.800**")
    assert lines[4].startswith("| first | – |")


@pytest.mark.parametrize("missing", ["experiments", "baselines"])
def test_comparison_of_experiments_or_baselines_alone(metrics, missing, tmp_path):
    report.comparison(tmp_path / "comparison.png", {**metrics, missing: {}})
    assert (tmp_path / "comparison.png").exists()


def test_dvc_fills_our_template_a_colour_an_experiment(table):
    points = [{**row, "rev": "workspace"} for row in table.astype(str).to_dict("records")]
    renderer = VegaRenderer(
        points,
        "mask_iou",
        template="experiments",
        template_dir=str(ROOT / ".dvc" / "plots"),
        x="epoch",
        y="val/mask_iou",
        title="Mask IoU",
    )
    filled = renderer.get_filled_template()
    assert "<DVC_METRIC" not in json.dumps(filled)
    assert filled["data"]["values"] == points
    assert filled["encoding"]["color"]["field"] == "experiment"
    assert filled["encoding"]["y"]["field"] == "val/mask_iou"
    colors = [color for color, _ in line_styles("abcdefg").values()]
    assert filled["encoding"]["color"]["scale"]["range"] == colors
