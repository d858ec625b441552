"""What a training sees: scenes composed batch by batch on the device that trains."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from depthmask.config import CompositorParams
from depthmask.data.composition.compositor import Compositor, Plan, plan_scenes
from depthmask.data.scenes.files import read_array
from depthmask.data.scenes.library import Frames, Library
from depthmask.data.scenes.placement import TRAIN_STREAM, Placer, Recipes
from depthmask.data.scenes.scene import Scene


class TrainingScenes(Protocol):
    """Batches in two steps: a loader's, which workers may make, and scenes on the device.

    `sizes` are the sides of every epoch's images, px; loaders begin with `epoch`, from 0. Processes
    that train together share every batch to train on, and each validates with all of `val`. A last
    batch of one scene is left out of training: batch normalisation learns nothing from it.
    """

    def loader(
        self,
        split: str,
        count: int,
        batch_size: int,
        sizes: Sequence[int],
        epoch: int,
        device: torch.device,
    ) -> DataLoader:
        """Batches of `count` scenes to train on, or of all of `val`, the same in every epoch."""

    def scene(self, batch: Any, device: torch.device) -> Scene[Tensor]:
        """A loader's batch as float32: see `Scene`."""


class Draw(NamedTuple):
    """A sample: its epoch, its place in it, its row of the table, its side, px."""

    epoch: int
    place: int
    row: int
    size: int


class EpochOrder(Sampler[Draw]):
    """The samples of an epoch, `per_epoch` or every row, in an order shuffled anew when all were
    seen (seed None: the table's); `sizes` of each epoch's images, px, the last also of the rest.

    Of `per_epoch` a process that trains with others takes every so many-eth, and what does not go
    round is left out.
    """

    def __init__(
        self, num_rows: int, sizes: Sequence[int], per_epoch: int = 0, *, seed: int | None = None
    ) -> None:
        self.num_rows, self.sizes, self.seed, self.epoch = num_rows, sizes, seed, 0
        self.per_epoch = per_epoch or num_rows
        self.rank, self.num_processes = processes() if per_epoch else (0, 1)

    def set_epoch(self, epoch: int) -> None:  # Lightning calls this before each
        self.epoch = epoch

    def __len__(self) -> int:
        return self.per_epoch // self.num_processes

    def __iter__(self) -> Iterator[Draw]:
        epoch, size = self.epoch, self.sizes[min(self.epoch, len(self.sizes) - 1)]
        numbers = epoch * self.per_epoch + np.arange(self.per_epoch)
        passes, rows = np.divmod(numbers, self.num_rows)
        for number in np.unique(passes) if self.seed is not None else ():
            order = np.random.default_rng([self.seed, number]).permutation(self.num_rows)
            rows[passes == number] = order[rows[passes == number]]
        draws = (Draw(epoch, place, row, size) for place, row in enumerate(rows.tolist()))
        return islice(draws, self.rank, len(self) * self.num_processes, self.num_processes)


def processes() -> tuple[int, int]:
    """This process's number, from 0, and how many train together."""
    group = torch.distributed
    if group.is_available() and group.is_initialized():
        return group.get_rank(), group.get_world_size()
    return 0, 1


DrawRecipes = Callable[[Sequence[Draw]], tuple[Recipes, Recipes | None]]
"""The recipes of samples, and who else is in their rooms."""


class Plans(Dataset[Plan]):
    """Plans batches from their draws; it holds nothing of the device, and workers take it along."""

    def __init__(
        self,
        library: Library,
        params: CompositorParams,
        draw: DrawRecipes,
    ) -> None:
        self.library, self.params, self.draw = library, params, draw

    def __getitems__(self, draws: Sequence[Draw]) -> Plan:
        recipes, others = self.draw(draws)
        return plan_scenes(self.library, self.params, recipes, draws[0].size, others)


class ComposedScenes:
    """Composes every batch: see `TrainingScenes`. A loader's batches are plans.

    `placer` draws the training's recipes, `val` are the validation's. Workers plan ahead of a GPU,
    which need not wait; those of a CPU would take its cores.
    """

    def __init__(
        self,
        compositor: Compositor,
        placer: Placer,
        val: Recipes,
        *,
        num_workers: int | None = None,
    ) -> None:
        self.compositor, self.placer, self.val = compositor, placer, val
        self.num_workers = num_workers

    def loader(
        self,
        split: str,
        count: int,
        batch_size: int,
        sizes: Sequence[int],
        epoch: int,
        device: torch.device,
    ) -> DataLoader:
        is_training, num_workers = split == "train", 0
        draw: DrawRecipes = partial(_draw_val, self.val)
        order = EpochOrder(len(self.val.plate), sizes)
        if is_training:
            draw, order = partial(_draw_train, self.placer), EpochOrder(count, sizes, count)
            on_gpu = 2 if device.type == "cuda" else 0
            num_workers = on_gpu if self.num_workers is None else self.num_workers
        order.set_epoch(epoch)
        return DataLoader(
            Plans(self.compositor.library, self.compositor.params, draw),
            batch_size,
            sampler=order,
            num_workers=num_workers,
            # neither CUDA nor NCCL outlives a fork
            multiprocessing_context="spawn" if num_workers else None,
            persistent_workers=num_workers > 0,
            drop_last=is_training and len(order) % batch_size == 1,
            collate_fn=as_it_is,
        )

    def scene(self, batch: Plan, device: torch.device) -> Scene[Tensor]:
        """Compose the scenes of a plan."""
        self.compositor.device = device
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            return self.compositor.compose(batch)


def _draw_train(placer: Placer, draws: Sequence[Draw]) -> tuple[Recipes, Recipes]:
    epoch, places = draws[0].epoch, [draw.place for draw in draws]
    recipes = placer.draw(TRAIN_STREAM, epoch, places)
    return recipes, placer.draw_others(recipes, epoch, places)


def _draw_val(val: Recipes, draws: Sequence[Draw]) -> tuple[Recipes, None]:
    return val.take([draw.row for draw in draws]), None


def as_it_is(batch: Any) -> Any:
    return batch


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
