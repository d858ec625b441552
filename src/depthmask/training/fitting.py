"""One training from its first step, or its last checkpoint, to its end."""

import logging
import warnings
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar, WeightAveraging
from torch.optim.swa_utils import get_ema_multi_avg_fn

from depthmask.models.hardware import Hardware
from depthmask.training.callbacks import EpochListener, History, PlainProgress, SizedData
from depthmask.training.module import Learner

HARMLESS = (
    r".*isinstance\(treespec, LeafSpec\)",  # torch's deprecation, in Lightning's own code
    r".*Checkpoint directory .* exists and is not empty",  # a resume
    r".*does not have many workers",  # scenes are composed on the training device
)


def fit(
    learner: Learner,
    data: SizedData,
    *,
    hardware: Hardware,
    average: float,
    checkpoints: Path,
    label: str,
    on_epoch: EpochListener,
    interactive: bool,
) -> list[dict[str, float]]:
    """Train to the end of the schedule, from the last checkpoint where there is one.

    Args:
        average: decay of the weights' moving average, which the learner holds at the end; 0: none.
        checkpoints: a folder that belongs to these parameters, data and code alone.
        label: what progress lines begin with.
        on_epoch: called with the epoch's number, from 1, and its figures.
        interactive: whether to draw a progress bar.

    Returns:
        The figures of each epoch, those before a resume included.

    Raises:
        TrainingDiverged: if the loss is not finite.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    history = History(data, on_epoch)
    progress = TQDMProgressBar() if interactive else PlainProgress(label, data)
    averaging = (
        [WeightAveraging(use_buffers=True, multi_avg_fn=get_ema_multi_avg_fn(average))]
        if average > 0
        else []
    )
    keep = ModelCheckpoint(
        dirpath=checkpoints,
        filename="last",
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    keep.FILE_EXTENSION = ".ckpt"
    trainer = L.Trainer(
        accelerator=hardware.device,
        devices=1,
        precision=hardware.precision,
        max_epochs=len(data.sizes),
        callbacks=[*averaging, progress, history, keep],
        logger=False,
        enable_model_summary=False,
        enable_progress_bar=interactive,
        num_sanity_val_steps=0,
        inference_mode=False,
    )
    last = checkpoints / "last.ckpt"
    with warnings.catch_warnings():
        for message in HARMLESS:
            warnings.filterwarnings("ignore", message=message)
        trainer.fit(learner, datamodule=data, ckpt_path=last if last.exists() else None)
    for callback in averaging:  # a resume that finds nothing left to train skips this hook
        callback.on_train_end(trainer, learner)
    return history.rows
