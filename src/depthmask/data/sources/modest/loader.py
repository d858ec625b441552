"""Batches of MODEST's scenes for training: decoded in workers, made numbers on the device.

Which samples an epoch has follows from (seed, epoch) and a sample's colours from (seed, epoch,
index), so the number of workers changes nothing and a run that is resumed goes on as if it had
never stopped.

Workers write bytes into memory that they share with the main process, a quarter of what numbers
would take, and write into it again when it has been read: fresh shared memory for each batch, as
a DataLoader takes, costs over half as much as decoding.
"""

import shutil
import weakref
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from depthmask.data.scenes.scene import Scene
from depthmask.data.sources.modest.scenes import BYTES_PER_PX, Draw, ModestScenes, scene_views
from depthmask.errors import InputError

_AHEAD = 2
"""How many batches a worker may be ahead of the main process."""


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


class SceneLoader:
    """Iterating over it is an epoch: Scenes of float32 in 0..1, on the device.

    bg and bg_fg are N x 3 x S x S (channels last in memory), mask and depth N x 1 x S x S.

    One epoch at a time: starting another ends one that is not finished. Shared memory (/dev/shm)
    holds 24 * batch_size * S² bytes for each worker, where S is the largest size.

    Args:
        scenes: what to read.
        order: of the samples; also the attribute `sampler`, of which Lightning sets the epoch,
            as it looks for `batch_sampler` beside it.
        batch_size: samples in a batch; the last may have fewer.
        num_workers: processes that decode; 0 decodes in this one.
        device: where the numbers are made.
        drop_last: leave out a last batch that is not full.

    Raises:
        InputError: while iterating: a file is missing, cut short, no image or of another size.
    """

    def __init__(
        self,
        scenes: ModestScenes,
        order: EpochOrder,
        batch_size: int,
        *,
        num_workers: int,
        device: torch.device | str = "cpu",
        drop_last: bool = False,
    ) -> None:
        self.scenes, self.sampler, self.device = scenes, order, torch.device(device)
        num_slots = max(1, num_workers) * (_AHEAD + 1)
        bytes_each = BYTES_PER_PX * batch_size * max(scenes.sizes) ** 2
        _check_shared_memory(num_slots * bytes_each if num_workers > 0 else 0)
        self._slots = torch.empty((num_slots, bytes_each), dtype=torch.uint8).share_memory_()
        self._batches = DataLoader(
            _Batches(scenes, self._slots),
            batch_size,
            sampler=order,
            num_workers=num_workers,
            prefetch_factor=_AHEAD if num_workers > 0 else None,
            collate_fn=_as_it_is,
            drop_last=drop_last,
            worker_init_fn=_start_worker,
        )
        self.batch_sampler = self._batches.batch_sampler
        self._memory = _Recycled()
        self._epoch: weakref.ref[Generator[Scene[Tensor], None, None]] | None = None

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Scene[Tensor]]:
        unfinished = self._epoch() if self._epoch is not None else None
        if unfinished is not None:
            unfinished.close()  # its workers would go on writing into the slots
        epoch = self._scenes()
        self._epoch = weakref.ref(epoch)
        return epoch

    def _scenes(self) -> Generator[Scene[Tensor], None, None]:
        # Each batch is read here before the next is asked for, so a worker that is _AHEAD batches
        # ahead finds the slot after those free.
        for written in self._batches:
            if isinstance(written, str):
                raise InputError(written)
            num_values = BYTES_PER_PX * written.count * written.size**2
            values = self._slots[written.slot, :num_values].numpy()
            batch = scene_views(self._memory.unit(values, self.device), written.count, written.size)
            yield Scene(
                bg=batch.bg.permute(0, 3, 1, 2),
                bg_fg=batch.bg_fg.permute(0, 3, 1, 2),
                mask=batch.mask[:, None],
                depth=batch.depth[:, None],
            )


def _check_shared_memory(num_bytes: int) -> None:
    """Linux lends more shared memory than there is, and kills who writes into it."""
    shared = Path("/dev/shm")
    if shared.is_dir() and num_bytes > (free := shutil.disk_usage(shared).free):
        raise InputError(
            f"workers need {num_bytes / 2**20:.0f} MiB of shared memory and {shared} has"
            f" {free / 2**20:.0f}: enlarge it (docker run --shm-size) or lower train.batch_size"
        )


class _Written(NamedTuple):
    slot: int
    count: int
    size: int


class _Batches(Dataset[_Written | str]):
    """Writes a batch into this worker's next slot and says which, or why it cannot be read.

    An exception that leaves a worker has the worker's traceback for a message: users get a line.
    """

    def __init__(self, scenes: ModestScenes, slots: Tensor) -> None:
        self.scenes, self.slots, self.done = scenes, slots, 0

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitems__(self, draws: list[Draw]) -> _Written | str:
        worker = get_worker_info()
        first = 0 if worker is None else worker.id * (_AHEAD + 1)
        slot = first + self.done % (_AHEAD + 1)
        self.done += 1
        try:
            self.scenes.read(draws, self.slots[slot].numpy())
        except InputError as error:
            return str(error)
        return _Written(slot, len(draws), self.scenes.size(draws[0].epoch))

    def __getitem__(self, draw: Draw) -> _Written | str:
        return self.__getitems__([draw])


def _as_it_is(written: _Written | str) -> _Written | str:
    return written


def _start_worker(_: int) -> None:
    cv2.setNumThreads(0)  # the workers are the threads


class _Recycled:
    """Memory for batches, lent again once nothing refers to what it was lent for.

    Linux hands out fresh memory page by page, zeroed: half the work of filling it once more.
    """

    def __init__(self) -> None:
        self._free: list[np.ndarray] = []

    def floats(self, count: int) -> np.ndarray:
        """A flat array of float32 with any content."""
        free = self._free.pop() if self._free else np.empty(0, np.float32)
        if len(free) < count:
            free = np.empty(count, np.float32)
        lent = free[:count]
        weakref.finalize(lent, self._free.append, free)
        return lent

    def unit(self, values: np.ndarray, device: torch.device) -> Tensor:
        """Flat bytes as numbers in 0..1; on a CPU in this memory, which the tensor holds on to."""
        if device.type == "cpu":
            # one thread: the workers have the rest
            lent = self.floats(len(values))
            return torch.from_numpy(np.divide(values, 255, out=lent, dtype=np.float32))
        # blocks until the bytes are read, for they are written again
        return torch.from_numpy(values).to(device).float().div_(255)
