"""A learning-rate range test (Smith 2017): the rate grows step by step until the loss breaks off.

Lightning's tuner runs it, on the scenes and the network that the experiment would train with.
"""

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning as L
import numpy as np
import pandas as pd
from lightning.pytorch.tuner import Tuner

from depthmask.data.scenes.files import replaced_file
from depthmask.errors import InputError, TrainingDiverged
from depthmask.models.hardware import Hardware
from depthmask.training import Learner, SceneData

if TYPE_CHECKING:
    from depthmask.training.file_data import FileData


_BETA = 0.98
"""Of Lightning's running mean of the loss."""

_WINDOW = 9


@dataclass(frozen=True)
class RateRange:
    """What the test found.

    Attributes:
        rates: [N], the learning rate of each step, ascending.
        losses: [N], the training loss of that step.
        smoothed: [N], their mean over nine steps around each.
        suggested: the rate at which the loss falls steepest, or None if it never falls.
    """

    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    suggested: float | None

    def write_table(self, path: Path) -> None:
        """Write columns lr, loss and smoothed as CSV."""
        with replaced_file(path) as temporary:
            table = pd.DataFrame({"lr": self.rates, "loss": self.losses, "smoothed": self.smoothed})
            table.to_csv(temporary, index=False, float_format="%.6g")


def find_rate(
    learner: Learner,
    data: "SceneData | FileData",
    *,
    hardware: Hardware,
    min_lr: float,
    max_lr: float,
    num_steps: int,
    interactive: bool,
) -> RateRange:
    """Train `num_steps` steps with a rate that grows in equal ratios from `min_lr` to `max_lr`.

    It stops early once the loss is four times its lowest, or no number. The weights are what they
    were afterwards.

    Args:
        interactive: whether to draw a progress bar.

    Raises:
        InputError: if the rates do not rise, or there are too few steps for a suggestion.
    """
    if not 0 < min_lr < max_lr < np.inf:
        raise InputError(f"--min-lr {min_lr:g} must lie between 0 and --max-lr {max_lr:g}")
    if num_steps < 20:
        raise InputError(f"--steps {num_steps} is too few to tell a slope: give 20 or more")
    with _quiet(interactive), tempfile.TemporaryDirectory(prefix="depthmask-") as folder:
        trainer = L.Trainer(
            accelerator=hardware.device,
            devices=1,
            precision=hardware.precision,
            max_steps=num_steps,
            limit_val_batches=0,
            num_sanity_val_steps=0,
            default_root_dir=folder,
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
        )
        try:
            finder = Tuner(trainer).lr_find(
                learner,
                datamodule=data,
                min_lr=min_lr,
                max_lr=max_lr,
                num_training=num_steps,
                update_attr=False,
            )
            assert finder is not None
            found = (finder.results["lr"], finder.results["loss"])
        except TrainingDiverged:
            # where the test was to go: what its callback has until then is the answer
            recorder: Any = trainer.callbacks[0]
            found = (recorder.lrs, recorder.losses)
    losses = _unsmoothed(np.array(found[1], float))
    rates = np.array(found[0], float)[: len(losses)]
    known = np.isfinite(losses)
    rates, losses = rates[known], losses[known]
    if len(rates) < 3:
        raise InputError(f"the loss is no number from the start: lower --min-lr {min_lr:g}")
    smoothed = pd.Series(losses).rolling(_WINDOW, center=True, min_periods=1).mean().to_numpy()
    return RateRange(rates, losses, smoothed, _steepest(rates, smoothed))


def _unsmoothed(averages: np.ndarray) -> np.ndarray:
    """The losses behind Lightning's running means.

    Those lag by fifty steps, and are divided by the weights of one step too many: the first of
    them is half of its loss.
    """
    steps = np.arange(1, len(averages) + 1)
    totals = averages * (1 - _BETA ** (steps + 1))
    return (totals - _BETA * np.concatenate([[0.0], totals[:-1]])) / (1 - _BETA)


def _steepest(rates: np.ndarray, smoothed: np.ndarray) -> float | None:
    """Where the loss falls fastest over the logarithm of the rate; None if it never falls."""
    if len(rates) <= 2 * _WINDOW:
        return None
    slope = np.gradient(smoothed, np.log(rates))
    inner = slice(_WINDOW // 2, -(_WINDOW // 2))  # at the ends the window is cut
    place = int(slope[inner].argmin())
    return float(rates[inner][place]) if slope[inner][place] < 0 else None


@contextlib.contextmanager
def _quiet(interactive: bool) -> Iterator[None]:
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.ExitStack() as stack:
            warnings.simplefilter("ignore")
            if not interactive:  # Lightning's bar has no switch
                stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
            yield
    finally:
        logger.setLevel(level)
