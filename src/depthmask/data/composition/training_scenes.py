"""What a training sees: scenes composed batch by batch on the device that trains."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from depthmask.config import CompositorParams, PlacementParams, TrainParams
from depthmask.data.composition.compositor import Compositor
from depthmask.data.composition.eval_sets import placed_recipes
from depthmask.data.scenes.files import read_array
from depthmask.data.scenes.library import Library
from depthmask.data.scenes.placement import TRAIN_STREAM, Placer, Recipes
from depthmask.data.scenes.scene import Scene


class TrainingScenes(Protocol):
    """Batches in two steps: a loader's, which workers may make, and scenes on the device.

    `sizes` are the sides of every epoch's images, px; loaders begin with `epoch`, from 0. A last
    batch of one scene is left out of training: batch normalisation learns nothing from it.
    """

    def train_loader(
        self, count: int, batch_size: int, sizes: Sequence[int], epoch: int
    ) -> DataLoader:
        """Batches of the `count` scenes of an epoch."""

    def val_loader(self, batch_size: int, sizes: Sequence[int], epoch: int) -> DataLoader:
        """Batches of the validation's scenes, the same in every epoch."""

    def scene(
        self, batch: Any, *, split: str, epoch: int, size: int, device: torch.device
    ) -> Scene[Tensor]:
        """A loader's batch as float32: see `Scene`."""


class ComposedScenes:
    """Composes every batch: see `TrainingScenes`.

    Args:
        compositor: makes scenes of recipes.
        placer: draws the training recipes.
        val: the validation recipes.
    """

    def __init__(self, compositor: Compositor, placer: Placer, val: Recipes) -> None:
        self.compositor, self.placer, self.val = compositor, placer, val

    def train_loader(
        self, count: int, batch_size: int, sizes: Sequence[int], epoch: int
    ) -> DataLoader:
        """Batches of the numbers of scenes."""
        numbers: Any = range(count)
        is_lone = count % batch_size == 1
        return DataLoader(numbers, batch_size, drop_last=is_lone, collate_fn=list)

    def val_loader(self, batch_size: int, sizes: Sequence[int], epoch: int) -> DataLoader:
        """Batches of the numbers of recipes."""
        numbers: Any = range(len(self.val.plate))
        return DataLoader(numbers, batch_size, collate_fn=list)

    def scene(
        self, batch: list[int], *, split: str, epoch: int, size: int, device: torch.device
    ) -> Scene[Tensor]:
        """Compose the scenes of the given numbers."""
        self.compositor.to(device)
        if split == "train":
            recipes = self.placer.draw(TRAIN_STREAM, epoch, batch)
        else:
            recipes = Recipes(*(column[batch] for column in self.val))
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            return self.compositor(recipes, size)


def read_composed_scenes(
    prepared: Path,
    augmented: Path | None,
    params: TrainParams,
    placement: PlacementParams,
    compositor: CompositorParams,
) -> ComposedScenes:
    """The scenes of a training, with the colour variants of `augmented`, where that is given.

    Raises:
        InputError: the data are missing or damaged.
    """
    library = Library.read(prepared)
    composer = read_compositor(library, compositor, augmented)
    # other seeds of a training see other draws; its validation stays the same
    draws = placement.model_copy(update={"seed": placement.seed + (params.seed << 32)})
    placer = Placer(
        library,
        read_array(prepared / "visible_shares.npy", shape=library.stands.shape[:2]),
        draws,
        nobody=params.nobody,
        num_variants=composer.num_variants,
    )
    return ComposedScenes(composer, placer, placed_recipes(prepared, "val", placement.seed))


def read_compositor(
    library: Library, params: CompositorParams, augmented: Path | None
) -> Compositor:
    """A compositor of the library's sources and, where the folder is given, their variants."""
    if augmented is None:
        return Compositor(library, params)
    sources = {
        "plates_image": (len(library.plates_of("train")), *library.images.shape[1:]),
        "cutouts_rgb": (len(library.cutouts_of("train")), *library.rgba.shape[1:3], 3),
    }
    plates, cutouts = (
        read_array(augmented / f"{name}.npy", shape=(None, *shape))
        for name, shape in sources.items()
    )
    return Compositor(library, params, plate_variants=plates, cutout_variants=cutouts)
