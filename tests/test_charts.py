"""The charts: what they show, in which order, and that DVC draws by the same specs."""

import json
import re
from pathlib import Path

import altair as alt
import pytest
import vl_convert
from dvc_render.vega import VegaRenderer
from PIL import Image

from depthmask.evaluation.robustness import CONDITIONS
from depthmask.visualization import plots
from depthmask.visualization.results import Results, results_table
from depthmask.visualization.theme import on_paper, save_png, series_of, spec_of, svg_of
from report_files import Run, curve_table, robustness_table, write_run

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def metrics(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def results(metrics):
    return Results(metrics)


def test_every_chart_is_valid_vega_lite(results):
    run, curves = Run(), curve_table(Run(seeds=(0, 1)))
    robustness = robustness_table(run, results.best)
    with alt.utils.schemapi.debug_mode(True):
        charts = [
            *plots.comparison_charts(results, legend=True),
            *plots.curve_charts(curves, results, legend=plots.KEY),
            *plots.condition_charts(robustness, results, "mask_iou", plots.KEY),
        ]
        assert len(charts) == 10 and all(chart.to_dict(validate=True) for chart in charts)


def test_rows_stand_in_the_order_of_the_validation_s_ranking(results, metrics):
    order = [*metrics["ranking"], "masknet3_bce", *metrics["baselines"]]
    chart = next(plots.comparison_charts(results))
    drawn = [text for text in re.findall(r">(\w+)</text>", svg_of(chart, "")) if text in order]
    assert drawn == order
    lines = results_table(results).splitlines()
    names = [line.split("|")[1].strip(" *_★") for line in lines if line.startswith("| ")]
    assert names[1:] == order


def test_what_dots_say_are_the_figures(results, metrics):
    own = metrics["experiments"]["bce_rmse"]["in_scene"]["mask_iou"]
    low, high = metrics["intervals"]["bce_rmse"]["in_scene"]["mask_iou"]
    chart = next(plots.comparison_charts(results))
    assert f">{own:.3f}<" in svg_of(chart, "")
    data = chart["layer"][0]["data"].set_index(["name", "set"])
    assert [*data.loc[("bce_rmse", "in_scene"), ["low", "high"]]] == [low, high]


def test_curves_are_means_over_seeds_with_their_range(results):
    table = curve_table(Run(seeds=(0, 1)))
    (chart,) = plots.curve_charts(table, results, ["val/loss", "val/none"])
    first = chart["data"].set_index(["experiment", "epoch"]).loc[("bce_rmse", 1)]
    assert first.to_dict() == {"value": 0.75, "low": 0.5, "high": 1.0}


def test_of_every_condition_harder_is_to_the_right(results, metrics):
    table = robustness_table(Run(), metrics["best"])
    charts = [*plots.condition_charts(table, results, "mask_iou")]
    titles = [chart["title"].to_dict()["text"] for chart in charts]
    assert titles == [CONDITIONS[name].label for name in ("shift", "jpeg", "nobody", "nobody")]
    dot = r'no JPEG: (\d+);[^"]*"[^>]*translate\(([\d.]+)'
    places = {strength: float(place) for strength, place in re.findall(dot, svg_of(charts[1], ""))}
    assert places["100"] < places["50"]


def test_an_experiment_s_look_does_not_hang_on_the_order_of_rows():
    names = [f"experiment_{i:02}" for i in range(20)]
    looks = series_of(names)
    assert looks == series_of(reversed(names))
    assert len({(look.base, look.dash) for look in looks.values()}) == len(names)


def test_the_svg_follows_the_page_and_the_png_is_the_same_each_time(results, tmp_path):
    chart = next(plots.comparison_charts(results))
    svg = svg_of(chart, 'Mask "IoU"')
    assert "var(--s0)" in svg and "var(--ink)" in svg and "http" not in svg
    assert 'aria-label="Mask &quot;IoU&quot;"' in svg
    for name in ("one.png", "two.png"):
        save_png(chart, tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert set(Image.open(tmp_path / "one.png").info) <= {"dpi"}
    assert "var(" not in on_paper(json.dumps(spec_of(chart)))


@pytest.mark.parametrize(
    ("name", "y"), [("experiments", "val/mask_iou"), ("robustness", "mask_iou")]
)
def test_dvc_s_templates_draw_what_evaluate_writes(name, y):
    """Also of text, as DVC hands tables over; an empty cell is no point."""
    row = {"experiment": "a", "seed": "0", "epoch": "1", "rev": "workspace"}
    row |= {"condition": "shift", "strength": "0"}
    points = [row | {y: "0.5"}, row | {y: "0.6", "epoch": "2", "strength": "1"}, row | {y: ""}]
    x = "epoch" if name == "experiments" else "strength"
    how = {"template": name, "template_dir": str(ROOT / ".dvc/plots"), "title": "T"}
    filled = VegaRenderer(points, y, x=x, y=y, **how).get_filled_template()
    assert "<DVC_METRIC" not in json.dumps(filled) and filled["data"]["values"] == points
    svg = vl_convert.vegalite_to_svg(filled)
    assert len(re.findall('aria-roledescription="point"', svg)) == 2
