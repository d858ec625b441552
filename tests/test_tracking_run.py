import contextlib
import importlib.util
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from filelock import FileLock, Timeout

from depthmask import tracking
from depthmask.tracking import find_root
from depthmask.tracking.notes import run_tags
from depthmask.tracking.run import start_run
from tracked import begin, card, history, runs

LOSSES = [(1, 1.0), (2, 0.5), (3, 1 / 3)]
PARAMS = {"train": {"optimizer": {"lr": 0.003}, "schedule": [{"size": 64}]}}


def start(key: str = "k1"):
    return start_run(key, PARAMS, run_tags(card("a")), "f" * 40)


def train(key: str = "k1", num_epochs: int = 3) -> None:
    with start(key) as record:
        for epoch in range(1, num_epochs + 1):
            row = {"epoch": epoch, "size": 64, "val/loss": 1 / epoch, "train/loss": float("nan")}
            record(epoch, row)


def statuses(root: Path) -> dict[str, str]:
    return {key: run.info.status for key, run in runs(root).items()}


def test_only_this_package_imports_mlflow_and_only_when_it_is_used():
    source, importers = Path(tracking.__file__).parents[1], set()
    for path in source.rglob("*.py"):
        if imports := re.findall(r"^( *)(?:import|from) mlflow\b", path.read_text(), re.MULTILINE):
            importers.add(path.relative_to(source).parts[0])
            assert all(imports), f"{path} imports it at once"
    assert importers == {"tracking"}


def test_a_run_is_recorded_in_mlflow(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DVC_EXP_NAME", "slower")
    train()
    found = runs(root)["k1"]
    assert (found.info.run_name, found.info.status) == ("a", "FINISHED")
    assert found.data.params["train.optimizer.lr"] == "0.003"
    tags = {"dvc.experiment": "slower", "loss.mask": "bce + 2.5·dice", "model": "depthmasknet8"}
    assert tags.items() <= found.data.tags.items()
    assert {"mlflow.user", "mlflow.source.name"} <= found.data.tags.keys()
    (lineage,) = found.inputs.dataset_inputs
    assert lineage.dataset.digest == "f" * 36, "MLflow takes no more"
    assert json.loads(lineage.dataset.source) == {"uri": "data/prepared"}
    assert history(root, "k1") == LOSSES
    assert set(found.data.metrics) == {"val/loss", "train/size"}


def test_a_run_that_ends_while_another_looks_for_killed_ones_has_finished(root, monkeypatch):
    run, search = begin(root, "k1"), tracking.Store.search

    def slow(store, condition):
        found = search(store, condition)
        run.end("FINISHED")
        return found

    monkeypatch.setattr(tracking.Store, "search", slow)
    tracking.attempt(root, tracking.Store.end_killed_runs)
    assert statuses(root) == {"k1": "FINISHED"}


def test_an_epoch_is_one_call(root, monkeypatch):
    from mlflow import MlflowClient

    calls = []
    with start() as record:
        assert statuses(root) == {"k1": "RUNNING"}, "it is there at once"
        for name in ("log_batch", "log_metric"):
            monkeypatch.setattr(MlflowClient, name, lambda *_, **values: calls.append(values))
        record(1, dict.fromkeys("abcdefgh", 1.0))
    assert len(calls) == 1 and len(calls[0]["metrics"]) == 8


@pytest.mark.parametrize(
    ("error", "status"),
    [(KeyboardInterrupt, "KILLED"), (SystemExit, "KILLED"), (RuntimeError, "FAILED")],
)
def test_a_stopped_run_says_so_and_resumes_without_doubling_steps(root, error, status):
    with pytest.raises(error), start() as record:
        record(1, {"val/loss": 1.0})
        raise error
    assert statuses(root) == {"k1": status}
    train()
    assert history(root, "k1") == LOSSES
    assert statuses(root) == {"k1": "FINISHED"}


def test_a_run_in_a_copy_made_by_dvc_is_the_checkouts(root, trial, monkeypatch):
    monkeypatch.chdir(trial)
    assert find_root() == root
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")  # the checkout's too
    train()
    assert statuses(root) == {"k1": "FINISHED"}
    assert sorted(trial.iterdir()) == [trial / ".git"]


def test_a_killed_run_is_ended_and_resumed_and_a_living_one_is_not(root, capfd):
    clone = root.parent / "clone"  # on the same host, with the same store
    run = begin(clone, "k1", store_root=root)
    train()
    assert "a of the same key runs elsewhere" in capfd.readouterr().err
    assert statuses(root) == {"k1": "RUNNING"} and history(root, "k1") == LOSSES[:2]

    run.lock.release()
    train("k2")
    assert statuses(root) == {"k1": "KILLED", "k2": "FINISHED"}
    train()
    assert statuses(root) == {"k1": "FINISHED", "k2": "FINISHED"}
    assert history(root, "k1") == LOSSES


def test_one_process_at_a_time_makes_a_fresh_store(checkout: Path, monkeypatch):
    client, held, lock = MagicMock(), [], checkout / ".tracking/mlflow.lock"

    def is_held():
        with contextlib.suppress(Timeout), FileLock(lock, timeout=0):
            return False
        return True

    def locked(answer):
        return lambda *_, **__: held.append(is_held()) or answer

    client.get_experiment_by_name.side_effect = locked(None)
    client.create_experiment.side_effect = locked("1")
    monkeypatch.setattr("mlflow.MlflowClient", locked(client))  # which makes the tables
    assert tracking.open_store(checkout, "sqlite:///mlflow.db").experiment_id == "1"
    assert held == [True, True, True]
    artifacts = (checkout / "mlartifacts").as_uri()
    client.create_experiment.assert_called_once_with("depthmask", artifacts)


def train_without_server(capfd: pytest.CaptureFixture[str]) -> str:
    begun = time.monotonic()
    train(num_epochs=10)
    assert time.monotonic() - begun < 5
    (line,) = capfd.readouterr().err.splitlines()
    return line


def test_a_dead_server_costs_little_and_is_told_once(checkout, dead_server, capfd):
    line = train_without_server(capfd)
    assert f"{dead_server} does not answer" in line and "secret" not in line


class DiesAfterProbe(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        time.sleep(0 if self.path == "/health" else 8)
        self.send_response(200)
        self.end_headers()


def test_a_server_that_dies_later_is_not_waited_for(checkout, monkeypatch, capfd):
    import mlflow  # noqa: F401  not what is timed

    monkeypatch.setattr(DiesAfterProbe, "log_message", lambda *_: None)
    with ThreadingHTTPServer(("127.0.0.1", 0), DiesAfterProbe) as dying:
        dying.daemon_threads, dying.block_on_close = True, False
        threading.Thread(target=dying.serve_forever, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{dying.server_port}")
        assert "secret" not in train_without_server(capfd)
        dying.shutdown()


def test_without_mlflow_it_trains(checkout, monkeypatch, capfd):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    train()
    assert "mlflow is not installed" in capfd.readouterr().err


def test_a_store_that_fails_at_any_time_does_not_stop_training(root, capfd):
    with start() as record:
        record(1, {"val/loss": 1.0})
        (root / "mlflow.db").write_text("no database at all" * 1000)
        record(2, {"val/loss": 0.5})
    train("k2")
    assert len(capfd.readouterr().err.splitlines()) == 1
