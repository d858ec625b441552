"""The page: everything laid out, put into the template, written as one file."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, UndefinedError

from depthmask.data.scenes.files import replaced_file
from depthmask.data.scenes.scene import TEST_SETS
from depthmask.errors import InputError
from depthmask.visualization.page import numbers, origin, pictures, rankings, tables, trends
from depthmask.visualization.page.definitions import (
    DEFINITIONS,
    FALSE_PERSON,
    NOBODY,
    SETS,
    condition_look,
)
from depthmask.visualization.page.files import REPORTS, RunFiles, read_run
from depthmask.visualization.page.styles import BASELINE, Style, styles_of

REPORT = REPORTS / "report.html"
HEADLINE_STATS = (
    "mask_iou",
    "depth_delta1",
    "depth_abs_rel",
    "depth_rmse",
    "person_distance_error",
)
_STAT_LABELS = {"person_distance_error": "Distance error"}


def write_report(root: Path) -> Path:
    """Write `reports/report.html` from the files of a project: the same bytes for the same files.

    Args:
        root: the project's folder.

    Returns:
        The page's path.

    Raises:
        InputError: if there are no figures yet, or a file is damaged.
    """
    try:
        text = render(read_run(root))
    except InputError:
        raise
    except (LookupError, TypeError, AttributeError, ValueError, UndefinedError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise InputError(
            f"{root / REPORTS} is damaged ({reason}): `dvc checkout` brings its files back, or"
            " `dvc repro --single-item --force evaluate` makes them anew"
        ) from None
    with replaced_file(root / REPORT) as path:
        path.write_text(text, encoding="utf-8", newline="\n")
    return root / REPORT


@dataclass(frozen=True)
class Stat:
    """A figure at the top of the page: of the best, on the headline set."""

    label: str
    text: str
    below: str
    hint: str = ""


def render(run: RunFiles) -> str:
    """The page as text; it refers to nothing outside itself."""
    styles = styles_of(run.experiments)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent, encoding="utf-8"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "true_minus": numbers.true_minus,
        "written": numbers.written,
        "plain": numbers.plain,
        "magnitude": numbers.magnitude,
    }
    robust_columns, robust_rows = tables.robustness_rows(run)
    answers, self_test = tables.self_test_rows(run)
    content: dict[str, Any] = {
        "run": run,
        "styles": styles,
        "verdict": run.metrics.get("verdict", {}),
        "stats": list(_stats(run)),
        "scored": [DEFINITIONS[name].spoken for name in rankings.chosen_by(run)],
        "set_title": SETS[run.headline][0],
        "set_note": SETS[run.headline][1],
        "sets": {name: SETS[name] for name in (*TEST_SETS, "val")},
        "set_titles": {name: words[0] for name, words in SETS.items()}
        | {NOBODY: condition_look(NOBODY).title},
        "definitions": [*DEFINITIONS.values(), *FALSE_PERSON.values()],
        "comparison": tables.comparison_table(run, styles),
        "comparison_charts": rankings.comparison_charts(run, styles),
        "difference_charts": rankings.difference_charts(run, styles),
        "all_tables": tables.all_tables(run, styles),
        "leak_tables": tables.leak_tables(run),
        "leak_charts": rankings.leak_charts(run, styles),
        "robust_masks": trends.robustness_charts(run, styles, "mask_iou"),
        "robust_depths": trends.robustness_charts(run, styles, "depth_delta1"),
        "nobody_charts": trends.nobody_charts(run, styles),
        "robust_styles": _robust_styles(run, styles),
        "robust_columns": robust_columns,
        "robust_rows": robust_rows,
        "gallery": pictures.gallery(run),
        "curves": trends.curve_charts(run, styles),
        "distributions": trends.distribution_charts(run, styles),
        "answers": answers,
        "self_test": self_test,
        "sheet": pictures.sheet(run.contact_sheet) if run.contact_sheet else None,
        "conditions": pictures.sheet(run.conditions_sheet) if run.conditions_sheet else None,
        "weights": tables.num_weights(run),
        "level": f"{100 * run.metrics['level']:g}",
        "versions": list(origin.versions()),
        "hashes": list(origin.hashes(run)),
        "parameters": origin.parameters(run),
    }
    return environment.get_template("page.html.jinja").render(content)


def _robust_styles(run: RunFiles, styles: dict[str, Style]) -> dict[str, Style]:
    """Of what the robustness curves show: some experiments, and baselines."""
    names = [] if run.robustness is None else dict.fromkeys(run.robustness["experiment"])
    return {name: styles.get(name, BASELINE) for name in names}


def _stats(run: RunFiles) -> Iterator[Stat]:
    metrics, head = run.metrics, run.headline
    figures = metrics["experiments"].get(run.best, {}).get(head, {})
    for name in HEADLINE_STATS:
        definition, value = DEFINITIONS[name], figures.get(name)
        if numbers.known(value) is not None:
            bounds = metrics.get("intervals", {}).get(run.best, {}).get(head, {}).get(name)
            below = numbers.interval(*bounds, definition.decimals) if bounds else ""
            text = numbers.figure(value, definition, run.unit)
            label = _STAT_LABELS.get(name, definition.full)
            yield Stat(f"{label} {definition.arrow}", text, below, definition.text)
    gap = metrics.get("leak", {}).get(run.best, {}).get("mask_iou", {})
    if numbers.known(gap.get("gap")) is not None:
        text = numbers.written(gap["gap"], signed=True)
        below = numbers.interval(gap.get("low"), gap.get("high"), signed=True)
        yield Stat("Leak gap, IoU", text, below, "mask IoU on seen rooms and people less unseen")
    sizes = (run.latency or {}).get("sizes") or []
    if sizes and run.export_is_current:
        size = f"{sizes[0]['width']} × {sizes[0]['height']} px"
        yield Stat("Latency", f"{sizes[0]['median_ms']:.1f} ms", size, "median, one pair a call")
