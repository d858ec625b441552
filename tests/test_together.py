"""Several processes that train one network: the same as one, each scene once, one that writes."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
import torch
from safetensors.torch import load_file

from synthetic import write_synthetic
from test_stages import write_params

SRC = Path(__file__).parents[1] / "src"
STEPS = """
import os
import torch
from pathlib import Path

from depthmask.config import Optimizer
from depthmask.models.losses import SceneLoss
from test_fitting import make_data, make_module, run

sgd = Optimizer(name="sgd", lr=0.05, momentum=0.9, weight_decay=0.0)
module, data, seen = make_module(optimizer=sgd), make_data(), []
module.loss = SceneLoss({"bce": 1}, {"l1": 2})  # means over scenes, which a root is not
# torch shares no batch's statistics between CPUs: with those of the start a batch is a sum
module.model.body[1].eval()
compose = data.scenes.scene

def compose_and_tell(plan, device):
    if data.trainer.training:
        seen.append(plan.recipes.uniforms[:, 0].tolist())
    return compose(plan, device)

data.scenes.scene = compose_and_tell
rows = run(module, data, Path("checkpoints"))
torch.save((rows, module.state_dict(), seen), f"{os.environ['RANK']}.pt")
"""


LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone"]


def make_environment() -> dict[str, str]:
    paths = f"{SRC}{os.pathsep}{Path(__file__).parent}"
    return os.environ | {"PYTHONPATH": paths, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}


def torchrun(num_processes: int, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [*LAUNCH, f"--nproc-per-node={num_processes}", *arguments]
    options: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 300}
    return subprocess.run(command, cwd=cwd, env=make_environment(), **options)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """By the number of processes, of each its rows, weights and the scenes of its batches."""
    found = {}
    for count in (1, 2):
        folder = tmp_path_factory.mktemp(f"of_{count}")
        (folder / "steps.py").write_text(STEPS)
        ended = torchrun(count, "steps.py", cwd=folder)
        assert ended.returncode == 0, ended.stderr
        found[count] = [torch.load(folder / f"{n}.pt", weights_only=False) for n in range(count)]
    return found


def test_two_train_to_the_losses_and_the_weights_of_one(trained):
    [(rows, weights, _)] = trained[1]
    for other_rows, other_weights, _ in trained[2]:
        pd.testing.assert_frame_equal(pd.DataFrame(other_rows), pd.DataFrame(rows), rtol=1e-4)
        torch.testing.assert_close(other_weights, weights, rtol=1e-3, atol=1e-5)
    assert rows[0]["train/loss"] > rows[-1]["train/loss"]


def test_both_share_every_batch(trained):
    [(_, _, alone)] = trained[1]
    (_, _, first), (_, _, second) = trained[2]
    assert len(alone) == len(first) == len(second) == 6
    for whole, evens, odds in zip(alone, first, second, strict=True):
        assert (evens, odds) == (whole[::2], whole[1::2])
    assert len({number for batch in alone for number in batch}) == 48


def test_one_of_them_writes(tmp_path):
    write_synthetic(tmp_path)
    write_params(tmp_path, seeds=[0, 1], batch_size=4)
    ended = torchrun(2, "-m", "depthmask.stages.train", "bce_rmse", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    folder = tmp_path / "models/experiments/bce_rmse"
    for seed in (0, 1):
        assert load_file(folder / f"seed_{seed}/model.safetensors")
        for line in ("depthmasknet8 on", "epoch 2/2", "the best threshold"):
            assert ended.stdout.count(f"bce_rmse (seed {seed}): {line}") == 1
    assert not list((tmp_path / "models/experiments").glob(".*"))


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path):
    write_synthetic(tmp_path)
    write_params(tmp_path, batch_size=5)
    ended = torchrun(2, "-m", "depthmask.stages.train", "bce_rmse", cwd=tmp_path)
    assert ended.returncode != 0 and not (tmp_path / "models/experiments/bce_rmse").exists()
    assert "train.batch_size 5 must be a multiple of the 2 processes" in ended.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_they_end_with_a_dvc_that_is_killed(tmp_path):
    write_synthetic(tmp_path)
    write_params(tmp_path, batch_size=4, scenes_per_epoch=100_000)
    command = [*LAUNCH, "--nproc-per-node=2", "-m", "depthmask.stages.train", "bce_rmse"]
    run = "import subprocess, sys; subprocess.run(sys.argv[1:])"
    environment = make_environment() | {"DVC_STAGE": "train"}
    dvc = psutil.Popen([sys.executable, "-c", run, *command], cwd=tmp_path, env=environment)
    family, limit = [], time.monotonic() + 120
    while not list(tmp_path.glob(".checkpoints/*/*")) and len(family) < 3:
        family = dvc.children(recursive=True)
        assert time.monotonic() < limit
        time.sleep(0.2)
    time.sleep(10)  # until they watch
    dvc.kill()
    _, alive = psutil.wait_procs(family, timeout=60)
    assert not alive
