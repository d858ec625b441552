"""The scenes of a training that come from image files, decoded in workers."""

from collections.abc import Sequence
from typing import Any

from depthmask.config import SizeSchedule
from depthmask.data.sources.modest.loader import EpochOrder, SceneLoader
from depthmask.data.sources.modest.scenes import ModestScenes
from depthmask.training.scene_data import SizedData


class FileData(SizedData):
    """Reads every batch from files; what `SceneData` is for recipes.

    Args:
        train, val: what to read; both know the size of each epoch.
        schedule: image sizes and for how many epochs each.
        scenes_per_epoch, batch_size: counts; a last batch of one scene is left out, since batch
            normalisation learns nothing from it.
        num_workers: processes that decode.
        seed: of the order.
    """

    def __init__(
        self,
        train: ModestScenes,
        val: ModestScenes,
        *,
        schedule: Sequence[SizeSchedule],
        scenes_per_epoch: int,
        batch_size: int,
        num_workers: int,
        seed: int,
    ) -> None:
        super().__init__(schedule, scenes_per_epoch, batch_size)
        self.train, self.val = train, val
        self.num_workers = num_workers
        self.order = EpochOrder(len(train), scenes_per_epoch, seed=seed)
        self.next_epoch = 0

    def state_dict(self) -> dict[str, Any]:
        return {"next_epoch": self.trainer.current_epoch + 1}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.next_epoch = state_dict["next_epoch"]

    def fix_size(self, size: int) -> None:
        super().fix_size(size)
        self.train.sizes = self.val.sizes = (size,)

    def train_dataloader(self) -> SceneLoader:
        # workers fetch ahead before a resume has restored the epoch; later ones Lightning sets
        self.order.set_epoch(max(self.next_epoch, self.trainer.current_epoch))
        return self._loader(self.train, self.order, drop_last=self.lone)

    def val_dataloader(self) -> SceneLoader:
        # the table's order, at this epoch's size
        order = EpochOrder(len(self.val))
        order.set_epoch(self.trainer.current_epoch)
        return self._loader(self.val, order, drop_last=False)

    def _loader(self, scenes: ModestScenes, order: EpochOrder, *, drop_last: bool) -> SceneLoader:
        return SceneLoader(
            scenes,
            order,
            self.batch_size,
            num_workers=self.num_workers,
            device=self.trainer.strategy.root_device,
            drop_last=drop_last,
        )
