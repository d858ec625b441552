"""A clone of the working tree in which tests run the pipeline on the profile `tiny`."""

import functools
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml
from mlflow.tracking import MlflowClient

ROOT = Path(__file__).parents[1]
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

    @classmethod
    def of_working_tree(cls, folder: Path, *experiments: str) -> "Clone":
        """Without `dvc.lock` or results: nothing has run."""
        clone = cls(folder)
        listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.check_output(listed, cwd=ROOT, text=True).splitlines():
            if (ROOT / name).is_file() and name != "dvc.lock":
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        clone.set_params(profile="tiny", compare=list(experiments))
        clone.git("init", "--quiet")
        clone.git("config", "user.email", "nobody@example.org")
        clone.git("config", "user.name", "nobody")
        clone.commit("clone")
        return clone

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

    def run_queue(self, target: str, trials: dict[str, str]) -> None:
        """Run trials, by name what each sets, all at once by as many workers of DVC's queue."""
        for name, setting in trials.items():
            self.dvc("exp", "run", "--queue", "--name", name, "--set-param", setting, target)
        # not through pipes: the workers hold on to them for as long as they wait for more
        subprocess.run(
            ["dvc", "queue", "start", "--jobs", str(len(trials))], cwd=self.folder,
            env=self.environment, check=True, timeout=120,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 150 * len(trials)
        status = "Queued"
        try:
            while ("Queued" in status or "Running" in status) and time.monotonic() < deadline:
                time.sleep(2)
                status = self.dvc("queue", "status")
        finally:
            self.dvc("queue", "stop", "--kill")
        if status.count("Success") != len(trials):
            raise AssertionError(status + self.dvc("queue", "logs", next(iter(trials))))

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


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]
