import json
import math

import pandas as pd
import pytest

from depthmask.evaluation.headline import headline_figures

METRICS = {
    "best": "a",
    "unit": "metre",
    "headline": {
        "set": "in_scene",
        "mask_iou": 0.812345678,
        "mask_dice": 0.9,
        "depth_abs_rel": 0.16,
        "depth_delta1": 0.8,
        "depth_ssim": 0.7,
        "person_distance_error": 0.37654321,
    },
    "verdict": {
        "runner_up": "b",
        "differences": {
            "b": {"score": {"difference": 0.0123456, "low": -0.002, "high": 0.03}},
            "c": {"score": {"difference": 0.5, "low": 0.4, "high": 0.6}},
        },
    },
    "leak": {
        "a": {"mask_iou": {"gap": 0.04, "low": 0.01, "high": 0.07}},
        "b": {"mask_iou": {"gap": 0.4, "low": 0.1, "high": 0.7}},
    },
}
ROBUSTNESS = pd.DataFrame(
    [
        ("a", "shift", 0.0, 0.81),
        ("a", "shift", 4.0, 0.2),
        ("a", "exposure", -0.5, 0.3),
        ("a", "nobody", 1.0, 0.0),  # a share of empty frames, no overlap
        ("b", "shift", 4.0, 0.1),
        ("a", "jpeg", 15.0, math.nan),
    ],
    columns=["experiment", "condition", "strength", "mask_iou"],
)


def test_it_is_the_best_on_the_hardest_set():
    figures = headline_figures(METRICS, ROBUSTNESS)
    assert figures == {
        "best": "a",
        "mask_iou": 0.8123,
        "depth_delta1": 0.8,
        "depth_abs_rel": 0.16,
        "distance_error_m": 0.3765,
        "lead": 0.0123,
        "lead_low": -0.002,
        "leak_gap": 0.04,
        "worst_iou": 0.2,
        "worst_at": "shift 4",
    }
    assert list(figures)[:2] == ["best", "mask_iou"] and list(figures)[-1] == "worst_at"
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures


def test_a_fraction_of_a_strength_is_written_as_it_is():
    table = ROBUSTNESS[ROBUSTNESS.condition == "exposure"]
    assert headline_figures(METRICS, table)["worst_at"] == "exposure -0.5"


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_what_is_no_number_is_left_out(value):
    broken = METRICS | {"headline": METRICS["headline"] | {"depth_abs_rel": value}}
    assert "depth_abs_rel" not in headline_figures(broken)


def test_alone_and_on_easy_frames_there_is_no_lead_and_no_worst():
    alone = METRICS | {"verdict": {"runner_up": None, "differences": {}}, "leak": {}}
    names = set(headline_figures(alone))
    assert names == {"best", "mask_iou", "depth_delta1", "depth_abs_rel", "distance_error_m"}
    others = ROBUSTNESS[ROBUSTNESS.experiment == "b"]
    assert headline_figures(alone, others).keys() == names


def test_relative_depth_is_shown_by_its_similarity_too_and_without_metres():
    figures = {k: v for k, v in METRICS["headline"].items() if k != "person_distance_error"}
    relative = headline_figures(METRICS | {"unit": "relative", "headline": figures})
    assert relative["depth_ssim"] == 0.7 and "distance_error_m" not in relative
