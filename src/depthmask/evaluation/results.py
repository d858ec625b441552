"""A table of scenes as the figures of `reports/metrics.json`."""

from typing import Any

import pandas as pd

from depthmask.config import Bootstrap
from depthmask.evaluation.intervals import Resamples
from depthmask.evaluation.leakage import SEEN, UNSEEN, leak_gaps
from depthmask.evaluation.measuring import mean_figures, metric_columns, over_seeds
from depthmask.evaluation.verdict import choosing_metrics, judge, rank
from depthmask.metrics import Alignment

RULE = (
    "highest mean of {mask} and {depth} on the validation set,"
    " rooms and people that neither training nor the test sets contain"
)
_CALLED = {"mask_iou": "mask IoU", "depth_delta1": "depth δ1", "depth_ssim": "depth SSIM"}


def summarise(
    scenes: pd.DataFrame,
    baselines: pd.DataFrame,
    *,
    headline: str,
    alignment: Alignment | None,
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    """Means, spreads, intervals, the leak and the verdict; the contract is in docs/evaluation.md.

    Args:
        scenes: from `measure_scenes`, of `val` and every test set.
        baselines: likewise, their names in place of experiments.
        headline: the set that judges.
    """
    chosen_by = choosing_metrics(alignment)
    names = list(dict.fromkeys(scenes["experiment"]))
    seeds = {name: _by_seed(scenes[scenes["experiment"] == name]) for name in names}
    means = {name: _over(seeds[name], "mean") for name in names}
    validation = {name: means[name].pop("val") for name in names}
    ranking = rank(validation, chosen_by)
    tables = {name: _scenes_by_set(scenes[scenes["experiment"] == name]) for name in names}
    verdict = judge(
        ranking, {name: tables[name][headline] for name in ranking}, headline, chosen_by, bootstrap
    )
    best = verdict.best
    best_seeds = {
        name: int(rank({str(s): sets["val"] for s, sets in seeds[name].items()}, chosen_by)[0])
        for name in ranking
    }
    once = "" if any(len(each) > 1 for each in seeds.values()) else " Each was trained once."
    baseline_means = {
        name: sets
        for name, table in baselines.groupby("experiment", sort=False)
        if (sets := _by_set(table))
    }
    untrained = {
        name: _scenes_by_set(baselines[baselines["experiment"] == name]) for name in baseline_means
    }
    for sets in seeds.values():
        for figures in sets.values():
            figures.pop("val")
    return {
        "best": best,
        "best_seed": best_seeds[best],
        "best_seeds": best_seeds,
        "chosen_by": list(chosen_by),
        "rule": RULE.format(mask=_CALLED[chosen_by[0]], depth=_CALLED[chosen_by[1]]),
        "verdict": {
            "sentence": verdict.sentence + once,
            "best": best,
            "runner_up": verdict.runner_up,
            "ties": verdict.ties,
            "ahead": verdict.ahead,
            "differences": {
                name: {
                    metric: {"difference": each.value, "low": each.low, "high": each.high}
                    for metric, each in metrics.items()
                }
                for name, metrics in verdict.differences.items()
            },
        },
        "headline": {"set": headline, **means[best][headline]},
        "ranking": ranking,
        "validation": validation,
        "experiments": means,
        "seeds": {name: {str(s): sets for s, sets in seeds[name].items()} for name in names},
        "spread": {name: _over(seeds[name], "std") for name in names if len(seeds[name]) > 1},
        "intervals": {
            name: {set_name: _intervals(table, bootstrap) for set_name, table in sets.items()}
            for name, sets in (tables | untrained).items()
        },
        "leak": {
            name: _leak(sets, bootstrap)
            for name, sets in (tables | untrained).items()
            if {SEEN, UNSEEN} <= sets.keys()
        },
        "baselines": baseline_means,
        "bootstrap": bootstrap.model_dump(mode="json"),
    }


def _intervals(table: pd.DataFrame, params: Bootstrap) -> dict[str, list[float]]:
    """Metric -> the bounds of its mean over the scenes."""
    resamples = Resamples(table, params)
    return {
        metric: list(resamples.interval(table[metric].to_numpy())[1:])
        for metric in metric_columns(table)
    }


def _leak(sets: dict[str, pd.DataFrame], params: Bootstrap) -> dict[str, dict[str, float]]:
    """Metric -> the gap between seen and unseen, and its bounds."""
    gaps = leak_gaps(sets, metric_columns(sets[SEEN]), params)
    return {
        metric: {"gap": gap.value, "low": gap.low, "high": gap.high} for metric, gap in gaps.items()
    }


def _by_set(baseline: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Test set -> metric -> the mean over its scenes, of sets that it has an answer for."""
    tests = baseline[baseline["set"] != "val"].groupby("set", sort=False)
    return {name: figures for name, part in tests if (figures := mean_figures(part))}


def _by_seed(scenes: pd.DataFrame) -> dict[int, dict[str, dict[str, float]]]:
    """Seed -> set -> metric -> the mean over its scenes."""
    return {
        int(seed): {
            set_name: mean_figures(part) for set_name, part in table.groupby("set", sort=False)
        }
        for seed, table in scenes.groupby("seed", sort=False)
    }


def _over(
    seeds: dict[int, dict[str, dict[str, float]]], statistic: str
) -> dict[str, dict[str, float]]:
    """Set -> metric -> the `mean` or the sample's `std` over the seeds."""
    sets = next(iter(seeds.values()))
    tables = {name: pd.DataFrame([seed[name] for seed in seeds.values()]) for name in sets}
    return {name: getattr(table, statistic)().to_dict() for name, table in tables.items()}


def _scenes_by_set(scenes: pd.DataFrame) -> dict[str, pd.DataFrame]:
    tests = [name for name in dict.fromkeys(scenes["set"]) if name != "val"]
    return {name: over_seeds(scenes[scenes["set"] == name]) for name in tests}
