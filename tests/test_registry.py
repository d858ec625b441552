"""The exported model in MLflow's registry: once for the same bytes, and who is the champion."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from depthmask.config import Gate
from depthmask.inference.predictor import Predictor
from depthmask.tracking import find_root
from depthmask.tracking import gate as module
from depthmask.tracking.gate import Judgement, Registered
from tracked import card, client, runs, write_outputs

SLOW = "latency 9 ms is 4 ms above export.gate.latency_ms 5"


@pytest.fixture
def onnx_path(tmp_path: Path, difference_onnx: Path) -> Path:
    return shutil.copy(difference_onnx, tmp_path / "model.onnx")


@pytest.fixture
def trained(root: Path) -> Path:
    """The checkout, with the outputs of a and d."""
    write_outputs(root, card("a"), card("d"))
    return root


def register(path: Path, name: str = "a", **figures: float | None) -> Registered | None:
    """Register the file of a checkout's network; with a latency of over 5 ms it is refused."""
    digest, gate = hashlib.sha256(path.read_bytes()).hexdigest(), dict.fromkeys(Gate.model_fields)
    figures = {"latency_ms": 4.0} | figures
    judgement = Judgement(
        name, [digest, ""], "in_scene", "metre", Gate(**gate | {"latency_ms": 5}), figures
    )
    root = find_root()
    folders = {"experiments": root / "models/experiments", "reports": root / "reports"}
    return module.register(judgement, path, f"{name}0key", **folders).registered


def champion(root: Path) -> str:
    return str(client(root).get_registered_model("DepthMaskNet").aliases.get("champion"))


def tags(root: Path, version: str) -> dict[str, str]:
    return client(root).get_model_version("DepthMaskNet", version).tags


def test_the_same_bytes_are_registered_once(trained: Path, onnx_path: Path, room_and_visitor):
    import mlflow

    assert register(onnx_path, mask_iou=0.75) == Registered("1", "1", "a")
    again = register(onnx_path, mask_iou=0.875, leak_gap=None)  # measured anew
    assert again == Registered("1", "1", "a")
    version = client(trained).get_model_version_by_alias("DepthMaskNet", "champion")
    assert version.run_id == runs(trained)["a0key"].info.run_id
    assert version.tags["mask_iou"] == "0.875" and version.tags["gate"] == "passed"
    run = runs(trained)["a0key"]
    (logged,) = (client(trained).get_logged_model(x.model_id) for x in run.outputs.model_outputs)
    assert logged.experiment_id == run.info.experiment_id
    assert "/mlartifacts/" in logged.artifact_location
    assert "leak_gap" not in version.tags and version.tags["gate.reasons"] == ""
    mlflow.set_tracking_uri(f"sqlite:///{trained / 'mlflow.db'}")
    model = mlflow.pyfunc.load_model("models:/DepthMaskNet@champion")
    bg, bg_fg = room_and_visitor
    found = model.predict({"bg": bg[None], "bg_fg": bg_fg[None]})
    expected = Predictor(onnx_path, device="cpu").predict(bg, bg_fg)
    for name, plane in expected._asdict().items():
        np.testing.assert_array_equal(found[name][0], plane)

    assert register(onnx_path, "d") == Registered("2", "2", "d"), "another run's"
    onnx_path.write_bytes(onnx_path.read_bytes() + b"\x32\x02hi")  # a doc_string more
    assert register(onnx_path) == Registered("3", "3", "a")
    assert champion(trained) == "3"


def test_a_refused_model_is_a_version_and_the_champion_stays(trained: Path, onnx_path: Path):
    assert register(onnx_path, "d", latency_ms=9.0) == Registered("1"), "nobody is champion"
    assert champion(trained) == "None"
    assert register(onnx_path) == Registered("2", "2", "a")
    assert register(onnx_path, "d", latency_ms=9.0) == Registered("1", "2", "a")
    assert champion(trained) == "2"
    assert tags(trained, "1")["gate"] == "refused"
    assert tags(trained, "1")["gate.reasons"] == SLOW

    assert register(onnx_path, "d") == Registered("1", "1", "d"), "it passes now"
    assert tags(trained, "1")["gate"] == "passed" and not tags(trained, "1")["gate.reasons"]
    assert register(onnx_path, "d", latency_ms=9.0) == Registered("1", "1", "d"), "not deposed"
    assert champion(trained) == "1"
    assert tags(trained, "1")["gate"] == "refused"


def test_a_trial_in_a_copy_is_a_version_and_no_champion(trained, onnx_path, trial, monkeypatch):
    assert register(onnx_path) == Registered("1", "1", "a")
    monkeypatch.chdir(trial)
    assert register(onnx_path, "d") == Registered("2", "1", "a")
    assert register(onnx_path, latency_ms=9.0) == Registered("1", "1", "a")
    assert tags(trained, "1")["gate"] == "passed", "what a trial asks for is its own"
    assert champion(trained) == "1"


def test_without_its_run_it_is_not_registered(trained, onnx_path, capfd):
    assert register(onnx_path, "b") is None
    assert "no run of the exported model" in capfd.readouterr().err
