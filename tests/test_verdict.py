"""The best is called best only where its lead is larger than chance."""

import numpy as np
import pandas as pd
import pytest

from depthmask.config import Bootstrap
from depthmask.evaluation.leakage import leak_gaps
from depthmask.evaluation.results import summarise
from depthmask.evaluation.verdict import SCORE, choosing_metrics, judge, rank
from depthmask.metrics import METRICS

PARAMS = Bootstrap(samples=500, level=0.95, seed=0)
CHOSEN_BY = ("mask_iou", "depth_delta1")
SETS = ("val", "in_scene", "unseen_unseen", "unseen_seen", "seen_unseen", "seen_seen")


def scenes(lead: float, num: int = 80, noise: float = 0.02, seed: int = 0) -> pd.DataFrame:
    """Figures of an experiment that is `lead` better than 0.7 on the same hard and easy scenes."""
    hard = np.random.default_rng(0).uniform(-0.2, 0.2, num)
    own = np.random.default_rng(seed).normal(0, noise, (2, num))
    return pd.DataFrame(
        {
            "plate": [f"room-{number % 20}" for number in range(num)],
            "cutout": [f"person-{number % 19}" for number in range(num)],
            "mask_iou": 0.7 + lead + hard + own[0],
            "depth_delta1": 0.7 + lead + hard + own[1],
        }
    )


def judged(ranking: list[str], **experiments: pd.DataFrame):
    return judge(ranking, experiments, "in_scene", CHOSEN_BY, PARAMS)


def test_a_steady_lead_is_a_best():
    verdict = judged(["a", "b"], a=scenes(0.05, seed=1), b=scenes(0.0, seed=2))
    assert (verdict.best, verdict.runner_up, verdict.ties, verdict.ahead) == ("a", "b", [], [])
    assert verdict.sentence.startswith("a is the best: mask IoU 0.7")
    lead = verdict.differences["b"][SCORE]
    assert lead.value == pytest.approx(0.05, abs=0.01) and lead.low > 0


def test_a_lead_within_chance_is_a_tie():
    verdict = judged(["a", "b"], a=scenes(0.001, seed=1), b=scenes(0.0, seed=2))
    assert verdict.ties == ["b"] and not verdict.ahead
    assert "is the best" not in verdict.sentence and "cannot tell it from b" in verdict.sentence


def test_a_tie_with_another_than_the_runner_up_is_said():
    tables = {"a": scenes(0.05, seed=1), "b": scenes(0.0, seed=2), "c": scenes(0.0501, seed=3)}
    verdict = judged(["a", "b", "c"], **tables)
    assert verdict.runner_up == "b" and verdict.ties == ["c"]
    assert "cannot tell it from c" in verdict.sentence


def test_one_that_is_better_on_the_test_is_named():
    verdict = judged(["a", "b"], a=scenes(0.0, seed=1), b=scenes(0.05, seed=2))
    assert verdict.ahead == ["b"] and verdict.best == "a"
    assert "b is better, b by 0.0" in verdict.sentence


def test_one_experiment_has_nobody_to_beat():
    verdict = judged(["a"], a=scenes(0.0))
    assert verdict.runner_up is None and "no other DepthMaskNet" in verdict.sentence


def test_rooms_that_agree_are_one_witness():
    """A lead in one room of twenty, four times the same: scene by scene it would look sure."""
    ahead, behind = scenes(0.0, noise=0.0), scenes(0.0, noise=0.0)
    lead = np.where(np.arange(80) % 20 < 2, 0.3, 0.0) + 0.001 * np.cos(np.arange(80))
    ahead["mask_iou"] += lead
    assert judged(["a", "b"], a=ahead, b=behind).ties == ["b"]


def test_few_scenes_prove_nothing():
    verdict = judged(["a", "b"], a=scenes(0.3, num=3), b=scenes(0.0, num=3))
    assert verdict.ties == ["b"] and "too few scenes for an interval" in verdict.sentence


def test_an_experiment_whose_answers_are_no_numbers_is_no_rival():
    spoilt = scenes(0.0)
    spoilt.loc[3, "depth_delta1"] = -np.inf
    verdict = judged(["a", "b"], a=scenes(0.0, seed=1), b=spoilt)
    assert verdict.runner_up is None and verdict.differences == {}


def test_the_ranking_follows_the_mean_on_validation():
    validation = {
        "low": {"mask_iou": 0.9, "depth_delta1": 0.1},
        "high": {"mask_iou": 0.7, "depth_delta1": 0.6},
        "mask_alone": {"mask_iou": 0.99},
        "spoilt": {"mask_iou": float("-inf"), "depth_delta1": 0.9},
    }
    assert rank(validation, CHOSEN_BY) == ["high", "low"]


def test_depth_with_an_arbitrary_zero_is_not_chosen_by_ratios():
    assert choosing_metrics("depth") == ("mask_iou", "depth_ssim")
    assert choosing_metrics("disparity") == choosing_metrics(None) == CHOSEN_BY


def test_the_leak_is_positive_where_seen_is_better_in_either_direction():
    origins = {"plate": list("abcdef"), "cutout": list("uvwxyz")}
    near = np.linspace(0, 0.1, 6)
    seen = pd.DataFrame(origins | {"mask_iou": 0.8 + near, "depth_abs_rel": 0.1 + near})
    unseen = pd.DataFrame(origins | {"mask_iou": 0.5 + near, "depth_abs_rel": 0.4 + near})
    metrics = ["mask_iou", "depth_abs_rel"]
    gaps = leak_gaps({"seen_seen": seen, "unseen_unseen": unseen}, metrics, PARAMS)
    assert gaps["mask_iou"].value == pytest.approx(0.3)
    assert gaps["depth_abs_rel"].value == pytest.approx(0.3)
    for gap in gaps.values():
        assert gap.low <= gap.value <= gap.high and gap.low > 0


def table(name: str, lead: float, seeds: tuple[int, ...] = (0,), sets=SETS) -> pd.DataFrame:
    parts = []
    for seed in seeds:
        for number, set_name in enumerate(sets):
            part = scenes(lead + 0.01 * number + 0.02 * seed, num=12, seed=number)
            part.insert(0, "scene", range(12))
            part = part.assign(experiment=name, seed=seed, set=set_name)
            parts.append(part)
    return pd.concat(parts, ignore_index=True).reindex(
        columns=["experiment", "seed", "set", "scene", "plate", "cutout", *METRICS]
    )


def summary(*tables: pd.DataFrame) -> dict:
    baseline = table("constant_depth", -0.3)
    baseline["mask_iou"] = np.nan
    return summarise(
        pd.concat(tables, ignore_index=True),
        baseline,
        headline="in_scene",
        alignment=None,
        bootstrap=PARAMS,
    )


def test_the_summary_has_a_figure_an_interval_and_a_leak_for_every_set():
    result = summary(table("a", 0.1), table("b", 0.0))
    assert (result["best"], result["best_seed"], result["ranking"]) == ("a", 0, ["a", "b"])
    assert result["headline"] == {"set": "in_scene", **result["experiments"]["a"]["in_scene"]}
    assert set(result["experiments"]["a"]) == set(SETS) - {"val"} == set(result["intervals"]["a"])
    for set_name, figures in result["experiments"]["b"].items():
        for metric, value in figures.items():
            low, high = result["intervals"]["b"][set_name][metric]
            assert low < value < high
    assert result["leak"]["a"]["mask_iou"]["gap"] == pytest.approx(0.04, abs=0.02)
    assert set(result["baselines"]["constant_depth"]["in_scene"]) == {"depth_delta1"}
    assert set(result["intervals"]["constant_depth"]["in_scene"]) == {"depth_delta1"}
    assert set(result["leak"]["constant_depth"]) == {"depth_delta1"}
    assert result["verdict"]["sentence"].endswith("Each was trained once.")
    assert result["spread"] == {}
    assert set(result["validation"]["a"]) == {"mask_iou", "depth_delta1"}


def test_several_seeds_are_a_mean_and_a_spread_and_the_best_of_them_is_exported():
    result = summary(table("a", 0.1, seeds=(0, 2, 1)), table("b", 0.0))
    of_seeds = [result["seeds"]["a"][seed]["in_scene"]["mask_iou"] for seed in ("0", "1", "2")]
    assert result["experiments"]["a"]["in_scene"]["mask_iou"] == pytest.approx(np.mean(of_seeds))
    spread = result["spread"]["a"]["in_scene"]["mask_iou"]
    assert spread == pytest.approx(np.std(of_seeds, ddof=1)) == pytest.approx(0.02)
    assert result["best_seed"] == 2 and "b" not in result["spread"]
    assert result["best_seeds"] == {"a": 2, "b": 0}
    assert "trained once" not in result["verdict"]["sentence"]


def test_a_source_that_does_not_train_on_pairs_has_no_leak():
    result = summary(table("a", 0.1, sets=("val", "in_scene")))
    assert "a" not in result["leak"]
