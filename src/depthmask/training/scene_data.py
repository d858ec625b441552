"""The scenes of a training, composed on the device that trains."""

from collections.abc import Sequence
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from depthmask.config import SizeSchedule
from depthmask.data.composition.compositor import Compositor
from depthmask.data.scenes.placement import TRAIN_STREAM, Placer, Recipes
from depthmask.data.scenes.scene import Scene


class SizedData(L.LightningDataModule):
    """A data module whose images grow from epoch to epoch.

    Args:
        schedule: image sizes and for how many epochs each.
        scenes_per_epoch, batch_size: counts.

    Attributes:
        sizes: of every epoch's images, px.
        lone: whether the last batch is one scene, of which batch normalisation learns nothing.
    """

    trainer: L.Trainer  # type: ignore[assignment]  # there is one wherever it is asked

    def __init__(
        self, schedule: Sequence[SizeSchedule], scenes_per_epoch: int, batch_size: int
    ) -> None:
        super().__init__()
        self.sizes = [step.size for step in schedule for _ in range(step.epochs)]
        self.scenes_per_epoch, self.batch_size = scenes_per_epoch, batch_size
        self.lone = scenes_per_epoch % batch_size == 1

    def fix_size(self, size: int) -> None:
        """Train at one size, px, instead of the schedule's."""
        self.sizes = [size]

    @property
    def size(self) -> int:
        """The side of this epoch's images, px."""
        return self.sizes[min(self.trainer.current_epoch, len(self.sizes) - 1)]


class SceneData(SizedData):
    """Composes every batch on the device that trains.

    Args:
        compositor: makes scenes of recipes.
        placer: draws the training recipes.
        val: the validation recipes, the same in every epoch.
        schedule, scenes_per_epoch, batch_size: see `SizedData`.
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
        super().__init__(schedule, scenes_per_epoch, batch_size)
        self.compositor, self.placer, self.val = compositor, placer, val

    def train_dataloader(self) -> DataLoader:
        numbers: Any = range(self.scenes_per_epoch)
        return DataLoader(numbers, self.batch_size, drop_last=self.lone, collate_fn=list)

    def val_dataloader(self) -> DataLoader:
        numbers: Any = range(len(self.val.plate))
        return DataLoader(numbers, self.batch_size, collate_fn=list)

    def on_after_batch_transfer(self, batch: list[int], dataloader_idx: int) -> Scene[Tensor]:
        self.compositor.to(self.trainer.strategy.root_device)
        if self.trainer.training:
            recipes = self.placer.draw(TRAIN_STREAM, self.trainer.current_epoch, batch)
        else:
            recipes = Recipes(*(column[batch] for column in self.val))
        with torch.no_grad(), torch.autocast(self.compositor.device.type, enabled=False):
            return self.compositor(recipes, self.size)
