"""Harder frames: what each condition does, and the table of predictors whose figures are known."""

import copy
import itertools
import math

import numpy as np
import pytest
import torch

from depthmask.data.composition.eval_sets import PAIR_SETS, joined
from depthmask.data.scenes.library import Frames
from depthmask.data.scenes.scene import Scene
from depthmask.data.sources import read_source
from depthmask.errors import InputError
from depthmask.evaluation import robustness
from depthmask.evaluation.intervals import cluster_mean
from depthmask.evaluation.robustness import CONDITIONS, draw, make_harder
from depthmask.evaluation.robustness_table import measure_robustness
from depthmask.metrics import mask_iou
from synthetic import COMPOSITION, TINY

SIZE = 48
STRONG = {"shift": 2.5, "rotation": 4, "exposure": 0.7, "noise": 0.05,
          "jpeg": 30, "camouflage": 1}  # fmt: skip
NEUTRAL = {name: condition.neutral for name, condition in CONDITIONS.items()}
PARAMS = TINY.evaluate.robustness.model_copy(update={"num_scenes": 3})
FOCAL = torch.full((1, 1, 1, 1), 0.9)
STRENGTHS = {
    **{name: sorted({*given, NEUTRAL[name]}) for name, given in PARAMS.conditions.items()},
    "nobody": sorted(PARAMS.conditions["exposure"]),
}


def make_scene(*, wall=(0.6, 0.5, 0.4), shadow=1.0):
    """A plain wall, a person 8 px wide whose rim is half theirs, a shadow to their right."""
    bg = torch.tensor(wall).view(1, 3, 1, 1).expand(1, 3, SIZE, SIZE).clone()
    mask = torch.zeros(1, 1, SIZE, SIZE)
    mask[..., 12:40, 20:28] = 1
    mask[..., 12:40, (20, 27)] = 0.5
    light = torch.ones(1, 1, SIZE, SIZE)
    light[..., 30:44, 28:38] = shadow
    bg_fg = bg * light * (1 - mask) + torch.tensor((0.2, 0.3, 0.8)).view(1, 3, 1, 1) * mask
    return Scene(bg, bg_fg, mask, torch.where(mask > 0.5, 3.0, 6.0), FOCAL)


@pytest.fixture
def scenes():
    random = torch.Generator().manual_seed(0)
    mask = torch.zeros(4, 1, SIZE, SIZE)
    mask[..., 10:40, 14:26] = 1
    bg, bg_fg = (torch.randint(0, 256, (4, 3, SIZE, SIZE), generator=random) / 255 for _ in "ab")
    return Scene(bg, bg_fg, mask, torch.where(mask > 0, 2.0, 5.0), FOCAL.expand(4, 1, 1, 1))


@pytest.mark.parametrize("name", STRONG)
def test_the_neutral_strength_changes_nothing_and_others_leave_the_truth(scenes, name):
    draws, neutral = draw(scenes, 0), NEUTRAL[name]
    assert make_harder(scenes, name, neutral, draws) is scenes
    if name != "jpeg":  # the best JPEG is still one; 100 stands for none
        same = CONDITIONS[name].apply(scenes, neutral, draws)
        for before, after in zip(scenes, same, strict=True):
            torch.testing.assert_close(after, before, atol=2e-5, rtol=0)
    changed = make_harder(scenes, name, STRONG[name], draws)
    for image in (changed.bg, changed.bg_fg):
        assert image.min() >= 0 and image.max() <= 1
        assert torch.equal(image, (image * 255).round() / 255)
    assert torch.equal(changed.mask, scenes.mask) and torch.equal(changed.depth, scenes.depth)
    of_plate = name in ("shift", "rotation", "exposure")
    assert torch.equal(changed.bg_fg, scenes.bg_fg) == of_plate
    assert torch.equal(changed.bg, scenes.bg) == (name == "camouflage")


def test_strengths_are_checked_and_a_condition_is_added_in_one_place(scenes, monkeypatch):
    monkeypatch.setitem(CONDITIONS, "blink", CONDITIONS["noise"])  # gone after the test

    @robustness.condition("Blink", "share", (0, 1))
    def blink(scene, share, draws):
        return scene._replace(bg_fg=share * scene.bg)

    robustness.check_strengths({"blink": (0, 0.5), "shift": (1.0,)})
    assert make_harder(scenes, "blink", 0.5, draw(scenes, 0)).bg_fg.max() < 0.51
    # the other refusals are in test_config
    with pytest.raises(InputError, match="unknown condition 'shadow'; use .* shift, .*blink"):
        robustness.check_strengths({"shadow": (1,)})


def test_a_shift_by_pixels(scenes):
    draws = draw(scenes, 0)._replace(direction=torch.tensor([0, 0.5, 1, 1.5]) * math.pi)
    bg = make_harder(scenes, "shift", 3, draws).bg
    inside = slice(6, -6)
    for row, (dx, dy) in enumerate([(3, 0), (0, 3), (-3, 0), (0, -3)]):
        moved = scenes.bg[row].roll((-dy, -dx), (1, 2))
        torch.testing.assert_close(bg[row, :, inside, inside], moved[:, inside, inside])


def test_quarter_turns_and_draws_that_go_every_way(scenes):
    draws = draw(scenes, 0)
    bg = make_harder(scenes, "rotation", 90, draws).bg
    for row, turn in enumerate(draws.turn.tolist()):
        torch.testing.assert_close(bg[row], torch.rot90(scenes.bg[row], int(turn), (1, 2)))
    many = draw(Scene(*(field[:1].expand(200, -1, -1, -1) for field in scenes)), 0)
    assert torch.bincount((many.direction / (math.pi / 2)).long(), minlength=4).min() > 30
    assert abs(float(many.turn.mean())) < 0.2 and set(many.turn.tolist()) == {-1.0, 1.0}
    assert torch.equal(draw(scenes, 0).noise, draws.noise)
    assert not torch.equal(draws.noise, draw(scenes, 1).noise)


def test_light_noise_and_jpeg_are_as_strong_as_said(scenes):
    scene = make_scene(wall=(0.2, 0.4, 0.8))
    brighter = make_harder(scene, "exposure", 1, None).bg[0, :, 0, 0]
    torch.testing.assert_close(brighter, torch.tensor([0.4, 0.8, 1.0]), atol=0.002, rtol=0)
    grey = scenes._replace(
        bg=torch.full_like(scenes.bg, 0.5), bg_fg=torch.full_like(scenes.bg, 0.5)
    )
    noisy = make_harder(grey, "noise", 0.05, draw(grey, 0))
    assert float((noisy.bg - 0.5).std()) == pytest.approx(0.05, rel=0.03)
    smooth = make_scene()._replace(bg=torch.linspace(0, 1, SIZE).expand(1, 3, SIZE, SIZE))
    jpegs = (make_harder(smooth, "jpeg", quality, None).bg for quality in (95, 50, 10))
    losses = [float((bg - smooth.bg).abs().mean()) for bg in jpegs]
    assert 0 < losses[0] < losses[1] < losses[2] < 0.1


def test_other_light_is_told_and_a_shadow_is_none():
    scene = make_scene(wall=(0.3, 0.25, 0.2), shadow=0.5)
    scene = scene._replace(bg=scene.bg * 1.5)
    light = robustness.light_between(scene).exp().flatten().tolist()
    assert light == pytest.approx([1 / 1.5] * 3, rel=0.05)


def test_who_wears_the_wall_s_colour_vanishes_but_for_the_folds():
    scene = make_scene()
    half, whole = (make_harder(scene, "camouflage", share, None).bg_fg for share in (0.5, 1))
    torch.testing.assert_close(whole, scene.bg, atol=0.003, rtol=0)
    torch.testing.assert_close(half, (scene.bg + scene.bg_fg) / 2, atol=0.003, rtol=0)
    folds = torch.ones(SIZE, SIZE)
    folds[20:30] = 0.5
    dark = scene._replace(bg_fg=torch.where(scene.mask == 1, scene.bg_fg * folds, scene.bg_fg))
    worn = make_harder(dark, "camouflage", 1, None).bg_fg[0, :, :, 24]
    assert (worn[:, 25] < 0.9 * worn[:, 15]).all()


@pytest.fixture(scope="module")
def sets(synthetic_data):
    prepared = synthetic_data / "prepared"
    return read_source(prepared).open_sets(prepared, COMPOSITION, "cpu")


def changed(scene, _):
    return ((scene.bg_fg - scene.bg).abs().amax(1, keepdim=True) > 0.15).float(), None


METHODS = {
    "truth": lambda scene, _: (scene.mask, scene.depth),
    "changed": changed,
    "everybody": lambda scene, _: (torch.ones_like(scene.mask), None),
}


@pytest.fixture(scope="module")
def table(sets):
    return measure_robustness(METHODS, sets, PARAMS, 0.95)


def test_a_row_an_experiment_condition_and_strength(table):
    assert list(dict.fromkeys(table.experiment)) == list(METHODS)
    for _, rows in table.groupby("experiment"):
        found = {name: part.strength.tolist() for name, part in rows.groupby("condition")}
        assert found == STRENGTHS
        assert list(dict.fromkeys(rows.condition)) == list(CONDITIONS)
    counts = table.groupby("condition").num_scenes.first()
    assert (counts["nobody"], counts["shift"]) == (2, 3)


def test_the_truth_is_right_and_who_sees_people_everywhere_is_found_out(table, sets):
    rows = table[table.experiment == "truth"]
    assert (rows[["mask_iou", "mask_boundary_f", "depth_delta1"]] == 1).all().all()
    assert (rows.false_area == 0).all() and (rows.depth_abs_rel == 0).all()
    nobody = rows.condition == "nobody"
    assert (rows[nobody].false_alarm == 0).all() and rows[~nobody].false_alarm.isna().all()
    rows = table[table.experiment == "everybody"].set_index("condition")
    empty, shift = rows.loc["nobody"], rows.loc["shift"]
    assert (empty[["false_area", "false_alarm"]] == 1).all().all() and (empty.mask_iou == 0).all()
    masks = torch.cat([scene.mask for scene in sets.scenes("in_scene")])
    person = float((masks > 0.5).double().mean())
    assert shift.false_area.to_numpy() == pytest.approx(1 - person)
    assert shift.mask_iou.to_numpy() == pytest.approx(person)


@pytest.fixture
def twelve(sets):
    """The sets with each in-scene frame four times: enough for an interval; its scenes; params."""
    rows, sets = np.repeat(np.arange(3), 4), copy.copy(sets)
    repeated = Frames(*(field.take(rows, axis=0) for field in sets.frames["in_scene"]))
    sets.frames = sets.frames | {"in_scene": repeated}
    still = PARAMS.model_copy(update={"num_scenes": 12, "conditions": {"shift": (0.0,)}})
    return sets, joined(sets.scenes("in_scene")), still


def test_bands_follow_the_rule_of_all_intervals(twelve):
    sets, scene, params = twelve
    row = measure_robustness({"changed": changed}, sets, params, 0.95).iloc[0]
    ious = mask_iou(changed(scene, None)[0], scene.mask).numpy()
    low, high = cluster_mean(ious, sets.origins("in_scene")).bounds(0.95)
    assert row.condition == "shift" and row.num_scenes == 12
    assert (row.mask_iou_low, row.mask_iou_high) == pytest.approx((low, high)) and low < high


def test_the_lead_of_the_first_is_paired_and_has_the_interval_of_the_difference(table, twelve):
    assert table[table.experiment == "truth"].lead.isna().all()
    rows = table[table.experiment == "changed"].set_index(["condition", "strength"])
    np.testing.assert_allclose(rows.lead, 1 - rows.mask_iou)
    sets, scene, params = twelve
    methods = {"changed": changed, "everybody": METHODS["everybody"]}
    rows = measure_robustness(methods, sets, params, 0.95)
    row = rows[(rows.experiment == "everybody") & (rows.condition == "shift")].iloc[0]
    ours, theirs = (mask_iou(each(scene, None)[0], scene.mask) for each in methods.values())
    low, high = cluster_mean((ours - theirs).numpy(), sets.origins("in_scene")).bounds(0.95)
    assert (row.lead_low, row.lead_high) == pytest.approx((low, high)) and low < high


def test_a_difference_suffers_from_what_changes_the_plate(table):
    rows = table[table.experiment == "changed"].set_index(["condition", "strength"])
    iou = rows.mask_iou
    for name in ("exposure", "noise"):
        assert iou[name, max(STRENGTHS[name])] < iou[name, NEUTRAL[name]] - 0.1
    assert iou["camouflage", 1] < iou["camouflage", 0] - 0.1
    # untouched frames are the same frames wherever they stand in the table
    assert len({iou[name, NEUTRAL[name]] for name in PARAMS.conditions}) == 1
    assert rows.false_alarm["nobody", 0] == 0 and rows.false_alarm["nobody", 1] == 1


@pytest.mark.parametrize("name", PAIR_SETS)
def test_every_pair_of_a_room_and_a_person_is_there_once(sets, name, monkeypatch):
    origins, tables = sets.origins(name), (sets.library.plates, sets.library.cutouts)
    rooms, people = (table[table["split"] == PAIR_SETS[name]]["name"] for table in tables)
    assert sorted(map(tuple, origins.to_numpy())) == sorted(itertools.product(rooms, people))
    assert sum(len(scene.mask) for scene in sets.scenes(name)) == len(origins)
    monkeypatch.setattr("depthmask.data.composition.eval_sets.MAX_PAIRS", count := len(rooms))
    few = sets.origins(name)
    assert len(few) == count and few.plate.is_unique and few.cutout.is_unique
