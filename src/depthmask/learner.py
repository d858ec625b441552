"""Training with Lightning: the only module that knows it.

A batch is a list of sample numbers; the data module turns it into scenes on the training device.
Nothing random happens outside the counter-based recipes and the seeded first weights, so that a
run resumed at an epoch's end goes on exactly as if it had never stopped.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, TQDMProgressBar, WeightAveraging
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from depthmask.compositor import Compositor
from depthmask.errors import TrainingDiverged
from depthmask.hardware import Hardware
from depthmask.losses import SceneLoss
from depthmask.metrics import SceneMetrics
from depthmask.models.depth_codec import decode_depth, encode_depth
from depthmask.params import Optimizer, Scheduler, SizeSchedule
from depthmask.placement import TRAIN_STREAM, Placer, Recipes
from depthmask.scene import Scene

EpochListener = Callable[[int, dict[str, float]], None]


class SceneData(L.LightningDataModule):
    """Composes every batch on the device that trains.

    Args:
        compositor: makes scenes of recipes.
        placer: draws the training recipes.
        val: the validation recipes, the same in every epoch.
        schedule: image sizes and for how many epochs each.
        scenes_per_epoch, batch_size: counts; a last batch that is not full is left out.
    """

    def __init__(
        self,
        compositor: Compositor,
        placer: Placer,
        val: Recipes,
        *,
        schedule: Sequence[SizeSchedule],
        scenes_per_epoch: int,
        batch_size: int,
    ) -> None:
        super().__init__()
        self.compositor, self.placer, self.val = compositor, placer, val
        self.sizes = [step.size for step in schedule for _ in range(step.epochs)]
        self.scenes_per_epoch, self.batch_size = scenes_per_epoch, batch_size

    @property
    def size(self) -> int:
        """The side of this epoch's images, px."""
        return self.sizes[min(self.trainer.current_epoch, len(self.sizes) - 1)]

    def train_dataloader(self) -> DataLoader:
        numbers = range(self.scenes_per_epoch)
        return DataLoader(numbers, self.batch_size, drop_last=True, collate_fn=list)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(range(len(self.val.plate)), self.batch_size, collate_fn=list)

    def on_after_batch_transfer(self, batch: list[int], dataloader_idx: int) -> Scene[Tensor]:
        self.compositor.to(self.trainer.strategy.root_device)
        if self.trainer.training:
            recipes = self.placer.draw(TRAIN_STREAM, self.trainer.current_epoch, batch)
        else:
            recipes = Recipes(*(column[batch] for column in self.val))
        with torch.no_grad(), torch.autocast(self.compositor.noise.device.type, enabled=False):
            return self.compositor(recipes, self.size)


class Learner(L.LightningModule):
    """A network, its loss and its optimiser; one step serves train and val.

    Args:
        model: bg, bg_fg -> `Prediction`.
        loss: the weighted terms of both heads.
        depth_range_m: see `depthmask.models.depth_codec`.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: SceneLoss,
        *,
        optimizer: Optimizer,
        scheduler: Scheduler,
        depth_range_m: tuple[float, float],
    ) -> None:
        super().__init__()
        self.model = model.to(memory_format=torch.channels_last)
        self.loss = loss
        self.optimizer_params, self.scheduler_params = optimizer, scheduler
        self.depth_range_m = depth_range_m
        self.val_metrics = SceneMetrics()

    def _step(self, scene: Scene[Tensor], split: str) -> tuple[Tensor, Any]:
        bg = scene.bg.contiguous(memory_format=torch.channels_last)
        bg_fg = scene.bg_fg.contiguous(memory_format=torch.channels_last)
        prediction = self.model(bg, bg_fg)
        target = encode_depth(scene.depth, self.depth_range_m)
        total, terms = self.loss(prediction, scene.mask, target)
        # apart from the metrics: a loss term and a metric may both be called depth_rmse
        values = {f"{split}/loss_{name}": value for name, value in terms.items()}
        self.log_dict(
            {f"{split}/loss": total, **values},
            on_step=False,
            on_epoch=True,
            batch_size=len(scene.mask),
        )
        return total, prediction

    def training_step(self, scene: Scene[Tensor], batch_idx: int) -> Tensor:
        total, _ = self._step(scene, "train")
        # reading a value waits for a GPU, so there only every 50th step is looked at
        if (total.device.type == "cpu" or batch_idx % 50 == 0) and not torch.isfinite(total):
            raise TrainingDiverged(
                f"the loss is {total.item()} in epoch {self.current_epoch}, step {batch_idx}: lower"
                f" train.optimizer.lr ({self.optimizer_params.lr:g}) or the experiment's weights"
            )
        return total

    def validation_step(self, scene: Scene[Tensor], batch_idx: int) -> None:
        _, prediction = self._step(scene, "val")
        depth = None
        if prediction.depth_logits is not None:
            depth = decode_depth(prediction.depth_logits.float().sigmoid(), self.depth_range_m)
        mask = prediction.mask_logits.float().sigmoid()
        self.val_metrics.update(mask, depth, scene.mask, scene.depth)

    def on_validation_epoch_end(self) -> None:
        metrics = self.val_metrics.compute()
        if not all(math.isfinite(value) for value in metrics.values()):
            raise TrainingDiverged(
                f"the validation is not finite in epoch {self.current_epoch + 1}: lower"
                f" train.optimizer.lr ({self.optimizer_params.lr:g}) or the experiment's weights"
            )
        self.log_dict({f"val/{name}": value for name, value in metrics.items()})
        self.val_metrics.reset()

    def configure_optimizers(self) -> dict[str, Any]:
        chosen, steps = self.optimizer_params, int(self.trainer.estimated_stepping_batches)
        if chosen.name == "sgd":
            optimizer: torch.optim.Optimizer = torch.optim.SGD(
                self.parameters(),
                lr=chosen.lr,
                momentum=chosen.momentum,
                weight_decay=chosen.weight_decay,
            )
        else:
            optimizer = torch.optim.AdamW(
                self.parameters(),
                lr=chosen.lr,
                betas=(chosen.momentum, 0.999),
                weight_decay=chosen.weight_decay,
                fused=self.device.type in ("cpu", "cuda"),  # half the time of a step's update
            )
        warmup = self.scheduler_params.warmup

        def factor(step: int) -> float:
            done = step / max(1, steps)
            if self.scheduler_params.name == "constant":
                return 1.0
            if done < warmup:
                return 0.04 + 0.96 * done / warmup
            return 0.5 + 0.5 * math.cos(math.pi * min(1.0, (done - warmup) / (1 - warmup + 1e-9)))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


class _History(Callback):
    """Hands each epoch's figures to a listener, and keeps them across a resume."""

    def __init__(self, data: SceneData, listener: EpochListener) -> None:
        self.data, self.listener = data, listener
        self.rows: list[dict[str, float]] = []

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = list(state_dict["rows"])

    # runs after the loop has gathered the epoch's train and val figures
    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        figures = {
            name: float(value)
            for name, value in sorted(trainer.callback_metrics.items())
            if "/" in name
        }
        row = {
            "epoch": trainer.current_epoch + 1,
            "size": self.data.size,
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
            **figures,
        }
        self.rows.append(row)
        self.listener(trainer.current_epoch + 1, row)


class _PlainProgress(Callback):
    """A line an epoch where there is no terminal, and one after the first steps."""

    def __init__(self, label: str, data: SceneData) -> None:
        self.label, self.data = label, data
        self.started = 0.0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.started = time.perf_counter()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        if trainer.current_epoch == 0 and index == 4:
            self._say(trainer, f"first steps done, loss {float(outputs['loss']):.3f}", 5)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        figures = trainer.callback_metrics
        shown = [
            f"{name.replace('/', ' ').replace('_', ' ')} {float(figures[name]):.3f}"
            for name in ("train/loss", "val/loss", "val/mask_iou", "val/depth_delta1")
            if name in figures
        ]
        self._say(trainer, ", ".join(shown), int(trainer.num_training_batches))

    def _say(self, trainer: L.Trainer, what: str, steps: int) -> None:
        rate = steps * self.data.batch_size / (time.perf_counter() - self.started)
        epoch = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        print(
            f"{self.label}: {epoch}, {self.data.size} px: {what}, {rate:.0f} images/s", flush=True
        )


def fit(
    learner: Learner,
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
    history = _History(data, on_epoch)
    progress = TQDMProgressBar() if interactive else _PlainProgress(label, data)
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
    trainer.fit(learner, datamodule=data, ckpt_path=last if last.exists() else None)
    for callback in averaging:  # a resume that finds nothing left to train skips this hook
        callback.on_train_end(trainer, learner)
    return history.rows
