"""A table of scenes as the figures of `reports/metrics.json` and `reports/headline.json`."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from depthmask.data.scenes.scene import Alignment
from depthmask.evaluation.intervals import cluster_mean
from depthmask.evaluation.measuring import mean_figures, over_seeds
from depthmask.evaluation.verdict import SCORE, choosing_metrics, judge, rank
from depthmask.metrics import METRICS

THRESHOLD_BASELINE = "difference_threshold"

RULE = (
    "highest mean of {} and {} on the validation set,"
    " rooms and people that neither training nor the test sets contain"
)
_HEADLINE = {
    "mask_iou": "mask_iou",
    "depth_delta1": "depth_delta1",
    "depth_ssim": "depth_ssim",
    "depth_abs_rel": "depth_abs_rel",
    "person_distance_error": "distance_error_m",
}


def summarise(
    scenes: pd.DataFrame,
    baselines: pd.DataFrame,
    leak_scenes: pd.DataFrame,
    *,
    leak_sets: Sequence[str],
    headline: str,
    alignment: Alignment | None,
    level: float,
) -> dict[str, Any]:
    """Means, spreads, intervals, the leak and the verdict; the contract is in docs/evaluation.md.

    Args:
        scenes: from `measure_scenes`, of `val` and every test set.
        baselines: likewise, their names in place of experiments.
        leak_scenes: likewise of all, of the two `leak_sets`, seen and unseen.
        headline: the set that judges.
        level: of the intervals.
    """
    chosen_by = choosing_metrics(alignment)
    names = list(dict.fromkeys(scenes["experiment"]))
    seeds = {name: _by_seed(scenes[scenes["experiment"] == name]) for name in names}
    means = {name: _over(seeds[name], "mean") for name in names}
    validation = {name: means[name].pop("val") for name in names}
    ranking = rank(validation, chosen_by)
    tables = {**_tables(scenes), **_tables(baselines)}
    on_headline = {name: sets[headline] for name, sets in tables.items() if headline in sets}
    verdict = judge(ranking, on_headline, headline, chosen_by, level)
    best = verdict.best
    best_seeds = {
        name: int(rank({str(s): sets["val"] for s, sets in seeds[name].items()}, chosen_by)[0])
        for name in ranking
    }
    once = "" if any(len(each) > 1 for each in seeds.values()) else " Each was trained once."
    for sets in seeds.values():
        for figures in sets.values():
            figures.pop("val")
    return {
        "best": best,
        "best_seed": best_seeds[best],
        "best_seeds": best_seeds,
        "chosen_by": list(chosen_by),
        "rule": RULE.format(*(METRICS[name].spoken for name in chosen_by)),
        "verdict": {
            **verdict._asdict(),
            "sentence": verdict.sentence + once,
            "differences": {
                name: {metric: each._asdict() for metric, each in metrics.items()}
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
            name: {
                set_name: {
                    metric: list(cluster_mean(table[metric].to_numpy(), table).bounds(level))
                    for metric in _known(table)
                }
                for set_name, table in sets.items()
            }
            for name, sets in tables.items()
        },
        "leak": leak_gaps(_tables(leak_scenes), leak_sets, level),
        "baselines": {
            name: {set_name: mean_figures(table) for set_name, table in sets.items()}
            for name, sets in tables.items()
            if name not in names
        },
        "level": level,
    }


def leak_gaps(
    tables: dict[str, dict[str, pd.DataFrame]], leak_sets: Sequence[str], level: float
) -> dict[str, dict[str, dict[str, float]]]:
    """How much better a method is on seen rooms and people than on unseen ones, by metric.

    A random split over composites reports the first figure as if it were the second. The two sets
    have other rooms and people, which may be easier: `excess` is the gap less that of the
    difference threshold, which remembers nothing, on the same pairs. Positive where the seen pair
    is better, whichever direction is; with the bounds of an interval each.
    """
    both = {
        name: [sets[each] for each in leak_sets]
        for name, sets in tables.items()
        if {*leak_sets} <= sets.keys()
    }
    threshold = both.get(THRESHOLD_BASELINE, [])
    leak: dict[str, dict[str, dict[str, float]]] = {name: {} for name in both}
    for name, pair in both.items():
        for metric in _known(pair[0]):
            figures = [table[metric] for table in pair]
            leak[name][metric] = _gap(figures, pair, level, metric, ("gap", "low", "high"))
            if name != THRESHOLD_BASELINE and threshold and metric in _known(threshold[0]):
                paired = [a - b[metric] for a, b in zip(figures, threshold, strict=True)]
                keys = ("excess", "excess_low", "excess_high")
                leak[name][metric] |= _gap(paired, pair, level, metric, keys)
    return leak


def _gap(
    figures: list[pd.Series],
    origins: list[pd.DataFrame],
    level: float,
    metric: str,
    keys: tuple[str, str, str],
) -> dict[str, float]:
    """The mean of the first less that of the second, positive where the first is better."""
    sign = 1 if METRICS[metric].higher_is_better else -1
    seen, unseen = (
        cluster_mean(sign * values.to_numpy(), table)
        for values, table in zip(figures, origins, strict=True)
    )
    gap = seen.minus(unseen)
    return dict(zip(keys, (gap.value, *gap.bounds(level)), strict=True))


def headline_figures(
    metrics: Mapping[str, Any], robustness: pd.DataFrame | None = None
) -> dict[str, float | str]:
    """What `reports/headline.json` holds, for `dvc metrics show`: the best on the hardest set.

    Args:
        metrics: the content of `metrics.json`.
        robustness: of `robustness.csv`; None where nothing was made harder.

    Returns:
        In this order, as far as there are any: `best`, its name; its figures there; `lead`, by how
        much its mean of mask and depth exceeds its runner-up's, and `lead_low`, the least that the
        interval leaves of it; `leak_gap`, of mask IoU, less that of the difference threshold;
        `worst_iou`, the lowest mask IoU on harder frames, and `worst_at`, on which.
    """
    best = metrics["best"]
    figures = {name: metrics["headline"].get(metric) for metric, name in _HEADLINE.items()}
    if metrics["unit"] == "metre":
        del figures["depth_ssim"]  # it stands for δ1 where ratios of depth say little
    verdict = metrics["verdict"]
    lead = verdict["differences"].get(verdict["runner_up"], {}).get(SCORE, {})
    figures |= {"lead": lead.get("difference"), "lead_low": lead.get("low")}
    figures["leak_gap"] = metrics["leak"].get(best, {}).get("mask_iou", {}).get("excess")
    worst_at = {}
    if robustness is not None:
        own = robustness[(robustness["experiment"] == best) & (robustness["condition"] != "nobody")]
        if own["mask_iou"].notna().any():
            worst = own.loc[own["mask_iou"].idxmin()]
            figures["worst_iou"] = float(worst["mask_iou"])
            worst_at = {"worst_at": f"{worst['condition']} {worst['strength']:g}"}
    known = {
        name: round(float(value), 4)
        for name, value in figures.items()
        if value is not None and math.isfinite(value)
    }
    return {"best": best} | known | worst_at


def finite(result: dict[str, Any]) -> dict[str, Any]:
    """The same with null in place of what is no finite number, which JSON does not know."""
    return json.loads(json.dumps(result), parse_constant=lambda _: None)


def _known(table: pd.DataFrame) -> list[str]:
    """The metrics that a table of scenes has a figure of."""
    return [name for name in METRICS if table[name].notna().any()]


def _tables(scenes: pd.DataFrame) -> dict[str, dict[str, pd.DataFrame]]:
    """Name -> test set that it has figures of -> a row a scene, its mean over the seeds."""
    tests = scenes[scenes["set"] != "val"]
    tables: dict[str, dict[str, pd.DataFrame]] = {}
    for (name, set_name), part in tests.groupby(["experiment", "set"], sort=False):
        if _known(part):
            tables.setdefault(str(name), {})[str(set_name)] = over_seeds(part)
    return tables


def _by_seed(scenes: pd.DataFrame) -> dict[int, dict[str, dict[str, float]]]:
    """Seed -> set -> metric -> the mean over its scenes."""
    return {
        int(seed): {
            set_name: mean_figures(scenes[(scenes["seed"] == seed) & (scenes["set"] == set_name)])
            for set_name in scenes["set"].unique()
        }
        for seed in scenes["seed"].unique()
    }


def _over(
    seeds: dict[int, dict[str, dict[str, float]]], statistic: str
) -> dict[str, dict[str, float]]:
    """Set -> metric -> the `mean` or the sample's `std` over the seeds."""
    sets = next(iter(seeds.values()))
    tables = {name: pd.DataFrame([seed[name] for seed in seeds.values()]) for name in sets}
    return {name: getattr(table, statistic)().to_dict() for name, table in tables.items()}
