"""The report's charts: where figures come to stand, hand-computed."""

import math

import pandas as pd
import pytest

from depthmask.visualization.page.axes import Scale, rounded_up, spanning, steps
from depthmask.visualization.page.definitions import DEFINITIONS
from depthmask.visualization.page.dots import NAMES, VALUES, Row, dot_chart
from depthmask.visualization.page.dots import WIDTH as DOTS_WIDTH
from depthmask.visualization.page.files import RunFiles
from depthmask.visualization.page.lines import BOTTOM, HEIGHT, LEFT, TOP, Line, Point, line_chart
from depthmask.visualization.page.numbers import (
    figure,
    interval,
    magnitude,
    setting_text,
    size_of,
    thousands,
    true_minus,
    written,
)
from depthmask.visualization.page.rankings import chosen_by
from depthmask.visualization.page.styles import BASELINE, styles_of
from depthmask.visualization.page.trends import curve_charts, distribution_charts, robustness_charts

STYLE = BASELINE


def test_steps_are_round_and_few():
    assert steps(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert steps(0.31, 0.58) == pytest.approx([0.35, 0.4, 0.45, 0.5, 0.55])
    assert steps(-0.05, 0.12, 3) == pytest.approx([-0.05, 0, 0.05, 0.1])
    for low, high in ((0, 7), (0.001, 0.0017), (-3, 41), (5, 5)):
        found = steps(low, high)
        assert len(found) <= 6 and all(low <= value <= high for value in found)


def test_ranges():
    assert rounded_up(1.42) == pytest.approx(1.5) and rounded_up(1) == 1
    assert rounded_up(0.004) == pytest.approx(0.004)
    low, high = spanning([2.0, 4.0], margin=0.1)
    assert (low, high) == pytest.approx((1.8, 4.2))
    assert spanning([]) == (0, 1) and spanning([3.0])[0] < 3 < spanning([3.0])[1]


def test_a_scale_places_values_turned_round_and_in_ratios():
    assert Scale(0, 10, 100, 200).place(2.5) == 125
    assert Scale(0, 10, 100, 200).place(99) == 200
    assert Scale(0, 10, 200, 100).place(2.5) == 175
    assert Scale(0.1, 10, 0, 100, log=True).place(1) == 50
    ticks = Scale(0.05, 3, 0, 100, log=True).ticks()
    assert [tick.text for tick in ticks] == ["0.05", "0.1", "0.2", "0.5", "1", "2"]


def test_a_line_goes_through_its_points_and_its_band_around_them():
    points = [Point(0, 0.0, "a", 0.0, 0.5), Point(1, 1.0, "b", 0.5, 1.0, hollow=True)]
    line = Line("x", STYLE, points, banded=True)
    chart = line_chart([line], title="t", y_range=(0.0, 1.0), shaded=[(0, 0)])
    drawn = chart.lines[0]
    bottom = HEIGHT - BOTTOM
    left, right = LEFT + 8, chart.area[2] - 4
    assert drawn.path == f"M{left} {bottom}L{right} {TOP}"
    middle = f"{(bottom + TOP) / 2:g}"
    assert drawn.band == f"M{left} {middle}L{right} {TOP}L{right} {middle}L{left} {bottom}Z"
    assert [dot.hollow for dot in drawn.dots] == [False, True]
    assert (chart.shaded[0].start, chart.shaded[0].end) == (left - 7, left + 7)


def test_a_falling_axis_puts_the_larger_strength_first_and_the_best_is_drawn_last():
    lines = [
        Line(name, STYLE, [Point(15, 0.2, ""), Point(100, 0.8, "")], heavy=name == "best")
        for name in ("best", "other")
    ]
    chart = line_chart(lines, title="t", x_values=[15, 90, 100], falling=True)
    assert [line.name for line in chart.lines] == ["other", "best"]
    assert [tick.text for tick in chart.x_ticks] == ["100", "90", "15"]
    assert chart.lines[0].dots[0].x > chart.lines[0].dots[1].x


def test_a_baseline_far_away_is_an_arrow_and_leaves_the_experiments_room():
    rows = [
        Row("one", STYLE, 0.80, "0.800", low=0.78, high=0.82),
        Row("none", STYLE, None, "–"),
        Row("near", None, 0.84, "0.840", muted=True),
        Row("far", None, 0.05, "0.050", muted=True),
    ]
    chart = dot_chart(rows, title="t")
    one, none, near, far = chart.rows
    assert [row.beyond for row in chart.rows] == [0, 0, 0, -1]
    assert NAMES < one.start < one.x < one.end < near.x < DOTS_WIDTH - VALUES
    assert none.x is None and chart.rule is not None and none.y < chart.rule < near.y
    assert one.end - one.start > 0.3 * (chart.right - chart.left)


def test_differences_hold_zero_and_shade_the_side_of_the_best():
    rows = [Row("one", STYLE, 0.2, "+0.200", low=0.1, high=0.3)]
    chart = dot_chart(rows, title="t", zero=True, good=1)
    assert NAMES < chart.zero < chart.rows[0].start
    assert chart.good[0] == chart.zero < chart.good[1]
    assert dot_chart(rows, title="t", zero=True, good=-1).good[1] == chart.zero
    assert dot_chart(rows, title="t").zero is None


def test_numbers_are_written_alike():
    assert written(-0.0004) == "0.000" and written(-0.25, 2) == "−0.25"
    assert written(0.5, 2, signed=True) == "+0.50" and written(math.nan) == "–" == written(None)
    assert interval(0.1, 0.25, 2) == "[0.10, 0.25]" and interval(None, 1) == ""
    assert figure(1.031, DEFINITIONS["depth_rmse"], "metre") == "1.03 m"
    assert figure(1.031, DEFINITIONS["depth_rmse"], "relative") == "1.03"
    assert magnitude(4.17e-7) == "4.2 × 10⁻⁷" and magnitude(0.0) == "0"
    assert size_of(28_336_111) == "28.3 MB" and size_of(512) == "512 bytes"
    assert thousands(7083874) == "7\u202f083\u202f874"
    assert true_minus("bce-2, by -0.010 (-0.1 to +0.1)") == "bce-2, by −0.010 (−0.1 to +0.1)"
    assert setting_text([1.0, "a", None, [0.5]]) == "[1, a, null, [0.5]]"


def run_of(**tables) -> RunFiles:
    metrics = {
        "best": "a",
        "experiments": {"a": {"in_scene": {}}, "b": {"in_scene": {}}},
        "headline": {"set": "in_scene"},
        "unit": "metre",
    }
    return RunFiles(root=None, metrics=metrics, **tables)


def test_scenes_stand_from_the_worst_to_the_best():
    figures = {"mask_iou": [0.2, 0.8, 0.5], "person_distance_error": [0.5, math.inf, 1.5]}
    table = pd.DataFrame({"experiment": "a", "seed": 0, "set": "in_scene", "scene": [0, 1, 2]})
    run = run_of(scenes=table.assign(**figures))
    ious, errors = distribution_charts(run, styles_of(["a", "b"]))
    assert (ious.title, errors.title) == ("Mask IoU", "Person’s distance error, m")
    (line,) = ious.lines
    steps_of = [tuple(map(float, place.split())) for place in line.path[1:].split("L")]
    heights = [y for _, y in steps_of]
    assert heights == sorted(heights, reverse=True) and len(set(heights)) == 3  # px go down
    falling = [float(place.split()[1]) for place in errors.lines[0].path[1:].split("L")]
    assert falling == sorted(falling) and len(set(falling)) == 2, "what is no number has no place"


def test_curves_are_means_over_seeds_with_their_range():
    table = pd.DataFrame({
        "experiment": "a", "seed": [0, 1, 0, 1], "epoch": [1, 1, 2, 2], "size": [32, 32, 48, 48],
        "val/mask_iou": [0.2, 0.4, 0.6, 0.6],
    })  # fmt: skip
    (chart,) = curve_charts(run_of(curves=table), styles_of(["a", "b"]))
    (line,) = chart.lines
    assert [dot.text for dot in line.dots] == [
        "a, epoch 1: 0.300 (seeds 0.200 to 0.400)",
        "a, epoch 2: 0.600 (seeds 0.600 to 0.600)",
    ]
    assert [tick.text for tick in chart.x_ticks] == ["1", "2"]
    assert line.band and [mark.text for mark in chart.marks] == ["32 px", "48 px"]
    assert chart.marks[0].start < chart.marks[1].start < line.dots[1].x


def test_strengths_that_were_trained_for_are_shaded_the_others_are_rings():
    table = pd.DataFrame({
        "experiment": "a", "condition": "shift", "strength": [0.0, 1.0, 2.0, 3.0],
        "trained_for": [True, True, False, False], "num_scenes": 3,
        "mask_iou": [0.8, 0.7, 0.5, None], "mask_iou_low": 0.1, "mask_iou_high": 0.9,
    })  # fmt: skip
    (chart,) = robustness_charts(run_of(robustness=table), styles_of(["a", "b"]), "mask_iou")
    (line,) = chart.lines
    assert [dot.hollow for dot in line.dots] == [False, False, True]
    (span,) = chart.shaded
    assert span.start < line.dots[0].x < line.dots[1].x < span.end < line.dots[2].x
    assert line.dots[2].text == "a at 2: 0.500 [0.100, 0.900], not trained for"
    assert robustness_charts(run_of(robustness=table), styles_of(["a", "b"]), "depth_delta1") == []


def test_what_ranks_depends_on_how_depth_is_aligned():
    assert chosen_by(run_of()) == ("mask_iou", "depth_delta1")
    run = run_of()
    run.metrics["chosen_by"] = ["mask_iou", "depth_ssim"]
    assert chosen_by(run) == ("mask_iou", "depth_ssim")
