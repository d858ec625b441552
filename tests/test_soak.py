"""`dvc repro` under fire, on the profile `tiny`: killed at any moment, on a full disk, with a dead
MLflow server, two at once. `make soak` kills it 20 times; the tests once."""

import contextlib
import importlib.util
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
import yaml
from mlflow.tracking import MlflowClient

from clone import Clone, stages_run

pytestmark = pytest.mark.slow

NUM_KILLS = int(os.environ.get("SOAK_KILLS", "1"))
of_soak = pytest.mark.skipif(NUM_KILLS == 1, reason="takes minutes: `make soak`")
SIZES_MB = (-6, 30, 150)  # that a disk has left: a network's checkpoint takes 110


class Undisturbed(NamedTuple):
    clone: Clone
    outs: dict[str, str]
    seconds: float


def outs(clone: Clone) -> dict[str, str]:
    """The hash of every output that DVC has recorded, by its path."""
    lock = yaml.safe_load((clone.folder / "dvc.lock").read_text())
    return {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage["outs"]}


def finished(uri: str) -> dict[str, dict[str, float]]:
    """The figures of every run, each of which must have ended well, by name."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("depthmask")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    names = [run.info.run_name for run in runs]
    assert len(names) == len(set(names)), names
    return {run.info.run_name: run.data.metrics for run in runs}


@contextlib.contextmanager
def started(clone: Clone, *command: str, **options: Any) -> Iterator[subprocess.Popen]:
    """A command in a process group of its own, of which nothing is left."""
    with (clone.folder.parent / f"{command[0]}.log").open("a") as log:
        process = subprocess.Popen(
            command, cwd=clone.folder, env=clone.environment, stdout=log,
            stderr=subprocess.STDOUT, start_new_session=True, **options,
        )  # fmt: skip
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def said(clone: Clone, command: str = "dvc") -> str:
    return (clone.folder.parent / f"{command}.log").read_text()


def wait_until(is_so, process: subprocess.Popen) -> None:
    while not is_so():
        assert process.poll() is None, "it ended before"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    clone = Clone.of_working_tree(tmp_path_factory.mktemp("soak") / "clone", "bce_rmse")
    start = time.monotonic()
    clone.repro()
    return Undisturbed(clone, outs(clone), time.monotonic() - start)


@pytest.fixture
def clone(undisturbed):
    """One in which nothing has run."""
    clone = undisturbed.clone
    clone.git("clean", "-ffdxq")
    (clone.folder.parent / "dvc.log").unlink(missing_ok=True)
    return clone


@pytest.mark.parametrize("number", range(NUM_KILLS))
def test_killed_at_any_moment_it_ends_as_if_it_had_not_been(undisturbed, clone, number):
    chance = random.Random(number)
    moment = time.monotonic() + chance.uniform(0, undisturbed.seconds)
    victim = chance.choice(("all", "dvc", "stage"))
    with started(clone, "dvc", "repro") as process:
        wait_until(lambda: stages_run(said(clone)), process)
        refusal = clone.dvc("repro", code=255)
        assert "lock" in refusal or "busy" in refusal, refusal
        time.sleep(max(0.0, moment - time.monotonic()))
        stages = psutil.Process(process.pid).children(recursive=True)
        if victim == "all":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            (stages[-1] if stages and victim == "stage" else process).kill()
        process.wait()
        ran = stages_run(said(clone))
        # at once: what a killed DVC leaves behind may still be about to end
        print(f"{victim} killed in {ran[-1]}: {clone.repro()} ran again")
    assert outs(clone) == undisturbed.outs
    assert finished(f"sqlite:///{clone.folder}/mlflow.db").keys() == {"bce_rmse"}


@of_soak
@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounts a small disk")
@pytest.mark.parametrize("left_mb", SIZES_MB)
def test_on_a_disk_with_room_again_it_goes_on(undisturbed, clone, tmp_path, left_mb):
    disk = tmp_path / "disk"
    disk.mkdir()
    used = sum(path.lstat().st_size for path in clone.folder.rglob("*")) >> 20
    size = f"size={used + left_mb + 8}m"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", disk]).returncode:
        pytest.skip("mounting is not allowed")
    try:
        shutil.copytree(clone.folder, disk / "clone", symlinks=True)
        small = Clone(disk / "clone")
        free = shutil.disk_usage(disk).free >> 20
        with started(small, "dvc", "repro") as process:
            assert process.wait() != 0, f"{free} MB are enough"
        remedies = [line for line in said(small).splitlines() if "make room" in line]
        assert remedies or "No space left" in said(small), said(small)
        print(f"{free} MB left, {stages_run(said(small))[-1]}: {remedies}")
        (disk / "dvc.log").unlink()
        subprocess.run(["mount", "-o", "remount,size=2g", disk], check=True)
        small.repro()
        assert outs(small) == undisturbed.outs
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


@contextlib.contextmanager
def postgresql(clone: Clone, data: Path, port: int) -> Iterator[str]:
    """A server of the data in a folder; the address of its database."""
    own = {"user": "nobody"} if os.geteuid() == 0 else {}  # it refuses to be root's
    if not any(data.iterdir()):
        make = ["initdb", "--username", "depthmask", "--auth", "trust", "--pgdata", data]
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL, cwd=data, **own)
    command = "postgres", "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", str(data)
    with started(clone, *command, **own) as process:
        wait_until(lambda: answers(port), process)
        yield f"postgresql+pg8000://depthmask@127.0.0.1:{port}/postgres"


@pytest.fixture(params=["sqlite", "postgresql"])
def serving(request, clone, tmp_path):
    """Starts an MLflow server, and its database, that the clone's runs are told to."""
    ports = [free_port(), free_port()]
    clone.environment["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{ports[0]}"
    data = Path(tempfile.mkdtemp())  # of which another user may see the folders above
    if request.param == "postgresql":
        if not shutil.which("initdb") or importlib.util.find_spec("pg8000") is None:
            pytest.skip("needs PostgreSQL and pg8000")
        if os.geteuid() == 0:
            shutil.chown(data, "nobody")

    @contextlib.contextmanager
    def serve() -> Iterator[str]:
        with contextlib.ExitStack() as stack:
            store = f"sqlite:///{data}/server.db"
            if request.param == "postgresql":
                store = stack.enter_context(postgresql(clone, data, ports[1]))
            command = (
                "mlflow", "server", "--host", "127.0.0.1", "--port", str(ports[0]),
                "--workers", "1", "--backend-store-uri", store,
                "--artifacts-destination", str(tmp_path),
            )  # fmt: skip
            process = stack.enter_context(started(clone, *command))
            wait_until(lambda: answers(ports[0]), process)
            yield clone.environment["MLFLOW_TRACKING_URI"]

    yield serve
    del clone.environment["MLFLOW_TRACKING_URI"]
    shutil.rmtree(data)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def answers(port: int) -> bool:
    with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


@of_soak
def test_what_a_dead_server_was_not_told_it_is_told_later(undisturbed, clone, serving):
    with contextlib.ExitStack() as servers:
        servers.enter_context(serving())
        with started(clone, "dvc", "repro") as process:
            wait_until(lambda: "epoch 1/" in said(clone), process)
            servers.close()
            assert process.wait() == 0, said(clone)
    assert "MLflow is left out" in said(clone)
    assert outs(clone) == undisturbed.outs
    with serving() as uri:
        clone.repro("--force", "--single-item", "export")
        figures = finished(uri)["bce_rmse"]
    assert {"train/loss", "val/mask_iou", "test/in_scene/mask_iou"} <= figures.keys()


@of_soak
@pytest.mark.parametrize("serving", ["postgresql"], indirect=True)
def test_four_trials_at_once_share_a_server(clone, serving):
    rates = {f"trial-{number}": number / 1000 for number in range(1, 5)}
    with serving() as uri:
        clone.repro("augment")
        clone.commit("prepared")
        trials = {name: f"train.optimizer.lr={rate}" for name, rate in rates.items()}
        clone.run_queue("train@bce_rmse", trials)
        client = MlflowClient(uri)
        runs = client.search_runs([client.get_experiment_by_name("depthmask").experiment_id])
    found = {
        run.data.tags["dvc.experiment"]: float(run.data.params["train.optimizer.lr"])
        for run in runs
        if run.info.status == "FINISHED" and "val/mask_iou" in run.data.metrics
    }
    assert found == rates and len(runs) == len(rates)
