"""The scenes of the report: which are chosen, and what their pictures show."""

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from depthmask.data.scenes.scene import Scene
from depthmask.metrics import METRICS, score_scenes
from depthmask.visualization.canvas import MISSED, DepthScale
from depthmask.visualization.gallery import MAX_SIDE_PX, chosen_scenes, draw_scene_tiles

SIDE, NUM = 32, 7


class Sets:
    """Frames with a square person, 3 m from the camera before a wall 6 m away, in two batches."""

    headline = "in_scene"

    def __init__(self, side: int = SIDE, unit="metre", alignment=None) -> None:
        self.unit, self.alignment = unit, alignment
        mask = torch.zeros(NUM, 1, side, side)
        mask[..., side // 4 : side // 2, side // 4 : side // 2] = 1
        shade = torch.arange(1, NUM + 1).float().view(-1, 1, 1, 1) / 10
        bg, bg_fg = (each.repeat(1, 3, 1, 1) for each in (shade + 0 * mask, shade + mask / 5))
        self.all = Scene(bg, bg_fg, mask, torch.where(mask > 0, 3.0, 6.0))

    def scenes(self, name):
        assert name == self.headline
        for part in (slice(0, 4), slice(4, None)):
            yield Scene(*(field[part] for field in self.all))


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
    table = table.assign(scene=range(NUM), cutout="person-1")
    table["plate"] = [f"room-{k}" for k in range(NUM)]
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
    assert "worst_depth" not in chosen_scenes(rows([0.5, 0.6], math.nan))
    for count, expected in (  # few are shared out
        (1, {"best": [0]}),
        (2, {"best": [0], "worst": [1]}),
        (5, {"best": [0, 1], "median": [2], "worst": [4, 3]}),
    ):
        chosen = chosen_scenes(rows([1 - 0.1 * k for k in range(count)]))
        assert chosen == expected | {"worst_depth": expected["best"]}


def test_pictures_and_index_show_the_scenes_of_the_table(tmp_path):
    sets = Sets()
    draw(tmp_path / "tiles", sets, Model())
    index = json.loads((tmp_path / "tiles/index.json").read_text())
    assert (index["experiment"], index["set"], index["unit"]) == ("bce_ssim", "in_scene", "metre")
    assert {kind: [s["scene"] for s in group] for kind, group in index["groups"].items()} == {
        "best": [0], "median": [3], "worst": [6], "worst_depth": [0],
    }  # fmt: skip
    worst = index["groups"]["worst"][0]
    assert (worst["plate"], worst["cutout"]) == ("room-6", "person-1")
    assert worst["figures"]["mask_iou"] == pytest.approx(2 / 8)  # six of eight rows are missed
    assert worst["figures"]["depth_abs_rel"] == pytest.approx(0.1)
    assert set(worst["figures"]) == set(METRICS)

    def pixels(field):
        return np.array(Image.open(tmp_path / "tiles" / worst["tiles"][field]))

    assert (pixels("bg") == round(0.7 * 255)).all()
    assert pixels("true_mask")[10, 10].tolist() == [255] * 3 and pixels("true_mask").sum() > 0
    assert pixels("pred_mask")[8, 10].tolist() == [int(MISSED[i : i + 2], 16) for i in (1, 3, 5)]
    assert pixels("pred_mask")[15, 10].tolist() == [255] * 3
    scale = DepthScale(**index["scale"], unit="metre")
    assert scale.near == pytest.approx(3) and scale.far == pytest.approx(6)
    assert (pixels("true_depth") == scale.rgb(sets.all.depth[6, 0].numpy())).all()
    assert (pixels("pred_depth") == scale.rgb(1.1 * sets.all.depth[6, 0].numpy())).all()
    red, _, blue = pixels("depth_error")[0, 0].tolist()
    assert red > blue, "too far is red"


def test_relative_depth_is_aligned_before_it_is_shown(tmp_path):
    model = Model()
    model.scale, model.shift = 0.5, 1
    draw(tmp_path, Sets(unit="relative", alignment="depth"), model)
    paths = tmp_path / "0000_true_depth.png", tmp_path / "0000_pred_depth.png"
    true, found = (np.array(Image.open(path)).astype(int) for path in paths)
    assert np.abs(true - found).max() <= 2


def test_the_same_bytes_each_time_and_large_scenes_are_shrunk(tmp_path):
    contents = []
    for _ in range(2):  # the second replaces the first
        draw(tmp_path / "tiles", Sets(2 * MAX_SIDE_PX), Model())
        contents.append({p.name: p.read_bytes() for p in (tmp_path / "tiles").iterdir()})
    assert contents[0] == contents[1]
    assert Image.open(tmp_path / "tiles/0000_bg.png").size == (MAX_SIDE_PX, MAX_SIDE_PX)
