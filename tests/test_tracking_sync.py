import copy
import os
import shutil
import socket
import time
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from depthmask.errors import InputError
from depthmask.tracking import __main__ as server
from depthmask.tracking.sync import sync
from tracked import METRICS, begin, card, client, history, runs, write_outputs

LOSSES = [(1, 1), (2, 0.5), (3, 1 / 3), (4, 0.25)]
EXPERIMENTS, REPORTS = Path("models/experiments"), Path("reports")


def bring(folder: Path = Path()) -> list[str] | None:
    return sync(folder / EXPERIMENTS, folder / REPORTS)


def note(root: Path) -> str | None:
    return client(root).get_experiment_by_name("depthmask").tags.get("mlflow.note.content")


def contents(root: Path) -> list[object]:
    found = [run for _, run in sorted(runs(root).items())]
    points = [
        client(root).get_metric_history(run.info.run_id, name)
        for run in found
        for name in ("val/loss", "test/in_scene/mask_iou")
    ]
    return [[run.to_dictionary() for run in found], list(map(len, points)), note(root)]


def best(root: Path) -> dict[str, str | None]:
    return {key: run.data.tags.get("best") for key, run in runs(root).items()}


def other_best(name: str) -> dict:
    metrics = copy.deepcopy(METRICS) | {"best": name}
    metrics["verdict"] |= {"best": name, "sentence": f"{name} is chosen."}
    metrics["verdict"]["differences"]["a"] = metrics["verdict"]["differences"]["b"]
    return metrics


def test_a_missing_run_is_made_with_all_that_the_outputs_hold(root: Path, monkeypatch):
    from mlflow import MlflowClient

    log_batch = MagicMock(side_effect=MlflowClient.log_batch)
    monkeypatch.setattr(MlflowClient, "log_batch", lambda *this, **those: log_batch(*this, **those))
    write_outputs(root, card("a"), card("b", 3), card("b", 4))
    assert bring() == ["a", "b, seed 3", "b, seed 4"]
    assert log_batch.call_count <= 3 * 2, "few calls a run"
    run = runs(root)["a0key"]
    assert (run.info.status, run.info.run_name) == ("FINISHED", "a")
    assert run.data.params == {"train.optimizer.lr": "0.1"}
    assert history(root, "a0key") == LOSSES
    assert history(root, "a0key", "train/lr") == [(epoch, 0.1) for epoch in (1, 2, 3, 4)]
    assert run.data.metrics["test/seen_seen/mask_iou"] == 1.6
    assert run.data.metrics["headline/leak_gap"] == 0.0412345
    assert run.inputs.dataset_inputs[0].dataset.digest == "feed"
    assert (run.data.tags["verdict"], run.data.tags["place"]) == ("best, tied with b", "1 of 3")
    assert best(root) == {"a0key": "yes", "b3key": "no", "b4key": "no"}
    panels = client(root).list_artifacts(run.info.run_id, "panels")
    assert [file.path for file in panels] == ["panels/a.png"]
    assert not client(root).list_artifacts(runs(root)["b3key"].info.run_id)
    assert note(root) == "a is chosen; b ties with it.\n\n| a&ensp; |\n"
    before = contents(root)
    assert bring() == []
    assert contents(root) == before


def test_a_run_that_is_killed_is_completed_and_one_that_trains_is_left(root: Path):
    write_outputs(root, card("a"))
    run = begin(root, "a0key")
    assert bring() == [] and runs(root)["a0key"].info.status == "RUNNING"
    run.lock.release()
    assert bring() == ["a"] and runs(root)["a0key"].info.status == "FINISHED"
    assert history(root, "a0key") == LOSSES


def test_new_figures_change_what_differs_and_one_run_alone_is_the_best(root: Path):
    write_outputs(root, card("a"), card("d"))
    bring()
    write_outputs(root, metrics=other_best("d"))
    assert bring() == ["a", "d"]
    assert best(root) == {"a0key": "no", "d0key": "yes"}
    assert note(root).startswith("d is chosen.")
    assert len(history(root, "a0key", "test/in_scene/mask_iou")) == 1, "it is the same"

    shutil.rmtree(EXPERIMENTS / "d")  # `compare` names it no more
    write_outputs(root, metrics=METRICS)
    assert bring() == ["a"]
    assert best(root) == {"a0key": "yes", "d0key": "no longer"}


def test_figures_of_an_earlier_training_are_not_the_new_run_s(root: Path):
    write_outputs(root, card("a"))
    bring()
    again = card("a") | {"key": "anew"}  # trained, and not yet evaluated
    again["test"] = {"set": "in_scene", "figures": {"mask_iou": 0.5}}
    write_outputs(root, again)
    assert bring() == ["a"]
    run = runs(root)["anew"]
    assert "verdict" not in run.data.tags and "test/in_scene/mask_iou" not in run.data.metrics


def test_a_trial_in_a_copy_is_not_the_best_and_leaves_the_checkout_s_runs(root, trial, monkeypatch):
    write_outputs(root, card("a"))
    bring()
    before = contents(root)
    monkeypatch.chdir(trial)
    write_outputs(trial, card("a"), card("d"), metrics=other_best("d"))
    assert bring() == ["d"]
    assert best(root) == {"a0key": "yes", "d0key": None}
    assert runs(root)["d0key"].data.tags["verdict"] == "best, tied with b"
    assert note(root) == before[-1]
    assert bring() == []
    assert not (trial / "mlflow.db").exists()

    monkeypatch.chdir(root)  # `dvc exp apply`: the trial becomes the checkout's
    write_outputs(root, card("d"), metrics=other_best("d"))
    bring()
    assert best(root) == {"a0key": "no", "d0key": "yes"}


def test_curves_alone_are_brought_from_another_folder(root: Path, tmp_path: Path):
    write_outputs(tmp_path / "away", card("d"), metrics=None)
    assert bring(tmp_path / "away") == ["d"], "curves alone"
    assert set(runs(root)["d0key"].data.metrics) == {"train/lr", "val/loss", "val/mask_iou"}


def test_a_damaged_network_is_left_out_with_a_line(root: Path, capfd: pytest.CaptureFixture[str]):
    write_outputs(root, card("a"), card("d"))
    (EXPERIMENTS / "d/seed_0/model.json").write_text('{"experiment": "d"}')
    assert bring() == ["a"]
    (line,) = capfd.readouterr().err.splitlines()
    assert "experiments/d/seed_0/model.json" in line and line.endswith("not told of this network.")


@pytest.mark.parametrize("dead_server", ["refused", "silent"], indirect=True)
def test_a_dead_server_costs_five_seconds_at_most(checkout, dead_server):
    write_outputs(checkout, card("a"), card("b", 3))
    begun = time.monotonic()
    assert bring() is None
    assert time.monotonic() - begun < 5


def test_make_ui_brings_the_outputs_and_serves_them(root, monkeypatch, capsys):
    from mlflow.cli import server as serve_command

    write_outputs(root, card("a"))
    commands = []
    monkeypatch.setattr(os, "execv", lambda _, command: commands.append(command))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server.serve(root, port)
    assert set(runs(root)) == {"a0key"}
    assert f"MLflow: http://127.0.0.1:{port}/#/experiments/1/runs?" in capsys.readouterr().out
    (command,) = commands
    asked = serve_command.make_context("server", command[4:]).params  # MLflow takes all of it
    assert (asked["host"], asked["port"], asked["workers"]) == ("127.0.0.1", port, "1")
    assert asked["backend_store_uri"] == f"sqlite:///{root}/mlflow.db"
    assert asked["artifacts_destination"] == str(root / "mlartifacts")


def test_make_ui_refuses_a_taken_port_and_somebody_s_server(root, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(InputError, match="in use: take another with --port"):
            server.serve(root, taken.getsockname()[1])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:secret@mlflow.example.org")
    with pytest.raises(InputError, match=r"open https://mlflow\.example\.org, or unset it"):
        server.serve(root, 0)
