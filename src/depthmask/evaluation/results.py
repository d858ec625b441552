"""A table of scenes as what `reports/metrics.json` and `headline.json` hold, the verdict in it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from depthmask.data.scenes.scene import SETS, Alignment
from depthmask.evaluation.intervals import cluster_mean, holm
from depthmask.evaluation.measuring import mean_figures, over_seeds
from depthmask.metrics import METRICS

Figures = dict[str, dict[str, float]]  # by set and metric
Tables = dict[str, dict[str, pd.DataFrame]]  # by experiment or baseline and by test set


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
    """Means, spreads, intervals, the leak and the verdict, of tables of `measure_scenes`: of the
    trained, of the untrained, and of both on the two `leak_sets`, seen and unseen."""
    chosen_by = choosing_metrics(alignment)
    seeds: dict[str, dict[str, Figures]] = {}
    for (name, seed, set_name), part in scenes.groupby(["experiment", "seed", "set"], sort=False):
        of_seed = seeds.setdefault(str(name), {}).setdefault(str(seed), {})
        of_seed[str(set_name)] = mean_figures(part)
    means = {name: _over(each, "mean") for name, each in seeds.items()}
    validation = {name: sets.pop("val") for name, sets in means.items()}
    for each in seeds.values():
        for sets in each.values():
            del sets["val"]
    best_seeds = rank(scenes, alignment)
    ranking = [*best_seeds]
    tables = {**_tables(scenes), **_tables(baselines)}
    on_headline = {name: sets[headline] for name, sets in tables.items() if headline in sets}
    verdict = judge(ranking, on_headline, headline, chosen_by, level)
    if all(len(each) == 1 for each in seeds.values()):
        verdict["sentence"] += " Each was trained once."
    mask, depth = (METRICS[name].spoken for name in chosen_by)
    return {
        "best": ranking[0],
        "best_seed": best_seeds[ranking[0]],
        "best_seeds": best_seeds,
        "chosen_by": list(chosen_by),
        "rule": f"highest mean of {mask} and {depth} on the validation set,"
        " rooms and people that neither training nor the test sets contain",
        "verdict": verdict,
        "headline": {"set": headline, **means[ranking[0]][headline]},
        "ranking": ranking,
        "validation": validation,
        "experiments": means,
        "seeds": seeds,
        "spread": {name: _over(each, "std") for name, each in seeds.items() if len(each) > 1},
        "intervals": {
            name: {set_name: _bounds(table, level) for set_name, table in sets.items()}
            for name, sets in tables.items()
        },
        "by_size": iou_by_size(scenes),
        "leak": leak_gaps(_tables(leak_scenes), leak_sets, level),
        "baselines": {
            name: {set_name: mean_figures(table) for set_name, table in sets.items()}
            for name, sets in _tables(baselines).items()
        },
        "level": level,
    }


def _bounds(table: pd.DataFrame, level: float) -> dict[str, list[float]]:
    return {name: [*cluster_mean(table[name], table).bounds(level)] for name in _known(table)}


def choosing_metrics(alignment: Alignment | None) -> tuple[str, str]:
    """The metrics whose mean ranks: of the mask and of the depth, both 0 to 1."""
    # of a frame's depth most is the room's; depth aligned in its values has an arbitrary zero, on
    # which the ratios of δ1 depend
    return ("mask_iou", "depth_ssim" if alignment == "depth" else "person_delta1")


def rank(scenes: pd.DataFrame, alignment: Alignment | None) -> dict[str, int]:
    """The experiments with both figures, the best first, by the mean of both on validation, and the
    best seed of each; of a table of `measure_scenes`."""
    validation = scenes[scenes["set"] == "val"].groupby(["experiment", "seed"])
    scores = validation[[*choosing_metrics(alignment)]].mean().sum(axis="columns", skipna=False)
    means = scores.groupby("experiment").mean()
    ranking = means[np.isfinite(means)].sort_values(ascending=False, kind="stable").index
    return {str(name): int(str(scores.xs(name).idxmax())) for name in ranking}


def judge(
    ranking: list[str],
    headline: Mapping[str, pd.DataFrame],
    set_name: str,
    chosen_by: tuple[str, str],
    level: float,
) -> dict[str, Any]:
    """Compare the best with everything else on the same scenes, by experiment and baseline; a rival
    ties whose p after Holm is not below 1 - level. The contract is in docs/evaluation.md."""
    best, *others = ranking
    tables = {
        name: table.assign(score=table[[*chosen_by]].mean(axis="columns", skipna=False))
        for name, table in headline.items()
    }
    scored = {name: table["score"].dropna() for name, table in tables.items()}
    rivals = [name for name in others if len(scored[name]) and np.isfinite(scored[name]).all()]
    compared = [name for name in tables if name in rivals or name not in ranking]
    mine = tables[best]
    differences: dict[str, dict[str, dict[str, float]]] = {name: {} for name in compared}
    for metric in ("score", *METRICS):
        pairs = {name: mine[metric] - tables[name][metric] for name in compared}
        known = {name: pair for name, pair in pairs.items() if pair.notna().any()}
        leads = {name: cluster_mean(pair, mine) for name, pair in known.items()}
        p_values = holm(pd.Series({name: lead.p for name, lead in leads.items()}, dtype=float))
        for name, lead in leads.items():
            low, high = lead.bounds(level)
            p = float(p_values[name])
            differences[name][metric] = dict(difference=lead.value, low=low, high=high, p=p)
    scores = {name: differences[name]["score"] for name in rivals}
    ties = [name for name in rivals if not scores[name]["p"] < 1 - level]
    ties.sort(key=lambda name: scores[name]["low"])
    ahead = [name for name in rivals if name not in ties and scores[name]["difference"] < 0]
    mask, depth = (f"{METRICS[name].spoken} {mine[name].mean():.3f}" for name in chosen_by)
    figures = f"{mask} and {depth} on {len(mine)} {SETS[set_name].place}"
    return {
        "best": best,
        "runner_up": rivals[0] if rivals else None,
        "ties": ties,
        "ahead": ahead,
        "differences": differences,
        "sentence": _sentence(best, scores, ties, ahead, figures),
    }


def iou_by_size(scenes: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """By experiment and set the mean mask IoU of the frames with people, `small` and `large`: the
    halves by the true person's share of the frame."""
    halves: dict[str, dict[str, dict[str, float]]] = {}
    people = scenes[(scenes["person_share"] > 0) & (scenes["set"] != "val")]
    for (name, set_name), part in people.groupby(["experiment", "set"], sort=False):
        iou, large = part["mask_iou"], part["person_share"] > part["person_share"].median()
        means = {"small": float(iou[~large].mean()), "large": float(iou[large].mean())}
        halves.setdefault(str(name), {})[str(set_name)] = means
    return halves


def _sentence(
    best: str, scores: dict[str, dict[str, float]], ties: list[str], ahead: list[str], figures: str
) -> str:
    """scores: the best minus each rival, the next of the ranking first."""
    if not scores:
        return f"{best}: {figures}. There is no other DepthMaskNet to compare it with."
    other = (ahead or ties or [*scores])[0]
    lead, low, high, p = scores[other].values()
    start = f"{best} is the best: {figures}"
    if ahead:
        start = f"{best}, the best on validation, reaches {figures}; better is {', '.join(ahead)}"
    elif ties:
        start = f"{best}, chosen on validation, reaches {figures}; not told from {', '.join(ties)}"
    bounds = f"{low:+.3f} to {high:+.3f}"
    if ties and low > 0:
        bounds += f", p {p:.2f} among {len(scores)} rivals"
    bounds = bounds if math.isfinite(low) else "too few scenes for an interval"
    return f"{start}. Its lead over {other} in the mean of both is {lead:+.3f} ({bounds})."


def leak_gaps(
    tables: Tables, leak_sets: Sequence[str], level: float
) -> dict[str, dict[str, dict[str, float]]]:
    """By metric, how much better (positive) a method is on seen than on unseen rooms and people:
    `gap`, and `excess` over the difference threshold, which remembers nothing; with bounds each."""
    both = {
        name: [sets[each] for each in leak_sets]
        for name, sets in tables.items()
        if {*leak_sets} <= sets.keys()
    }
    threshold = both.get("difference_threshold", [])
    leak: dict[str, dict[str, dict[str, float]]] = {name: {} for name in both}
    for name, pair in both.items():
        for metric in _known(pair[0]):
            sign = 1 if METRICS[metric].higher_is_better else -1
            figures = {"gap": [sign * table[metric] for table in pair]}
            if threshold and pair is not threshold and metric in _known(threshold[0]):
                excess = zip(figures["gap"], threshold, strict=True)
                figures["excess"] = [own - sign * table[metric] for own, table in excess]
            found = leak[name][metric] = {}
            for kind, values in figures.items():
                seen, unseen = map(cluster_mean, values, pair)
                prefix = "" if kind == "gap" else "excess_"
                found[kind] = (gap := seen.minus(unseen)).value
                found[f"{prefix}low"], found[f"{prefix}high"] = gap.bounds(level)
    return leak


def headline_figures(metrics: Mapping[str, Any], robustness: pd.DataFrame) -> dict[str, Any]:
    """What `reports/headline.json` holds, for `dvc metrics show`: the best on the hardest set,
    also with the plate's depth, its lead, leak, and lowest IoU and lead on harder frames, where
    known."""
    best, verdict, head = metrics["best"], metrics["verdict"], metrics["headline"]
    baselines = metrics.get("baselines", {})
    given = baselines.get("best_with_plate_depth", {}).get(head["set"], {})
    people = ("person_delta1", "person_distance_error")
    harder = robustness[robustness["condition"] != "nobody"]
    networks = harder[harder["experiment"].isin([*metrics["experiments"]])]
    figures = {name: head.get(name) for name in METRICS}
    figures |= {f"{name}_with_plate_depth": given.get(name) for name in people}
    lead = verdict["differences"].get(verdict["runner_up"], {}).get("score", {})
    figures |= {
        "lead": lead.get("difference"),
        "leak_gap": metrics["leak"].get(best, {}).get("mask_iou", {}).get("excess"),
        "worst_iou": harder.loc[harder["experiment"] == best, "mask_iou"].min(),
        "worst_lead": networks["lead"].min(),
    }
    known = ((name, float(value)) for name, value in figures.items() if value is not None)
    return {"best": best} | {name: round(each, 4) for name, each in known if math.isfinite(each)}


def _known(table: pd.DataFrame) -> list[str]:
    """The metrics that a table of scenes has a figure of."""
    return [name for name in METRICS if table[name].notna().any()]


def _tables(scenes: pd.DataFrame) -> Tables:
    """A row a scene, its mean over the seeds; without sets that have no figures."""
    tables: Tables = {}
    tests = scenes[scenes["set"] != "val"]
    for (name, set_name), part in tests.groupby(["experiment", "set"], sort=False):
        if _known(part):
            tables.setdefault(str(name), {})[str(set_name)] = over_seeds(part)
    return tables


def _over(seeds: dict[str, Figures], statistic: str) -> Figures:
    """The `mean` or the sample's `std` over the seeds."""
    return {
        name: getattr(pd.DataFrame([sets[name] for sets in seeds.values()]), statistic)().to_dict()
        for name in next(iter(seeds.values()))
    }
