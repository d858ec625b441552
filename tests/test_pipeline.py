"""`dvc repro` and docs/data_versioning.md in a temporary clone, on the profile `tiny`."""

import contextlib
import functools
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import yaml
from mlflow.tracking import MlflowClient
from PIL import Image

from depthmask.inference.predictor import Predictor

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PHOTOS = "data/source/photos"
MODEL = "models/best/model.onnx"
STAGES = ["prepare", "augment", "train@bce_rmse", "train@masknet3_bce", "evaluate", "export"]
MACHINES_OWN = ("latency.json", "gate.json", "report.html")


class Clone:
    """A repository of the working tree as it is, in which commands run its own code."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = os.environ | {
            "PYTHONPATH": str(folder / "src"), "PATH": tools, "DVC_NO_ANALYTICS": "1",
            "CI": "true", "OMP_NUM_THREADS": "1",  # more are slower on pictures this small
        }  # fmt: skip
        self.environment.pop("MLFLOW_TRACKING_URI", None)
        self.git, self.dvc = (functools.partial(self.run, tool) for tool in ("git", "dvc"))
        self.depthmask = functools.partial(self.run, sys.executable, "-m", "depthmask.cli")

    def run(self, *command: str, code: int = 0) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment,
            capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def repro(self, *arguments: str) -> list[str]:
        """The stages that ran."""
        return stages_run(self.dvc("repro", *arguments))

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def changed(self) -> set[str]:
        """The paths that git calls changed or untracked."""
        lines = self.git("status", "--porcelain", "--untracked-files=all").splitlines()
        return {line[3:] for line in lines}

    def set_params(self, **changes: Any) -> None:
        """`section__name=value`."""
        path = self.folder / "params.yaml"
        content = yaml.safe_load(path.read_text())
        for name, value in changes.items():
            *sections, last = name.split("__")
            functools.reduce(dict.__getitem__, sections, content)[last] = value
        path.write_text(yaml.safe_dump(content, sort_keys=False))

    def content(self) -> dict[str, bytes]:
        """Of all that stages write and users bring, but for times of this machine."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for name in ("data", "models", "reports")
            for path in sorted((self.folder / name).rglob("*"))
            if path.is_file() and path.name not in MACHINES_OWN
        }

    def mlflow_runs(self) -> tuple[dict[tuple[str, str], Any], str]:
        """The runs by their names and DVC's name of the experiment; the champion's id."""
        uri = f"sqlite:///{self.folder / 'mlflow.db'}"
        client = MlflowClient(uri, registry_uri=uri)
        experiment = client.get_experiment_by_name("depthmask")
        found = {
            (run.info.run_name, run.data.tags.get("dvc.experiment", "")): run
            for run in client.search_runs([experiment.experiment_id])
        }
        return found, client.get_model_version_by_alias("DepthMaskNet", "champion").run_id

    def experiments(self) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
        """Parameters and metrics by name, as `dvc exp show` finds them."""
        _, baseline = json.loads(self.dvc("exp", "show", "--json"))
        found = {"HEAD": baseline["data"]}
        found |= {each["name"]: each["revs"][0]["data"] for each in baseline["experiments"] or []}
        files = {"params": "params.yaml", "metrics": "reports/headline.json"}
        return {
            name: tuple(data[kind][file]["data"] for kind, file in files.items())
            for name, data in found.items()
        }


def stages_run(output: str) -> list[str]:
    return re.findall(r"(?m)^Running stage '([^']+)'", output)


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """Its pipeline has run once, with photographs under DVC and a remote beside it."""
    clone = Clone(tmp_path_factory.mktemp("clone"))
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.check_output(listed, cwd=ROOT, text=True).splitlines():
        if (ROOT / name).is_file() and name != "dvc.lock":
            (clone.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone.folder / name)
    clone.set_params(profile="tiny", compare=["bce_rmse", "masknet3_bce"])
    clone.git("init", "--quiet")
    clone.git("config", "user.email", "nobody@example.org")
    clone.git("config", "user.name", "nobody")
    clone.commit("clone")
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
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
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
    for name, rate in rates.items():
        clone.dvc(
            "exp", "run", "--queue", "--name", name, "--set-param", f"train.optimizer.lr={rate}",
            "train@masknet3_bce",
        )  # fmt: skip
    # not through pipes: the workers hold on to them for as long as they wait for more
    subprocess.run(
        ["dvc", "queue", "start", "--jobs", "2"], cwd=clone.folder, env=clone.environment,
        check=True, timeout=120, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 240
    status = "Queued"
    while ("Queued" in status or "Running" in status) and time.monotonic() < deadline:
        time.sleep(2)
        status = clone.dvc("queue", "status")
    clone.dvc("queue", "stop", "--kill")
    assert status.count("Success") == 2, status + clone.dvc("queue", "logs", "first")
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
