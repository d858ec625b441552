"""A network, its loss and its optimiser as Lightning sees them."""

import math
from typing import Any, NoReturn

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from depthmask.config import Optimizer, Scheduler
from depthmask.data.scenes.scene import Alignment, Scene
from depthmask.errors import TrainingDiverged
from depthmask.metrics import METRICS, SceneMetrics
from depthmask.models import PairModel, Prediction
from depthmask.models.depth_codec import decode_depth, encode_depth
from depthmask.models.losses import SceneLoss
from depthmask.training.optimization import build_optimizer, build_scheduler

VAL_METRICS = tuple(name for name in METRICS if name != "person_distance_error")
"""Measured every epoch: all but the one that takes as long as the others together."""


class DepthMaskModule(L.LightningModule):
    """One step serves train, val and test; metrics are logged as `split/name`.

    Args:
        model: bg, bg_fg -> `Prediction`.
        loss: the weighted terms of both heads.
        depth_range_m: see `depthmask.models.depth_codec`.
        alignment: of relative depth before it is measured; see `depthmask.metrics`.
    """

    def __init__(
        self,
        model: PairModel,
        loss: SceneLoss,
        *,
        optimizer: Optimizer,
        scheduler: Scheduler,
        depth_range_m: tuple[float, float],
        alignment: Alignment | None = None,
    ) -> None:
        super().__init__()
        self.model: PairModel = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.loss = loss
        self.optimizer_params, self.scheduler_params = optimizer, scheduler
        self.depth_range_m = depth_range_m
        self.val_metrics = SceneMetrics(alignment=alignment, names=VAL_METRICS)
        self.test_metrics = SceneMetrics(alignment=alignment)

    def _step(self, scene: Scene[Tensor], split: str) -> tuple[Tensor, Prediction]:
        bg = scene.bg.contiguous(memory_format=torch.channels_last)
        bg_fg = scene.bg_fg.contiguous(memory_format=torch.channels_last)
        prediction = self.model(bg, bg_fg)
        target = encode_depth(scene.depth, self.depth_range_m)
        total, terms = self.loss(prediction, scene.mask, target)
        # `loss_`: a loss term and a metric may both be called depth_rmse
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
            self._diverged(
                f"the loss is {total.item()} in epoch {self.current_epoch}, step {batch_idx}"
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
            self._diverged(f"the validation is not finite in epoch {self.current_epoch + 1}")
        self.log_dict({f"val/{name}": value for name, value in metrics.items()})
        self.val_metrics.reset()

    def _diverged(self, what: str) -> NoReturn:
        raise TrainingDiverged(
            f"{what}: lower train.optimizer.lr ({self.optimizer_params.lr:g}) or the experiment's"
            " weights"
        )

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = build_optimizer(self.optimizer_params, self.model, self.device.type)
        num_steps = int(self.trainer.estimated_stepping_batches)
        scheduler: Any = build_scheduler(self.scheduler_params, optimizer, num_steps=num_steps)
        return {"optimizer": optimizer, "lr_scheduler": scheduler}
