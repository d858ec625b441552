"""A learning-rate range test (Smith 2017) by Lightning's tuner: the rate grows step by step."""

import contextlib
import io
import logging
import tempfile
from typing import Any, NamedTuple

import lightning as L
import numpy as np
import pandas as pd
from lightning.pytorch.tuner import Tuner

from depthmask.errors import InputError, TrainingDiverged
from depthmask.models.hardware import Hardware
from depthmask.training.module import DepthMaskModule
from depthmask.training.scene_data import SceneData

_BETA = 0.98  # of Lightning's running mean of the loss
_WINDOW = 9


class RateRange(NamedTuple):
    """What the test found.

    Attributes:
        table: columns lr (ascending), loss and smoothed (over nine steps), a row a step.
        suggested: the rate at which the loss falls steepest, or None if it never falls.
    """

    table: pd.DataFrame
    suggested: float | None


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
    """Train `num_steps` steps with a rate that grows in equal ratios; weights stay what they were.

    It stops early once the loss is four times its lowest, or no number.

    Raises:
        InputError: if the rates do not rise, or there are too few steps for a suggestion.
    """
    if not 0 < min_lr < max_lr < np.inf:
        raise InputError(f"--min-lr {min_lr:g} must lie between 0 and --max-lr {max_lr:g}")
    if num_steps < 20:
        raise InputError(f"--steps {num_steps} is too few to tell a slope: give 20 or more")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    # Lightning's bar has no switch
    hidden = contextlib.nullcontext() if interactive else contextlib.redirect_stderr(io.StringIO())
    with hidden, tempfile.TemporaryDirectory() as folder:
        trainer = L.Trainer(
            accelerator=hardware.device,
            devices=1,
            precision=hardware.precision,
            max_steps=num_steps,
            limit_val_batches=0,
            default_root_dir=folder,
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
        )
        try:
            finder = Tuner(trainer).lr_find(
                module,
                datamodule=data,
                min_lr=min_lr,
                max_lr=max_lr,
                num_training=num_steps,
                update_attr=False,
            )
            assert finder is not None
            rates, averages = finder.results["lr"], finder.results["loss"]
        except TrainingDiverged:  # what its callback has until then is the answer
            recorder: Any = trainer.callbacks[0]  # type: ignore[attr-defined]
            rates, averages = recorder.lrs, recorder.losses
    losses = _losses(np.array(averages, float))
    table = pd.DataFrame({"lr": np.array(rates, float)[: len(losses)], "loss": losses})
    table = table[np.isfinite(losses)]
    if len(table) < 3:
        raise InputError(f"the loss is no number from the start: lower --min-lr {min_lr:g}")
    table["smoothed"] = table["loss"].rolling(_WINDOW, center=True, min_periods=1).mean()
    return RateRange(table, _steepest(table))


def _losses(averages: np.ndarray) -> np.ndarray:
    """The losses behind Lightning's running means, which lag by fifty steps.

    It divides them by the weights of one step too many.
    """
    steps = np.arange(1, len(averages) + 1)
    totals = averages * (1 - _BETA ** (steps + 1))
    return (totals - _BETA * np.concatenate([[0.0], totals[:-1]])) / (1 - _BETA)


def _steepest(table: pd.DataFrame) -> float | None:
    """Where the loss falls fastest over the logarithm of the rate; None if it never falls."""
    if len(table) <= 2 * _WINDOW:
        return None
    slope = np.gradient(table["smoothed"], np.log(table["lr"]))
    inner = slice(_WINDOW // 2, -(_WINDOW // 2))  # at the ends the window is cut
    place = int(slope[inner].argmin())
    return float(table["lr"].iloc[inner].iloc[place]) if slope[inner][place] < 0 else None
