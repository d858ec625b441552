"""A learning-rate range test (Smith 2017): the rate grows step by step until the loss breaks off.

Lightning's tuner runs it, on the scenes and the network that the experiment would train with.
"""

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import lightning as L
import numpy as np
import pandas as pd
from lightning.pytorch.tuner import Tuner

from depthmask.errors import InputError
from depthmask.hardware import Hardware
from depthmask.learning import Learner, SceneData
from depthmask.output import replaced_file

if TYPE_CHECKING:
    from depthmask.learning.file_data import FileData


@dataclass(frozen=True)
class RateRange:
    """What the test found.

    Attributes:
        rates: [N], the learning rate of each step, ascending.
        losses: [N], the smoothed training loss after it.
        suggested: the rate at which the loss falls steepest, or None if it never falls.
    """

    rates: np.ndarray
    losses: np.ndarray
    suggested: float | None

    def write_table(self, path: Path) -> None:
        """Write columns lr and loss as CSV."""
        with replaced_file(path) as temporary:
            table = pd.DataFrame({"lr": self.rates, "loss": self.losses})
            table.to_csv(temporary, index=False, float_format="%.6g")


def find_rate(
    learner: Learner,
    data: "SceneData | FileData",
    *,
    hardware: Hardware,
    min_lr: float,
    max_lr: float,
    num_steps: int,
) -> RateRange:
    """Train `num_steps` steps with a rate that grows in equal ratios from `min_lr` to `max_lr`.

    It stops early once the loss is four times its lowest. The learner's weights are what they
    were afterwards.

    Raises:
        InputError: if the rates do not rise, or there are too few steps for a suggestion.
    """
    if not 0 < min_lr < max_lr:
        raise InputError(f"--min-lr {min_lr:g} must lie between 0 and --max-lr {max_lr:g}")
    if num_steps < 20:
        raise InputError(f"--steps {num_steps} is too few to tell a slope: give 20 or more")
    with _quiet(), tempfile.TemporaryDirectory(prefix="depthmask-") as folder:
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
        finder = Tuner(trainer).lr_find(
            learner,
            datamodule=data,
            min_lr=min_lr,
            max_lr=max_lr,
            num_training=num_steps,
            update_attr=False,
        )
    assert finder is not None
    rates, losses = (np.array(finder.results[name], float) for name in ("lr", "loss"))
    known = np.isfinite(losses)
    # the first steps' average is still settling; the last ones have broken off
    suggested = finder.suggestion(skip_begin=5, skip_end=1) if known.sum() > 10 else None
    return RateRange(rates[known], losses[known], suggested)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
