"""What MLflow's pages say of a run and of the comparison: names, tags and Markdown.

MLflow sorts metrics by name: `headline/METRIC`, on the hardest test set, then `test/SET/METRIC`,
every figure, then `train/…` and `val/…`, a value an epoch.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from depthmask.metrics import METRICS

BEST, VERDICT = "best", "verdict"  # tags of a run that say how it compares
Metrics = Mapping[str, Any]  # the content of `reports/metrics.json`


def run_metrics(metrics: Metrics, name: str, seed: str) -> dict[str, float]:
    """The test figures of one network under the names that MLflow shows."""
    figures, headline = metrics["seeds"][name][seed], metrics["headline"]["set"]
    shown = {f"headline/{metric}": figures[headline].get(metric) for metric in _shown(metrics)}
    shown["headline/leak_gap"] = _leak_gap(metrics, name)
    for set_name, values in figures.items():
        shown |= {f"test/{set_name}/{metric}": value for metric, value in values.items()}
    return {label: value for label, value in shown.items() if value is not None}


def _loss(terms: Mapping[str, float]) -> str:
    """A head's loss, such as `bce + 2·dice`; `none` for a head that is not there."""
    words = (f"{weight:g}·{term}".removeprefix("1·") for term, weight in terms.items())
    return " + ".join(words) or "none"


def run_tags(card: Mapping[str, Any], metrics: Metrics | None = None) -> dict[str, str]:
    """The tags of a network: what is known when it begins and, with `metrics`, how it compares."""
    name, seed = card["experiment"], str(card["seed"])
    tags = {f"loss.{head}": _loss(terms) for head, terms in card["losses"].items()}
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
    if name not in metrics["ranking"]:
        return "not ranked: a mask alone"
    lead = verdict["differences"][name]["score"]
    if lead["low"] is None:
        return "not told from the best: too few scenes"
    if name in verdict["ties"]:
        return f"tied ({-lead['high']:+.3f} to {-lead['low']:+.3f}) with the best"
    low, high = sorted(abs(lead[end]) for end in ("low", "high"))
    side = "ahead of" if name in verdict.get("ahead", ()) else "behind"
    return f"{abs(lead['difference']):.3f} ({low:.3f} to {high:.3f}) {side} the best"


def comparison_note(metrics: Metrics) -> str:
    """Markdown: the verdict, and every experiment and baseline on the hardest test set."""
    headline, shown = metrics["headline"]["set"], _shown(metrics)
    labels = (
        f"{METRICS[name].title}{METRICS[name].suffix(metrics['unit']).replace(' ', ', ')}"
        f" {METRICS[name].arrow}"
        for name in shown
    )
    rows = [("", *labels, "leak gap"), (":--", *("--:" for _ in shown), "--:")]
    sets = metrics["experiments"] | metrics.get("baselines", {})
    for name in dict.fromkeys([*metrics["ranking"], *sets]):
        bold = "**" if name == metrics["best"] else ""
        figures = sets[name].get(headline, {})
        bounds = metrics["intervals"].get(name, {}).get(headline, {})
        cells = [_words(figures.get(metric), bounds.get(metric)) for metric in shown]
        rows.append((f"{bold}{name}{bold}", *cells, _words(_leak_gap(metrics, name))))
    # MLflow's tables have no space between their columns
    table = "\n".join(f"| {'&ensp; | '.join(row)} |" for row in rows)
    return (
        f"**{metrics['verdict']['sentence']}**\n\n{table}\n\n"
        f"On `{headline}`, with {100 * metrics['level']:g} % intervals; in the order of the"
        f" validation. Chosen by the {metrics['rule']}. Data `{metrics['data']}`."
    )


def _shown(metrics: Metrics) -> list[str]:
    """The metrics of the comparison that the best has."""
    keys = (name for name, metric in METRICS.items() if metric.is_key)
    return [name for name in keys if metrics["headline"].get(name) is not None]


def _leak_gap(metrics: Metrics, name: str) -> float | None:
    return metrics.get("leak", {}).get(name, {}).get("mask_iou", {}).get("excess")


def _words(value: float | None, bounds: Sequence[float | None] | None = None) -> str:
    """A figure with its interval."""
    if value is None:
        return "–"
    low, high = bounds or (None, None)
    between = "" if low is None or high is None else f" ({low:.3f} to {high:.3f})"
    return f"{value:.3f}{between}"
