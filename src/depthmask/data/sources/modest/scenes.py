"""Scenes from image files in MODEST's layout: decoded as bytes, in workers for training.

Samples follow from (seed, epoch), colours from (seed, epoch, index), whatever the workers.
"""

import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from depthmask.config import AugmentParams
from depthmask.data.composition.augmentation import build_transform
from depthmask.data.composition.training_scenes import (
    Draw,
    EpochOrder,
    as_it_is,
    processes,
)
from depthmask.data.scenes.images import open_upright
from depthmask.data.scenes.scene import Scene
from depthmask.data.work import num_cores
from depthmask.errors import InputError

_AUGMENT_STREAM = 200


def read_image(path: Path, size: int, mode: str = "RGB") -> np.ndarray:
    """Decode an image file as uint8, size x size x 3, or size x size of mode L; InputError."""
    image = np.array(open_upright(path, least=size).convert(mode))
    # up to a halving, bilinear interpolation skips no pixel, at a fifth of INTER_AREA's time
    method = cv2.INTER_AREA if len(image) > 2 * size else cv2.INTER_LINEAR
    return cv2.resize(image, (size, size), interpolation=method)


_read_plate = lru_cache(maxsize=1000)(read_image)  # a plate is in thousands of scenes


class FileScenes(Dataset[Scene[Tensor] | str]):
    """Reads batches of scenes from the rows of a table of `read_layout`, with the colour changes of
    `augment`, drawn for bg and for bg_fg apart, as the original did."""

    def __init__(
        self, folder: Path, table: pd.DataFrame, augment: AugmentParams | None = None
    ) -> None:
        self.folder, self.table, self.augment = folder, table, augment
        self._transform = build_transform(augment, 0) if augment else None

    def __len__(self) -> int:
        return len(self.table)

    def __getitems__(self, draws: Sequence[Draw]) -> Scene[Tensor] | str:
        """A batch, or why it cannot be read: an exception of a worker brings its traceback."""
        try:
            return self.read(draws)
        except InputError as error:
            return str(error)

    def read(self, draws: Sequence[Draw]) -> Scene[Tensor]:
        """Decode samples of one size S, px, as uint8: bg and bg_fg N x S x S x 3, mask and depth
        N x S x S, 255 for 1 and 0 the nearest; InputError on a file that is no image."""
        samples = []
        for draw in draws:
            row, size = self.table.iloc[draw.row], draw.size
            bg = _read_plate(self.folder / row["bg"], size)
            bg_fg = read_image(self.folder / row["bg_fg"], size)
            if self._transform and self.augment:
                # one stream: bg takes its numbers from it, then bg_fg others
                entropy = (self.augment.seed, _AUGMENT_STREAM, draw.epoch, draw.place)
                seed = np.random.SeedSequence(entropy).generate_state(1)[0]
                self._transform.set_random_seed(int(seed))
                bg, bg_fg = (self._transform(image=image)["image"] for image in (bg, bg_fg))
            maps = (read_image(self.folder / row[name], size, "L") for name in ("mask", "depth"))
            samples.append((bg, bg_fg, *maps))
        return Scene(*(torch.from_numpy(np.stack(field)) for field in zip(*samples, strict=True)))

    def batches(
        self, size: int, batch_size: int, device: torch.device | str = "cpu"
    ) -> Iterator[Scene[Tensor]]:
        """Every row in the table's order, as `to_unit` has it."""
        draws = list(EpochOrder(len(self), [size]))
        for start in range(0, len(draws), batch_size):
            yield to_unit(self.read(draws[start : start + batch_size]), device)


class FileTrainingScenes:
    """What training reads: see `depthmask.data.composition.training_scenes.TrainingScenes`."""

    def __init__(
        self, train: FileScenes, val: FileScenes, *, seed: int, num_workers: int | None = None
    ) -> None:
        self.train, self.val, self.seed = train, val, seed
        if num_workers is None:  # of the processes that train on this machine
            num_workers = max(1, num_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", 1)))
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
        is_training = split == "train"
        scenes, order = self.val, EpochOrder(len(self.val), sizes)
        if is_training:
            scenes, order = self.train, EpochOrder(len(self.train), sizes, count, seed=self.seed)
        order.set_epoch(epoch)
        # before the fork: OpenCV's threads do not come along, and a worker would wait for them
        cv2.setNumThreads(0)
        return DataLoader(
            scenes,
            batch_size,
            sampler=order,
            num_workers=self.num_workers,
            drop_last=is_training and len(order) % batch_size == 1,
            collate_fn=as_it_is,
            pin_memory=device.type == "cuda",
            # NCCL does not outlive a fork
            multiprocessing_context="spawn" if self.num_workers and processes()[1] > 1 else None,
        )

    def scene(self, batch: Scene[Tensor] | str, device: torch.device) -> Scene[Tensor]:
        return to_unit(batch, device)


def to_unit(batch: Scene[Tensor] | str, device: torch.device | str) -> Scene[Tensor]:
    """Bytes as float32 in 0..1: bg and bg_fg N x 3 x S x S, mask and depth N x 1 x S x S;
    InputError if the batch is the reason why it could not be read."""
    if isinstance(batch, str):
        raise InputError(batch)
    bg, bg_fg, mask, depth = (field.to(device, non_blocking=True) / 255 for field in batch[:4])
    return Scene(bg.permute(0, 3, 1, 2), bg_fg.permute(0, 3, 1, 2), mask[:, None], depth[:, None])
