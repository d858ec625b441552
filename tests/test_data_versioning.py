"""docs/data_versioning.md in a temporary clone: photographs, a remote, trials in copies."""

import json
import shutil
import sqlite3
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from cloned_checkout import DVC, clone_environment, clone_working_tree, run, stages_run

pytestmark = pytest.mark.slow

NAME = "bce_rmse"
PHOTOS = "data/source/photos"
MODEL = "models/best/model.onnx"
ABS_REL = "depth_abs_rel"


@dataclass
class Project:
    """A checkout whose pipeline has run, with photographs under DVC and a remote beside it."""

    folder: Path
    store: Path
    added: set[str] = field(default_factory=set)  # what git saw after `dvc add`

    def git(self, *arguments: str) -> str:
        return run(self.folder, "git", *arguments)

    def dvc(self, *arguments: str) -> str:
        return run(self.folder, *DVC, *arguments)

    def changed(self) -> set[str]:
        """The paths that git calls changed or untracked."""
        lines = self.git("status", "--porcelain", "--untracked-files=all").splitlines()
        return {line[3:] for line in lines}

    def mlflow_runs(self) -> tuple[dict[str, Any], str]:
        """The runs in the checkout's own store by DVC's name of the experiment; the champion's."""
        from mlflow.tracking import MlflowClient

        uri = f"sqlite:///{self.folder / 'mlflow.db'}"
        client = MlflowClient(uri, registry_uri=uri)
        experiment = client.get_experiment_by_name("depthmask")
        found = {
            run.data.tags.get("dvc.experiment", "none"): run
            for run in client.search_runs([experiment.experiment_id])
        }
        return found, client.get_model_version_by_alias("DepthMaskNet", "champion").run_id

    def experiments(self) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
        """Parameters and metrics by name, as `dvc exp show` finds them."""

        def content(data: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
            return (
                data["params"]["params.yaml"]["data"],
                data["metrics"]["reports/headline.json"]["data"],
            )

        (workspace, baseline) = json.loads(self.dvc("exp", "show", "--json"))
        found = {"workspace": content(workspace["data"]), "HEAD": content(baseline["data"])}
        for experiment in baseline["experiments"] or []:
            found[experiment["name"]] = content(experiment["revs"][0]["data"])
        return found


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("store"))

    def tiny(content):
        content["profile"], content["compare"] = "tiny", [NAME]

    clone_working_tree(project.folder, tiny)
    random = np.random.default_rng(0)
    for path, channels in (("bg/hall.jpg", 3), ("fg/visitor.png", 4)):
        path = project.folder / "data/source/photos" / path
        path.parent.mkdir(parents=True)
        Image.fromarray(random.integers(0, 256, (48, 32, channels), np.uint8)).save(path)
    project.dvc("add", "data/source/photos/bg", "data/source/photos/fg")
    project.added = project.changed()
    project.dvc("remote", "add", "--default", "storage", str(project.store))
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "Photographs, and where DVC keeps them")

    output = project.dvc("repro")
    assert stages_run(output) == ["prepare", "augment", f"train@{NAME}", "evaluate", "export"]
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "Results")
    yield project
    run(project.folder, *DVC, "queue", "stop", "--kill")


@pytest.fixture(autouse=True)
def restored(project):
    """What a test applies to the checkout goes with it."""
    yield
    if project.changed():
        project.git("checkout", "--quiet", ".")
        project.dvc("checkout", "--quiet")


def contents(folder: Path) -> dict[str, bytes]:
    folders = ("data", "models", "reports")
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for name in folders
        for path in sorted((folder / name).rglob("*"))
        # times of this machine, which no other is given
        if path.is_file() and path.name not in ("latency.json", "gate.json", "report.html")
    }


def test_git_sees_the_names_of_photographs_and_dvc_keeps_them(project):
    assert project.added == {f"{PHOTOS}/{name}" for name in (".gitignore", "bg.dvc", "fg.dvc")}
    committed = project.git("ls-files", "data", "models", "reports").split()
    assert not [name for name in committed if name.endswith((".jpg", ".npy", ".onnx", ".json"))]
    assert yaml.safe_load((project.folder / f"{PHOTOS}/bg.dvc").read_text())["outs"][0]["nfiles"]


def test_push_wipe_pull_and_nothing_is_left_to_do(project, tmp_path):
    before = contents(project.folder)
    assert {f"{PHOTOS}/bg/hall.jpg", f"{PHOTOS}/fg/visitor.png", MODEL} <= set(before)
    project.dvc("push")
    for name in (".dvc/cache", "data", "models", "reports"):
        shutil.rmtree(project.folder / name)
    project.git("checkout", "--quiet", ".")
    assert MODEL not in contents(project.folder)

    project.dvc("pull")
    assert contents(project.folder) == before
    assert stages_run(project.dvc("repro")) == []
    assert "up to date" in project.dvc("status")
    assert "in sync" in project.dvc("status", "--cloud")
    assert project.changed() == set()

    clone = tmp_path / "clone"
    project.git("clone", "--quiet", ".", str(clone))
    assert stages_run(run(clone, *DVC, "repro", "--pull")) == []
    assert (clone / MODEL).read_bytes() == before[MODEL]


def test_a_trial_in_a_copy_is_recorded_in_the_checkout(project):
    output = project.dvc(
        "exp", "run", "--temp", "--name", "slower", "--set-param", "train.optimizer.lr=0.004",
        "evaluate",
    )  # fmt: skip
    assert stages_run(output) == [f"train@{NAME}", "evaluate"]
    assert project.changed() == set()
    found = project.experiments()
    assert found["slower"][0]["train"]["optimizer"]["lr"] == 0.004
    assert found["HEAD"][0]["train"]["optimizer"]["lr"] == 0.008
    assert found["slower"][1][ABS_REL] != found["HEAD"][1][ABS_REL]

    runs, champion = project.mlflow_runs()
    slower = runs["slower"]
    assert slower.info.status == "FINISHED"
    assert slower.data.params["train.optimizer.lr"] == "0.004"
    assert {"val/depth_rmse", "test/in_scene/depth_rmse"} <= set(slower.data.metrics)
    assert champion == runs["none"].info.run_id
    assert not list((project.folder / ".dvc/tmp/exps").rglob("mlflow.db"))

    # The same without --temp: the cache has it, and the checkout takes it on.
    output = project.dvc("exp", "run", "--set-param", "train.optimizer.lr=0.004", "evaluate")
    assert stages_run(output) == []
    assert project.changed() == {"params.yaml", "dvc.lock"}
    (changed,) = json.loads(project.dvc("params", "diff", "--json"))["params.yaml"].items()
    assert changed[0] == "train.optimizer.lr"
    assert (changed[1]["old"], changed[1]["new"]) == (0.008, 0.004)


def test_two_workers_of_the_queue_share_the_checkouts_store(project):
    rates = {"first": 0.002, "second": 0.003}
    for name, rate in rates.items():
        project.dvc(
            "exp", "run", "--queue", "--name", name, "--set-param", f"train.optimizer.lr={rate}",
            f"train@{NAME}",
        )  # fmt: skip
    # not through pipes: the workers hold on to them for as long as they wait for more
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(
        [*DVC, "queue", "start", "--jobs", "2"],
        cwd=project.folder,
        env=clone_environment(project.folder),
        check=True,
        timeout=120,
        **quiet,
    )
    deadline = time.monotonic() + 240
    status = "Queued"
    while ("Queued" in status or "Running" in status) and time.monotonic() < deadline:
        time.sleep(2)
        status = project.dvc("queue", "status")
    project.dvc("queue", "stop", "--kill")
    assert status.count("Success") == 2, status + project.dvc("queue", "logs", "first")
    runs, _ = project.mlflow_runs()
    for name, rate in rates.items():
        assert runs[name].info.status == "FINISHED"
        assert runs[name].data.params["train.optimizer.lr"] == str(rate)
        assert "val/depth_rmse" in runs[name].data.metrics
    with sqlite3.connect(project.folder / "mlflow.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert not list((project.folder / ".checkpoints").glob("*"))
    assert project.changed() == set()
