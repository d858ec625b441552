"""The scenes of a training as Lightning takes them."""

from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from depthmask.config import Composition, TrainParams
from depthmask.data.composition.training_scenes import TrainingScenes
from depthmask.data.scenes.files import read_summary
from depthmask.data.scenes.scene import Scene
from depthmask.data.sources import read_source
from depthmask.errors import InputError


class SceneData(L.LightningDataModule):
    """Scenes whose images grow from epoch to epoch; `sizes` are those of every epoch's, px."""

    trainer: L.Trainer  # type: ignore[assignment]  # there is one wherever it is asked

    def __init__(self, scenes: TrainingScenes, params: TrainParams) -> None:
        super().__init__()
        self.scenes, self.params = scenes, params
        self.sizes = [step.size for step in params.schedule for _ in range(step.epochs)]
        self.next_epoch = 0

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
        return self._loader("train", epoch)

    def val_dataloader(self) -> DataLoader:
        return self._loader("val", self.trainer.current_epoch)

    def _loader(self, split: str, epoch: int) -> DataLoader:
        count, batch_size = self.params.scenes_per_epoch, self.params.batch_size
        device = self.trainer.strategy.root_device
        share = batch_size // self.trainer.world_size if split == "train" else batch_size
        return self.scenes.loader(split, count, share, self.sizes, epoch, device)

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Scene[Tensor]:
        return self.scenes.scene(batch, device)


def assemble_data(
    params: TrainParams, composition: Composition, *, prepared: Path, augmented: Path | None
) -> SceneData:
    """The scenes of a training of the folder `prepared`, with the colour variants of `augmented`.

    Raises:
        InputError: if they were made with other parameters, are missing or damaged.
    """
    size, last = read_summary(prepared)["size"], params.schedule[-1].size
    if last != size:
        raise InputError(f"train.schedule must end at prepare.size, {size} px, not at {last}")
    scenes = read_source(prepared).training_scenes(prepared, augmented, params, composition)
    return SceneData(scenes, params)
