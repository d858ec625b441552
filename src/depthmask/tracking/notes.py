"""What MLflow's pages say of a run and of the comparison: names, tags and Markdown.

Everything comes from the content of `reports/metrics.json` and a network's `model.json`. Metrics
are called so that MLflow's tables and charts, which sort by name, begin with what matters:

    headline/METRIC       on the hardest test set, and `leak_gap`
    test/SET/METRIC       every figure
    train/…, val/…        a value an epoch
"""

from collections.abc import Mapping, Sequence
from typing import Any

from depthmask.metrics import METRICS

BEST, VERDICT = "best", "verdict"
"""Tags of a run that say how it compares."""


def run_metrics(metrics: Mapping[str, Any], name: str, seed: str) -> dict[str, float]:
    """The test figures of one network under the names that MLflow shows."""
    figures, headline = metrics["seeds"][name][seed], metrics["headline"]["set"]
    shown = {f"headline/{metric}": figures[headline].get(metric) for metric in _shown(metrics)}
    shown["headline/leak_gap"] = _leak(metrics, name).get("excess")
    for set_name, values in figures.items():
        shown |= {f"test/{set_name}/{metric}": value for metric, value in values.items()}
    return {label: value for label, value in shown.items() if value is not None}


def losses_words(terms: Mapping[str, float] | None) -> str:
    """A head's loss, such as `bce + 2·dice`; `none` for a head that is not there."""
    words = (f"{weight:g}·{term}".removeprefix("1·") for term, weight in (terms or {}).items())
    return " + ".join(words) or "none"


def run_tags(card: Mapping[str, Any], metrics: Mapping[str, Any] | None = None) -> dict[str, str]:
    """The tags of a network: what is known when it begins and, with `metrics`, how it compares."""
    name, seed = card["experiment"], str(card["seed"])
    tags = {
        "depthmask.experiment": name,
        "model": card["model"],
        "loss.mask": losses_words(card["losses"]["mask"]),
        "loss.depth": losses_words(card["losses"]["depth"]),
        "source": card["source"],
        "depth_unit": card["unit"],
        "seed": seed,
        "mlflow.runName": name,
    }
    if metrics is None:
        return tags
    ranking, seeds = metrics["ranking"], metrics["seeds"][name]
    is_best = name == metrics["best"] and seed == str(metrics["best_seed"])
    if len(seeds) > 1:
        tags["mlflow.runName"] = f"{name}, seed {seed}"
    return tags | {
        BEST: "yes" if is_best else "no",
        "place": f"{ranking.index(name) + 1} of {len(ranking)}" if name in ranking else "–",
        VERDICT: verdict_words(metrics, name),
        "mlflow.note.content": run_note(metrics, name, seed),
    }


def verdict_words(metrics: Mapping[str, Any], name: str) -> str:
    """An experiment beside the best on the hardest test set, in a few words."""
    verdict = metrics["verdict"]
    if name == verdict["best"]:
        ties = verdict["ties"]
        return f"best, tied with {', '.join(ties)}" if ties else "best"
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


def run_note(metrics: Mapping[str, Any], name: str, seed: str) -> str:
    """Markdown: the network's verdict, and its figures on the hardest test set with intervals."""
    headline = metrics["headline"]["set"]
    own = metrics["seeds"][name][seed][headline]
    spread = metrics.get("spread", {}).get(name, {}).get(headline, {})
    bounds = metrics["intervals"].get(name, {}).get(headline, {})
    rows = [
        [_label(metrics, metric), _number(own[metric], bounds.get(metric), spread.get(metric))]
        for metric in _shown(metrics)
        if own.get(metric) is not None
    ]
    table = _table([headline, f"this run ({100 * metrics['level']:g} % interval)"], rows)
    verdict = verdict_words(metrics, name)
    return f"**{name}**, seed {seed}: {verdict}. Data `{metrics['data']}`.\n\n{table}"


def comparison_note(metrics: Mapping[str, Any]) -> str:
    """Markdown: the verdict, and every experiment and baseline on the hardest test set."""
    headline, ranking = metrics["headline"]["set"], metrics["ranking"]
    shown, sets = _shown(metrics), metrics["experiments"] | metrics.get("baselines", {})
    rows = []
    for name in dict.fromkeys([*ranking, *sets]):
        figures = sets[name].get(headline, {})
        bounds = metrics["intervals"].get(name, {}).get(headline, {})
        bold = "**" if name == metrics["best"] else ""
        cells = [_number(figures.get(metric), bounds.get(metric)) for metric in shown]
        rows.append([f"{bold}{name}{bold}", *cells, _number(_leak(metrics, name).get("excess"))])
    heads = ["", *(_label(metrics, metric) for metric in shown), "leak gap"]
    return (
        f"**{metrics['verdict']['sentence']}**\n\n{_table(heads, rows)}\n\n"
        f"On `{headline}`, with {100 * metrics['level']:g} % intervals; in the order of the"
        f" validation. Chosen by the {metrics['rule']}. Data `{metrics['data']}`."
    )


def _shown(metrics: Mapping[str, Any]) -> list[str]:
    """The metrics of the comparison that the best has."""
    keys = (name for name, metric in METRICS.items() if metric.is_key)
    return [name for name in keys if metrics["headline"].get(name) is not None]


def _leak(metrics: Mapping[str, Any], name: str) -> Mapping[str, float]:
    return metrics.get("leak", {}).get(name, {}).get("mask_iou", {})


def _label(metrics: Mapping[str, Any], name: str) -> str:
    metric = METRICS[name]
    return f"{metric.title}{metric.suffix(metrics['unit']).replace(' ', ', ')} {metric.arrow}"


def _number(
    value: float | None, bounds: Sequence[float | None] | None = None, spread: float | None = None
) -> str:
    if value is None:
        return "–"
    deviation = "" if spread is None else f" ± {spread:.3f} over seeds"
    low, high = bounds or (None, None)
    between = "" if low is None or high is None else f" ({low:.3f} to {high:.3f})"
    return f"{value:.3f}{between}{deviation}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rules = ":--" + " | --:" * (len(heads) - 1)
    # MLflow's tables have no space between their columns
    first, *others = [f"| {'&ensp; | '.join(cells)} |" for cells in (heads, *rows)]
    return "\n".join([first, f"| {rules} |", *others])
