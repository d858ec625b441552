"""The scenes of a training as Lightning takes them."""

from collections.abc import Sequence
from typing import Any

import lightning as L
from torch import Tensor
from torch.utils.data import DataLoader

from depthmask.config import SizeSchedule
from depthmask.data.composition.training_scenes import TrainingScenes
from depthmask.data.scenes.scene import Scene


class SceneData(L.LightningDataModule):
    """Scenes whose images grow from epoch to epoch.

    Args:
        scenes: of the source.
        schedule: image sizes and for how many epochs each.
        scenes_per_epoch, batch_size: counts.

    Attributes:
        sizes: of every epoch's images, px.
    """

    trainer: L.Trainer  # type: ignore[assignment]  # there is one wherever it is asked

    def __init__(
        self,
        scenes: TrainingScenes,
        *,
        schedule: Sequence[SizeSchedule],
        scenes_per_epoch: int,
        batch_size: int,
    ) -> None:
        super().__init__()
        self.scenes = scenes
        self.sizes = [step.size for step in schedule for _ in range(step.epochs)]
        self.scenes_per_epoch, self.batch_size = scenes_per_epoch, batch_size
        self.next_epoch = 0

    def fix_size(self, size: int) -> None:
        """Train at one size, px, instead of the schedule's."""
        self.sizes = [size]

    @property
    def size(self) -> int:
        """The side of this epoch's images, px."""
        return self.sizes[min(self.trainer.current_epoch, len(self.sizes) - 1)]

    def state_dict(self) -> dict[str, Any]:
        return {"next_epoch": self.trainer.current_epoch + 1}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.next_epoch = state_dict["next_epoch"]

    def train_dataloader(self) -> DataLoader:
        # workers fetch ahead before a resume has restored the epoch; later ones Lightning sets
        epoch = max(self.next_epoch, self.trainer.current_epoch)
        return self.scenes.train_loader(self.scenes_per_epoch, self.batch_size, self.sizes, epoch)

    def val_dataloader(self) -> DataLoader:
        return self.scenes.val_loader(self.batch_size, self.sizes, self.trainer.current_epoch)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Scene[Tensor]:
        return self.scenes.scene(
            batch,
            split="train" if self.trainer.training else "val",
            epoch=self.trainer.current_epoch,
            size=self.size,
            device=self.trainer.strategy.root_device,
        )
