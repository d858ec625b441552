"""What is told of a training while it runs."""

import time
from collections.abc import Callable
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from depthmask.training.scene_data import SceneData

EpochListener = Callable[[int, dict[str, float]], None]


class History(Callback):
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


class PlainProgress(Callback):
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
