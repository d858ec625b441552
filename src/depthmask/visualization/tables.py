"""Tables of figures: of the page, and in Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from depthmask.data.scenes.scene import SETS, TEST_SETS
from depthmask.evaluation.measuring import BASELINES
from depthmask.evaluation.robustness import CONDITIONS, Condition
from depthmask.evaluation.robustness_table import FALSE_PERSON
from depthmask.metrics import METRICS, Metric
from depthmask.visualization.numbers import interval, known, plain, written
from depthmask.visualization.plots import CHARTED
from depthmask.visualization.run_files import Metrics, RunFiles, baselines_of, compared, figures_of

KEYS = tuple(name for name, metric in METRICS.items() if metric.is_key)


@dataclass(frozen=True)
class Cell:
    """A figure of a table.

    Attributes:
        below: its spread over seeds and its interval, smaller beneath it.
        sort: what the column is sorted by; None sinks.
        won: whether no experiment has a better one, as they are written.
    """

    text: str
    below: Sequence[str] = ()
    sort: float | None = None
    won: bool = False


@dataclass(frozen=True)
class TableRow:
    """An experiment or baseline.

    Attributes:
        marks: `best`, `runner-up`, `tied`, `ahead` as the verdict has them.
        about: its model and losses, or what the baseline does.
    """

    name: str
    cells: list[Cell]
    marks: Sequence[str] = ()
    about: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of experiments, then of baselines, under metrics."""

    set_name: str
    columns: list[Metric]
    experiments: list[TableRow]
    baselines: list[TableRow]


def table_of(run: RunFiles, set_name: str, wanted: Sequence[str], *, bounds: bool) -> Table:
    """The figures of a set in the order of the comparison, baselines beneath.

    Args:
        wanted: metrics; a column that no experiment has is left away.
        bounds: whether intervals and spreads are shown.
    """
    metrics = run.metrics
    own = {name: figures_of(metrics, name, set_name) for name in run.experiments}
    columns = [
        METRICS[name]
        for name in wanted
        if any(known(row.get(name)) is not None for row in own.values())
    ]
    winners = {column.name: _winner(column, list(own.values())) for column in columns}
    others = {name: figures_of(metrics, name, set_name) for name in baselines_of(metrics)}
    return Table(
        set_name,
        columns,
        [
            TableRow(
                name,
                [_cell(metrics, name, set_name, c, winners[c.name], bounds) for c in columns],
                _marks(metrics, name),
                _about(run, name),
            )
            for name in own
        ],
        [
            TableRow(
                name,
                [_cell(metrics, name, set_name, column, "", False) for column in columns],
                about=BASELINES[name],
            )
            for name, figures in others.items()
            if figures
        ],
    )


def all_tables(run: RunFiles) -> list[Table]:
    """Every figure of every set, hardest first, validation last."""
    tables = [table_of(run, name, list(METRICS), bounds=False) for name in (*TEST_SETS, "val")]
    return [table for table in tables if table.columns]


def _cell(
    metrics: Metrics, name: str, set_name: str, column: Metric, winner: str, bounds: bool
) -> Cell:
    value = known(figures_of(metrics, name, set_name).get(column.name))
    text, below = written(value, column.decimals), []
    if value is not None and bounds:
        spread = metrics.get("spread", {}).get(name, {}).get(set_name, {}).get(column.name)
        if known(spread) is not None:
            below.append(f"± {written(spread, column.decimals)}")
        if within := interval(bounds_of(metrics, name, set_name, column.name), column.decimals):
            below.append(within)
    return Cell(text, below, value, won=value is not None and text == winner)


def bounds_of(metrics: Metrics, name: str, set_name: str, metric: str) -> Sequence[Any] | None:
    """The interval of a figure, or None."""
    found: Sequence[Any] | None = (
        metrics.get("intervals", {}).get(name, {}).get(set_name, {}).get(metric)
    )
    return found


def _winner(column: Metric, rows: Sequence[Mapping[str, Any]]) -> str:
    """The best figure as it is written, so that equal digits win equally; none wins alone."""
    values = [value for row in rows if (value := known(row.get(column.name))) is not None]
    if len(values) < 2:
        return ""
    return written((max if column.higher_is_better else min)(values), column.decimals)


def _marks(metrics: Metrics, name: str) -> list[str]:
    verdict = metrics.get("verdict", {})
    said = {
        "best": name == metrics["best"],
        "runner-up": name == verdict.get("runner_up"),
        "tied": name in verdict.get("ties", []),
        "ahead": name in verdict.get("ahead", []),
    }
    return [mark for mark, holds in said.items() if holds]


def _about(run: RunFiles, name: str) -> str:
    """Model, losses, weights, seeds: `depthmasknet8, mask: bce, depth: 2 ssim`."""
    cards = run.cards.get(name)
    if not cards:
        return ""
    words = [cards[0]["model"]]
    for head, terms in cards[0]["losses"].items():
        if terms:
            parts = (f"{w:g} {term}" if w != 1 else term for term, w in terms.items())
            words.append(f"{head}: {' + '.join(parts)}")
    settings = run.settings.get(name)
    if settings and not settings[0]["experiment"].get("augmented", True):
        words.append("no colour variants")
    if len(cards) > 1:
        words.append(f"{len(cards)} seeds")
    return ", ".join(words)


@dataclass(frozen=True)
class LeakTable:
    """A metric of the best experiment on rooms and people seen or not: `cells[room][person]`.

    Attributes:
        cells: unseen first, like the sets' names: unseen_unseen is `cells[0][0]`.
        in_scene: the same of the rendered frames; None where the source has none.
        gap: seen pair less unseen pair, positive where what was seen is easier.
        excess: the gap less that of the difference threshold; None of depth.
    """

    metric: Metric
    cells: list[list[Cell]]
    in_scene: Cell | None
    gap: Cell
    excess: Cell | None


def leak_tables(run: RunFiles) -> list[LeakTable]:
    """The 2 x 2 of the best experiment, a table a metric."""
    metrics, best, tables = run.metrics, run.best, []
    for metric in (METRICS[name] for name in CHARTED):
        gap = metrics.get("leak", {}).get(best, {}).get(metric.name, {})
        if known(gap.get("gap")) is None:
            continue

        def cell(set_name: str, metric: Metric = metric) -> Cell:
            return _cell(metrics, best, set_name, metric, "", True)

        def gap_cell(
            key: str, low: str, high: str, gap: Any = gap, metric: Metric = metric
        ) -> Cell:
            words = interval((gap.get(low), gap.get(high)), metric.decimals, signed=True)
            return Cell(written(gap.get(key), metric.decimals, signed=True), [words] * bool(words))

        sides = ("unseen", "seen")
        tables.append(
            LeakTable(
                metric,
                [[cell(f"{room}_{person}") for person in sides] for room in sides],
                cell("in_scene") if "in_scene" in metrics["experiments"][best] else None,
                gap_cell("gap", "low", "high"),
                gap_cell("excess", "excess_low", "excess_high") if "excess" in gap else None,
            )
        )
    return tables


@dataclass(frozen=True)
class ConditionRows:
    """A condition as the best experiment bears it: strength, whether trained for, figures."""

    words: Condition
    rows: list[tuple[str, bool, list[Cell]]]


def robustness_rows(run: RunFiles) -> tuple[list[Metric], list[ConditionRows]]:
    """Columns and rows of the best experiment, every condition and strength."""
    if run.robustness is None:
        return [], []
    own = run.robustness[run.robustness["experiment"] == run.best]
    columns = [
        metric
        for metric in (*(METRICS[name] for name in KEYS), *FALSE_PERSON.values())
        if metric.name in own and own[metric.name].notna().any()
    ]
    found = []
    for name, part in own.groupby("condition", sort=False):
        rows = []
        for row in part.to_dict("records"):
            cells = []
            for column in columns:
                ends = [row.get(f"{column.name}_{end}") for end in ("low", "high")]
                words = interval(ends)
                cells.append(
                    Cell(written(row[column.name], column.decimals), [words] * bool(words))
                )
            rows.append((plain(row["strength"]), bool(row["trained_for"]), cells))
        found.append(ConditionRows(CONDITIONS[str(name)], rows))
    return columns, found


def results_table(metrics: Metrics) -> str:
    """GitHub Markdown: the verdict, the comparison with the best of each figure bold, the leak.

    A star marks the experiment that is exported, the bounds of an interval stand beside the first
    two figures.
    """
    head = metrics["headline"]["set"]
    second = "unseen_unseen" if head == "in_scene" else "seen_seen"
    unit = metrics.get("unit", "metre")
    columns = [(head, METRICS[name]) for name in KEYS if METRICS[name].part != "person"]
    columns += [(head, METRICS["person_distance_error"])] * (unit == "metre")
    columns += [(second, METRICS[name]) for name in CHARTED[:2]]
    names = compared(metrics)
    winners = [
        _winner(metric, [figures_of(metrics, name, set_name) for name in names])
        for set_name, metric in columns
    ]
    titles = [
        f"{SETS[set_name].label.lower()}: {metric.title}{metric.suffix(unit).replace(' ', ', ')}"
        for set_name, metric in columns
    ]
    lines = [_line(["", *titles]), _line([":--", *["--:"] * len(columns)])]
    for name in (*names, *baselines_of(metrics)):
        trained = name in metrics["experiments"]
        cells = [f"**{name}** ★" if name == metrics["best"] else name if trained else f"_{name}_"]
        for place, ((set_name, metric), winner) in enumerate(zip(columns, winners, strict=True)):
            cell = _cell(metrics, name, set_name, metric, winner if trained else "", place < 2)
            words = f"**{cell.text}**" if cell.won else cell.text
            cells.append(" ".join([words, *cell.below]))
        lines.append(_line(cells))
    if sentence := metrics.get("verdict", {}).get("sentence"):
        lines[:0] = [sentence, ""]
    leak = metrics.get("leak", {}).get(metrics["best"], {}).get("mask_iou", {})
    if known(leak.get("excess")) is not None:
        words = written(leak["excess"], signed=True)
        bounds = interval((leak["excess_low"], leak["excess_high"]), signed=True)
        lines += [
            "",
            f"Leak gap of {metrics['best']}: mask IoU on rooms and people that it has seen, less"
            " that on unseen ones, less the same of the difference threshold, which remembers"
            f" nothing: {words} {bounds}".rstrip()
            + ".",
        ]
    if unit == "relative":
        lines[:0] = [
            "Depth is relative: scale and shift are fitted to each image's truth before it is"
            " measured, and a constant becomes that image's own mean.",
            "",
        ]
    return "\n".join(lines) + "\n"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
