"""A network, its loss and its optimiser as Lightning sees them."""

import math
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from depthmask.config import Optimizer, Scheduler
from depthmask.data.scenes.scene import Scene
from depthmask.errors import TrainingDiverged
from depthmask.metrics import METRICS, Alignment, SceneMetrics
from depthmask.models.depth_codec import decode_depth, encode_depth
from depthmask.models.losses import SceneLoss
from depthmask.training.optimization import build_optimizer, build_scheduler

VAL_METRICS = tuple(name for name in METRICS if name != "person_distance_error")
"""Measured every epoch: all but the one that takes as long as the others together."""


class Learner(L.LightningModule):
    """A network, its loss and its optimiser; one step serves train, val and test.

    Args:
        model: bg, bg_fg -> `Prediction`.
        loss: the weighted terms of both heads.
        depth_range_m: see `depthmask.models.depth_codec`.
        alignment: of relative depth before it is measured; see `depthmask.metrics`.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: SceneLoss,
        *,
        optimizer: Optimizer,
        scheduler: Scheduler,
        depth_range_m: tuple[float, float],
        alignment: Alignment | None = None,
    ) -> None:
        super().__init__()
        self.model = model.to(memory_format=torch.channels_last)
        self.loss = loss
        self.optimizer_params, self.scheduler_params = optimizer, scheduler
        self.depth_range_m = depth_range_m
        self.val_metrics = SceneMetrics(alignment=alignment, names=VAL_METRICS)
        self.test_metrics = SceneMetrics(alignment=alignment)

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
        self._measure(scene, "val", self.val_metrics)

    def test_step(self, scene: Scene[Tensor], batch_idx: int) -> None:
        self._measure(scene, "test", self.test_metrics)

    def _measure(self, scene: Scene[Tensor], split: str, metrics: SceneMetrics) -> None:
        _, prediction = self._step(scene, split)
        depth = None
        if prediction.depth_logits is not None:
            depth = decode_depth(prediction.depth_logits.float().sigmoid(), self.depth_range_m)
        mask = prediction.mask_logits.float().sigmoid()
        metrics.update(mask, depth, scene.mask, scene.depth)

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
        optimizer = build_optimizer(self.optimizer_params, self.parameters(), self.device.type)
        return {
            "optimizer": optimizer,
            "lr_scheduler": build_scheduler(
                self.scheduler_params,
                optimizer,
                num_steps=int(self.trainer.estimated_stepping_batches),
            ),
        }
