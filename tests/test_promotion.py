import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from depthmask.config import Gate
from depthmask.errors import InputError
from depthmask.tracking import Registered, promotion
from depthmask.tracking.promotion import judge, read_record, register, write_record

ASKED = Gate(mask_iou=0.75, depth_delta1=None, depth_abs_rel=None, leak_gap=0.1, latency_ms=20.0)
METADATA = {"experiment": "b", "data_hash": "feed", "run_key": "k1", "seed": "0"}
METRICS = {
    "best": "b",
    "headline": {"set": "in_scene", "mask_iou": 0.8},
    "unit": "metre",
    "data": "feed",
    "leak": {"b": {"mask_iou": {"gap": 0.04}}},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a model, as far as its bytes are concerned, and its metrics."""
    (tmp_path / "model.onnx").write_bytes(b"model")
    (tmp_path / "metrics.json").write_text(json.dumps(METRICS))
    return tmp_path


def judged(folder: Path, latency_ms: float = 8.0, gate: Gate = ASKED):
    return judge(folder / "model.onnx", METADATA, folder / "metrics.json", gate, latency_ms)


def recorded(folder: Path, gate: Gate = ASKED):
    return read_record(folder / "gate.json", folder / "model.onnx", folder / "metrics.json", gate)


@pytest.mark.parametrize(
    ("latency_ms", "published", "registered", "lines"),
    [
        (8, True, Registered("4", "4", "b"), ["promoted b as DepthMaskNet version 4, champion"]),
        (8, True, Registered("4", "3", "a"), [
            "b passes the gate as DepthMaskNet version 4; a trial in a copy promotes nothing,"
            " the champion stays version 3 (a)"
        ]),
        (8, True, None, [
            "b passes the gate and is not promoted: MLflow cannot be used; once it can,"
            " `depthmask gate --promote` makes up for it"
        ]),
        (8, False, None, [
            "b passes the gate and is not promoted: it came from DVC's cache, or something"
            " changed since export; `depthmask gate --promote` makes up for it"
        ]),
        (25, True, Registered("4", "3", "a"), [
            "b is not promoted: latency 25.0 ms is 5.0 ms above export.gate.latency_ms 20",
            "the champion stays version 3 (a); b, which lies in models/best, is version 4, tagged"
            " `gate: refused`",
        ]),
        (25, True, Registered("1"), [
            "b is not promoted: latency 25.0 ms is 5.0 ms above export.gate.latency_ms 20",
            "there is no champion yet; b, which lies in models/best, is version 1, tagged"
            " `gate: refused`",
        ]),
        (25, True, Registered("4", "4", "b"), [
            "b is not promoted: latency 25.0 ms is 5.0 ms above export.gate.latency_ms 20",
            "version 4, promoted before, is the same model and stays the champion until another"
            " passes",
        ]),
        (25, False, None, [
            "b is not promoted: latency 25.0 ms is 5.0 ms above export.gate.latency_ms 20",
            "MLflow was not told; its champion stays what it was",
        ]),
    ],
)  # fmt: skip
def test_what_people_are_told(folder, latency_ms, published, registered, lines) -> None:
    judgement = judged(folder, latency_ms)
    judgement = replace(judgement, published=published, registered=registered)
    assert judgement.lines() == lines
    write_record(folder / "gate.json", judgement)
    assert recorded(folder) == judgement
    assert recorded(folder).lines() == lines


def test_a_record_holds_for_one_model_its_figures_and_its_thresholds(folder: Path) -> None:
    assert recorded(folder) is None, "there is none"
    judgement = judged(folder)
    write_record(folder / "gate.json", judgement)
    assert recorded(folder) == judgement
    assert recorded(folder, ASKED.model_copy(update={"mask_iou": 0.76})) is None
    for name in ("model.onnx", "metrics.json", "gate.json"):
        before = (folder / name).read_bytes()
        (folder / name).write_bytes(before[:-3])
        assert recorded(folder) is None, name
        (folder / name).write_bytes(before)
        assert recorded(folder) == judgement
    for content in ("[]", "{}", '{"registered": {"volume": 1}}'):
        (folder / "gate.json").write_text(content)
        assert recorded(folder) is None


def test_a_record_is_json_whatever_the_figures(folder: Path) -> None:
    metrics = METRICS | {"headline": {"set": "in_scene", "mask_iou": math.nan}, "leak": {}}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    judgement = judged(folder)
    write_record(folder / "gate.json", judgement)
    content = json.loads((folder / "gate.json").read_text(), parse_constant=pytest.fail)
    assert not content["passed"]
    assert [(miss["name"], miss["value"]) for miss in content["misses"]] == [
        ("mask_iou", "nan"), ("leak_gap", None),
    ]  # fmt: skip
    assert content["lines"] == judgement.lines() == recorded(folder).lines()


@pytest.mark.parametrize("name", ["model.onnx", "metrics.json"])
def test_without_a_model_or_figures_there_is_nothing_to_read(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"{name} is missing: run `dvc repro`"):
        recorded(folder)


@pytest.mark.parametrize(("key", "value"), [("best", "a"), ("data", "beef")])
def test_another_model_s_figures_are_refused(folder: Path, key: str, value: str) -> None:
    (folder / "metrics.json").write_text(json.dumps(METRICS | {key: value}))
    with pytest.raises(InputError, match=f"metrics.json calls {value} the .*: run `dvc repro`"):
        judged(folder)


def test_the_network_it_was_exported_from_is_found_by_its_key(folder: Path, monkeypatch) -> None:
    told = []
    monkeypatch.setattr(promotion.tracking, "register_model", lambda **values: told.append(values))
    for seed, key in (("seed_0", "k0"), ("seed_1", "k1")):
        path = folder / "b" / seed
        path.mkdir(parents=True)
        card = {"key": key, "model": "depthmasknet8", "unit": "metre", "data_hash": "feed"}
        (path / "model.json").write_text(json.dumps(card))
        (path / "settings.json").write_text(json.dumps({"seed": seed}))
    arguments = {"metrics": {"test/in_scene/mask_iou": 0.8}, "data_source": "data/prepared"}
    judgement = judged(folder, latency_ms=25)
    published = register(judgement, folder / "model.onnx", METADATA, folder / "b", **arguments)
    assert published.published and published.registered is None
    (values,) = told
    assert (values["experiment"], values["key"], values["params"]) == (
        "b",
        "k1",
        {"seed": "seed_1"},
    )
    assert values["curves"] == folder / "b/seed_1/curves.csv"
    assert values["refusals"] == [judgement.misses[0].words]
    assert values["metrics"] == {
        "test/in_scene/mask_iou": 0.8, "leak_gap": 0.04, "latency_ms": 25,
    }  # fmt: skip

    with pytest.raises(InputError, match="lacks the network that the exported model"):
        register(
            judgement,
            folder / "model.onnx",
            METADATA | {"run_key": "k9"},
            folder / "b",
            **arguments,
        )
