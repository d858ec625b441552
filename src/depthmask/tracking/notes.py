"""What MLflow's pages say of a run: names and tags.

MLflow sorts metrics by name: `headline/METRIC`, on the hardest test set, then `test/SET/METRIC`,
every figure, then `train/…` and `val/…`, a value an epoch.
"""

from collections.abc import Mapping
from typing import Any

from depthmask.metrics import METRICS

BEST, VERDICT = "best", "verdict"  # tags of a run that say how it compares
Metrics = Mapping[str, Any]  # the content of `reports/metrics.json`


def run_metrics(metrics: Metrics, name: str, seed: str) -> dict[str, float]:
    """The test figures of one network under the names that MLflow shows."""
    figures, headline = metrics["seeds"][name][seed], metrics["headline"]["set"]
    keys = (metric.name for metric in METRICS.values() if metric.is_key)
    shown = {f"headline/{key}": figures[headline].get(key) for key in keys}
    shown["headline/leak_gap"] = metrics["leak"].get(name, {}).get("mask_iou", {}).get("excess")
    for set_name, values in figures.items():
        shown |= {f"test/{set_name}/{metric}": value for metric, value in values.items()}
    return {label: value for label, value in shown.items() if value is not None}


def losses_in_words(card: Mapping[str, Any]) -> dict[str, str]:
    """Each head's loss, such as `bce + 2·dice`; `none` for a head that is not there."""
    return {
        head: " + ".join(f"{weight:g}·{term}".removeprefix("1·") for term, weight in terms.items())
        or "none"
        for head, terms in card["losses"].items()
    }


def network_words(card: Mapping[str, Any]) -> str:
    """What a network is: `depthmasknet8, mask: bce, depth: 2·ssim`."""
    losses = (f"{head}: {loss}" for head, loss in losses_in_words(card).items())
    return ", ".join([card["model"], *losses])


def run_tags(card: Mapping[str, Any], metrics: Metrics | None = None) -> dict[str, str]:
    """The tags of a network: what is known when it begins and, with `metrics`, how it compares."""
    name, seed = card["experiment"], str(card["seed"])
    tags = {f"loss.{head}": loss for head, loss in losses_in_words(card).items()}
    tags |= {"depthmask.experiment": name, "mlflow.runName": name, "seed": seed}
    tags |= {"model": card["model"], "source": card["source"], "depth_unit": card["unit"]}
    if metrics is None:
        return tags
    ranking, verdict = metrics["ranking"], verdict_words(metrics, name)
    if len(metrics["seeds"][name]) > 1:
        tags["mlflow.runName"] = f"{name}, seed {seed}"
    is_best = name == metrics["best"] and seed == str(metrics["best_seed"])
    return tags | {
        BEST: "yes" if is_best else "no",
        "place": f"{ranking.index(name) + 1} of {len(ranking)}" if name in ranking else "–",
        VERDICT: verdict,
        "mlflow.note.content": f"**{name}**, seed {seed}: {verdict}. Data `{metrics['data']}`.",
    }


def verdict_words(metrics: Metrics, name: str) -> str:
    """An experiment beside the best on the hardest test set, in a few words."""
    verdict = metrics["verdict"]
    if name == verdict["best"]:
        return f"best, tied with {', '.join(verdict['ties'])}" if verdict["ties"] else "best"
    lead = verdict["differences"].get(name, {}).get("score")
    if name not in metrics["ranking"] or lead is None:
        return "not compared: a mask alone, or a figure is no number"
    if lead["low"] is None:
        return "not told from the best: too few scenes"
    ahead, ties = verdict.get("ahead", ()), verdict["ties"]
    side = "tied with" if name in ties else "ahead of" if name in ahead else "behind"
    value, low, high = -lead["difference"], -lead["high"], -lead["low"]
    return f"{side} the best by {value:+.3f} ({low:+.3f} to {high:+.3f})"
