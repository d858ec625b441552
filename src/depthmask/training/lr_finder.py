"""A learning-rate range test (Smith 2017): the rate grows until the loss breaks off."""

import contextlib
import copy
from typing import Any, NamedTuple

import lightning as L
import numpy as np
import pandas as pd
from lightning.pytorch.callbacks import Callback

from depthmask.errors import InputError, TrainingDiverged
from depthmask.models.hardware import Hardware
from depthmask.training.fitting import make_trainer
from depthmask.training.module import DepthMaskModule
from depthmask.training.scene_data import SceneData

_WINDOW = 9


class RateRange(NamedTuple):
    """A row a step, and the rate at which the loss falls steepest; None if it never falls."""

    table: pd.DataFrame  # columns lr, ascending, loss and smoothed, over nine steps
    suggested: float | None


class _RisingRate(Callback):
    """Sets each step's rate; ends the training at a loss four times its lowest, or no number."""

    def __init__(self, rates: np.ndarray) -> None:
        self.rates, self.losses = rates, list[float]()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        trainer.strategy.lr_scheduler_configs = []

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = self.rates[len(self.losses)]

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        self.losses.append(float(outputs["loss"]))
        means = pd.Series(self.losses).rolling(_WINDOW, min_periods=1).mean()
        trainer.should_stop = not (self.losses[-1] < np.inf and means.iloc[-1] < 4 * means.min())


def find_rate(
    module: DepthMaskModule,
    data: SceneData,
    *,
    hardware: Hardware,
    min_lr: float,
    max_lr: float,
    num_steps: int,
    interactive: bool,
) -> RateRange:
    """Train a copy `num_steps` steps with a rate that grows in equal ratios.

    Raises:
        InputError: if the rates do not rise, or the loss is no number from the start.
    """
    if not 0 < min_lr < max_lr < np.inf:
        raise InputError(f"--min-lr {min_lr:g} must lie between 0 and --max-lr {max_lr:g}")
    rates = np.geomspace(min_lr, max_lr, num_steps)
    rising = _RisingRate(rates)
    trainer = make_trainer(
        hardware,
        rising,
        interactive=interactive,
        max_steps=num_steps,
        limit_val_batches=0,
        enable_checkpointing=False,
    )
    with contextlib.suppress(TrainingDiverged):  # the steps until then are the answer
        trainer.fit(copy.deepcopy(module), datamodule=data)
    table = pd.DataFrame({"lr": rates[: len(rising.losses)], "loss": rising.losses})
    table = table[np.isfinite(table["loss"])]
    if len(table) < 3:
        raise InputError(f"the loss is no number from the start: lower --min-lr {min_lr:g}")
    table["smoothed"] = table["loss"].rolling(_WINDOW, center=True, min_periods=1).mean()
    return RateRange(table, _steepest(table))


def _steepest(table: pd.DataFrame) -> float | None:
    """Where the loss falls fastest over the logarithm of the rate; None if it never falls."""
    if len(table) <= 2 * _WINDOW:
        return None
    slope = np.gradient(table["smoothed"], np.log(table["lr"]))
    inner = slice(_WINDOW // 2, -(_WINDOW // 2))  # at the ends the window is cut
    place = int(slope[inner].argmin())
    return float(table["lr"].iloc[inner].iloc[place]) if slope[inner][place] < 0 else None
