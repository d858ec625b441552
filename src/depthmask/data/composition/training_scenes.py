"""What a training sees: scenes composed batch by batch on the device that trains."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from depthmask.config import CompositorParams
from depthmask.data.composition.compositor import Compositor
from depthmask.data.scenes.files import read_array
from depthmask.data.scenes.library import Frames, Library
from depthmask.data.scenes.placement import TRAIN_STREAM, Placer, Recipes
from depthmask.data.scenes.scene import Scene


class TrainingScenes(Protocol):
    """Batches in two steps: a loader's, which workers may make, and scenes on the device.

    `sizes` are the sides of every epoch's images, px; loaders begin with `epoch`, from 0. A last
    batch of one scene is left out of training: batch normalisation learns nothing from it.
    """

    def loader(
        self, split: str, count: int, batch_size: int, sizes: Sequence[int], epoch: int
    ) -> DataLoader:
        """Batches of `count` scenes to train on, or of all of `val`, the same in every epoch."""

    def scene(
        self, batch: Any, *, split: str, epoch: int, size: int, device: torch.device
    ) -> Scene[Tensor]:
        """A loader's batch as float32: see `Scene`."""


class ComposedScenes:
    """Composes every batch: see `TrainingScenes`. A loader's batches are the numbers of scenes.

    `placer` draws the training's recipes, `val` are the validation's.
    """

    def __init__(self, compositor: Compositor, placer: Placer, val: Recipes) -> None:
        self.compositor, self.placer, self.val = compositor, placer, val

    def loader(
        self, split: str, count: int, batch_size: int, sizes: Sequence[int], epoch: int
    ) -> DataLoader:
        is_training = split == "train"
        numbers: Any = range(count if is_training else len(self.val.plate))
        drop_last = is_training and count % batch_size == 1
        return DataLoader(numbers, batch_size, drop_last=drop_last, collate_fn=list)

    def scene(
        self, batch: list[int], *, split: str, epoch: int, size: int, device: torch.device
    ) -> Scene[Tensor]:
        """Compose the scenes of the given numbers."""
        if split == "train":
            recipes = self.placer.draw(TRAIN_STREAM, epoch, batch)
            others = self.placer.draw_others(recipes, epoch, batch)
        else:
            recipes, others = self.val.take(batch), None
        self.compositor.device = device
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            return self.compositor(recipes, size, others)


def read_compositor(
    library: Library, params: CompositorParams, augmented: Path | None, frames: Frames | None = None
) -> Compositor:
    """A compositor of the library's sources, of frames rendered for training and, where the folder
    is given, of the sources' variants."""
    if augmented is None:
        return Compositor(library, params, frames=frames)
    num_plates, num_cutouts = len(library.plates_of("train")), len(library.cutouts_of("train"))
    plates = (None, num_plates, *library.images.shape[1:])
    cutouts = (None, num_cutouts, *library.rgba.shape[1:3], 3)
    return Compositor(
        library,
        params,
        plate_variants=read_array(augmented / "plates_image.npy", shape=plates),
        cutout_variants=read_array(augmented / "cutouts_rgb.npy", shape=cutouts),
        frames=frames,
    )
