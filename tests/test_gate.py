import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

import tracked
from depthmask.config import Gate
from depthmask.errors import InputError
from depthmask.tracking import gate
from depthmask.tracking.gate import CRITERIA, Judgement, Registered, write_record

NOTHING = dict.fromkeys(Gate.model_fields)
ASKED = dict(zip(CRITERIA, (0.75, 0.6, 0.25, 0.1, 200.0), strict=True))
GOOD = dict(zip(CRITERIA, (0.807, 0.811, 0.165, -0.016, 8.06), strict=True))
METADATA = {"experiment": "a", "data_hash": "feed", "seed": "0"}
SLOW = "a is not promoted: latency 25 ms is 5 ms above export.gate.latency_ms 20"
MODEL, METRICS, RECORD = Path("model.onnx"), Path("reports/metrics.json"), Path("gate.json")
DEFAULT = {"mask_iou": 0.75, "latency_ms": 20}


def judgement(asked: dict, figures: dict, unit: str = "metre") -> Judgement:
    return Judgement("a", ["", ""], "in_scene", unit, Gate(**NOTHING | asked), figures)


def test_what_is_reached_is_no_miss() -> None:
    assert list(CRITERIA) == list(Gate.model_fields)
    for asked, figures in (
        (ASKED, GOOD),
        (ASKED, ASKED),  # a figure that equals its threshold reaches it
        ({}, dict.fromkeys(GOOD)),  # what is not asked for may be missing
    ):
        assert judgement(asked, figures).misses == {}
    passed = judgement({"mask_iou": 0.75, "latency_ms": 200}, GOOD).passed_words()
    assert passed == (
        "in_scene mask IoU 0.807 is 0.057 above export.gate.mask_iou 0.75,"
        " latency 8.06 ms is 192 ms below export.gate.latency_ms 200"
    )
    assert judgement({}, {}).passed_words() == "export.gate asks for nothing"


@pytest.mark.parametrize(
    ("name", "value", "unit", "expected"),
    [
        ("mask_iou", 0.712, "relative", "in_scene mask IoU 0.712 is 0.038 below"),
        ("mask_iou", 0.749996, "metre", "in_scene mask IoU 0.749996 is 4e-06 below"),
        ("depth_abs_rel", 0.5, "metre", "in_scene depth AbsRel 0.5 is 0.25 above"),
        ("depth_delta1", 0.5, "relative",
         "in_scene depth δ1, scale and shift fitted, 0.5 is 0.1 below"),
        ("leak_gap", 0.15, "metre", "leak gap 0.15 is 0.05 above"),
        ("latency_ms", math.inf, "metre", "latency inf ms is inf ms above"),
    ],
)  # fmt: skip
def test_a_miss_says_which_and_by_how_much(name, value, unit, expected) -> None:
    misses = judgement(ASKED, GOOD | {name: value}, unit).misses
    assert misses == {name: f"{expected} export.gate.{name} {ASKED[name]:g}"}


@pytest.mark.parametrize("value", [None, math.nan])
def test_a_figure_that_is_missing_does_not_pass(value: float | None) -> None:
    misses = judgement(ASKED, dict.fromkeys(GOOD, value)).misses
    for name, miss in misses.items():
        assert miss.endswith(f" is missing; export.gate.{name} asks for {ASKED[name]:g}")
    assert list(misses) == list(ASKED)


@pytest.fixture
def folder(checkout: Path) -> Path:
    tracked.write_outputs(checkout, tracked.card("a"))
    MODEL.write_bytes(b"model")
    return checkout


def judged(latency_ms: float = 8.0, asked: dict = DEFAULT) -> Judgement:
    return gate.judge(MODEL, METADATA, METRICS, Gate(**NOTHING | asked), latency_ms)


def recorded(asked: dict = DEFAULT) -> Judgement | None:
    return gate.read_record(RECORD, MODEL, METRICS, Gate(**NOTHING | asked))


def test_figures_are_those_of_the_exported_seed_and_the_leak_is_the_excess(folder: Path) -> None:
    expected = {"mask_iou": 0.8, "depth_delta1": 0.7, "depth_abs_rel": 0.16}
    expected |= {"leak_gap": 0.0412345, "latency_ms": 8.0}
    mean = tracked.METRICS | {"headline": tracked.METRICS["headline"] | {"mask_iou": 0.9}}
    METRICS.write_text(json.dumps(mean))
    assert judged().figures == expected
    METRICS.write_text(json.dumps(mean | {"leak": {}}))
    assert "leak_gap" in judged(asked={"leak_gap": 0.1}).misses


@pytest.mark.parametrize(
    ("latency_ms", "registered", "lines"),
    [
        (8, Registered("4", "3", "b"), [
            "a in models/best is DepthMaskNet version 4, tagged `gate: passed`; the champion stays"
            " version 3 (b): a trial in a copy promotes nothing"
        ]),
        (8, None, [
            "a passes the gate; MLflow was not told; `depthmask gate --promote` tells it"
        ]),
        (25, Registered("1"), [
            SLOW,
            "a in models/best is DepthMaskNet version 1, tagged `gate: refused`; there is no"
            " champion yet",
        ]),
        (25, Registered("4", "4", "a"), [
            SLOW,
            "a in models/best is DepthMaskNet version 4, tagged `gate: refused`; the champion stays"
            " version 4 (a)",
        ]),
    ],
)  # fmt: skip
def test_what_people_are_told_now_and_from_the_record(
    folder: Path, latency_ms: float, registered: Registered, lines: list[str]
) -> None:
    told = replace(judged(latency_ms), registered=registered)
    assert told.lines() == lines
    write_record(RECORD, told)
    assert recorded() == told
    content = json.loads(RECORD.read_text())
    assert content["lines"] == lines and content["passed"] == (latency_ms < 20)


def test_a_record_holds_for_one_model_its_figures_and_its_thresholds(folder: Path) -> None:
    assert recorded() is None, "there is none"
    write_record(RECORD, judged())
    assert recorded() == judged()
    assert recorded({"mask_iou": 0.76, "latency_ms": 20}) is None
    for path in (MODEL, METRICS, RECORD):
        before = path.read_bytes()
        path.write_bytes(before[:-3])
        assert recorded() is None, path
        path.write_bytes(before)
    RECORD.write_text('{"registered": {"volume": 1}}')
    assert recorded() is None
    MODEL.unlink()
    with pytest.raises(InputError, match=r"model\.onnx is missing: run `dvc repro`"):
        recorded()


@pytest.mark.parametrize(("key", "value"), [("best", "b"), ("data", "beef")])
def test_another_model_s_figures_are_refused(folder: Path, key: str, value: str) -> None:
    METRICS.write_text(json.dumps(tracked.METRICS | {key: value}))
    with pytest.raises(InputError, match=f"metrics.json calls {value} the .*: run `dvc repro`"):
        judged()
