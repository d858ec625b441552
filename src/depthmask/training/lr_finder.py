"""Lightning's learning-rate range test (Smith 2017): the rate grows until the loss breaks off."""

import contextlib
from pathlib import Path
from typing import Any

from lightning.pytorch.tuner import Tuner

from depthmask.errors import InputError, TrainingDiverged
from depthmask.models.hardware import Hardware
from depthmask.training.fitting import make_trainer
from depthmask.training.module import DepthMaskModule
from depthmask.training.scene_data import SceneData


def find_rate(
    module: DepthMaskModule,
    data: SceneData,
    path: Path,
    *,
    hardware: Hardware,
    min_lr: float,
    max_lr: float,
    num_steps: int,
) -> float:
    """Plot the loss of `num_steps` steps, the rate growing in equal ratios, to a PNG, and return
    the rate at which it falls steepest; the weights are left.

    Raises:
        InputError: if the rates do not rise, or the loss breaks off at once.
    """
    if not 0 < min_lr < max_lr < float("inf"):
        raise InputError(f"--min-lr {min_lr:g} must lie between 0 and --max-lr {max_lr:g}")
    path.parent.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {"max_steps": num_steps, "enable_checkpointing": False}
    options |= {"check_val_every_n_epoch": num_steps + 1, "num_sanity_val_steps": 0}  # never
    trainer = make_trainer(hardware, default_root_dir=path.parent, **options)
    rates: dict[str, Any] = {"min_lr": min_lr, "max_lr": max_lr, "num_training": num_steps}
    suggested = None
    with contextlib.suppress(TrainingDiverged):
        found = Tuner(trainer).lr_find(module, datamodule=data, update_attr=False, **rates)
        assert found is not None
        suggested = found.suggestion()
    if suggested is None:
        raise InputError(f"the loss breaks off too soon: lower --max-lr {max_lr:g} or --min-lr")
    found.plot(suggest=True).savefig(path)  # type: ignore[union-attr]
    return suggested
