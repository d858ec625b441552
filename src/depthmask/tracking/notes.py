"""What MLflow's pages say of a run and of the comparison: names, tags and Markdown.

Everything comes from the content of `reports/metrics.json` and a network's `model.json`. Metrics
are called so that MLflow's charts, which make a panel of every name's part before its last slash,
begin with what matters:

    headline/METRIC       on the hardest test set, and `leak_gap`
    leak/METRIC           how much better seen rooms and people fare than unseen ones
    test/SET/METRIC       every figure
    train/…, val/…        a value an epoch
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from depthmask.metrics import METRICS
from depthmask.tracking.comparison import BEST, VERDICT

HEADLINE = ("mask_iou", "depth_delta1", "depth_ssim", "depth_abs_rel", "person_distance_error")
"""The metrics that MLflow shows first; δ1 or SSIM chooses, which is for the depth's unit to say."""

NOTE = "mlflow.note.content"
RUN_NAME = "mlflow.runName"
UNRANKED = "–"

_DECIMALS = 4  # MLflow's tables show every digit
_TABLE = ("mask_iou", "mask_boundary_f", *HEADLINE[1:])


class RunView(NamedTuple):
    """What MLflow shows of one trained network.

    Attributes:
        metrics: by their names there.
        tags: model, losses, source, unit, seed; best, rank and verdict; the name and the note.
    """

    metrics: dict[str, float]
    tags: dict[str, str]


def losses_words(terms: Mapping[str, float] | None) -> str:
    """A head's loss, such as `bce + 2·dice`; `none` for a head that is not there."""
    if not terms:
        return "none"
    return " + ".join(
        term if weight == 1 else f"{weight:g}·{term}" for term, weight in terms.items()
    )


def training_tags(
    *, model: str, losses: Mapping[str, Mapping[str, float]], source: str, unit: str, seed: int
) -> dict[str, str]:
    """What is known of a run when it begins."""
    return {
        "model": model,
        "loss.mask": losses_words(losses.get("mask")),
        "loss.depth": losses_words(losses.get("depth")),
        "source": source,
        "depth_unit": unit,
        "seed": str(seed),
    }


def run_name(experiment: str, seed: int, seeds: Sequence[int]) -> str:
    """The experiment's name, with the seed where it has several."""
    return f"{experiment}, seed {seed}" if len(seeds) > 1 else experiment


def run_view(
    metrics: Mapping[str, Any], name: str, card: Mapping[str, Any], colour: str = ""
) -> RunView:
    """What MLflow shows of one network of a comparison.

    Args:
        metrics: the content of `metrics.json`.
        name: of the experiment.
        card: the network's `model.json`, which says its seed.
        colour: of its bars and curves, such as `#0072b2`; by default MLflow picks any.
    """
    seed, headline = int(card["seed"]), metrics["headline"]["set"]
    figures = metrics["seeds"][name][str(seed)]
    leak = {metric: gap["gap"] for metric, gap in metrics.get("leak", {}).get(name, {}).items()}
    shown = {
        **{
            f"headline/{name}": None if value is None else round(value, _DECIMALS)
            for name, value in {
                **{metric: figures[headline].get(metric) for metric in _shown(metrics)},
                "leak_gap": leak.get("mask_iou"),
            }.items()
        },
        **{f"leak/{metric}": gap for metric, gap in leak.items()},
        **{f"test/{s}/{m}": value for s, values in figures.items() for m, value in values.items()},
    }
    seeds = [int(each) for each in metrics["seeds"][name]]
    is_best = name == metrics["best"] and seed == metrics.get("best_seed", seed)
    ranking = metrics["ranking"]
    tags = training_tags(
        model=card["model"],
        losses=card["losses"],
        source=card["source"],
        unit=card["unit"],
        seed=seed,
    )
    tags |= {
        BEST: "yes" if is_best else "no",
        "rank": f"{ranking.index(name) + 1} of {len(ranking)}" if name in ranking else UNRANKED,
        VERDICT: verdict_words(metrics, name),
        RUN_NAME: run_name(name, seed, seeds),
    }
    if colour:
        tags["mlflow.runColor"] = colour
    tags[NOTE] = run_note(metrics, name, tags, figures[headline])
    return RunView({k: v for k, v in shown.items() if v is not None}, tags)


def verdict_words(metrics: Mapping[str, Any], name: str) -> str:
    """An experiment beside the best on the hardest test set, in a few words."""
    verdict = metrics["verdict"]
    if name == verdict["best"]:
        ties = verdict["ties"]
        return f"best, tied with {', '.join(ties)}" if ties else "best"
    lead = verdict["differences"].get(name, {}).get("score")
    if name not in metrics["ranking"] or lead is None or lead["difference"] is None:
        return "not ranked: a mask alone"
    gap = f"{abs(lead['difference']):.3f}"
    bounds = sorted(abs(lead[end]) for end in ("low", "high"))
    if name in verdict["ties"]:
        return f"tied ({-lead['high']:+.3f} to {-lead['low']:+.3f}) with the best"
    side = "ahead of" if name in verdict.get("ahead", ()) else "behind"
    return f"{gap} ({bounds[0]:.3f} to {bounds[1]:.3f}) {side} the best"


def run_note(
    metrics: Mapping[str, Any], name: str, tags: Mapping[str, str], own: Mapping[str, Any]
) -> str:
    """Markdown: the network's place, what it is, and its figures on the hardest test set.

    Args:
        tags: of the run.
        own: its figures on that set.
    """
    headline, seeds = metrics["headline"]["set"], metrics["seeds"][name]
    verdict = metrics["verdict"]
    if tags["rank"] == UNRANKED:
        first = f"**{name}** is {tags[VERDICT]}."
    elif name == verdict["best"]:
        first = f"**{verdict['sentence']}**"
    else:
        first = (
            f"**{name}** ranks {tags['rank']} on validation, and on `{headline}` it is"
            f" {tags[VERDICT]}, {verdict['best']}, in the mean of mask and depth."
        )
    of_all = f" of {', '.join(seeds)}" if len(seeds) > 1 else ""
    lines = [
        first,
        "",
        f"{tags['model']}; mask: {tags['loss.mask']}; depth: {tags['loss.depth']};"
        f" seed {tags['seed']}{of_all}; data `{metrics['data']}`.",
        "",
    ]
    mean = metrics["experiments"][name][headline]
    spread = metrics.get("spread", {}).get(name, {}).get(headline, {})
    heads = [
        headline,
        "this run",
        *(["mean of the seeds"] if spread else []),
        _interval_head(metrics),
    ]
    lines += _table_head(heads)
    for metric in _shown(metrics, _TABLE):
        if own.get(metric) is None:
            continue
        cells = [_label(metrics, metric), _number(own[metric])]
        if spread:
            cells.append(f"{_number(mean.get(metric))} ± {_number(spread.get(metric))}")
        bounds = metrics["intervals"].get(name, {}).get(headline, {}).get(metric)
        lines.append(_line([*cells, _bounds(bounds)]))
    if gap := metrics.get("leak", {}).get(name, {}).get("mask_iou"):
        lines += ["", f"Leak gap, mask IoU on seen less that on unseen pairs: {_gap(gap)}."]
    return "\n".join(lines)


def comparison_note(metrics: Mapping[str, Any]) -> str:
    """Markdown: the verdict, and every experiment and baseline on the hardest test set."""
    headline = metrics["headline"]["set"]
    shown = _shown(metrics)
    heads = ["", "", *(_label(metrics, metric) for metric in shown), "leak gap"]
    lines = [f"**{metrics['verdict']['sentence']}**", "", *_table_head(heads, left=2)]
    ranking = metrics["ranking"]
    unranked = [name for name in metrics["experiments"] if name not in ranking]
    for name in (*ranking, *unranked):
        place = str(ranking.index(name) + 1) if name in ranking else ""
        figures = metrics["experiments"][name][headline]
        bounds = metrics["intervals"].get(name, {}).get(headline, {})
        cells = [_number(figures.get(m), bounds.get(m)) for m in shown]
        gap = metrics.get("leak", {}).get(name, {}).get("mask_iou")
        bold = "**" if name == metrics["best"] else ""
        lines.append(_line([place, f"{bold}{name}{bold}", *cells, _gap(gap, bounds=False)]))
    for name, sets in metrics.get("baselines", {}).items():
        cells = [_number(sets.get(headline, {}).get(metric)) for metric in shown]
        lines.append(_line(["", f"_{name}_", *cells, ""]))
    return "\n".join(
        [
            *lines,
            "",
            f"On `{headline}`, with the {_interval_head(metrics)} over its scenes. The first is"
            f" chosen by the {metrics['rule']}. Data `{metrics['data']}`.",
        ]
    )


def _shown(metrics: Mapping[str, Any], names: Iterable[str] = HEADLINE) -> list[str]:
    """The metrics that the best has, without the similarity where depth is in metres."""
    known = metrics["headline"]
    skipped = "depth_ssim" if metrics["unit"] == "metre" else None
    return [name for name in names if known.get(name) is not None and name != skipped]


def _label(metrics: Mapping[str, Any], name: str) -> str:
    metric = METRICS[name]
    unit = ", m" if metric.unit == "metre" and metrics["unit"] == "metre" else ""
    part = "" if metric.part == "person" else f"{metric.part} "
    return f"{part}{metric.label}{unit} {'↑' if metric.better == 'higher' else '↓'}"


def _interval_head(metrics: Mapping[str, Any]) -> str:
    return f"{100 * metrics['level']:g} % interval"


def _number(value: float | None, bounds: Sequence[float] | None = None, *, sign: str = "") -> str:
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:{sign}.3f}" + ("" if bounds is None else f" ({_bounds(bounds, sign=sign)})")


def _bounds(bounds: Sequence[float] | None, *, sign: str = "") -> str:
    return "–" if bounds is None else " to ".join(_number(bound, sign=sign) for bound in bounds)


def _gap(gap: Mapping[str, float] | None, *, bounds: bool = True) -> str:
    if gap is None:
        return "–"
    return _number(gap["gap"], [gap["low"], gap["high"]] if bounds else None, sign="+")


def _table_head(heads: Sequence[str], left: int = 1) -> list[str]:
    rules = [":--" if index < left else "--:" for index in range(len(heads))]
    return [_line(heads), f"| {' | '.join(rules)} |"]


def _line(cells: Sequence[str]) -> str:
    # MLflow's tables have no space between their columns
    return f"| {'&ensp; | '.join(cells)} |"
