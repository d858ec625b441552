"""One page that tells a run's whole story: made from its files, opened without a network."""

import io
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from depthmask.data.scenes.files import read_text, replaced_file
from depthmask.data.scenes.scene import SETS
from depthmask.evaluation.robustness import CONDITIONS
from depthmask.evaluation.robustness_table import FALSE_PERSON
from depthmask.metrics import METRICS, Metric
from depthmask.tracking.gate import Judgement
from depthmask.visualization import canvas, plots
from depthmask.visualization.results import CHARTED, KEYS, MINUS, Figure, Run, written
from depthmask.visualization.sheets import FIELDS
from depthmask.visualization.theme import COLORS, Chart, svg_of

TEMPLATES = Path(__file__).parent / "templates"
SHEET_WIDTH = 1400
STATS = ("mask_iou", "depth_delta1", "person_delta1", "depth_abs_rel", "person_distance_error")
GROUPS = {
    "best": ("The best scenes", "by mask IoU"),
    "median": ("The median scenes", "half of all scenes are better than these, half are worse"),
    "worst": ("The worst scenes", "by mask IoU: what goes wrong"),
    "worst_depth": ("The worst in depth", "by AbsRel"),
}
SHOWN = ("mask_iou", "depth_abs_rel", "person_distance_error")


def write_page(root: Path, *, code: str, gate: Judgement | None) -> Path:
    """Write `reports/report.html`, which refers to nothing outside itself, from a project's files;
    `code` names the commit. InputError if a file is missing or damaged."""
    run = Run(root)
    environment = Environment(loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined,
                              autoescape=True, trim_blocks=True, lstrip_blocks=True)  # fmt: skip
    environment.filters |= {
        "drawn": _drawn,
        "in_row": _figure_in,
        "true_minus": lambda text: re.sub(r"(?<![\w.])-(?=\d)", MINUS, text),
        "picture": lambda path: _picture(root / path),
    }
    definitions = [*METRICS.values(), *FALSE_PERSON.values()]
    robust = run.robustness[run.robustness["experiment"] == run.best]
    charted = [METRICS[name] for name in CHARTED]
    text = environment.get_template("page.html.jinja").render(
        run=run,
        verdict=run.verdict,
        key_metrics=KEYS,
        written=written,
        metrics=METRICS,
        definitions=definitions,
        stats=[METRICS[name] for name in STATS],
        shown=SHOWN,
        sets=SETS,
        labels={**SETS, **CONDITIONS},
        groups=GROUPS,
        fields=FIELDS,
        colors=COLORS,
        series=run.series,
        rivals=[n for n in run.experiments if "score" in run.at("verdict", "differences", n)],
        leaks=[m for m in charted if run.leak(run.best, m, excess=False).number is not None],
        charts=_charts(run),
        robust_series=run.series_in(run.robustness),
        robust_columns=[c for c in definitions if c.name in robust and robust[c.name].count()],
        robust_rows=robust.groupby("condition", sort=False),
        mask_errors=canvas.MASK_ERRORS,
        legends=list(_legends(canvas.DepthScale(**run.tiles["scale"]))),
        level=f"{100 * run.metrics['level']:g}",
        gate=gate,
        code=code,
        parameters=read_text(root / "params.yaml"),
    )
    path = root / "reports/report.html"
    with replaced_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return path


def _drawn(chart: Chart) -> dict[str, str]:
    """A chart of the page, its title taken out of it."""
    words = chart["title"].to_dict()
    chart["title"] = alt.Undefined
    return {"subtitle": "", **words, "svg": svg_of(chart, f"{words['text']}: chart")}


def _figure_in(row: dict[str, Any], metric: Metric) -> Figure:
    """Of a row of `robustness.csv`."""
    bounds = [row.get(f"{metric.name}_{end}") for end in ("low", "high")]
    return Figure(row[metric.name], bounds, decimals=metric.decimals)


def _charts(run: Run) -> dict[str, list[Chart]]:
    """Every chart by its place on the page."""
    return {
        "comparison": [*plots.comparison_charts(run)],
        "masks": [*plots.condition_charts(run.robustness, run, "mask_iou")],
        "depths": [*plots.condition_charts(run.robustness, run, "depth_delta1")],
        "curves": [*plots.curve_charts(run.curves, run)],
    }


def _legends(scale: canvas.DepthScale) -> Iterator[tuple[str, str, Sequence[tuple[float, str]]]]:
    """Colour scales of the scenes: a title, a CSS gradient, what to write at which share of it."""
    yield scale.label.capitalize(), _gradient(canvas.depth_colors, 12), scale.ticks()
    yield "Depth error: too near, too far", _gradient(canvas.error_colors, 11), canvas.ERROR_TICKS


def _gradient(colors: Callable[[np.ndarray], np.ndarray], num_stops: int) -> str:
    stops = colors(np.linspace(0, 1, num_stops)).tolist()
    return f"linear-gradient(90deg, {', '.join(f'rgb({r}, {g}, {b})' for r, g, b in stops)})"


def _picture(path: Path) -> str:
    """A picture, no wider than `SHEET_WIDTH`, as data of the page."""
    with Image.open(path) as image:
        picture = image.convert("RGB")
    picture.thumbnail((SHEET_WIDTH, picture.height), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    picture.save(content, "WEBP", quality=90, method=6)
    return canvas.as_data(content.getvalue(), "webp")
