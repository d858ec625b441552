"""Scenes from image files in MODEST's layout, as bytes.

What a sample is depends on (seed, epoch, index) alone: see `depthmask.data.sources.modest.loader`.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd
from torch import Tensor

from depthmask.config import AugmentParams
from depthmask.data.composition.augmentation import build_transform
from depthmask.data.scenes.scene import Scene
from depthmask.data.sources.modest import image_side, read_image

BYTES_PER_PX = 8
"""Of a scene: three of bg, three of bg_fg, one of mask, one of depth."""

_AUGMENT_STREAM = 200
_MOST_PLATES = 1000

Array = TypeVar("Array", np.ndarray, Tensor)


class Draw(NamedTuple):
    """Which sample: its epoch, its place in it, and the row of the table it is taken from."""

    epoch: int
    index: int
    row: int


class ModestScenes:
    """Reads scenes of a data set, at the size that the epoch has.

    Args:
        folder: the data set's.
        table: the rows of `depthmask.data.sources.modest.read_layout` to draw from.
        sizes: side of each epoch's images, px; the last holds for all that follow.
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
        # a recipe written as files may have a plate a scene, of which none comes twice
        self._keeps_plates = len(np.unique(self.paths.bg)) <= _MOST_PLATES
        self._plates: dict[bytes, np.ndarray] = {}
        self._plates_size = 0

    def __len__(self) -> int:
        return len(self.paths.bg)

    def size(self, epoch: int) -> int:
        """Side of the epoch's images, px."""
        return self.sizes[min(epoch, len(self.sizes) - 1)]

    def read(self, draws: Sequence[Draw], memory: np.ndarray | None = None) -> Scene[np.ndarray]:
        """Decode a batch.

        Args:
            draws: samples of one epoch.
            memory: uint8, flat, at least `BYTES_PER_PX` * N * S * S: where to write the batch.

        Returns:
            Scene of uint8: bg and bg_fg N x S x S x 3, RGB; mask and depth N x S x S, 255 for 1.
            Depth is relative, as the files have it.

        Raises:
            InputError: a file is missing, cut short, no image or of another size.
        """
        size = self.size(draws[0].epoch)
        if memory is None:
            memory = np.empty(BYTES_PER_PX * len(draws) * size * size, np.uint8)
        batch = scene_views(memory, len(draws), size)
        for place, draw in enumerate(draws):
            batch.bg[place], batch.bg_fg[place] = self._colored(draw, size)
            batch.mask[place] = self._read(self.paths.mask[draw.row], size, grey=True)
            batch.depth[place] = self._read(self.paths.depth[draw.row], size, grey=True)
        return batch

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
        if not self._keeps_plates:
            return self._read(path, size)
        if size != self._plates_size:
            self._plates, self._plates_size = {}, size
        if path not in self._plates:
            self._plates[path] = self._read(path, size)
        return self._plates[path]

    def _read(self, path: bytes, size: int, *, grey: bool = False) -> np.ndarray:
        return read_image(
            os.path.join(self.folder, os.fsdecode(path)), size, side=self.side, grey=grey
        )


def scene_views(memory: Array, count: int, size: int) -> Scene[Array]:
    """The fields of a batch, one after another in flat memory: an array's or a tensor's."""
    area = count * size * size
    return Scene(
        bg=memory[: 3 * area].reshape(count, size, size, 3),
        bg_fg=memory[3 * area : 6 * area].reshape(count, size, size, 3),
        mask=memory[6 * area : 7 * area].reshape(count, size, size),
        depth=memory[7 * area : 8 * area].reshape(count, size, size),
    )


def _packed(paths: pd.Series) -> np.ndarray:
    return np.array([os.fsencode(path) for path in paths])
