"""`dvc repro` and docs/data_versioning.md in a temporary clone, on the profile `tiny`."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest
import requests
from PIL import Image

from clone import Clone, free_port, stages_run
from depthmask.inference.predictor import Predictor

pytestmark = pytest.mark.slow

PHOTOS = "data/source/photos"
MODEL = "models/best/model.onnx"
STAGES = ["prepare", "augment", "train@bce_rmse", "train@masknet3_bce", "evaluate", "export"]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """Its pipeline has run once, with photographs under DVC and a remote beside it."""
    clone = Clone.of_working_tree(tmp_path_factory.mktemp("clone"), "bce_rmse", "masknet3_bce")
    random = np.random.default_rng(0)
    for path, channels in (("bg/hall.jpg", 3), ("fg/visitor.png", 4)):
        path = clone.folder / PHOTOS / path
        path.parent.mkdir(parents=True)
        Image.fromarray(random.integers(0, 256, (48, 32, channels), np.uint8)).save(path)
    clone.dvc("add", f"{PHOTOS}/bg", f"{PHOTOS}/fg")
    # git sees the names of photographs, and DVC keeps them
    assert clone.changed() == {f"{PHOTOS}/{name}" for name in (".gitignore", "bg.dvc", "fg.dvc")}
    clone.dvc("remote", "add", "--default", "storage", str(tmp_path_factory.mktemp("store")))
    assert clone.repro() == STAGES
    clone.commit("Results")
    yield clone
    clone.dvc("queue", "stop", "--kill")


@pytest.fixture(autouse=True)
def restored(clone):
    """What a test applies to the checkout goes with it."""
    yield
    if clone.changed():
        clone.git("checkout", "--quiet", ".")
        clone.dvc("checkout", "--quiet")


def test_an_unused_profile_reruns_nothing_and_git_keeps_no_results(clone):
    clone.set_params(profiles__gpu__train__batch_size=99)
    assert clone.repro() == []
    committed = clone.git("ls-files", "data", "models", "reports").split()
    assert not [name for name in committed if name.endswith((".jpg", ".npy", ".onnx", ".json"))]


def test_mlflow_holds_a_finished_run_an_experiment_and_the_champion(clone):
    runs, champion = clone.mlflow_runs()
    assert {name for name, _ in runs} == {"bce_rmse", "masknet3_bce"}
    assert champion == runs["bce_rmse", ""].info.run_id
    for run in runs.values():
        assert run.info.status == "FINISHED" and len(run.inputs.dataset_inputs) == 1
        assert {"val/mask_iou", "test/in_scene/mask_iou"} <= set(run.data.metrics)


def test_predict_on_the_pair_that_the_summary_names(clone):
    output = clone.run(sys.executable, "-m", "depthmask.stages.report")
    assert "depthmask predict --bg" in output
    clone.depthmask(
        "predict", "--bg", "predictions/example_bg.png",
        "--scene", "predictions/example_bg_fg.png", "--out", "predictions",
    )  # fmt: skip
    depth = np.asarray(Image.open(clone.folder / "predictions/example_bg_fg_depth.png"))
    assert depth.dtype == np.uint16 and 500 <= depth.min() and depth.max() <= 25_000
    assert json.loads((clone.folder / "predictions/example_bg_fg.json").read_text())


def test_mlflow_serves_the_champion(clone):
    port = free_port()
    serve = "mlflow models serve -m models:/DepthMaskNet@champion --env-manager local"
    process = subprocess.Popen(
        [*serve.split(), "--port", str(port)],
        cwd=clone.folder,
        env=clone.environment | {"MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"},
        start_new_session=True,
    )
    url, rng = f"http://127.0.0.1:{port}", np.random.default_rng(0)
    pair = rng.integers(0, 256, (2, 48, 48, 3))
    try:
        for _ in range(600):
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(f"{url}/ping").ok:
                    break
            assert process.poll() is None
            time.sleep(0.2)
        inputs = {name: [image.tolist()] for name, image in zip(("bg", "bg_fg"), pair, strict=True)}
        answer = requests.post(f"{url}/invocations", json={"inputs": inputs})
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
    expected = Predictor(clone.folder / MODEL).predict(*pair.astype(np.uint8))
    assert answer.ok, answer.text
    for name, plane in expected._asdict().items():
        np.testing.assert_allclose(answer.json()["predictions"][name][0], plane, rtol=1e-5)


def test_bad_parameters_are_one_line(clone):
    clone.set_params(train__optimizer__lr=-1)
    output = clone.run(sys.executable, "-m", "depthmask.stages.train", "bce_rmse", code=2)
    assert output.count("\n") == 1 and "train.optimizer.lr" in output


def test_a_model_that_dvc_restores_is_judged_anew(clone):
    clone.set_params(profiles__tiny__export__gate__mask_iou=1.0)
    output = clone.dvc("repro")
    assert stages_run(output) == ["export"]
    assert "bce_rmse is not promoted: in_scene mask IoU " in output
    assert "the champion stays version 1 (bce_rmse)" in clone.depthmask("gate", code=1)

    clone.set_params(profiles__tiny__export__gate__mask_iou=None)
    assert clone.repro() == [], "DVC's cache has it"
    assert "passes the gate; MLflow was not told" in clone.depthmask("gate")
    summary = clone.run(sys.executable, "-m", "depthmask.stages.report")
    assert "Gate\n" not in summary and "depthmask gate" in summary
    promoted = clone.depthmask("gate", "--promote")
    assert "promoted bce_rmse as DepthMaskNet version 1" in promoted
    assert clone.depthmask("gate").splitlines()[-1] in promoted


def test_push_wipe_pull_and_nothing_is_left_to_do(clone, tmp_path):
    before = clone.content()
    assert {f"{PHOTOS}/bg/hall.jpg", f"{PHOTOS}/fg/visitor.png", MODEL} <= set(before)
    clone.dvc("push")
    for name in (".dvc/cache", "data", "models", "reports"):
        shutil.rmtree(clone.folder / name)
    clone.git("checkout", "--quiet", ".")
    assert MODEL not in clone.content()

    clone.dvc("pull")
    assert clone.content() == before
    assert clone.repro() == []
    assert "in sync" in clone.dvc("status", "--cloud")
    assert clone.changed() == set()

    clone.git("clone", "--quiet", ".", str(tmp_path / "other"))
    other = Clone(tmp_path / "other")
    assert other.repro("--pull") == []
    assert (other.folder / MODEL).read_bytes() == before[MODEL]


def test_a_trial_in_a_copy_is_recorded_in_the_checkout(clone):
    trial = ["--set-param", "experiments.bce_rmse.depth.rmse=7", "evaluate"]
    output = clone.dvc("exp", "run", "--temp", "--name", "deeper", *trial)
    assert stages_run(output) == ["train@bce_rmse", "evaluate"]
    assert clone.changed() == set()
    found = clone.experiments()
    assert found["deeper"][0]["experiments"]["bce_rmse"]["depth"]["rmse"] == 7
    assert found["HEAD"][0]["experiments"]["bce_rmse"]["depth"]["rmse"] == 2
    assert found["deeper"][1]["depth_abs_rel"] != found["HEAD"][1]["depth_abs_rel"]

    runs, champion = clone.mlflow_runs()
    deeper = runs["bce_rmse", "deeper"]
    assert deeper.info.status == "FINISHED"
    assert deeper.data.params["experiment.depth.rmse"] == "7.0"
    assert {"val/depth_rmse", "test/in_scene/depth_rmse"} <= set(deeper.data.metrics)
    assert champion == runs["bce_rmse", ""].info.run_id
    assert not list((clone.folder / ".dvc/tmp/exps").rglob("mlflow.db"))

    # The same without --temp: the cache has it, and the checkout takes it on.
    assert stages_run(clone.dvc("exp", "run", *trial)) == []
    assert clone.changed() == {"params.yaml", "dvc.lock"}
    (changed,) = json.loads(clone.dvc("params", "diff", "--json"))["params.yaml"].items()
    assert changed == ("experiments.bce_rmse.depth.rmse", {"old": 2, "new": 7, "diff": 5})


def test_two_workers_of_the_queue_share_the_checkouts_store(clone):
    rates = {"first": 0.002, "second": 0.003}
    trials = {name: f"train.optimizer.lr={rate}" for name, rate in rates.items()}
    clone.run_queue("train@masknet3_bce", trials)
    runs, _ = clone.mlflow_runs()
    for name, rate in rates.items():
        run = runs["masknet3_bce", name]
        assert run.info.status == "FINISHED"
        assert run.data.params["train.optimizer.lr"] == str(rate)
        assert "val/mask_iou" in run.data.metrics
    with sqlite3.connect(clone.folder / "mlflow.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert not list((clone.folder / ".checkpoints").glob("*"))
    assert clone.changed() == set()


def test_a_loss_weight_and_an_experiment_more_run_alone(clone):
    clone.set_params(
        experiments__masknet3_bce__mask__bce=3,
        compare=["bce_rmse", "masknet3_bce", "masknet3_dice"],
    )
    assert clone.repro("evaluate") == ["train@masknet3_bce", "train@masknet3_dice", "evaluate"]
    report = json.loads((clone.folder / "reports/metrics.json").read_text())
    assert list(report["experiments"]) == ["bce_rmse", "masknet3_bce", "masknet3_dice"]
