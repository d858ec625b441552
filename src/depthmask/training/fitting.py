"""One training from its first step, or its last checkpoint, to its end; and its test."""

import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar, WeightAveraging
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from depthmask.data.scenes.files import replaced_file
from depthmask.data.scenes.scene import Scene
from depthmask.models.hardware import Hardware
from depthmask.training.callbacks import EpochListener, History, PlainProgress
from depthmask.training.module import DepthMaskModule
from depthmask.training.scene_data import SceneData

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"

for _message in (
    r".*isinstance\(treespec, LeafSpec\)",  # torch's deprecation, in Lightning's own code
    r".*Checkpoint directory .* exists and is not empty",  # a resume
    r".*does not have many workers",  # scenes are composed on the training device
):
    warnings.filterwarnings("ignore", message=_message)


class KeepPrevious(TorchCheckpointIO):
    """Writes beside a checkpoint's final name and renames; keeps the one before."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        path = Path(path)
        with replaced_file(path) as temporary:
            torch.save(checkpoint, temporary)
            if path.exists():
                path.replace(path.with_name(PREVIOUS))


def find_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that can be read; damaged ones are set aside, with a line on stderr."""
    for path in (folder / LAST, folder / PREVIOUS):
        if not path.exists():
            continue
        try:
            torch.load(path, map_location="cpu", weights_only=False)
            return path
        except Exception as error:  # whatever unpickling a damaged file raises
            aside = path.replace(path.with_suffix(".damaged"))
            reason = type(error).__name__
            print(f"depthmask: set aside {aside}, which cannot be read ({reason})", file=sys.stderr)
    return None


def fit(
    module: DepthMaskModule,
    data: SceneData,
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
        average: decay of the weights' moving average, which the module holds at the end; 0: none.
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
    averaging = (
        [WeightAveraging(use_buffers=True, multi_avg_fn=get_ema_multi_avg_fn(average))]
        if average > 0
        else []
    )
    keep = ModelCheckpoint(
        dirpath=checkpoints,
        filename=Path(LAST).stem,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    progress = TQDMProgressBar() if interactive else PlainProgress(label, data)
    trainer = L.Trainer(
        accelerator=hardware.device,
        devices=1,
        precision=hardware.precision,
        max_epochs=len(data.sizes),
        callbacks=[*averaging, progress, history, keep],
        plugins=[KeepPrevious()],
        logger=False,
        enable_model_summary=False,
        enable_progress_bar=interactive,
        num_sanity_val_steps=0,
        inference_mode=False,
    )
    trainer.fit(module, datamodule=data, ckpt_path=find_checkpoint(checkpoints), weights_only=False)
    for callback in averaging:  # a resume that finds nothing left to train skips this hook
        callback.on_train_end(trainer, module)
    return history.rows


def run_test(
    module: DepthMaskModule, scenes: Sequence[Scene[Tensor]], *, device: str
) -> dict[str, float]:
    """The mean of each metric over the batches of a test set, in float32, by Lightning's loop."""
    trainer = L.Trainer(
        accelerator=device,
        devices=1,
        precision="32-true",
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    module.test_metrics.reset()
    batches: Any = DataLoader(scenes, batch_size=None)  # type: ignore[arg-type]  # any sequence
    trainer.test(module, dataloaders=batches, verbose=False)
    return module.test_metrics.compute()
