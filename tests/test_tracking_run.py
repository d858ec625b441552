"""A run while it trains: recorded an epoch at a time, resumed, ended, and never in the way."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from depthmask import tracking
from depthmask.tracking import find_root
from depthmask.tracking.notes import run_tags
from depthmask.tracking.run import start_run
from tracked import card, history, runs, train_elsewhere

SOURCE = Path(tracking.__file__).parents[2]
PARAMS = {"train": {"optimizer": {"lr": 0.003}, "schedule": [{"size": 64}]}}


def start(key: str = "k1"):
    tags = run_tags(card("a"))
    return start_run(
        key=key, params=PARAMS, tags=tags, data_digest="f" * 40, data_source="data/prepared"
    )


def train(key: str = "k1", epochs: range = range(1, 4)) -> str | None:
    """Record a run; its loss in epoch e is 1 / e. Returns MLflow's id."""
    with start(key) as run:
        for epoch in epochs:
            row = {"epoch": epoch, "size": 64, "val/loss": 1 / epoch, "train/loss": float("nan")}
            run.log_metrics(row, step=epoch)
    return run.opened and run.opened.run_id


def statuses(root: Path) -> dict[str, str]:
    return {key: run.info.status for key, run in runs(root).items()}


def test_only_this_package_imports_mlflow_and_only_when_it_is_used():
    importers = {
        path.relative_to(SOURCE).parts[1]
        for path in SOURCE.rglob("*.py")
        if re.search(r"^\s*(import|from) mlflow\b", path.read_text(), re.MULTILINE)
    }
    assert importers == {"tracking"}
    code = "import sys, depthmask.tracking.gate; print('mlflow' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    assert subprocess.check_output([sys.executable, "-c", code], env=environment) == b"False\n"


def test_a_run_is_recorded_in_mlflow(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DVC_EXP_NAME", "slower")
    run_id = train()
    found = runs(root)["k1"]
    assert (found.info.run_id, found.info.run_name) == (run_id, "a")
    assert found.info.status == "FINISHED"
    assert found.data.params["train.optimizer.lr"] == "0.003"
    assert found.data.tags["dvc.experiment"] == "slower"
    (lineage,) = found.inputs.dataset_inputs
    assert lineage.dataset.digest == "f" * 36, "MLflow takes no more"
    assert json.loads(lineage.dataset.source) == {"uri": "data/prepared"}
    assert history(root, "k1", "val/loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    assert set(found.data.metrics) == {"val/loss", "train/size"}


def test_what_is_known_is_there_at_once_and_an_epoch_is_one_call(root, monkeypatch):
    from mlflow import MlflowClient

    calls = []
    with start() as run:
        assert {"loss.mask": "bce + 2.5·dice", "model": "depthmasknet8"}.items() <= (
            runs(root)["k1"].data.tags.items()
        )
        for name in ("log_batch", "log_metric"):
            monkeypatch.setattr(MlflowClient, name, lambda *_, **values: calls.append(values))
        run.log_metrics(dict.fromkeys("abcdefgh", 1.0), step=1)
    assert len(calls) == 1 and len(calls[0]["metrics"]) == 8


@pytest.mark.parametrize(
    ("error", "status"),
    [(KeyboardInterrupt, "KILLED"), (SystemExit, "KILLED"), (RuntimeError, "FAILED")],
)
def test_a_stopped_run_says_so_and_resumes_without_doubling_steps(root, error, status):
    with pytest.raises(error), start() as run:
        run.log_metrics({"val/loss": 1.0}, step=1)
        raise error
    assert statuses(root) == {"k1": status}
    assert train() == run.opened.run_id
    assert history(root, "k1", "val/loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    assert statuses(root) == {"k1": "FINISHED"}


def test_a_run_in_a_copy_made_by_dvc_is_the_checkouts(root, trial, monkeypatch):
    monkeypatch.chdir(trial)
    assert find_root() == root
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")  # the checkout's too
    train()
    assert statuses(root) == {"k1": "FINISHED"}
    assert sorted(trial.iterdir()) == [trial / ".git"]


@pytest.mark.slow
def test_a_killed_run_is_ended_and_resumed_and_a_living_one_is_not(root, monkeypatch, capfd):
    clone = root.parent / "clone"  # on the same host, with the same store
    (clone / ".git").mkdir(parents=True)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root / 'mlflow.db'}")
    process = train_elsewhere(clone, "k1", 2, "hang")
    assert process.stdout.readline().startswith("recorded")
    assert train() is None
    assert "a of the same key runs elsewhere" in capfd.readouterr().err
    assert statuses(root) == {"k1": "RUNNING"}
    assert len(history(root, "k1", "val/loss")) == 2

    process.kill()
    process.wait()
    train("k2")
    assert statuses(root) == {"k1": "KILLED", "k2": "FINISHED"}
    train()
    assert statuses(root) == {"k1": "FINISHED", "k2": "FINISHED"}
    assert [step for step, _ in history(root, "k1", "val/loss")] == [1, 2, 3]


@pytest.mark.slow
def test_a_fresh_store_is_used_by_several_processes_at_once(checkout: Path):
    processes = [train_elsewhere(checkout, key, 5, "end") for key in ("k1", "k2", "k3")]
    assert [process.wait(timeout=240) for process in processes] == [0, 0, 0]
    assert statuses(checkout) == dict.fromkeys(("k1", "k2", "k3"), "FINISHED")
    assert all(len(history(checkout, key, "val/loss")) == 5 for key in ("k1", "k2", "k3"))


def train_without_server(capfd: pytest.CaptureFixture[str]) -> str:
    begun = time.monotonic()
    assert train(epochs=range(1, 11)) is None
    assert time.monotonic() - begun < 5
    (line,) = capfd.readouterr().err.splitlines()
    return line


def test_a_dead_server_costs_little_and_is_told_once(checkout, dead_server, capfd):
    line = train_without_server(capfd)
    assert f"{dead_server} does not answer" in line and "secret" not in line


class DiesAfterProbe(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path != "/health":
            time.sleep(8)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_a_server_that_dies_later_is_not_waited_for(checkout, monkeypatch, capfd):
    import mlflow  # noqa: F401  not what is timed

    with ThreadingHTTPServer(("127.0.0.1", 0), DiesAfterProbe) as dying:
        dying.daemon_threads, dying.block_on_close = True, False
        threading.Thread(target=dying.serve_forever, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{dying.server_port}")
        train_without_server(capfd)
        dying.shutdown()


def test_without_mlflow_it_trains(checkout, monkeypatch, capfd):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert train() is None
    assert "mlflow is not installed" in capfd.readouterr().err


def test_a_store_that_fails_at_any_time_does_not_stop_training(root, capfd):
    with start() as run:
        run.log_metrics({"val/loss": 1.0}, step=1)
        (root / "mlflow.db").write_text("no database at all" * 1000)
        run.log_metrics({"val/loss": 0.5}, step=2)
    assert len(capfd.readouterr().err.splitlines()) == 1
    assert train("k2") is None
