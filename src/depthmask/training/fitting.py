"""One training from its first step, or its last checkpoint, to its end; and its test."""

import logging
import math
import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, TQDMProgressBar, WeightAveraging
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from depthmask.data.scenes.files import replaced_file
from depthmask.data.scenes.scene import Scene
from depthmask.errors import InputError
from depthmask.metrics import mask_iou
from depthmask.models.hardware import Hardware
from depthmask.training.module import DepthMaskModule
from depthmask.training.scene_data import SceneData

EpochListener = Callable[[int, dict[str, float]], None]
LAST, PREVIOUS = "last.ckpt", "previous.ckpt"
AVERAGED_EVERY = 4  # steps: as good as every one, and spares 3 % of a step on a CPU
THRESHOLDS = sorted((percent / 100 for percent in range(20, 81, 2)), key=lambda t: abs(t - 0.5))

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
    """The newest checkpoint that can be read; damaged ones are set aside with a line on stderr, by
    the first process."""
    for path in filter(Path.exists, (folder / LAST, folder / PREVIOUS)):
        try:
            torch.load(path, map_location="cpu", weights_only=False)
            return path
        except Exception as error:  # whatever unpickling a damaged file raises
            if os.environ.get("RANK", "0") != "0":
                continue
            aside, reason = path.replace(path.with_suffix(".damaged")), type(error).__name__
            print(f"depthmask: set aside {aside}, which cannot be read ({reason})", file=sys.stderr)
    return None


class MovingAverage(WeightAveraging):
    """The exponential moving average of weights and buffers, kept on the device that trains."""

    def __init__(self, decay: float, device: torch.device) -> None:
        average = get_ema_multi_avg_fn(decay**AVERAGED_EVERY)
        super().__init__(device, use_buffers=True, multi_avg_fn=average)

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        return step_idx is not None and step_idx % AVERAGED_EVERY == 0


class EpochRows(Callback):
    """Keeps each epoch's figures, across a resume, prints them in a line that begins with `label`,
    if there is one, and calls `on_epoch` with the epoch's number, from 1, and them."""

    def __init__(self, data: SceneData, label: str | None, on_epoch: EpochListener) -> None:
        self.data, self.label, self.on_epoch = data, label, on_epoch
        self.rows: list[dict[str, float]] = []
        self.started = 0.0

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = list(state_dict["rows"])

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.started = time.perf_counter()

    # runs after the loop has gathered the epoch's train and val figures
    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        found = sorted(trainer.callback_metrics.items())
        figures = {name: float(value) for name, value in found if "/" in name}
        epoch, lr = trainer.current_epoch + 1, trainer.optimizers[0].param_groups[0]["lr"]
        self.rows.append({"epoch": epoch, "size": self.data.size, "lr": lr, **figures})
        if self.label is not None and trainer.is_global_zero:
            count = int(trainer.num_training_batches) * self.data.params.batch_size
            rate = count / (time.perf_counter() - self.started)
            shown = [
                f"{name.replace('/', ' ').replace('_', ' ')} {figures[name]:.3f}"
                for name in ("train/loss", "val/loss", "val/mask_iou", "val/depth_delta1")
                if name in figures
            ]
            start = f"{self.label}: epoch {epoch}/{trainer.max_epochs}, {self.data.size} px"
            print(f"{start}: {', '.join(shown)}, {rate:.0f} images/s", flush=True)
        self.on_epoch(epoch, self.rows[-1])


def make_trainer(
    hardware: Hardware, *callbacks: Callback, interactive: bool = False, **options: Any
) -> L.Trainer:
    """A Trainer that logs nothing by itself; `interactive`: with a progress bar."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    return L.Trainer(
        accelerator=hardware.device,
        precision="bf16-mixed" if hardware.bfloat16 else "32-true",
        benchmark=True,  # of cuDNN's algorithms: an epoch has one size
        callbacks=[*callbacks, *([TQDMProgressBar()] if interactive else [])],
        logger=False,
        enable_model_summary=False,
        enable_progress_bar=interactive,
        **{"devices": 1} | options,
    )


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
    """Train to the end of the schedule, from the last checkpoint where there is one; under torchrun
    together with its other processes, each with its share of every batch.

    `checkpoints` is a folder that belongs to these parameters, data and code alone; with `average`,
    a decay above 0, the module holds the weights' moving average at the end; `interactive` draws a
    progress bar in place of lines. Returns the figures of each epoch, those before a resume
    included; raises TrainingDiverged if the loss is not finite.
    """
    rows = EpochRows(data, None if interactive else label, on_epoch)
    number = f":{os.environ.get('LOCAL_RANK', 0)}" if hardware.device == "cuda" else ""
    ema = MovingAverage(average, torch.device(hardware.device + number))
    keep = ModelCheckpoint(
        dirpath=checkpoints,
        filename=Path(LAST).stem,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    # torchrun's, that train one network together
    num_processes, num_here = (int(os.environ.get(f"{n}WORLD_SIZE", 1)) for n in ("", "LOCAL_"))
    batch_size = data.params.batch_size
    if batch_size % num_processes or batch_size < 2 * num_processes:
        raise InputError(
            f"train.batch_size {batch_size} must be a multiple of the {num_processes} processes"
            " that share it, and two scenes each at least"
        )
    trainer = make_trainer(
        hardware,
        *([ema] if average > 0 else []),
        rows,
        keep,
        interactive=interactive,
        strategy="ddp" if num_processes > 1 else "auto",
        devices=num_here,
        num_nodes=num_processes // num_here,
        use_distributed_sampler=False,  # see TrainingScenes
        sync_batchnorm=num_processes > 1 and hardware.device == "cuda",  # torch has none for CPUs
        max_epochs=len(data.sizes),
        plugins=[KeepPrevious()],
        num_sanity_val_steps=0,
        inference_mode=False,
    )
    trainer.fit(module, datamodule=data, ckpt_path=find_checkpoint(checkpoints), weights_only=False)
    if average > 0:  # a resume that finds nothing left to train skips this hook
        ema.on_train_end(trainer, module)
    return rows.rows


@torch.inference_mode()
def centre_mask(module: DepthMaskModule, data: SceneData, *, device: str) -> float:
    """Shift the mask's logits so that one half is the threshold with the best mean IoU on
    validation, in float32, of equals the nearest; returns the threshold that it was."""
    model = module.model.eval().to(device)
    totals = torch.zeros(len(THRESHOLDS), dtype=torch.float64)
    params, where = data.params, torch.device(device)
    for batch in data.scenes.loader(
        "val", params.scenes_per_epoch, params.batch_size, data.sizes[-1:], 0, where
    ):
        scene = data.scenes.scene(batch, where)
        mask = model(scene.bg, scene.bg_fg).mask_logits.float().sigmoid()
        ious = [mask_iou((mask > t).float(), scene.mask).sum() for t in THRESHOLDS]
        totals += torch.stack(ious).cpu()
    best = THRESHOLDS[int(totals.numpy().argmax())]  # the first of equals
    model.mask.get_parameter("bias").sub_(math.log(best / (1 - best)))
    return best


def run_test(
    module: DepthMaskModule, scenes: Sequence[Scene[Tensor]], *, device: str
) -> dict[str, float]:
    """The mean of each metric over the batches of a test set, in float32, by Lightning's loop."""
    trainer = make_trainer(Hardware(device, bfloat16=False), enable_checkpointing=False)
    batches: Any = DataLoader(scenes, batch_size=None)  # type: ignore[arg-type]  # any sequence
    trainer.test(module, dataloaders=batches, verbose=False)
    return module.test_metrics.compute()
