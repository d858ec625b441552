"""Scenes from image files in MODEST's layout, decoded in workers.

A worker hands over bytes; they become numbers between 0 and 1 on the device that trains, which is
a quarter of the traffic. What a sample is depends on (seed, epoch, index) alone, so the number of
workers changes nothing and a run that is resumed goes on as if it had never stopped.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from depthmask.augmentation import build_transform
from depthmask.errors import InputError
from depthmask.params import AugmentParams
from depthmask.scene import Scene
from depthmask.sources.modest import image_side, read_image

_AUGMENT_STREAM = 200


class Draw(NamedTuple):
    """Which sample: its epoch, its place in it, and the row of the table it is taken from."""

    epoch: int
    index: int
    row: int


class Damaged(NamedTuple):
    """In the place of a batch: why it could not be read.

    An exception that leaves a worker arrives with the worker's traceback for a message; this is
    raised as one line by `to_scene`.
    """

    message: str


class EpochOrder(Sampler[Draw]):
    """The samples of an epoch, in an order that follows from the seed and the epoch alone.

    The rows are shuffled anew each time they are used up, not each epoch: every row is seen
    before one is seen twice, however many an epoch takes.

    Args:
        num_rows: of the table.
        per_epoch: how many samples an epoch has; by default every row.
        seed: of the shuffles; None for the table's order.
    """

    def __init__(
        self, num_rows: int, per_epoch: int | None = None, *, seed: int | None = None
    ) -> None:
        self.num_rows, self.seed, self.epoch = num_rows, seed, 0
        self.per_epoch = num_rows if per_epoch is None else per_epoch

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 0; Lightning calls this before each."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.per_epoch

    def __iter__(self) -> Iterator[Draw]:
        epoch = self.epoch
        for index, row in enumerate(self._rows(epoch).tolist()):
            yield Draw(epoch, index, row)

    def _rows(self, epoch: int) -> np.ndarray:
        start, end = epoch * self.per_epoch, (epoch + 1) * self.per_epoch
        if self.seed is None:
            return np.arange(self.per_epoch) % self.num_rows
        passes = range(start // self.num_rows, -(-end // self.num_rows))
        shuffled = [
            np.random.default_rng([self.seed, number]).permutation(self.num_rows)
            for number in passes
        ]
        begin = start - passes.start * self.num_rows
        return np.concatenate(shuffled)[begin : begin + self.per_epoch]


class ModestScenes(Dataset[Scene[Tensor] | Damaged]):
    """Reads batches of scenes: item `[draws]` is a batch, as bytes, for `to_scene`.

    A batch is a Scene of uint8 tensors: bg and bg_fg N x S x S x 3, RGB; mask and depth N x S x S,
    255 for 1. Depth is relative, as the files have it.

    Args:
        folder: the data set's.
        table: the rows of `depthmask.sources.modest.read_layout` to draw from.
        sizes: S of each epoch, px; the last holds for all that follow.
        augment: strengths of the colour changes, which are drawn for bg and for bg_fg apart, as
            the original did; None for no change. `num_variants` is of no concern here.

    Raises:
        InputError: the images are not square, or none of the first can be read.
    """

    def __init__(
        self,
        folder: Path,
        table: pd.DataFrame,
        *,
        sizes: Sequence[int],
        augment: AugmentParams | None = None,
    ) -> None:
        self.folder, self.sizes = os.fspath(folder), tuple(sizes)
        self.side = image_side(folder, table)
        # fixed-width bytes: Python's strings would be copied into every worker when counted
        self.paths = Scene(*(_packed(table[field]) for field in Scene._fields))
        self.augment = augment
        self._transform = None if augment is None else build_transform(augment, 0)
        self._plates: dict[bytes, np.ndarray] = {}
        self._plates_size = 0

    def __len__(self) -> int:
        return len(self.paths.bg)

    def __getitem__(self, draw: Draw) -> Scene[Tensor] | Damaged:
        return self.__getitems__([draw])

    def __getitems__(self, draws: Sequence[Draw]) -> Scene[Tensor] | Damaged:
        size = self.sizes[min(draws[0].epoch, len(self.sizes) - 1)]
        count = len(draws)
        batch = Scene(
            bg=np.empty((count, size, size, 3), np.uint8),
            bg_fg=np.empty((count, size, size, 3), np.uint8),
            mask=np.empty((count, size, size), np.uint8),
            depth=np.empty((count, size, size), np.uint8),
        )
        try:
            for place, draw in enumerate(draws):
                bg, bg_fg = self._colored(draw, size)
                batch.bg[place], batch.bg_fg[place] = bg, bg_fg
                batch.mask[place] = self._read(self.paths.mask[draw.row], size, grey=True)
                batch.depth[place] = self._read(self.paths.depth[draw.row], size, grey=True)
        except InputError as error:
            return Damaged(str(error))
        return Scene(*(torch.from_numpy(field) for field in batch))

    def _colored(self, draw: Draw, size: int) -> tuple[np.ndarray, np.ndarray]:
        bg = self._plate(self.paths.bg[draw.row], size)
        bg_fg = self._read(self.paths.bg_fg[draw.row], size)
        if self.augment is None or self._transform is None:
            return bg, bg_fg
        entropy = (self.augment.seed, _AUGMENT_STREAM, draw.epoch, draw.index)
        # one stream: bg takes its numbers from it, then bg_fg others
        self._transform.set_random_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))
        return self._transform(image=bg)["image"], self._transform(image=bg_fg)["image"]

    def _plate(self, path: bytes, size: int) -> np.ndarray:
        if size != self._plates_size:
            self._plates, self._plates_size = {}, size
        if path not in self._plates:
            self._plates[path] = self._read(path, size)
        return self._plates[path]

    def _read(self, path: bytes, size: int, *, grey: bool = False) -> np.ndarray:
        return read_image(
            os.path.join(self.folder, os.fsdecode(path)), size, side=self.side, grey=grey
        )


def _packed(paths: pd.Series) -> np.ndarray:
    return np.array([os.fsencode(path) for path in paths])


def scene_loader(
    dataset: ModestScenes,
    order: EpochOrder,
    batch_size: int,
    *,
    num_workers: int,
    drop_last: bool = False,
    pin_memory: bool = False,
) -> DataLoader:
    """Batches of the dataset in the order, for `to_scene`.

    Workers pass batches through shared memory (/dev/shm): each keeps two ahead, of
    8 * batch_size * S² bytes.

    Args:
        num_workers: processes that decode; 0 decodes here.
        drop_last: leave out a last batch that is not full.
        pin_memory: for a GPU.
    """
    return DataLoader(
        dataset,
        batch_size,
        sampler=order,
        num_workers=num_workers,
        collate_fn=_as_it_is,
        drop_last=drop_last,
        pin_memory=pin_memory,
        worker_init_fn=_start_worker,
    )


def _as_it_is(batch: Scene[Tensor] | Damaged) -> Scene[Tensor] | Damaged:
    return batch


def _start_worker(_: int) -> None:
    cv2.setNumThreads(0)  # the workers are the threads


def to_scene(
    batch: Scene[Tensor] | Damaged, device: torch.device | str | None = None
) -> Scene[Tensor]:
    """Turn a batch of `ModestScenes` into numbers, on the device (default: where it is).

    Returns:
        Scene of float32 in 0..1: bg and bg_fg N x 3 x S x S (channels last in memory), mask and
        depth N x 1 x S x S.

    Raises:
        InputError: a file of the batch is missing, cut short, no image or of another size.
    """
    if isinstance(batch, Damaged):
        raise InputError(batch.message)

    def unit(field: Tensor) -> Tensor:
        target = torch.device(device) if device is not None else field.device
        if target.type == "cpu":
            # NumPy asks Linux for huge pages and torch does not: half the time for large batches
            numbers = torch.from_numpy(np.empty(field.shape, np.float32)).copy_(field)
        else:
            numbers = field.to(target, non_blocking=True).float()
        return numbers.div_(255)

    return Scene(
        bg=unit(batch.bg).permute(0, 3, 1, 2),
        bg_fg=unit(batch.bg_fg).permute(0, 3, 1, 2),
        mask=unit(batch.mask)[:, None],
        depth=unit(batch.depth)[:, None],
    )
