"""One page that tells a run's whole story: made from its files, opened without a network."""

import importlib.metadata
import io
import platform
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from depthmask.config.reading import read_params
from depthmask.data.scenes.files import replaced_file
from depthmask.data.scenes.scene import SETS
from depthmask.errors import InputError
from depthmask.evaluation.robustness import CONDITIONS
from depthmask.evaluation.robustness_table import FALSE_PERSON
from depthmask.metrics import METRICS, Metric
from depthmask.tracking.gate import Judgement
from depthmask.visualization import plots
from depthmask.visualization.canvas import (
    ERROR_TICKS,
    DepthScale,
    as_data,
    depth_colors,
    error_colors,
)
from depthmask.visualization.panels import FIELDS
from depthmask.visualization.results import CHARTED, KEYS, MINUS, Figure, Run, plain, written
from depthmask.visualization.theme import COLORS, Chart, svg_of

TEMPLATES = Path(__file__).parent / "templates"
SHEET_WIDTH = 1400
STATS = ("mask_iou", "depth_delta1", "depth_abs_rel", "depth_rmse", "person_distance_error")
GROUPS = {
    "best": ("The best scenes", "by mask IoU"),
    "median": ("The median scenes", "half of all scenes are better than these, half are worse"),
    "worst": ("The worst scenes", "by mask IoU: what goes wrong"),
    "worst_depth": ("The worst in depth", "by AbsRel"),
}
SHOWN = ("mask_iou", "depth_abs_rel", "person_distance_error")
PACKAGES = ("depthmask", "torch", "lightning", "onnxruntime", "onnxruntime-gpu", "mlflow", "dvc",
            "albumentations", "mitsuba", "numpy")  # fmt: skip


def write_page(root: Path, *, code: str, gate: Judgement | None) -> Path:
    """Write `reports/report.html`, which refers to nothing outside itself, from a project's files;
    `code` names the commit. InputError if there are no figures yet, or a file is damaged."""
    run = Run(root)
    environment = Environment(loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined,
                              autoescape=True, trim_blocks=True, lstrip_blocks=True)  # fmt: skip
    environment.filters |= {
        "drawn": _drawn,
        "in_row": _figure_in,
        "true_minus": lambda text: re.sub(r"(?<![\w.])-(?=\d)", MINUS, text),
        "magnitude": _magnitude,
        "plain": plain,
        "picture": lambda name: _picture(root / "reports/tiles" / name),
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
        shown=[METRICS[name] for name in SHOWN],
        sets=SETS,
        labels={**SETS, **CONDITIONS},
        groups=GROUPS,
        fields=FIELDS,
        colors=COLORS,
        series=run.series,
        leaks=[m for m in charted if run.leak(run.best, m, excess=False).number is not None],
        charts=_charts(run),
        robust_series=run.series_in(run.robustness),
        robust_columns=[c for c in definitions if c.name in robust and robust[c.name].count()],
        robust_rows=robust.groupby("condition", sort=False),
        legends=list(_legends(run.tiles)) if run.tiles else [],
        sheet=_sheet(root / "data/prepared/contact_sheet.png"),
        conditions=_sheet(root / "reports/plots/conditions.png"),
        level=f"{100 * run.metrics.get('level', 0.95):g}",
        gate=gate,
        code=code,
        versions=list(_versions()),
        parameters=_parameters(root / "params.yaml"),
    )
    path = root / "reports/report.html"
    with replaced_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return path


def _parameters(path: Path) -> str:
    """Those in force, as YAML, the profile's merged in; of experiments the compared ones."""
    if not path.is_file():
        return ""
    params = read_params(path).model_dump(mode="json")
    params["experiments"] = {name: params["experiments"][name] for name in params["compare"]}
    return yaml.safe_dump(params, sort_keys=False, allow_unicode=True)


def _drawn(chart: Chart) -> dict[str, str]:
    """A chart of the page, its title taken out of it."""
    words = chart["title"].to_dict()
    chart["title"] = alt.Undefined
    return {"subtitle": "", **words, "svg": svg_of(chart, f"{words['text']}: chart")}


def _figure_in(row: dict[str, Any], metric: Metric) -> Figure:
    """Of a row of `robustness.csv`."""
    bounds = [row.get(f"{metric.name}_{end}") for end in ("low", "high")]
    return Figure(row[metric.name], bounds, decimals=metric.decimals)


def _magnitude(value: float) -> str:
    """A very small number as 4.2 × 10⁻⁷."""
    mantissa, _, power = f"{value:.1e}".partition("e")
    digits = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    return f"{mantissa} × 10{str(int(power)).translate(digits)}" if value else "0"


def _charts(run: Run) -> dict[str, list[Chart]]:
    """Every chart by its place on the page."""
    return {
        "comparison": plots.comparison_charts(run),
        "differences": plots.difference_charts(run),
        "distributions": plots.distribution_charts(run.scenes, run),
        "leak": plots.leak_charts(run),
        "masks": plots.condition_charts(run.robustness, run, "mask_iou"),
        "depths": plots.condition_charts(run.robustness, run, "depth_delta1"),
        "curves": plots.curve_charts(run.curves, run),
    }


def _legends(tiles: dict[str, Any]) -> Iterator[tuple[str, str, Sequence[tuple[float, str]]]]:
    """Colour scales of the scenes: a title, a CSS gradient, what to write at which share of it."""
    scale = DepthScale(**tiles["scale"], unit=tiles["unit"])
    yield scale.label.capitalize(), _gradient(depth_colors, 12), scale.ticks()
    yield "Depth error: too near, too far", _gradient(error_colors, 11), ERROR_TICKS


def _picture(path: Path) -> str:
    if not path.is_file():
        raise InputError(f"{path} is missing: run `dvc repro --force evaluate`")
    return as_data(path.read_bytes(), "png")


def _gradient(colors: Callable[[np.ndarray], np.ndarray], num_stops: int) -> str:
    stops = colors(np.linspace(0, 1, num_stops)).tolist()
    return f"linear-gradient(90deg, {', '.join(f'rgb({r}, {g}, {b})' for r, g, b in stops)})"


def _sheet(path: Path) -> str | None:
    """A sheet of many pictures, smaller, as data of the page; None where there is none."""
    if not path.is_file():
        return None
    with Image.open(path) as image:
        picture = image.convert("RGB")
    picture.thumbnail((SHEET_WIDTH, picture.height), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    picture.save(content, "WEBP", quality=82, method=6)
    return as_data(content.getvalue(), "webp")


def _versions() -> Iterator[tuple[str, str]]:
    """Of Python, the system and the packages that decide a result, as installed here."""
    yield "Python", platform.python_version()
    for name in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            yield name, importlib.metadata.version(name)
    yield "system", f"{platform.system()} {platform.machine()}"
