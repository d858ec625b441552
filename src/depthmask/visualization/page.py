"""One page that tells a run's whole story: made from its files, opened without a network."""

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import altair as alt
import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from depthmask.data.scenes.files import replaced_file
from depthmask.data.scenes.scene import SETS
from depthmask.errors import InputError
from depthmask.evaluation.robustness import CONDITIONS
from depthmask.evaluation.robustness_table import FALSE_PERSON
from depthmask.metrics import METRICS
from depthmask.visualization import numbers, origin, plots, tables
from depthmask.visualization.canvas import (
    ERROR_TICKS,
    FALSE,
    MISSED,
    DepthScale,
    as_data,
    depth_ramp,
    error_ramp,
)
from depthmask.visualization.charts import BASELINE, CURVES, curve_chart
from depthmask.visualization.run_files import REPORTS, TILES, RunFiles, hash_of_inputs, read_run
from depthmask.visualization.theme import COLORS, Chart, svg_of

PAGE = REPORTS / "report.html"
TEMPLATES = Path(__file__).parent / "templates"
SHEET_WIDTH = 1400
STATS = ("mask_iou", "depth_delta1", "depth_abs_rel", "depth_rmse", "person_distance_error")
FIELDS = {
    "bg": "plate (bg)",
    "bg_fg": "frame (bg_fg)",
    "true_mask": "true mask",
    "pred_mask": "predicted mask",
    "true_depth": "true depth",
    "pred_depth": "predicted depth",
    "depth_error": "depth error",
}
"""What is shown of a scene, in this order."""
GROUPS = {
    "best": ("The best scenes", "by mask IoU"),
    "median": ("The median scenes", "half of all scenes are better than these, half are worse"),
    "worst": ("The worst scenes", "by mask IoU: what goes wrong"),
    "worst_depth": ("The worst in depth", "by AbsRel"),
}
SHOWN = ("mask_iou", "depth_abs_rel", "person_distance_error")


class Gate(NamedTuple):
    """What the gate said of the exported model."""

    passed: bool
    lines: Sequence[str]


def write_page(root: Path, *, code: str, gate: Gate | None) -> Path:
    """Write `reports/report.html` from the files of a project, unless it is of these very files.

    Args:
        root: the project's folder.
        code: what names the code: its commit and date.

    Raises:
        InputError: if there are no figures yet, or a file is damaged.
    """
    path = root / PAGE
    own = [*sorted(Path(__file__).parent.glob("*.py")), *sorted(TEMPLATES.iterdir())]
    said = repr((hash_of_inputs(root), code, gate, [file.read_bytes() for file in own]))
    digest = hashlib.sha256(said.encode()).hexdigest()
    mark = f'<meta name="inputs" content="{digest}">'
    if not path.is_file() or mark not in path.read_text(encoding="utf-8", errors="replace"):
        text = render(read_run(root), code, gate, digest)
        with replaced_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")
    return path


def render(run: RunFiles, code: str, gate: Gate | None, digest: str) -> str:
    """The page as text; it refers to nothing outside itself."""
    metrics, series = run.metrics, plots.series_in(run.metrics)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES, encoding="utf-8"),
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
    columns, rows = tables.robustness_rows(run)
    robust = () if run.robustness is None else dict.fromkeys(run.robustness["experiment"])
    return environment.get_template("page.html.jinja").render(
        run=run,
        digest=digest,
        colors=COLORS,
        series=series,
        robust_series={name: series.get(name, BASELINE) for name in robust},
        verdict=metrics.get("verdict", {}),
        gate=gate,
        stats=list(_stats(run)),
        chosen_by=[METRICS[name].spoken for name in metrics.get("chosen_by", ())],
        sets=SETS,
        set_labels={name: words.label for name, words in SETS.items()}
        | {name: words.label for name, words in CONDITIONS.items()},
        definitions=[*METRICS.values(), *FALSE_PERSON.values()],
        comparison=tables.table_of(run, run.headline, tables.KEYS, bounds=True),
        all_tables=tables.all_tables(run),
        leak_tables=tables.leak_tables(run),
        robust_columns=columns,
        robust_rows=rows,
        charts={name: [_drawn(*chart) for chart in of] for name, of in _charts(run).items()},
        gallery=gallery(run),
        sheet=_sheet(run.contact_sheet),
        conditions=_sheet(run.conditions_sheet),
        level=f"{100 * metrics.get('level', 0.95):g}",
        versions=list(origin.versions()),
        hashes=list(origin.hashes(run, code)),
        parameters=origin.parameters(run),
    )


class Drawn(NamedTuple):
    """A chart of the page."""

    title: str
    note: str
    svg: str


def _charts(run: RunFiles) -> dict[str, list[tuple[alt.TopLevelMixin, str]]]:
    """Every chart by its place on the page, and what it shows, for who does not see it."""
    metrics, series = run.metrics, plots.series_in(run.metrics)
    found: dict[str, list[alt.LayerChart]] = {
        **{name: [] for name in ("distributions", "masks", "depths", "curves")},
        "comparison": plots.comparison_charts(metrics),
        "differences": plots.difference_charts(metrics),
        "leak": plots.leak_charts(metrics),
    }
    if run.scenes is not None:
        found["distributions"] = plots.distribution_charts(run.scenes, metrics)
    if run.robustness is not None:
        for place, metric in (("masks", "mask_iou"), ("depths", "depth_delta1")):
            found[place] = plots.condition_charts(run.robustness, metrics, metric)
    if (table := run.curves) is not None:
        found["curves"] = [
            curve_chart(table, name, series, best=run.best)
            for name in CURVES
            if name in table and table[name].notna().any()
        ]
    return {place: [(chart, place) for chart in charts] for place, charts in found.items()}


def _drawn(chart: Chart, place: str) -> Drawn:
    words = chart["title"].to_dict()
    title, note = words["text"], words.get("subtitle", "")
    chart["title"] = alt.Undefined
    return Drawn(title, note, svg_of(chart, f"{title}: chart, {place}"))


class Stat(NamedTuple):
    """A figure at the top of the page: of the best, on the headline set."""

    label: str
    text: str
    below: str
    hint: str = ""


def _stats(run: RunFiles) -> Iterator[Stat]:
    metrics, head = run.metrics, run.headline
    figures = metrics["experiments"][run.best][head]
    for metric in (METRICS[name] for name in STATS):
        value = figures.get(metric.name)
        if numbers.known(value) is not None:
            bounds = tables.bounds_of(metrics, run.best, head, metric.name)
            label = metric.title.replace("Person’s d", "D")
            text = numbers.written(value, metric.decimals) + metric.suffix(run.unit)
            below = numbers.interval(bounds, metric.decimals)
            yield Stat(f"{label} {metric.arrow}", text, below, metric.text)
    gap = metrics.get("leak", {}).get(run.best, {}).get("mask_iou", {})
    if numbers.known(gap.get("excess")) is not None:
        below = numbers.interval((gap["excess_low"], gap["excess_high"]), signed=True)
        hint = "mask IoU on seen rooms and people less unseen, less the same of the threshold"
        yield Stat("Leak gap, IoU", numbers.written(gap["excess"], signed=True), below, hint)
    if run.latency and run.latency["sizes"] and run.export_is_current:
        size = run.latency["sizes"][0]
        sides = f"{size['width']} × {size['height']} px"
        yield Stat("Latency", f"{size['median_ms']:.1f} ms", sides, "median, one pair a call")


@dataclass(frozen=True)
class SceneTiles:
    """A scene's figures, and its pictures: address, caption."""

    number: int
    who: list[str]
    figures: list[tuple[str, str]]
    tiles: list[tuple[str, str]]


class Legend(NamedTuple):
    """A colour scale: a CSS gradient, and what to write at which share of it."""

    title: str
    gradient: str
    ticks: Sequence[tuple[float, str]]


@dataclass(frozen=True)
class Gallery:
    """Scenes in groups (title, note, scenes), what their colours mean, and one of the middle."""

    groups: list[tuple[str, str, list[SceneTiles]]]
    legends: list[Legend]
    typical: SceneTiles | None
    missed: str = MISSED
    false: str = FALSE


def gallery(run: RunFiles) -> Gallery | None:
    """The chosen scenes of the best experiment, where evaluate left them.

    Raises:
        InputError: if the index names a picture that is not there.
    """
    if run.tiles is None:
        return None
    found = {kind: run.tiles["groups"].get(kind, []) for kind in GROUPS}
    scenes = {kind: [_scene(run, scene) for scene in group] for kind, group in found.items()}
    scale = DepthScale(**run.tiles["scale"], unit=run.tiles["unit"])
    legends = [
        Legend(scale.label.capitalize(), _gradient(depth_ramp(12)), scale.ticks()),
        Legend("Depth error: too near, too far", _gradient(error_ramp(11)), ERROR_TICKS),
    ]
    groups = [(*GROUPS[kind], group) for kind, group in scenes.items() if group]
    return Gallery(groups, legends, next(iter(scenes["median"]), None))


def _scene(run: RunFiles, scene: dict[str, Any]) -> SceneTiles:
    figures = [
        (METRICS[name].label, numbers.written(value, METRICS[name].decimals) + unit)
        for name in SHOWN
        if numbers.known(value := scene["figures"].get(name)) is not None
        for unit in [METRICS[name].suffix(run.unit)]
    ]
    tiles = []
    for field, caption in FIELDS.items():
        path = run.root / TILES / scene["tiles"][field]
        if not path.is_file():
            raise InputError(f"{path} is missing: run `dvc repro --force evaluate`")
        tiles.append((as_data(path.read_bytes(), "png"), caption))
    return SceneTiles(scene["scene"], [scene["plate"], scene["cutout"]], figures, tiles)


def _gradient(ramp: np.ndarray) -> str:
    colors = ", ".join(f"rgb({', '.join(str(int(c)) for c in color)})" for color in ramp)
    return f"linear-gradient(90deg, {colors})"


def _sheet(path: Path | None) -> str | None:
    """A sheet of many pictures, smaller, as data of the page."""
    if path is None:
        return None
    with Image.open(path) as image:
        picture = image.convert("RGB")
    picture.thumbnail((SHEET_WIDTH, picture.height), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    picture.save(content, "WEBP", quality=82, method=6)
    return as_data(content.getvalue(), "webp")
