"""Intervals for numbers whose spread is known, the verdict, the leak, and what is refused."""

import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest
import torch

from depthmask.data.scenes.scene import Scene
from depthmask.errors import InputError
from depthmask.evaluation.intervals import Estimate, cluster_mean, holm
from depthmask.evaluation.measuring import (
    best_constant,
    best_threshold,
    check_agreement,
    difference,
)
from depthmask.evaluation.results import (
    choosing_metrics,
    headline_figures,
    judge,
    leak_gaps,
    rank,
    summarise,
)
from depthmask.metrics import METRICS, largest_difference
from depthmask.models.hardware import choose_hardware

CHOSEN_BY = ("mask_iou", "person_delta1")
SETS = ("val", "in_scene", "unseen_unseen", "unseen_seen", "seen_unseen", "seen_seen")
LEAK_SETS = ("seen_seen", "unseen_unseen")


def origins(plates, cutouts) -> pd.DataFrame:
    return pd.DataFrame({"plate": plates, "cutout": cutouts})


def apart(count: int) -> pd.DataFrame:
    """Scenes that share neither room nor person."""
    return origins(range(count), range(count))


def test_scenes_of_their_own_have_the_interval_of_student_s_t():
    values = np.random.default_rng(1).normal(10, 2, 400)
    estimate = cluster_mean(values, apart(400))
    assert estimate == pytest.approx((values.mean(), values.std(ddof=1) / 20, 399))
    reach = np.subtract(estimate.bounds(0.95), estimate.value) / estimate.error
    assert reach.tolist() == pytest.approx([-1.966, 1.966], rel=1e-3)


def test_two_ways_by_hand():
    """Cameron, Gelbach and Miller 2011: by room, plus by person, less by both."""
    values, of = np.array([1.0, 2, 4, 5, 9, 3]), origins(list("aabbcc"), list("xyxyxx"))
    # residuals -3, -2, 0, 1, 5, -1 sixths; by room -5, 1, 4, by person 1, -1
    by_room, by_person, both = (25 + 1 + 16) * 3 / 2, (1 + 1) * 2, (9 + 4 + 0 + 1 + 16) * 5 / 4
    estimate = cluster_mean(values, of)
    assert estimate.error**2 == pytest.approx((by_room + by_person - both) / 36)
    assert estimate.df == 1


def test_four_equal_frames_of_a_room_tell_what_one_would_have_told():
    rooms = np.random.default_rng(2).normal(0, 1, 30)
    four = cluster_mean(np.tile(rooms, 4), origins(np.arange(120) % 30, range(120)))
    assert four == pytest.approx(cluster_mean(rooms, apart(30)))
    one_person = cluster_mean(np.tile(rooms, 4), origins(np.arange(120) % 30, 0))
    assert one_person == pytest.approx(four)  # of one person alone nothing is told


def test_an_interval_covers_the_truth_as_often_as_it_says():
    """Of 80 frames of 20 rooms and 20 people, each with an effect of its own."""
    rng, frames = np.random.default_rng(3), np.arange(80)
    of, covered = origins(frames % 20, (frames + frames // 20) % 20), 0
    for _ in range(400):
        rooms, people = rng.normal(0, 0.1, (2, 20))
        values = rooms[of["plate"]] + people[of["cutout"]] + rng.normal(0, 0.05, 80)
        low, high = cluster_mean(values, of).bounds(0.95)
        covered += low <= 0 <= high
    assert 0.92 <= covered / 400 <= 0.98


def test_what_does_not_count_or_is_no_number_and_too_few_scenes():
    values = np.array([1.0, math.nan, 2.0, 3.0, 5.0, 7.0, math.nan])
    estimate = cluster_mean(values, apart(7))
    assert estimate.value == 3.6 and math.isfinite(estimate.error)
    for few in (values[:5], np.full(7, math.nan), np.array([0.1, -math.inf, 0.3, 1, 1, 1])):
        assert all(map(math.isnan, cluster_mean(few, apart(len(few))).bounds(0.95)))
    assert cluster_mean(values[:5], apart(5)).value == pytest.approx(2.75)


def test_the_gap_of_two_sets_has_the_error_of_both_and_holm_by_hand():
    one, other = Estimate(3.0, 0.3, 12), Estimate(1.0, 0.4, 9)
    assert one.minus(other) == pytest.approx((2.0, 0.5, 9))
    adjusted = holm(pd.Series({"a": 0.01, "b": 0.04, "c": 0.03, "d": math.nan}))
    assert adjusted.tolist() == pytest.approx([0.03, 0.06, 0.06, math.nan], nan_ok=True)


def scenes(lead: float, num: int = 80, noise: float = 0.02, seed: int = 0) -> pd.DataFrame:
    """Figures of an experiment that is `lead` better than 0.7 on the same hard and easy scenes."""
    hard = np.random.default_rng(0).uniform(-0.2, 0.2, num)
    own = np.random.default_rng(seed).normal(0, noise, (2, num))
    figures = {name: 0.7 + lead + hard + own[row] for row, name in enumerate(CHOSEN_BY)}
    numbers = np.arange(num)
    figures |= {"person_share": 0.01 * (1 + numbers)}
    return origins(numbers % 20, numbers % 19).assign(**dict.fromkeys(METRICS, np.nan) | figures)


def judged(ranking: list[str], **experiments: pd.DataFrame):
    return judge(ranking, experiments, "in_scene", CHOSEN_BY, 0.95)


def test_a_steady_lead_is_a_best_and_one_that_is_better_on_the_test_is_named():
    verdict = judged(["a", "b"], a=scenes(0.02, seed=1), b=scenes(0.0, seed=2))
    assert [verdict[key] for key in ("best", "runner_up", "ties", "ahead")] == ["a", "b", [], []]
    assert verdict["sentence"].startswith("a is the best: mask IoU 0.7")
    assert "on 80 frames of people and rooms never seen" in verdict["sentence"]
    lead = verdict["differences"]["b"]["score"]
    assert lead["difference"] == pytest.approx(0.02, abs=0.01)
    assert lead["low"] > 0 and lead["p"] < 0.05
    verdict = judged(["a", "b"], a=scenes(0.0, seed=1), b=scenes(0.05, seed=2))
    assert verdict["ahead"] == ["b"] and verdict["best"] == "a"
    assert "better is b. Its lead over b in the mean of both is -0.0" in verdict["sentence"]


def test_ties_are_told_and_the_number_of_rivals_counts():
    tables = {"a": scenes(0.05, seed=1), "b": scenes(0.0, seed=2), "c": scenes(0.0501, seed=3)}
    verdict = judged(["a", "b", "c"], **tables)
    assert verdict["runner_up"] == "b" and verdict["ties"] == ["c"]
    assert "not told from c." in verdict["sentence"]
    near = {"a": scenes(0.007, seed=1), "b": scenes(0.0, seed=2)}
    assert judged(["a", "b"], **near)["ties"] == []
    many = {f"r{number}": scenes(0.007, seed=number + 7) for number in range(9)}
    among = judged(["a", "b", *many], **near, **many)
    assert "b" in among["ties"] and among["differences"]["b"]["score"]["low"] > 0


def test_mask_only_networks_and_baselines_are_paired_too():
    mask_only = scenes(-0.05, seed=2).assign(person_delta1=np.nan)
    verdict = judged(["a"], a=scenes(0.0, seed=1), masknet3=mask_only)
    assert verdict["runner_up"] is None and "no other DepthMaskNet" in verdict["sentence"]
    ((metric, lead),) = verdict["differences"]["masknet3"].items()
    assert metric == "mask_iou" and 0 < lead["low"] < lead["difference"] < lead["high"]


def test_rooms_that_agree_are_one_witness_and_few_scenes_prove_nothing():
    ahead, behind = scenes(0.0, noise=0.0), scenes(0.0, noise=0.0)
    ahead["mask_iou"] += np.where(np.arange(80) % 20 < 2, 0.3, 0.0) + 0.001 * np.cos(np.arange(80))
    assert judged(["a", "b"], a=ahead, b=behind)["ties"] == ["b"]
    verdict = judged(["a", "b"], a=scenes(0.3, num=3), b=scenes(0.0, num=3))
    assert verdict["ties"] == ["b"] and "too few scenes for an interval" in verdict["sentence"]
    spoilt = scenes(0.0)
    spoilt.loc[3, "person_delta1"] = -np.inf
    verdict = judged(["a", "b"], a=scenes(0.0, seed=1), b=spoilt)
    assert verdict["runner_up"] is None and verdict["differences"] == {}
    spoilt.loc[3, "person_delta1"] = np.nan  # nobody is there: the scene does not count
    assert judged(["a", "b"], a=scenes(0.0, seed=1), b=spoilt)["runner_up"] == "b"


def test_the_ranking_follows_the_mean_on_validation():
    figures = {
        "low": (0.9, 0.1),
        "high": (0.7, 0.6),
        "mask_alone": (0.99, np.nan),
        "spoilt": (-np.inf, 0.9),
        "as_low": (0.1, 0.9),
    }
    validation = pd.DataFrame.from_dict(figures, orient="index", columns=[*CHOSEN_BY])
    validation = validation.rename_axis("experiment").reset_index().assign(set="val", seed=3)
    tests = validation.assign(set="in_scene", **dict.fromkeys(CHOSEN_BY, 1.0))
    ranking = rank(pd.concat([validation, tests]), None)
    assert [*ranking] == ["high", "as_low", "low"] and {*ranking.values()} == {3}
    # ratios of depth with an arbitrary zero choose nothing
    assert choosing_metrics("depth") == ("mask_iou", "depth_ssim")
    assert choosing_metrics("disparity") == choosing_metrics(None) == CHOSEN_BY


def test_the_leak_is_positive_where_seen_is_better_and_less_the_threshold_s():
    near = np.linspace(0, 0.1, 6)

    def pair(ious: tuple[float, float], abs_rels: tuple[float, float]) -> dict[str, pd.DataFrame]:
        return {
            name: apart(6)
            .assign(**dict.fromkeys(METRICS, np.nan))
            .assign(mask_iou=iou + near, depth_abs_rel=abs_rel + near)
            for name, iou, abs_rel in zip(LEAK_SETS, ious, abs_rels, strict=True)
        }

    model, threshold = pair((0.8, 0.5), (0.1, 0.4)), pair((0.6, 0.4), (np.nan, np.nan))
    leak = leak_gaps({"a": model, "difference_threshold": threshold}, LEAK_SETS, 0.95)
    found = leak["a"]["mask_iou"]
    assert found["gap"] == pytest.approx(0.3) == leak["a"]["depth_abs_rel"]["gap"]
    assert 0 < found["low"] < 0.3 < found["high"] and found["excess"] == pytest.approx(0.1)
    # both find the same scenes hard: the excess is known better than either gap
    assert found["excess_high"] - found["excess_low"] < 1e-6
    assert "excess" not in leak["a"]["depth_abs_rel"] | leak["difference_threshold"]["mask_iou"]
    assert leak_gaps({"a": {"seen_seen": model["seen_seen"]}}, LEAK_SETS, 0.95) == {}


def table(name: str, lead: float, seeds: tuple[int, ...] = (0,)) -> pd.DataFrame:
    parts = []
    for seed, (number, set_name) in itertools.product(seeds, enumerate(SETS)):
        part = scenes(lead + 0.01 * number + 0.02 * seed, num=12, seed=number)
        parts.append(part.assign(experiment=name, seed=seed, set=set_name, scene=range(12)))
    return pd.concat(parts, ignore_index=True)


def summary(*tables: pd.DataFrame) -> dict:
    baseline = table("constant_depth", -0.3).assign(mask_iou=np.nan)
    rows = pd.concat(tables, ignore_index=True)
    leak = pd.concat([rows, baseline]).query("set in @LEAK_SETS")
    settings = {"headline": "in_scene", "alignment": None, "level": 0.95, "leak_sets": LEAK_SETS}
    return summarise(rows, baseline, leak, **settings)


def test_the_summary_has_a_figure_an_interval_and_a_leak_for_every_set():
    result = summary(table("a", 0.1), table("b", 0.0))
    assert (result["best_seed"], result["ranking"]) == (0, ["a", "b"])
    assert [*rank(pd.concat([table("b", 0.0), table("a", 0.1)]), None).items()] == [
        ("a", 0),
        ("b", 0),
    ]
    assert result["headline"] == {"set": "in_scene", **result["experiments"]["a"]["in_scene"]}
    assert set(result["experiments"]["a"]) == set(SETS) - {"val"} == set(result["intervals"]["a"])
    for set_name, figures in result["experiments"]["b"].items():
        low, high = result["intervals"]["b"][set_name]["mask_iou"]
        assert low < figures["mask_iou"] < high
    assert result["leak"]["a"]["mask_iou"]["gap"] == pytest.approx(0.04, abs=0.02)
    for part in ("baselines", "intervals"):
        assert set(result[part]["constant_depth"]["in_scene"]) == {"person_delta1"}
    assert result["verdict"]["sentence"].endswith("Each was trained once.")
    assert result["spread"] == {} and result["level"] == 0.95
    rows = table("a", 0.1).query("set == 'in_scene'")
    halves = [rows.query(f"person_share {part} 0.065").mask_iou.mean() for part in "<>"]
    assert list(result["by_size"]["a"]["in_scene"].values()) == pytest.approx(halves)


def test_several_seeds_are_a_mean_and_a_spread_and_the_best_of_them_is_exported():
    result = summary(table("a", 0.1, seeds=(0, 2, 1)), table("b", 0.0))
    of_seeds = [result["seeds"]["a"][seed]["in_scene"]["mask_iou"] for seed in ("0", "1", "2")]
    assert result["experiments"]["a"]["in_scene"]["mask_iou"] == pytest.approx(np.mean(of_seeds))
    spread = result["spread"]["a"]["in_scene"]["mask_iou"]
    assert spread == pytest.approx(np.std(of_seeds, ddof=1)) == pytest.approx(0.02)
    assert result["best_seeds"] == {"a": 2, "b": 0} and result["best_seed"] == 2
    assert rank(table("a", 0.1, seeds=(0, 2, 1)), None) == {"a": 2}
    assert "b" not in result["spread"] and "trained once" not in result["verdict"]["sentence"]


def test_the_headline_is_the_best_on_the_hardest_set():
    lead = {"b": {"score": {"difference": 0.0123456, "low": -0.002}}}
    result = {
        "best": "a",
        "unit": "metre",
        "headline": {"set": "in_scene", "mask_iou": 0.812345678, "mask_dice": 0.9,
                     "depth_delta1": 0.8, "depth_ssim": 0.7, "person_distance_error": math.nan},
        "verdict": {"runner_up": "b", "differences": lead},
        "leak": {"a": {"mask_iou": {"gap": 0.04, "excess": 0.0123}}},
        "experiments": {"a": {}, "b": {}},
        "baselines": {"best_with_plate_depth": {"in_scene": {"person_delta1": 0.9}}},
    }  # fmt: skip
    columns, nan = ["experiment", "condition", "strength", "mask_iou", "lead"], math.nan
    rows = [("a", "shift", 0, 0.81, nan), ("a", "noise", 0.1, 0.3, nan), ("a", "nobody", 1, 0, nan)]
    rows += [("b", "shift", 4, 0.1, 0.02), ("a", "jpeg", 15, nan, nan), ("b", "nobody", 1, 0, -1)]
    rows += [("difference_threshold", "shift", 4, 0.1, -0.5)]
    harder = pd.DataFrame(rows, columns=columns)
    figures = headline_figures(result, harder)
    assert figures == {
        "best": "a", "mask_iou": 0.8123, "mask_dice": 0.9, "depth_delta1": 0.8, "depth_ssim": 0.7,
        "person_delta1_with_plate_depth": 0.9, "lead": 0.0123, "leak_gap": 0.0123,
        "worst_iou": 0.3, "worst_lead": 0.02,
    }  # fmt: skip
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    alone = result | {"verdict": {"runner_up": None, "differences": {}}, "leak": {}}
    others = harder[harder.experiment == "difference_threshold"]
    first = {"best", "mask_iou", "mask_dice", "depth_delta1", "depth_ssim"}
    assert set(headline_figures(alone | {"baselines": {}}, others)) == first


CARD = {
    "experiment": "bce_rmse",
    "test": {"set": "in_scene", "device": "cpu", "figures": {"mask_iou": 0.8, "silog": 20.0}},
}


def test_the_largest_difference_is_relative_above_one_and_infinite_without_a_number():
    expected = {"mask_iou": 0.5, "silog": 20.0}
    name, apart = largest_difference({"mask_iou": 0.5004, "silog": 20.01}, expected)
    assert name == "silog" and apart == pytest.approx(5e-4)
    assert largest_difference({"silog": 20.0}, expected) == ("mask_iou", math.inf)
    assert largest_difference({"mask_iou": -math.inf}, {"mask_iou": None}) == ("mask_iou", 0)


def test_the_same_figures_pass_another_rounding_is_said_another_network_is_refused(capsys):
    check_agreement(CARD, {"mask_iou": 0.8 + 9e-7, "silog": 20.0 + 1e-5}, "cpu")
    found = {"mask_iou": 0.8 + 3e-5, "silog": 20.0}
    check_agreement(CARD, found, "cuda")
    assert capsys.readouterr().err == ""
    check_agreement(CARD, found, "cpu")
    assert "mask_iou 0.8 on in_scene, evaluate finds 0.80003" in capsys.readouterr().err
    broken = CARD | {"test": CARD["test"] | {"figures": {"mask_iou": None}}}
    check_agreement(broken, {"mask_iou": -math.inf}, "cpu")
    with pytest.raises(InputError, match="found mask_iou nan on in_scene, evaluate finds 0.8"):
        check_agreement(broken, {"mask_iou": 0.8}, "cpu")
    for wrong in ({"mask_iou": 0.802}, {"mask_iou": math.nan}):
        with pytest.raises(InputError, match="mask_iou .*dvc repro --force train@bce_rmse"):
            check_agreement(CARD, {"silog": 20.0} | wrong, "cpu")


def test_float32_is_float32(monkeypatch):
    """TF32, cuDNN's default, has 10 bits: a pixel at the threshold would fall on its other side."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    choose_hardware("cpu", "float32")
    assert not torch.backends.cudnn.allow_tf32 and not torch.backends.cuda.matmul.allow_tf32


def make_scene(noise: float, depth: float = 2.0) -> Scene:
    """A person who differs by 0.4 in one channel, over noise of the given strength."""
    bg, mask = torch.full((2, 3, 16, 16), 0.3), torch.zeros(2, 1, 16, 16)
    bg_fg = bg + noise * torch.sign(torch.sin(torch.arange(2 * 3 * 256.0))).view_as(bg)
    mask[:, :, 4:12, 6:10] = 1
    bg_fg[:, 1:2][mask > 0] = 0.7
    return Scene(bg, bg_fg, mask, torch.full_like(mask, depth))


def test_baselines_are_tuned_on_what_they_see():
    bg, bg_fg, *_ = make_scene(0.0)
    assert difference(bg, bg_fg).amax() == pytest.approx(0.4)
    assert 0.1 <= best_threshold([make_scene(0.1), make_scene(0.05)]) < 0.4
    assert best_constant([make_scene(0, 8.0), make_scene(0)]) == pytest.approx(4)
