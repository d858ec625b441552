"""The table of robustness on synthetic sets, by predictors whose figures are known."""

import numpy as np
import pytest
import torch

from depthmask.data.composition.eval_sets import open_sets
from depthmask.evaluation.robustness import NEUTRAL, condition_examples, measure_robustness
from depthmask.evaluation.robustness.frames import Frames, cases
from depthmask.evaluation.robustness.trained import TrainedRanges
from synthetic import TINY, write_synthetic

PARAMS = TINY.evaluate.robustness.model_copy(update={"num_scenes": 3})
STRENGTHS = {
    **{name: sorted({*given, NEUTRAL[name]}) for name, given in PARAMS.conditions.items()},
    "two_people": [1, 2],
    "nobody": sorted(PARAMS.conditions["exposure"]),
}


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    write_synthetic(folder)
    return open_sets(folder / "data/prepared", TINY.compositor, TINY.placement.seed, "cpu")


def truth(scene):
    return scene.mask, scene.depth


def everybody(scene):
    return torch.ones_like(scene.mask), None


def changed(scene):
    return ((scene.bg_fg - scene.bg).abs().amax(1, keepdim=True) > 0.15).float(), None


def extremes(values):
    return float(np.nanmin(values)), float(np.nanmax(values))


def measure(sets, **changes):
    settings = {"trained": TINY.compositor, "trained_nobody": 0.04, "bounds": extremes}
    predictors = {"truth": truth, "changed": changed, "everybody": everybody}
    return measure_robustness(predictors, sets, PARAMS, **(settings | changes))


@pytest.fixture(scope="module")
def table(sets):
    return measure(sets)


def test_a_row_an_experiment_condition_and_strength(table):
    assert list(dict.fromkeys(table.experiment)) == ["truth", "changed", "everybody"]
    for _, rows in table.groupby("experiment"):
        found = {name: part.strength.tolist() for name, part in rows.groupby("condition")}
        assert found == STRENGTHS
        assert list(dict.fromkeys(rows.condition)) == list(NEUTRAL)
    assert set(table[table.condition == "nobody"].num_scenes) == {2}
    # of three frames in two rooms two share one
    assert set(table[table.condition == "two_people"].num_scenes) == {2}
    assert set(table[table.condition == "shift"].num_scenes) == {3}


def test_the_truth_is_right_under_every_condition(table):
    rows = table[table.experiment == "truth"]
    for column in ("mask_iou", "mask_iou_low", "mask_boundary_f", "depth_delta1"):
        assert (rows[column] == 1).all(), column
    assert (rows.false_area == 0).all() and (rows.depth_abs_rel == 0).all()
    nobody = rows.condition == "nobody"
    assert (rows[nobody].false_alarm == 0).all() and rows[~nobody].false_alarm.isna().all()
    assert rows[nobody].person_distance_error.isna().all()
    assert (rows[~nobody].person_distance_error == 0).all()


def test_who_sees_people_everywhere_is_found_out(table, sets):
    rows = table[table.experiment == "everybody"]
    assert rows[rows.condition == "nobody"].false_area.tolist() == [1.0] * 5
    assert rows[rows.condition == "nobody"].false_alarm.tolist() == [1.0] * 5
    assert rows[rows.condition == "nobody"].mask_iou.tolist() == [0.0] * 5
    assert rows.depth_delta1.isna().all()
    shift = rows[rows.condition == "shift"]
    masks = torch.cat([scene.mask for scene in sets.scenes("in_scene")])
    person = (masks > 0.5).double().mean((1, 2, 3)).numpy()
    assert shift.false_area.to_numpy() == pytest.approx(1 - person.mean())
    assert shift.mask_iou.to_numpy() == pytest.approx(person.mean())
    assert shift.mask_iou_low.to_numpy() == pytest.approx(person.min())
    assert shift.false_area_high.to_numpy() == pytest.approx(1 - person.min())


def test_a_difference_suffers_from_what_changes_the_plate(table):
    rows = table[table.experiment == "changed"].set_index(["condition", "strength"])
    iou = rows.mask_iou
    for name in ("exposure", "noise"):
        assert iou[name, max(STRENGTHS[name])] < iou[name, NEUTRAL[name]] - 0.1
    assert iou["camouflage", 1] < iou["camouflage", 0] - 0.1
    # untouched frames are the same frames wherever they stand in the table
    neutral = [iou[name, NEUTRAL[name]] for name in PARAMS.conditions]
    assert len(set(neutral)) == 1
    assert rows.false_alarm["nobody", 0] == 0 and rows.false_alarm["nobody", 1] == 1


def test_the_same_table_again_and_in_other_batches(table, sets):
    again = measure(sets, batch_size=2)
    assert again.equals(table)


def test_a_source_without_such_frames_has_no_such_rows(table, sets, monkeypatch):
    monkeypatch.setattr(type(sets), "pairs", lambda self, name: iter(()))
    monkeypatch.setattr(type(sets), "empty_scenes", lambda self: iter(()))
    found = measure(sets, trained=None)
    assert set(found.condition) == set(PARAMS.conditions)
    same = table[table.condition.isin(PARAMS.conditions)].reset_index(drop=True)
    assert found.drop(columns="trained_for").equals(same.drop(columns="trained_for"))
    # of a training on files nobody knows what it drew
    neutral = found.strength == found.condition.map(NEUTRAL)
    assert (found.trained_for == neutral).all()


def test_trained_for_follows_the_training_s_settings(table):
    known = table[table.experiment == "truth"].set_index(["condition", "strength"]).trained_for
    # 0.01 of 64 px each way, 0.9 px at most
    assert [bool(known["shift", px]) for px in (0, 1, 2)] == [True, False, False]
    assert [bool(known["rotation", degrees]) for degrees in (0, 0.5, 1, 2)] == [True] * 3 + [False]
    assert [bool(known["exposure", stops]) for stops in (-1, -0.5, 0.5, 1)] == [
        False, True, True, False,
    ]  # fmt: skip
    assert known["noise", 0.02] and not known["noise", 0.04]
    assert not known["temperature", 0.5]
    for name in ("jpeg", "camouflage", "two_people"):
        rows = known[name]
        assert rows[rows].index.tolist() == [NEUTRAL[name]]
    assert known["nobody", 0.5] and not known["nobody", 1]


def test_what_is_switched_off_was_not_trained_for():
    settings = {"nobody": 0.04, "size": 96, "shadow": 0.25}
    ranges = TrainedRanges(TINY.compositor, **settings)
    assert ranges.hold("shift", 0.9) and not ranges.hold("shift", 1)
    # 1 - 0.75 ** k stays below the strength of 0.5 up to k = 2.4
    assert ranges.hold("shadow", 0) and ranges.hold("shadow", 2) and not ranges.hold("shadow", 2.5)
    off = {
        name: {**getattr(TINY.compositor, name).model_dump(), "p": 0.0}
        for name in ("plate_motion", "plate_light", "noise", "shadow")
    }
    still = type(TINY.compositor).model_validate(TINY.compositor.model_dump() | off)
    ranges = TrainedRanges(still, **settings | {"nobody": 0.0})
    for name, strength in (("shift", 0.5), ("rotation", 0.5), ("exposure", 0.1), ("noise", 0.01),
                           ("temperature", 0.05), ("shadow", 0.5), ("nobody", 0)):  # fmt: skip
        assert not ranges.hold(name, strength), name
        assert name == "nobody" or ranges.hold(name, NEUTRAL[name])


def test_one_frame_keeps_its_partner_and_its_room(sets):
    frames = Frames.of(sets, 3)
    one = frames.only(2)  # of the first room, as its partner the first frame is
    assert len(one.scene.mask) == len(one.empty.mask) == 1
    assert torch.equal(one.scene.bg_fg[0], frames.scene.bg_fg[2])
    assert torch.equal(one.empty.bg, one.scene.bg)
    first, second = one.pairs
    assert torch.equal(first.bg_fg, one.scene.bg_fg)
    assert torch.equal(second.bg_fg[0], frames.scene.bg_fg[0])
    merged = next(c for c in cases(one, PARAMS) if (c.condition, c.strength) == ("two_people", 2))
    assert merged.scene.mask.sum() > one.scene.mask.sum()


def test_examples_are_one_frame_at_every_strength(sets, table):
    examples = condition_examples(
        changed, sets, PARAMS, trained=TINY.compositor, trained_nobody=0.04
    )
    rows = table[table.experiment == "changed"]
    found = [(example.condition, example.strength, example.trained_for) for example in examples]
    assert found == list(zip(rows.condition, rows.strength, rows.trained_for, strict=True))
    untouched = {
        example.bg_fg.tobytes()
        for example in examples
        if example.strength == NEUTRAL[example.condition] and example.condition != "nobody"
    }
    assert len(untouched) == 1
    for example in examples:
        there = example.true_mask > 0.5
        wrong = (example.pred_mask > 0.5) & ~there
        if example.condition == "nobody":
            assert example.figure == pytest.approx(wrong.mean())
        else:
            union = (there | wrong).sum()
            hit = there & (example.pred_mask > 0.5)
            assert example.figure == pytest.approx(hit.sum() / union)
