"""`dvc repro` under fire, on the profile `tiny`: killed at any moment, on a full disk, with dead
servers, beside others. `make soak` does all of it and kills it 20 times; the tests once."""

import contextlib
import importlib.util
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
import yaml
from mlflow.tracking import MlflowClient

from clone import Clone, free_port, stages_run

pytestmark = pytest.mark.slow

NUM_KILLS = int(os.environ.get("SOAK_KILLS", "1"))
of_soak = pytest.mark.skipif(NUM_KILLS == 1, reason="takes minutes: `make soak`")
LEFT_MB = (30, 60, 150)  # of a disk; a network's checkpoint takes 110


class Undisturbed(NamedTuple):
    clone: Clone
    first: str
    """The commit in which nothing has run."""
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
    """A command in a process group of its own, of which nothing is left; see `said`."""
    with (clone.folder.parent / f"{Path(command[0]).name}.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=clone.folder, env=clone.environment, stdout=log,
            stderr=subprocess.STDOUT, start_new_session=True, **options,
        )  # fmt: skip
    try:
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen) -> None:
    """With all that it has started, some in groups of their own, and wait until they are gone."""
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(process.pid).children(recursive=True)
        for member in (process, *children):
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(children, timeout=30)
    process.wait(60)


def said(clone: Clone) -> str:
    """What the last DVC has said, in a file beside the folder."""
    return (clone.folder.parent / "dvc.log").read_text()


def wait_until(is_so: Callable[[], object], process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 300
    while not is_so():
        assert process.poll() is None, "it ended before"
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    clone = Clone.of_working_tree(tmp_path_factory.mktemp("soak") / "clone", "bce_rmse")
    first, start = clone.git("rev-parse", "HEAD").strip(), time.monotonic()
    clone.repro()
    return Undisturbed(clone, first, outs(clone), time.monotonic() - start)


@pytest.fixture
def clone(undisturbed):
    """One in which nothing has run."""
    clone = undisturbed.clone
    clone.git("reset", "--quiet", "--hard", undisturbed.first)
    clone.git("clean", "-ffdxq")
    return clone


@pytest.mark.parametrize("number", range(NUM_KILLS))
def test_killed_at_any_moment_it_ends_as_if_it_had_not_been(undisturbed, clone, number):
    # beside other tests a run may be much faster than the undisturbed one
    latest = 0.9 if NUM_KILLS > 1 else 0.5
    moment = random.Random(number).uniform(0, latest) * undisturbed.seconds
    with started(clone, "dvc", "repro") as process:
        time.sleep(moment)
        assert process.poll() is None, "it ended before"
        children = psutil.Process(process.pid).children(recursive=True)
        stages = [each for each in children if "depthmask.stages" in " ".join(each.cmdline())]
        victim = ("all", "DVC", "the stage")[number % 3]
        if victim == "all":
            kill(process)
        else:
            (stages[0] if stages and victim == "the stage" else process).kill()
        assert process.wait(60) != 0
        # at once: what a killed DVC leaves behind may still be about to end
        again = clone.repro()
    print(f"{victim} after {moment:.0f} s, in {stages_run(said(clone))[-1:]}: {again} ran again")
    assert outs(clone) == undisturbed.outs
    assert finished(f"sqlite:///{clone.folder}/mlflow.db").keys() == {"bce_rmse"}


@of_soak
def test_a_second_one_refuses_and_the_first_goes_on(undisturbed, clone):
    with started(clone, "dvc", "repro") as process:
        wait_until(lambda: "Running stage 'train" in said(clone), process)
        refusal = clone.dvc("repro", code=255)
        assert "lock" in refusal or "busy" in refusal, refusal
        assert process.wait(600) == 0, said(clone)
    assert outs(clone) == undisturbed.outs


@of_soak
@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounts a small disk")
@pytest.mark.parametrize("left_mb", LEFT_MB)
def test_on_a_disk_with_room_again_it_goes_on(undisturbed, clone, tmp_path, left_mb):
    disk = tmp_path / "clone"  # what is said lies beside it
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", disk]).returncode:
        pytest.skip("mounting is not allowed")
    try:
        shutil.copytree(clone.folder, disk, symlinks=True, dirs_exist_ok=True)
        size = (shutil.disk_usage(disk).used >> 20) + left_mb
        subprocess.run(["mount", "-o", f"remount,size={size}m", disk], check=True)
        small = Clone(disk)
        with started(small, "dvc", "repro") as process:
            assert process.wait(600) != 0, "it has room"
        remedies = [line for line in said(small).splitlines() if "make room" in line]
        assert remedies or "No space left" in said(small), said(small)
        print(f"in {stages_run(said(small))[-1]}: {remedies}")
        subprocess.run(["mount", "-o", "remount,size=2g", disk], check=True)
        small.repro()
        assert outs(small) == undisturbed.outs
    finally:
        subprocess.run(["umount", "--lazy", disk])


def postgresql_program(name: str) -> str | None:
    """Debian has them beside the path."""
    places = [os.environ["PATH"], *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
    return shutil.which(name, path=os.pathsep.join(places))


@contextlib.contextmanager
def postgresql(clone: Clone, data: Path, port: int) -> Iterator[str]:
    """A server of the data in a folder; the address of its database."""
    own = {"user": "nobody"} if os.geteuid() == 0 else {}  # it refuses to be root's
    if not any(data.iterdir()):
        make = [postgresql_program("initdb"), "--username", "depthmask", "--auth", "trust"]
        subprocess.run([*make, data], check=True, stdout=subprocess.DEVNULL, cwd=data, **own)
    program, place = str(postgresql_program("postgres")), str(data)
    command = program, "-D", place, "-h", "127.0.0.1", "-p", str(port), "-k", place
    with started(clone, *command, **own) as process:
        wait_until(lambda: answers(port), process)
        yield f"postgresql+pg8000://depthmask@127.0.0.1:{port}/postgres"


@pytest.fixture(params=["sqlite", "postgresql"])
def serving(request, clone, tmp_path, monkeypatch):
    """Starts an MLflow server, and its database, that the clone's runs are told to."""
    is_postgresql = request.param == "postgresql"
    if is_postgresql and not (postgresql_program("initdb") and importlib.util.find_spec("pg8000")):
        pytest.skip("needs PostgreSQL and pg8000")
    ports = [free_port(), free_port()]
    uri = f"http://127.0.0.1:{ports[0]}"
    monkeypatch.setitem(clone.environment, "MLFLOW_TRACKING_URI", uri)
    data = Path(tempfile.mkdtemp())  # of which another user may see the folders above
    if is_postgresql and os.geteuid() == 0:
        shutil.chown(data, "nobody")

    @contextlib.contextmanager
    def serve() -> Iterator[str]:
        with contextlib.ExitStack() as stack:
            store = f"sqlite:///{data}/server.db"
            if is_postgresql:
                store = stack.enter_context(postgresql(clone, data, ports[1]))
            command = (
                "mlflow", "server", "--host", "127.0.0.1", "--port", str(ports[0]),
                "--workers", "1", "--backend-store-uri", store,
                "--artifacts-destination", str(tmp_path),
            )  # fmt: skip
            process = stack.enter_context(started(clone, *command))
            wait_until(lambda: answers(ports[0]), process)
            yield uri

    yield serve
    shutil.rmtree(data)


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


@of_soak
def test_what_a_dead_server_was_not_told_it_is_told_later(undisturbed, clone, serving):
    with contextlib.ExitStack() as servers:
        servers.enter_context(serving())
        with started(clone, "dvc", "repro") as process:
            wait_until(lambda: "epoch 1/" in said(clone), process)
            servers.close()
            assert process.wait(600) == 0, said(clone)
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
