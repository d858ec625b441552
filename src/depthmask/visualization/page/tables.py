"""The report's tables: cells as text, with what the pointer finds behind them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from depthmask.data.scenes.scene import TEST_SETS
from depthmask.visualization.page.definitions import (
    BASELINES,
    COMPARED,
    DEFINITIONS,
    FALSE_PERSON,
    HEADLINE,
    SETS,
    Definition,
    condition_look,
)
from depthmask.visualization.page.files import RunFiles
from depthmask.visualization.page.numbers import MISSING, interval, known, plain, thousands, written
from depthmask.visualization.page.styles import Style
from depthmask.visualization.robustness import Look


@dataclass(frozen=True)
class Cell:
    """A figure of a table.

    Attributes:
        text: the figure, or a dash.
        below: its interval, or its spread over seeds, smaller beneath it.
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
    style: Style | None = None
    marks: Sequence[str] = ()
    about: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of experiments, then of baselines, under metrics."""

    columns: list[Definition]
    experiments: list[TableRow]
    baselines: list[TableRow]
    title: str = ""
    note: str = ""


def comparison_table(run: RunFiles, styles: dict[str, Style]) -> Table:
    """The headline set: experiments as they were ranked, baselines beneath."""
    return _table(run, styles, run.headline, HEADLINE, with_intervals=True)


def all_tables(run: RunFiles, styles: dict[str, Style]) -> list[Table]:
    """Every figure of every set, hardest first, validation last."""
    names = [*TEST_SETS, "val"]
    tables = [_table(run, styles, name, tuple(DEFINITIONS)) for name in names]
    return [table for table in tables if table.columns]


def _figures(run: RunFiles, name: str, set_name: str) -> dict[str, Any]:
    if set_name == "val":
        return run.metrics.get("validation", {}).get(name, {})
    return run.metrics["experiments"][name].get(set_name, {})


def _table(
    run: RunFiles,
    styles: dict[str, Style],
    set_name: str,
    wanted: Sequence[str],
    *,
    with_intervals: bool = False,
) -> Table:
    own = {name: _figures(run, name, set_name) for name in run.experiments}
    others = {
        name: sets.get(set_name, {}) for name, sets in run.metrics.get("baselines", {}).items()
    }
    columns = [
        DEFINITIONS[name]
        for name in wanted
        if any(known(row.get(name)) is not None for row in own.values())
    ]
    winners = {column.name: _winner(column, list(own.values())) for column in columns}
    rows = [
        TableRow(
            name,
            [
                _cell(run, name, set_name, column, figures, winners, with_intervals)
                for column in columns
            ],
            styles[name],
            _marks(run, name),
            _about(run, name),
        )
        for name, figures in own.items()
    ]
    baselines = [
        TableRow(
            name,
            [
                Cell(written(figures.get(c.name), c.decimals), sort=known(figures.get(c.name)))
                for c in columns
            ],
            about=BASELINES.get(name, ""),
        )
        for name, figures in others.items()
        if figures
    ]
    title, note = SETS.get(set_name, (set_name, ""))
    return Table(columns, rows, baselines, title, note)


def _cell(
    run: RunFiles,
    name: str,
    set_name: str,
    column: Definition,
    figures: dict[str, Any],
    winners: dict[str, str],
    with_intervals: bool,
) -> Cell:
    value = known(figures.get(column.name))
    text, below = written(value, column.decimals), []
    if value is not None and with_intervals:
        spread = run.metrics.get("spread", {}).get(name, {}).get(set_name, {}).get(column.name)
        if known(spread) is not None:
            below.append(f"± {written(spread, column.decimals)}")
        bounds = run.metrics.get("intervals", {}).get(name, {}).get(set_name, {}).get(column.name)
        if bounds and (within := interval(*bounds, column.decimals)):
            below.append(within)
    return Cell(text, below, value, won=value is not None and text == winners[column.name])


def _winner(column: Definition, rows: list[dict[str, Any]]) -> str:
    """The best figure as it is written, so that equal digits win equally; none wins alone."""
    values = [value for row in rows if (value := known(row.get(column.name))) is not None]
    if len(values) < 2:
        return ""
    return written((max if column.better == "higher" else min)(values), column.decimals)


def _marks(run: RunFiles, name: str) -> list[str]:
    verdict = run.metrics.get("verdict", {})
    marks = ["best"] if name == run.best else []
    if name == verdict.get("runner_up"):
        marks.append("runner-up")
    return marks + [mark for mark in ("tied", "ahead") if name in verdict.get(_KEYS[mark], [])]


_KEYS = {"tied": "ties", "ahead": "ahead"}


def _about(run: RunFiles, name: str) -> str:
    """Model, losses, weights, seeds: `depthmasknet8, mask: bce, depth: 2 ssim`."""
    cards = run.cards.get(name)
    if not cards:
        return ""
    words = [cards[0]["model"]]
    for head in ("mask", "depth"):
        terms = cards[0].get("losses", {}).get(head) or {}
        if terms:
            parts = (f"{w:g} {term}" if w != 1 else term for term, w in terms.items())
            words.append(f"{head}: {' + '.join(parts)}")
    if (settings := run.settings.get(name)) and not settings[0]["experiment"].get(
        "augmented", True
    ):
        words.append("no colour variants")
    if len(cards) > 1:
        words.append(f"{len(cards)} seeds")
    return ", ".join(words)


def num_weights(run: RunFiles) -> str:
    """Parameters of the best network."""
    count = run.best_card.get("num_parameters")
    return thousands(count) if count else MISSING


@dataclass(frozen=True)
class LeakTable:
    """A metric of the best experiment on rooms and people seen or not: `cells[room][person]`.

    Attributes:
        cells: unseen first, like the sets' names: unseen_unseen is `cells[0][0]`.
        in_scene: the same of the rendered frames; None where the source has none.
        gap: seen pair less unseen pair, positive where what was seen is easier.
    """

    metric: Definition
    cells: list[list[Cell]]
    in_scene: Cell | None
    gap: Cell


def leak_tables(run: RunFiles) -> list[LeakTable]:
    """The 2 x 2 of the best experiment, a table a metric."""
    sets, tables = run.metrics["experiments"][run.best], []
    for metric in (DEFINITIONS[name] for name in COMPARED):
        gap = run.metrics.get("leak", {}).get(run.best, {}).get(metric.name, {})
        if known(gap.get("gap")) is None:
            continue
        cells = [
            [_cell_of(run, f"{room}_{person}", metric) for person in ("unseen", "seen")]
            for room in ("unseen", "seen")
        ]
        words = interval(gap.get("low"), gap.get("high"), metric.decimals, signed=True)
        tables.append(
            LeakTable(
                metric,
                cells,
                _cell_of(run, "in_scene", metric) if "in_scene" in sets else None,
                Cell(written(gap["gap"], metric.decimals, signed=True), [words] if words else []),
            )
        )
    return tables


def _cell_of(run: RunFiles, set_name: str, metric: Definition) -> Cell:
    figures = run.metrics["experiments"][run.best].get(set_name, {})
    return _cell(run, run.best, set_name, metric, figures, {metric.name: ""}, True)


@dataclass(frozen=True)
class ConditionRows:
    """A condition as the best experiment bears it: a row a strength.

    Attributes:
        rows: strength, whether it was trained for, figures.
    """

    words: Look
    rows: list[tuple[str, bool, list[Cell]]]


def robustness_rows(run: RunFiles) -> tuple[list[Definition], list[ConditionRows]]:
    """Columns and rows of the best experiment, every condition and strength."""
    table = run.robustness
    if table is None:
        return [], []
    own = table[table["experiment"] == run.best]
    columns = [
        definition
        for definition in (*(DEFINITIONS[name] for name in HEADLINE), *FALSE_PERSON.values())
        if definition.name in own and own[definition.name].notna().any()
    ]
    conditions = []
    for name, part in own.groupby("condition", sort=False):
        rows = [
            (plain(row["strength"]), bool(row["trained_for"]), _condition_cells(row, columns))
            for row in part.to_dict("records")
        ]
        conditions.append(ConditionRows(condition_look(str(name)), rows))
    return columns, conditions


def _condition_cells(row: dict[str, Any], columns: list[Definition]) -> list[Cell]:
    cells = []
    for column in columns:
        bounds = interval(row.get(f"{column.name}_low"), row.get(f"{column.name}_high"))
        text = written(row.get(column.name), column.decimals)
        cells.append(Cell(text, [bounds] if bounds else []))
    return cells


def self_test_rows(run: RunFiles) -> tuple[list[str], list[tuple[Definition, list[str]]]]:
    """What the truth and the wrong answers score, by every metric."""
    found = run.metrics.get("self_test") or {}
    answers = list(dict.fromkeys(answer for scores in found.values() for answer in scores))
    rows = [
        (DEFINITIONS[name], [written(scores.get(answer), 3) for answer in answers])
        for name, scores in found.items()
        if name in DEFINITIONS
    ]
    return answers, rows
