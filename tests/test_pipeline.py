"""`dvc repro` in a temporary clone on the profile `tiny`: from nothing to the exported model."""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from cloned_checkout import DVC, clone_working_tree, edit, run, stages_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A repository of the working tree as it is, with two small experiments, run once."""
    folder = tmp_path_factory.mktemp("clone")

    def tiny(content):
        content["profile"], content["compare"] = "tiny", ["bce_rmse", "masknet3_bce"]

    clone_working_tree(folder, tiny)
    output = run(folder, *DVC, "repro")
    assert stages_run(output) == [
        "prepare", "augment", "train@bce_rmse", "train@masknet3_bce", "evaluate", "export",
    ]  # fmt: skip
    return folder


def test_nothing_changed_nothing_runs(clone):
    assert stages_run(run(clone, *DVC, "repro")) == []


def test_the_exported_model_follows_the_contract(clone):
    session = onnxruntime.InferenceSession(
        clone / "models/best/model.onnx", providers=["CPUExecutionProvider"]
    )
    images = np.random.default_rng(0).integers(0, 256, (2, 2, 37, 53, 3), np.uint8)
    mask, depth = session.run(["mask", "depth"], {"bg": images[0], "bg_fg": images[1]})
    assert mask.shape == depth.shape == (2, 37, 53)
    assert mask.min() >= 0 and mask.max() <= 1 and depth.min() >= 0.5 and depth.max() <= 25
    metadata = session.get_modelmeta().custom_metadata_map
    summary = json.loads((clone / "data/prepared/summary.json").read_text())
    assert metadata["data_hash"] == summary["data_hash"]
    assert metadata["experiment"] == "bce_rmse" and metadata["training_size"] == "48"


def test_mlflow_holds_a_finished_run_an_experiment_and_the_champion(clone):
    code = """
import json
from mlflow.tracking import MlflowClient
client = MlflowClient("sqlite:///mlflow.db", registry_uri="sqlite:///mlflow.db")
experiment = client.get_experiment_by_name("depthmask")
runs = client.search_runs([experiment.experiment_id])
champion = client.get_model_version_by_alias("DepthMaskNet", "champion")
print(json.dumps({
    "runs": {run.info.run_name: [run.info.status, sorted(run.data.metrics)] for run in runs},
    "lineage": [len(run.inputs.dataset_inputs) for run in runs],
    "champion": champion.name,
}))
"""
    found = json.loads(run(clone, sys.executable, "-W", "ignore", "-c", code).splitlines()[-1])
    assert found["champion"] == "DepthMaskNet"
    assert found["lineage"] == [1, 1]
    statuses = {name: status for name, (status, _) in found["runs"].items()}
    assert statuses == {"bce_rmse": "FINISHED", "masknet3_bce": "FINISHED"}
    for _, metrics in found["runs"].values():
        assert "val/mask_iou" in metrics and "test/in_scene/mask_iou" in metrics


def test_a_model_that_dvc_restores_is_judged_anew(clone):
    gate = [sys.executable, "-m", "depthmask.cli", "gate"]

    def ask(mask_iou):
        edit(clone, lambda content: content["profiles"]["tiny"]["export"]["gate"].update(
            mask_iou=mask_iou
        ))  # fmt: skip
        return run(clone, *DVC, "repro")

    asked_for_nothing = run(clone, *gate)
    assert "promoted bce_rmse as DepthMaskNet version 1, champion" in asked_for_nothing
    output = ask(1.0)
    assert stages_run(output) == ["export"]
    assert "bce_rmse is not promoted: in_scene mask IoU " in output
    assert "is the same model and stays the champion" in run(clone, *gate, code=1)
    assert "Gate\n  bce_rmse is not promoted" in run(
        clone, sys.executable, "-m", "depthmask.stages.report"
    )

    assert stages_run(ask(None)) == [], "DVC's cache has it"
    assert "it came from DVC's cache, or something changed" in run(clone, *gate)
    summary = run(clone, sys.executable, "-m", "depthmask.stages.report")
    assert "Gate\n" not in summary and "depthmask gate" in summary
    assert "promoted bce_rmse as DepthMaskNet version 1" in run(clone, *gate, "--promote")
    assert run(clone, *gate) == asked_for_nothing


def test_a_loss_weight_reruns_its_experiment_evaluate_and_export(clone):
    def heavier(content):
        content["experiments"]["masknet3_bce"]["mask"]["bce"] = 3

    edit(clone, heavier)
    # export may be spared: it runs only if the models' folder or the metrics changed for it
    assert stages_run(run(clone, *DVC, "repro")) == ["train@masknet3_bce", "evaluate", "export"]


def test_an_experiment_more_runs_alone_and_its_removal_deletes_nothing(clone):
    def more(content):
        content["compare"].append("masknet3_dice")

    def less(content):
        content["compare"].remove("masknet3_dice")

    edit(clone, more)
    assert stages_run(run(clone, *DVC, "repro")) == ["train@masknet3_dice", "evaluate", "export"]
    edit(clone, less)
    output = run(clone, *DVC, "repro")
    assert "train" not in " ".join(stages_run(output))
    assert (clone / "models/experiments/masknet3_dice").exists(), (
        "what was trained is never deleted"
    )
    report = json.loads((clone / "reports/metrics.json").read_text())
    assert set(report["experiments"]) == {"bce_rmse", "masknet3_bce"}


def test_an_unused_profile_reruns_nothing(clone):
    def other(content):
        content["profiles"]["gpu"]["train"]["batch_size"] = 99

    edit(clone, other)
    assert stages_run(run(clone, *DVC, "repro")) == []


def test_bad_parameters_are_one_line(clone):
    def broken(content):
        content["train"]["optimizer"]["lr"] = -1

    saved = (clone / "params.yaml").read_text()
    edit(clone, broken)
    output = run(clone, sys.executable, "-m", "depthmask.stages.train", "bce_rmse", code=2)
    (clone / "params.yaml").write_text(saved)
    assert output.count("\n") == 1 and "train.optimizer.lr" in output


def test_predict_on_the_pair_that_the_summary_names(clone):
    output = run(clone, sys.executable, "-m", "depthmask.stages.report")
    assert "depthmask predict --bg" in output
    depthmask = str(Path(sys.executable).parent / "depthmask")
    run(
        clone, depthmask, "predict", "--bg", "predictions/example_bg.png",
        "--scene", "predictions/example_bg_fg.png", "--out", "predictions",
    )  # fmt: skip
    depth = np.asarray(Image.open(clone / "predictions/example_bg_fg_depth.png"))
    assert depth.dtype == np.uint16 and 500 <= depth.min() and depth.max() <= 25_000
    assert json.loads((clone / "predictions/example_bg_fg.json").read_text())
