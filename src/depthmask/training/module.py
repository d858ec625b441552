"""A network, its loss and its optimiser as Lightning sees them."""

import math
from pathlib import Path
from typing import Any, NoReturn

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from depthmask.config import Experiment, TrainParams
from depthmask.data.scenes.files import read_json, read_summary
from depthmask.data.scenes.scene import REFERENCE_FOCAL, Alignment, Scene
from depthmask.errors import TrainingDiverged
from depthmask.metrics import METRICS, SceneMetrics
from depthmask.models import MODELS, PairModel, Prediction
from depthmask.models.depth_codec import encode_depth
from depthmask.models.losses import SceneLoss
from depthmask.training.optimization import build_optimizer, build_scheduler

VAL_METRICS = tuple(name for name in METRICS if name != "person_distance_error")
"""Measured every epoch: all but the one that takes as long as the others together."""


class DepthMaskModule(L.LightningModule):
    """One step serves train, val and test; metrics are logged as `split/name`.

    `depth_range_m` is what the depth head's 0 and 1 mean, (near, far); relative depth is aligned
    by `alignment` before it is measured: see `depthmask.metrics`.
    """

    def __init__(
        self,
        model: PairModel,
        loss: SceneLoss,
        params: TrainParams,
        *,
        depth_range_m: tuple[float, float],
        alignment: Alignment | None = None,
    ) -> None:
        super().__init__()
        self.model: PairModel = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.loss, self.params, self.depth_range_m = loss, params, depth_range_m
        self.val_metrics = SceneMetrics(alignment=alignment, names=VAL_METRICS)
        self.test_metrics = SceneMetrics(alignment=alignment)

    def _step(self, scene: Scene[Tensor], split: str) -> tuple[Tensor, Prediction]:
        prediction = self.model(scene.bg, scene.bg_fg)
        focal = self._focal(scene)
        scale = 1.0 if focal is None else REFERENCE_FOCAL / focal
        target = encode_depth(scene.depth * scale, self.depth_range_m)
        total, terms = self.loss(prediction, scene.mask, target)
        # `loss_`: a loss term and a metric may both be called depth_rmse
        values = {f"{split}/loss_{name}": value for name, value in terms.items()}
        values[f"{split}/loss"] = total
        options: dict[str, Any] = {"on_step": False, "on_epoch": True, "sync_dist": True}
        self.log_dict(values, batch_size=len(scene.mask), **options)
        return total, prediction

    def _focal(self, scene: Scene[Tensor]) -> Tensor | None:
        """The focal length in pixels, of which a network reads metres (Metric3D, Yin et al. 2023),
        over the last size: a smaller image is of a shorter lens, and its farthest room beyond the
        depth's range. None, of files, at every size."""
        share = scene.bg.shape[-2] / self.params.schedule[-1].size
        return None if scene.focal is None else scene.focal * share

    def training_step(self, scene: Scene[Tensor], batch_idx: int) -> Tensor:
        total, _ = self._step(scene, "train")
        # reading a value waits for a GPU, so there only every 50th step is looked at
        if (total.device.type == "cpu" or batch_idx % 50 == 0) and not torch.isfinite(total):
            self._diverged(f"the loss is {total} in epoch {self.current_epoch}, step {batch_idx}")
        return total

    def validation_step(self, scene: Scene[Tensor], batch_idx: int) -> None:
        _, prediction = self._step(scene, "val")
        found = prediction.decode(self.depth_range_m, self._focal(scene))
        self.val_metrics.update(*found, *scene[2:4])

    def test_step(self, scene: Scene[Tensor], batch_idx: int) -> None:
        _, prediction = self._step(scene, "test")
        found = prediction.decode(self.depth_range_m, self._focal(scene))
        self.test_metrics.update(*found, *scene[2:4])

    def on_validation_epoch_end(self) -> None:
        metrics = self.val_metrics.compute()
        if not all(math.isfinite(value) for value in metrics.values()):
            self._diverged(f"the validation is not finite in epoch {self.current_epoch + 1}")
        values = {f"val/{name}": value for name, value in metrics.items()}
        self.log_dict(values, sync_dist=True)
        self.val_metrics.reset()

    def _diverged(self, what: str) -> NoReturn:
        rate = f"train.optimizer.lr ({self.params.optimizer.lr:g})"
        raise TrainingDiverged(f"{what}: lower {rate} or the experiment's weights")

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = build_optimizer(self.params.optimizer, self.model, self.device.type)
        num_steps = int(self.trainer.estimated_stepping_batches)
        scheduler: Any = build_scheduler(self.params.scheduler, optimizer, num_steps=num_steps)
        return {"optimizer": optimizer, "lr_scheduler": scheduler}


def build_module(
    experiment: Experiment, params: TrainParams, *, prepared: Path, augmented: Path
) -> DepthMaskModule:
    """The network with fresh weights, its loss, optimiser and schedule; all of it from the seed."""
    L.seed_everything(params.seed, workers=True, verbose=False)
    summary = read_summary(prepared)
    statistics = read_json(augmented / "statistics.json", ("bg_fg_mean", "bg_fg_std"))
    # the data's own range where its depth has no metres
    near, far = summary.get("depth_range") or params.depth_range_m
    model = MODELS[experiment.model](
        mean=statistics["bg_fg_mean"],
        std=statistics["bg_fg_std"],
        mask_prior=params.mask_prior,
        depth_range_m=(near, far),
    )
    loss = SceneLoss(experiment.mask, experiment.depth)
    alignment = summary.get("depth_alignment")
    return DepthMaskModule(model, loss, params, depth_range_m=(near, far), alignment=alignment)
