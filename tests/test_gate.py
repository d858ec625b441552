import json
import math
from pathlib import Path

import pytest

from depthmask.config import Gate
from depthmask.tracking.gate import CRITERIA, check_gate, gate_figures, passed_words

NOTHING = dict.fromkeys(Gate.model_fields)
ALL = {
    "mask_iou": 0.75,
    "depth_delta1": 0.6,
    "depth_abs_rel": 0.25,
    "leak_gap": 0.1,
    "latency_ms": 200.0,
}
GOOD = {
    "mask_iou": 0.807,
    "depth_delta1": 0.811,
    "depth_abs_rel": 0.165,
    "leak_gap": -0.016,
    "latency_ms": 8.06,
}


def gate(**asked: float | None) -> Gate:
    return Gate(**NOTHING | asked)


def words(asked: dict, figures: dict, unit: str = "metre") -> list[str]:
    return [miss.words for miss in check_gate(gate(**asked), figures, scenes="in_scene", unit=unit)]


def test_every_threshold_is_looked_at() -> None:
    assert list(CRITERIA) == list(Gate.model_fields)


def test_what_is_reached_is_no_miss() -> None:
    assert words(ALL, GOOD) == []
    assert words(ALL, ALL) == [], "a figure that equals its threshold reaches it"
    assert words({}, {}) == [], "what is not asked for may be missing"
    assert words({}, dict.fromkeys(GOOD, math.nan)) == []


@pytest.mark.parametrize(
    ("name", "value", "by", "expected"),
    [
        ("mask_iou", 0.712, 0.038, "in_scene mask IoU 0.712 is 0.038 below"),
        ("depth_delta1", 0.0, 0.6, "in_scene depth δ1 0.000 is 0.600 below"),
        ("depth_abs_rel", 0.5, 0.25, "in_scene depth AbsRel 0.500 is 0.250 above"),
        ("leak_gap", 0.15, 0.05, "leak gap 0.150 is 0.050 above"),
        ("latency_ms", 231.4, 31.4, "latency 231.4 ms is 31.4 ms above"),
        ("mask_iou", 0.749996, 4e-6, "in_scene mask IoU 0.749996 is 0.000004 below"),
        ("latency_ms", 200.004, 0.004, "latency 200.004 ms is 0.004 ms above"),
    ],
)
def test_a_miss_says_which_and_by_how_much(name, value, by, expected) -> None:
    (miss,) = check_gate(gate(**ALL), GOOD | {name: value}, scenes="in_scene", unit="metre")
    assert (miss.name, miss.value, miss.threshold) == (name, value, ALL[name])
    assert miss.by == pytest.approx(by)
    assert miss.words == f"{expected} export.gate.{name} {ALL[name]:g}"


def test_every_miss_is_told_in_order() -> None:
    bad = {"mask_iou": 0, "depth_delta1": 0, "depth_abs_rel": 9, "leak_gap": 1, "latency_ms": 999}
    misses = check_gate(gate(**ALL), bad, scenes="in_scene", unit="metre")
    assert [miss.name for miss in misses] == list(CRITERIA)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_figure_that_is_no_number_does_not_pass(name: str, value: float) -> None:
    (miss,) = check_gate(gate(**ALL), GOOD | {name: value}, scenes="in_scene", unit="metre")
    assert (miss.name, miss.by) == (name, None)
    assert f"is {value}, which is no number; export.gate.{name} asks for at" in miss.words


@pytest.mark.parametrize("name", ALL)
def test_a_figure_that_is_missing_does_not_pass(name: str) -> None:
    without = {other: value for other, value in GOOD.items() if other != name}
    for figures in (without, without | {name: None}):
        (miss,) = check_gate(gate(**ALL), figures, scenes="in_scene", unit="metre")
        assert (miss.name, miss.value, miss.by) == (name, None, None)
        assert f"export.gate.{name} asks for at" in miss.words
        assert miss.words.endswith("or set it to null")


def test_relative_depth_is_judged_after_alignment_and_says_so() -> None:
    bad = GOOD | {"depth_delta1": 0.5, "mask_iou": 0.5}
    mask, depth = words(ALL, bad, unit="relative")
    assert depth == (
        "in_scene depth δ1, scale and shift fitted, 0.500 is 0.100 below"
        " export.gate.depth_delta1 0.6"
    )
    assert "fitted" not in mask


def test_what_was_passed_is_told_beside_what_was_asked() -> None:
    asked = gate(mask_iou=0.75, latency_ms=200)
    assert passed_words(asked, GOOD, scenes="unseen_unseen", unit="metre") == (
        "unseen_unseen mask IoU 0.807 (at least 0.75), latency 8.1 ms (at most 200 ms)"
    )
    assert passed_words(gate(), {}, scenes="", unit="metre") == "export.gate asks for nothing"


METRICS = {
    "best": "b",
    "headline": {"set": "in_scene", "mask_iou": 0.8, "depth_delta1": 0.7, "depth_abs_rel": 0.2},
    "leak": {
        "a": {"mask_iou": {"gap": 0.9, "low": 0.8, "high": 1.0}},
        "b": {"mask_iou": {"gap": 0.04, "low": 0.01, "high": 0.07}, "depth_rmse": {"gap": 0.5}},
    },
    "seeds": {"b": {"1": {"in_scene": {"mask_iou": 0.6, "depth_delta1": 0.5}}}},
}


def test_figures_are_those_of_the_best_on_the_hardest_set() -> None:
    assert gate_figures(METRICS, 8.0) == {
        "mask_iou": 0.8,
        "depth_delta1": 0.7,
        "depth_abs_rel": 0.2,
        "leak_gap": 0.04,
        "latency_ms": 8.0,
    }


def test_figures_of_one_seed_are_its_own_and_what_it_lacks_is_missing() -> None:
    figures = gate_figures(METRICS, 8.0, seed="1")
    assert (figures["mask_iou"], figures["depth_delta1"]) == (0.6, 0.5)
    assert figures["depth_abs_rel"] is None and figures["leak_gap"] == 0.04


def test_figures_without_a_leak_table() -> None:
    metrics = json.loads(json.dumps(METRICS))
    del metrics["leak"]["b"]
    assert gate_figures(metrics, 8.0)["leak_gap"] is None
    del metrics["leak"]
    assert gate_figures(metrics, 8.0)["leak_gap"] is None


def test_the_gate_of_the_shipped_parameters_asks_for_everything() -> None:
    from depthmask.config import read_params

    shipped = read_params(Path(__file__).parents[1] / "params.yaml").export.gate
    assert None not in shipped.model_dump().values()
