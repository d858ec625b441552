import csv
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from depthmask import tracking
from depthmask.errors import InputError
from depthmask.tracking import Registered, connection, mlflow_store, run
from depthmask.tracking import __main__ as server
from depthmask.tracking.journal import Journal

SOURCE = Path(tracking.__file__).parents[2]
PARAMS = {"train": {"optimizer": {"lr": 0.003}, "schedule": [{"size": 64}]}, "mask": {"bce": 1}}

# What a stage does, in a process of its own: ROOT EXPERIMENT KEY NUM_EPOCHS, then hang or end.
CHILD = """
import sys, time
from pathlib import Path
from depthmask import tracking
tracking.run.CLOSE_TIMEOUT_LOCAL_S = 240  # a busy machine is no fault
root, experiment, key, num_epochs, then = sys.argv[1:]
with tracking.start_run(
    experiment=experiment, key=key, params={"lr": 0.1}, root=Path(root)
) as run:
    for epoch in range(int(num_epochs)):
        run.log_metrics({"train/loss": 1 / (epoch + 1)}, step=epoch)
    while then == "hang":
        if run.run_id:
            time.sleep(1)
            print("recorded", flush=True)
        time.sleep(0.05)
"""


def child(root: Path, experiment: str, key: str, num_epochs: int, then: str) -> subprocess.Popen:
    command = [sys.executable, "-c", CHILD, str(root), experiment, key, str(num_epochs), then]
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose tables are made; making them takes seconds."""
    root = tmp_path_factory.mktemp("store")
    uri = f"sqlite:///{root / 'mlflow.db'}"
    mlflow_store.load(uri)
    mlflow_store.Store(root, uri)
    return root


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test is a process that has not yet spoken to MLflow."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(connection, "_stores", {})
    monkeypatch.setattr(connection, "_offline", set())
    monkeypatch.setattr(run, "CLOSE_TIMEOUT_LOCAL_S", 240)  # a busy machine is no fault
    yield


@pytest.fixture
def root(tmp_path: Path, empty_store: Path) -> Path:
    (tmp_path / "checkout").mkdir()
    shutil.copyfile(empty_store / "mlflow.db", tmp_path / "checkout" / "mlflow.db")
    return tmp_path / "checkout"


def client(root: Path):
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{root / 'mlflow.db'}")


def runs(root: Path) -> list:
    found = client(root)
    experiment = found.get_experiment_by_name("depthmask")
    return found.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])


def history(root: Path, run_id: str, name: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in client(root).get_metric_history(run_id, name)]


def files(root: Path, run_id: str, folder: str) -> list[str]:
    return sorted(info.path for info in client(root).list_artifacts(run_id, folder))


def train(root: Path, key: str = "k1", epochs: range = range(3), **more) -> str | None:
    """Record a run; its loss in epoch e is 1 / (e + 1). Returns MLflow's id."""
    with tracking.start_run(experiment="best", key=key, params=PARAMS, root=root, **more) as run:
        for epoch in epochs:
            run.log_metrics({"train/loss": 1 / (epoch + 1)}, step=epoch)
    return run.run_id


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_only_this_package_imports_mlflow():
    importers = {
        path.relative_to(SOURCE).parts[1]
        for path in SOURCE.rglob("*.py")
        if re.search(r"^\s*(import|from) mlflow\b", path.read_text(), re.MULTILINE)
    }
    assert importers == {"tracking"}


def test_importing_tracking_does_not_import_mlflow():
    code = "import sys, depthmask.tracking; print([m for m in sys.modules if 'mlflow' == m])"
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    assert subprocess.check_output([sys.executable, "-c", code], env=environment) == b"[]\n"


def test_a_copy_made_by_dvc_belongs_to_the_checkout(tmp_path: Path):
    copy = tmp_path / "project" / ".dvc" / "tmp" / "exps" / "tmp1" / "src"
    copy.mkdir(parents=True)
    (tmp_path / "project" / ".git").mkdir()
    (copy.parent / ".git").mkdir()
    assert tracking.find_root(copy) == tmp_path / "project"
    assert tracking.find_root(tmp_path / "project" / ".dvc") == tmp_path / "project"


def test_run_in_a_copy_made_by_dvc_is_recorded_in_the_checkout(
    root: Path, monkeypatch: pytest.MonkeyPatch
):
    copy = root / ".dvc" / "tmp" / "exps" / "standalone" / "tmp1"
    copy.mkdir(parents=True)
    (root / ".git").mkdir()
    (copy / ".git").mkdir()
    monkeypatch.chdir(copy)
    # A relative store is the checkout's too, or it would be deleted with the copy.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    with tracking.start_run(experiment="best", key="k1", params={}) as run:
        run.log_metrics({"train/loss": 1.0}, step=0)
    assert [found.info.run_id for found in runs(root)] == [run.run_id]
    assert (root / ".tracking" / "best-k1" / "journal.jsonl").is_file()
    assert sorted(copy.iterdir()) == [copy / ".git"]


def test_run_is_recorded_in_mlflow(root: Path, tmp_path: Path):
    (tmp_path / "curves.csv").write_text("epoch\n0\n")
    with tracking.start_run(
        experiment="best",
        key="k1",
        params=PARAMS,
        tags={"mlflow.source.git.commit": "0123abcd", "profile": "tiny"},
        data_digest="0123456789abcdef0123456789abcdef.dir",
        data_source="data/prepared",
        root=root,
    ) as run:
        for epoch in range(3):
            run.log_metrics({"train/loss": 1 / (epoch + 1), "val": {"mask_iou": 0.5}}, step=epoch)
        run.log_image("panels/epoch.png", np.zeros((4, 6, 3), np.uint8))
        run.log_artifact(tmp_path / "curves.csv")
    (found,) = runs(root)
    assert found.info.run_id == run.run_id
    assert (found.info.status, found.info.run_name) == ("FINISHED", "best")
    assert found.data.params == {
        "train.optimizer.lr": "0.003",
        "train.schedule": '[{"size": 64}]',
        "mask.bce": "1",
    }
    assert found.data.tags["mlflow.source.git.commit"] == "0123abcd"
    assert found.data.tags["depthmask.experiment"] == "best"
    assert found.data.tags["depthmask.key"] == "k1"
    assert found.data.tags["profile"] == "tiny"
    (dataset,) = found.inputs.dataset_inputs
    assert dataset.dataset.digest == "0123456789abcdef0123456789abcdef.dir"
    assert json.loads(dataset.dataset.source) == {"uri": "data/prepared"}
    assert history(root, run.run_id, "train/loss") == [(0, 1.0), (1, 0.5), (2, 1 / 3)]
    assert found.data.metrics["val/mask_iou"] == 0.5
    assert files(root, run.run_id, "panels") == ["panels/epoch.png"]
    assert "curves.csv" in files(root, run.run_id, "")


def test_an_epoch_s_figures_are_of_train_or_val_and_the_mask_s_comes_first(root: Path):
    with tracking.start_run(experiment="best", key="k1", params={}, root=root) as run:
        run.log_metrics({"epoch": 1, "size": 64, "train/loss": 1, "val/mask_iou": 0.5}, step=1)
    (found,) = runs(root)
    expected = ["val/mask_iou", "train/size", "train/loss"]
    assert list(found.data.metrics) == expected
    assert history(root, run.run_id, "train/size") == [(1, 64.0)]


def test_what_mlflow_refuses_is_made_acceptable(root: Path):
    with tracking.start_run(
        experiment="best", key="k1", params={"a+b": 1, "long": "x" * 7000}, root=root
    ) as run:
        run.log_metrics({"train/iou[0]@0.5": 1.0, "train/loss": float("nan")}, step=0)
        run.log_metrics({"train/loss": float("inf")}, step=1)
        run.log_metrics({"train/loss": np.float32(0.25)}, step=2)
    (found,) = runs(root)
    assert found.data.params["a_b"] == "1"
    assert len(found.data.params["long"]) == 6000
    assert found.data.params["long"].endswith("(cut; 7000 characters, whole in the journal)")
    assert found.data.metrics["train/iou_0__0.5"] == 1.0
    losses = dict(history(root, run.run_id, "train/loss"))
    assert np.isnan([losses[0], losses[1]]).all() and losses[2] == 0.25
    # The journal keeps all of it, in JSON that other programs read.
    lines = (run.folder / "journal.jsonl").read_text().splitlines()
    events = [json.loads(line, parse_constant=pytest.fail) for line in lines]
    assert events[0]["params"]["long"] == "x" * 7000
    assert [event["metrics"]["train/loss"] for event in events[1:4]] == ["nan", "inf", 0.25]


@pytest.mark.parametrize("kind", ["closed", "silent"])
def test_dead_server_costs_little_and_loses_nothing(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
):
    with socket.socket() as listener:  # accepts, and never answers
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1] if kind == "silent" else closed_port()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{port}")
        start = time.monotonic()
        run_id = train(tmp_path, epochs=range(10))
        assert (
            tracking.log_evaluation(
                experiment="best", key="k1", metrics={"test/iou": 0.5}, root=tmp_path
            )
            is None
        )
        assert time.monotonic() - start < 5
    assert run_id is None
    events, _ = Journal(tmp_path / ".tracking" / "best-k1").read()
    assert [event["step"] for event in events if event["type"] == "metrics"] == list(range(10))
    assert [event["type"] for event in events[-2:]] == ["end", "evaluation"]
    (line,) = capfd.readouterr().err.splitlines()
    assert f"http://127.0.0.1:{port} does not answer" in line and "secret" not in line


class _DiesAfterProbe(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path != "/health":
            time.sleep(8)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_) -> None:
        pass


def test_server_that_dies_while_training_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
):
    import mlflow  # noqa: F401  not what is timed

    monkeypatch.setattr(run, "CLOSE_TIMEOUT_S", 0.5)
    dying = ThreadingHTTPServer(("127.0.0.1", 0), _DiesAfterProbe)
    dying.daemon_threads = True
    dying.block_on_close = False
    threading.Thread(target=dying.serve_forever, daemon=True).start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{dying.server_port}")
    start = time.monotonic()
    train(tmp_path, epochs=range(10))
    assert time.monotonic() - start < 5
    dying.shutdown()
    dying.server_close()
    record = Journal(tmp_path / ".tracking" / "best-k1").record()
    assert record.status == "FINISHED" and len(record.steps) == 10
    assert len(capfd.readouterr().err.splitlines()) == 1


def test_without_mlflow_the_journal_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    assert train(tmp_path) is None
    assert len(Journal(tmp_path / ".tracking" / "best-k1").record().steps) == 3
    assert "mlflow is not installed" in capfd.readouterr().err


def test_a_store_that_mlflow_refuses_does_not_stop_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
):
    (tmp_path / "mlflow.db").write_text("no database at all" * 100)
    assert train(tmp_path) is None
    assert len(Journal(tmp_path / ".tracking" / "best-k1").record().steps) == 3
    assert len(capfd.readouterr().err.splitlines()) == 1


def test_the_way_a_run_ends_is_recorded(root: Path):
    for error in (RuntimeError, KeyboardInterrupt, SystemExit):
        with pytest.raises(error):
            with tracking.start_run(experiment="best", key=error.__name__, params={}, root=root):
                raise error
    assert [found.info.status for found in runs(root)] == ["FAILED", "KILLED", "KILLED"]


def test_killed_run_is_reaped_and_resumed(root: Path):
    process = child(root, "best", "k1", 3, "hang")
    assert process.stdout.readline() == "recorded\n"
    assert [found.info.status for found in runs(root)] == ["RUNNING"]
    train(root, key="other")
    assert runs(root)[0].info.status == "RUNNING", "its process lives"

    process.send_signal(signal.SIGKILL)
    process.wait()
    train(root, key="another")
    killed = runs(root)[0]
    assert killed.info.status == "KILLED"

    journal = root / ".tracking" / "best-k1" / "journal.jsonl"
    with journal.open("a") as file:
        file.write('{"type": "metrics", "st')  # what a kill leaves
    # Resumed from the checkpoint of epoch 1: epoch 2 comes a second time.
    assert train(root, epochs=range(2, 5)) == killed.info.run_id
    assert len(runs(root)) == 3 and runs(root)[0].info.status == "FINISHED"
    assert [step for step, _ in history(root, killed.info.run_id, "train/loss")] == [0, 1, 2, 3, 4]


def test_training_anew_makes_a_run_of_its_own(root: Path):
    first = train(root, epochs=range(3))
    client(root).update_run(first, status="RUNNING")  # as if killed
    second = train(root, epochs=range(2), resumed=False)
    assert second != first
    assert client(root).get_run(first).info.status == "KILLED"
    assert [step for step, _ in history(root, second, "train/loss")] == [0, 1]
    assert (
        tracking.log_evaluation(experiment="best", key="k1", metrics={"test/iou": 0.5}, root=root)
        == second
    )


def test_a_key_is_recorded_by_one_process(root: Path, capfd: pytest.CaptureFixture):
    with tracking.start_run(experiment="best", key="k1", params={}, root=root) as first:
        first.log_metrics({"train/loss": 1.0}, step=0)
        with tracking.start_run(experiment="best", key="k1", params={}, root=root) as second:
            second.log_metrics({"train/loss": 2.0}, step=0)
    assert "another process records best" in capfd.readouterr().err
    assert history(root, first.run_id, "train/loss") == [(0, 1.0)]
    assert len(runs(root)) == 1


def test_evaluation_joins_the_run_that_trained(root: Path, tmp_path: Path):
    from PIL import Image

    run_id = train(root)
    panel = tmp_path / "best.png"
    for value in (0.5, 0.5, 0.75):
        Image.new("RGB", (4, 4), (int(255 * value), 0, 0)).save(panel)
        assert run_id == tracking.log_evaluation(
            experiment="best",
            key="k1",
            metrics={"test": {"in_scene": {"mask_iou": value}}},
            images=[panel],
            root=root,
        )
    (found,) = runs(root)
    assert found.info.status == "FINISHED"
    assert found.data.metrics["test/in_scene/mask_iou"] == 0.75
    values = [value for _, value in history(root, run_id, "test/in_scene/mask_iou")]
    assert sorted(values) == [0.5, 0.75], "what is known already is not said again"
    shown = Path(client(root).download_artifacts(run_id, "evaluation/best.png"))
    assert Image.open(shown).getpixel((0, 0)) == (191, 0, 0)


def test_what_an_evaluation_says_of_a_run_replaces_what_was_said(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run_id = train(root, tags={"model": "masknet3", "seed": "0", "mlflow.runName": "best, seed 0"})
    assert client(root).get_run(run_id).info.run_name == "best, seed 0"

    def told(**tags) -> dict[str, str]:
        tracking.log_evaluation(experiment="best", key="k1", metrics={}, tags=tags, root=root)
        return client(root).get_run(run_id).data.tags

    note = "| a table |\n| --: |"
    tags = told(best="yes", verdict="best", **{"mlflow.note.content": note, "mlflow.runName": "it"})
    assert (tags["best"], tags["verdict"], tags["mlflow.note.content"]) == ("yes", "best", note)
    assert (tags["model"], tags["seed"]) == ("masknet3", "0")
    assert client(root).get_run(run_id).info.run_name == "it"
    assert told(best="no", verdict="behind")["verdict"] == "behind"
    # a trial in a copy leaves what its checkout says, and calls no run of its own the best
    (root / ".dvc/tmp/exps/tmp").mkdir(parents=True)
    monkeypatch.chdir(root / ".dvc/tmp/exps/tmp")
    assert told(best="yes", verdict="best")["verdict"] == "behind"
    with tracking.start_run(experiment="new", key="k2", params={}, root=root):
        pass
    run_id = tracking.log_evaluation(
        experiment="new", key="k2", metrics={}, tags={"best": "yes", "verdict": "best"}, root=root
    )
    tags = client(root).get_run(run_id).data.tags
    assert tags["verdict"] == "best" and "best" not in tags


@pytest.fixture
def curves(tmp_path: Path) -> Path:
    path = tmp_path / "curves.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["experiment", "seed", "epoch", "lr", "train/loss", "val/depth_rmse"])
        rows = [
            ["best", 7, 0, 0.1, 0.5, ""],
            ["other", 7, 0, 1, 9, 9],
            ["best", 7, 1, 0.2, 0.25, 2],
        ]
        writer.writerows(rows)
    return path


def test_evaluation_of_a_model_trained_elsewhere_makes_the_run(root: Path, curves: Path):
    run_id = tracking.log_evaluation(
        experiment="best",
        key="k1",
        metrics={"test/iou": 0.5},
        params=PARAMS,
        data_digest="feed",
        curves=curves,
        root=root,
    )
    (found,) = runs(root)
    assert (found.info.run_id, found.info.status) == (run_id, "FINISHED")
    assert history(root, run_id, "train/loss") == [(0, 0.5), (1, 0.25)]
    assert history(root, run_id, "train/lr") == [(0, 0.1), (1, 0.2)]
    assert history(root, run_id, "val/depth_rmse") == [(1, 2.0)]
    names = {"train/loss", "train/lr", "val/depth_rmse", "test/iou"}
    assert set(found.data.metrics) == names, "the seed is no metric"
    assert found.data.params["train.optimizer.lr"] == "0.003"
    assert found.data.metrics["test/iou"] == 0.5
    assert found.inputs.dataset_inputs[0].dataset.digest == "feed"


def test_evaluation_in_another_checkout_joins_the_run_of_the_same_key(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, curves: Path
):
    run_id = train(root, epochs=range(2))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root / 'mlflow.db'}")
    (tmp_path / "clone").mkdir()
    assert run_id == tracking.log_evaluation(
        experiment="best", key="k1", metrics={"test/iou": 0.5}, curves=curves,
        root=tmp_path / "clone",
    )  # fmt: skip
    assert len(history(root, run_id, "train/loss")) == 2


@pytest.fixture
def onnx_path(tmp_path: Path) -> Path:
    import onnx
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["y"])],
        "negative",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def test_champion_is_registered_once_for_the_same_bytes(
    root: Path, onnx_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import mlflow

    run_id = train(root)
    register = {"experiment": "best", "key": "k1", "onnx_path": onnx_path, "root": root}
    metrics = {"val": {"mask_iou": 0.75}}
    champion = Registered("1", "1", "best")
    assert tracking.register_model(metrics=metrics, **register) == champion
    metrics = {"val": {"mask_iou": 0.875}}  # measured anew
    assert tracking.register_model(metrics=metrics, **register) == champion
    version = client(root).get_model_version_by_alias("DepthMaskNet", "champion")
    assert (str(version.version), version.run_id) == ("1", run_id)
    assert version.tags["val/mask_iou"] == "0.875"
    assert version.tags["gate"] == "passed" and "gate.reasons" not in version.tags

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root / 'mlflow.db'}")
    model = mlflow.pyfunc.load_model("models:/DepthMaskNet@champion")
    np.testing.assert_array_equal(model.predict(np.float32([1, -2]))["y"], [-1, 2])

    onnx_path.write_bytes(onnx_path.read_bytes() + b"\x32\x02hi")  # a doc_string more
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    train(root, key="k2")
    second = tracking.register_model(metrics=metrics, **(register | {"key": "k2"}))
    assert (second.version, second.is_champion) == ("2", True)
    assert tracking.register_model(metrics=metrics, **register).version == "3"
    assert str(client(root).get_registered_model("DepthMaskNet").aliases["champion"]) == "3"


def test_a_refused_model_is_a_version_and_the_old_champion_stays(root: Path, onnx_path: Path):
    def alias() -> str:
        return str(client(root).get_registered_model("DepthMaskNet").aliases.get("champion"))

    def tags(version: str) -> dict[str, str]:
        return client(root).get_model_version("DepthMaskNet", version).tags

    common = {"onnx_path": onnx_path, "metrics": {}, "root": root}
    worse = {"experiment": "worse", "key": "k2"} | common
    refusals = ["mask IoU 0.7 is 0.05 below 0.75", "latency 9 ms is 4 ms above 5"]
    first = tracking.register_model(refusals=refusals, **worse)
    assert first == Registered("1") and not first.is_champion, "nobody is champion yet"
    assert alias() == "None"

    assert tracking.register_model(experiment="best", key="k1", **common).is_champion
    second = tracking.register_model(refusals=refusals[:1], **worse)
    assert second == Registered("1", "2", "best")
    assert alias() == "2"
    assert tags("1")["gate"] == "refused"
    assert tags("1")["gate.reasons"] == "mask IoU 0.7 is 0.05 below 0.75"

    assert tracking.register_model(**worse) == Registered("1", "1", "worse"), "it passes now"
    assert alias() == "1"
    assert tags("1")["gate"] == "passed" and "gate.reasons" not in tags("1")

    again = tracking.register_model(refusals=refusals, **worse)
    assert again.is_champion, "a champion is not deposed, only told"
    assert tags("1")["gate"] == "refused" and alias() == "1"


def test_trial_in_a_copy_made_by_dvc_is_a_version_and_no_champion(
    root: Path, onnx_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (root / ".git").mkdir()
    copy = root / ".dvc" / "tmp" / "exps" / "tmp1"
    copy.mkdir(parents=True)
    register = {"experiment": "best", "onnx_path": onnx_path, "metrics": {}}
    monkeypatch.chdir(root)
    assert tracking.register_model(key="k1", **register).version == "1"
    monkeypatch.chdir(copy)
    monkeypatch.setenv("DVC_EXP_NAME", "slower")
    assert tracking.register_model(key="k2", **register) == Registered("2", "1", "best")
    stricter = tracking.register_model(key="k1", refusals=["too slow"], **register)
    assert stricter == Registered("1", "1", "best")
    tags = client(root).get_model_version("DepthMaskNet", "1").tags
    assert tags["gate"] == "passed", "what a trial asks for is its own"
    version = client(root).get_model_version_by_alias("DepthMaskNet", "champion")
    assert str(version.version) == "1"
    assert [found.data.tags.get("dvc.experiment") for found in runs(root)] == [None, "slower"]


def test_champion_without_a_server_is_no_error(
    tmp_path: Path, onnx_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{closed_port()}")
    assert (
        tracking.register_model(
            experiment="best", key="k1", onnx_path=onnx_path, metrics={}, root=tmp_path
        )
        is None
    )


def experiment_tags(root: Path) -> dict[str, str]:
    return client(root).get_experiment_by_name("depthmask").tags


def test_the_comparison_is_the_experiment_s_note_and_a_view(root: Path):
    ids = {key: train(root, key) for key in ("k1", "k2")}

    def compared(best: str, note: str) -> dict[str, str]:
        for key in ids:
            tags = {"best": "yes" if key == best else "no"}
            tracking.log_evaluation(experiment="best", key=key, metrics={}, tags=tags, root=root)
        link = tracking.log_comparison(note=note, experiment="best", key=best, root=root)
        tags = experiment_tags(root)
        assert tags["mlflow.note.content"] == f"{note}\n\n[The comparison, as charts]({link})"
        return {key: client(root).get_run(ids[key]).data.tags["best"] for key in ids}

    assert compared("k1", "k1 wins") == {"k1": "yes", "k2": "no"}
    # an experiment that is no longer compared keeps its run, which is the best no longer
    ids["k3"], gone = train(root, "k3"), ids.pop("k1")
    assert compared("k3", "k3 wins") == {"k2": "no", "k3": "yes"}
    assert client(root).get_run(gone).data.tags["best"] == "no longer"
    tags = experiment_tags(root)
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    saved = json.loads(tags["mlflow.sharedViewState.depthmask-comparison"])
    assert saved["name"] == "Comparison"
    state = json.loads(saved["state"])
    sections = {section["uuid"] for section in state["compareRunSections"]}
    assert {chart["metricSectionId"] for chart in state["compareRunCharts"]} == sections
    assert state["compareRunCharts"][0]["metricKey"] == "headline/mask_iou"


def test_a_trial_in_a_copy_leaves_the_comparison(root: Path, monkeypatch: pytest.MonkeyPatch):
    tracking.log_comparison(note="ours", experiment="best", key="k1", root=root)
    (root / ".dvc/tmp/exps/tmp").mkdir(parents=True)
    monkeypatch.chdir(root / ".dvc/tmp/exps/tmp")
    assert tracking.log_comparison(note="a trial", experiment="b", key="k2", root=root) is None
    assert experiment_tags(root)["mlflow.note.content"].startswith("ours")


def test_a_comparison_made_without_a_server_comes_with_its_journals(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    away = tmp_path / "away"
    away.mkdir()
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{closed_port()}")
        train(away)
        assert tracking.log_comparison(note="away", experiment="a", key="k1", root=away) is None
    before = "mlflow.note.content" in experiment_tags(root)
    tracking.import_journals(away, root=root)
    assert not before and experiment_tags(root)["mlflow.note.content"].startswith("away")
    tracking.log_comparison(note="newer", experiment="a", key="k1", root=root)
    tracking.import_journals(away, root=root)
    assert experiment_tags(root)["mlflow.note.content"].startswith("newer")


def test_runs_of_a_machine_without_mlflow_are_imported_once(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    brought = tmp_path / "brought"
    for key in ("k1", "k2"):
        train(brought, key=key, data_digest="feed")
    tracking.log_evaluation(experiment="best", key="k1", metrics={"test/iou": 0.5}, root=brought)
    killed = Journal(brought / ".tracking" / "best-k2").path
    killed.write_text("".join(killed.read_text().splitlines(keepends=True)[:-1]))  # no end
    monkeypatch.undo()
    connection._offline.clear()

    folder = brought / ".tracking"
    assert tracking.import_journals(folder, root=root) == ["best-k1", "best-k2"]
    assert tracking.import_journals(folder, root=root) == []
    # what offline.sh packs is unpacked as a folder that holds `.tracking`
    assert tracking.import_journals(brought, root=root) == []
    first, second = runs(root)
    assert (first.info.status, second.info.status) == ("FINISHED", "KILLED")
    assert first.data.metrics == {"train/loss": 1 / 3, "test/iou": 0.5}
    assert len(history(root, first.info.run_id, "train/loss")) == 3


def test_importing_from_a_wrong_folder_or_to_a_dead_server_is_an_input_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(InputError, match="holds no"):
        tracking.import_journals(tmp_path, root=tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{closed_port()}")
    train(tmp_path)
    with pytest.raises(InputError, match="nothing imported"):
        tracking.import_journals(tmp_path / ".tracking", root=tmp_path)


def test_journal_that_cannot_be_written_is_an_input_error(tmp_path: Path):
    (tmp_path / ".tracking").write_text("a file where a folder should be")
    with pytest.raises(InputError, match="cannot be written"):
        train(tmp_path)


def test_first_use_by_two_processes_at_once(tmp_path: Path):
    processes = [child(tmp_path, name, "k1", 20, "end") for name in ("one", "two")]
    assert [process.wait(timeout=240) for process in processes] == [0, 0]
    found = runs(tmp_path)
    assert sorted((r.info.run_name, r.info.status) for r in found) == [
        ("one", "FINISHED"),
        ("two", "FINISHED"),
    ]
    assert [len(history(tmp_path, r.info.run_id, "train/loss")) for r in found] == [20, 20]


def test_server_of_make_ui_takes_and_shows_runs(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(run, "CLOSE_TIMEOUT_S", 60)
    monkeypatch.setattr(mlflow_store, "PROBE_TIMEOUT_S", 20)
    port = closed_port()
    (root / ".git").mkdir()
    link = tracking.log_comparison(note="a wins", experiment="a", key="k1", root=root)
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-m", "depthmask.tracking", "--port", str(port)]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=root, env=environment, stdout=log, stderr=log)
    try:
        uri = f"http://127.0.0.1:{port}"
        for _ in range(1200):
            try:
                urllib.request.urlopen(f"{uri}/health", timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.1)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        with tracking.start_run(experiment="best", key="k1", params={}, root=tmp_path) as taken:
            taken.log_metrics({"train/loss": float("nan")}, step=0)
            taken.log_metrics({"train/loss": 0.1}, step=1)
            taken.log_image("panels/epoch.png", np.zeros((4, 6, 3), np.uint8))
        address = f"{uri}/get-artifact?path=panels/epoch.png&run_uuid={taken.run_id}"
        with urllib.request.urlopen(address, timeout=10) as response:
            assert response.read(4) == b"\x89PNG"
    finally:
        process.terminate()
        process.wait(timeout=20)
    assert f"the comparison: {uri}/{link}\n" in (tmp_path / "log").read_text()
    assert history(root, taken.run_id, "train/loss")[1] == (1, 0.1)


def test_server_says_when_its_port_is_taken(root: Path):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with pytest.raises(InputError, match="in use"):
            server.serve(root, listener.getsockname()[1])


def test_server_is_not_started_beside_another(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example.org")
    with pytest.raises(InputError, match=r"mlflow\.example\.org"):
        server.serve(root, closed_port())
