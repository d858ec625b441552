"""The test sets of a source whose scenes are image files."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from torch import Tensor

from depthmask.config import AugmentParams
from depthmask.data.scenes.files import read_summary, read_table
from depthmask.data.scenes.placement import next_alike
from depthmask.data.scenes.scene import COMPOSED_SETS, TEST_SETS, Scene, headline_of
from depthmask.data.sources.modest.loader import EpochOrder, SceneLoader
from depthmask.data.sources.modest.preparing import SAMPLES
from depthmask.data.sources.modest.scenes import ModestScenes

COLOURS = "colours.json"
"""What augment writes where scenes are files: the strengths to draw from while they are read."""


def read_samples(prepared: Path, name: str) -> tuple[Path, pd.DataFrame]:
    """The source's folder, and the rows of `train` or of a set.

    Raises:
        InputError: if the prepared data are missing or damaged.
    """
    summary = read_summary(prepared)
    table = read_table(prepared / SAMPLES, ("set", "plate", "cutout", *Scene._fields))
    return Path(summary["folder"]), table[table["set"] == name]


def file_scenes(
    prepared: Path, name: str, sizes: list[int], augment: AugmentParams | None = None
) -> ModestScenes:
    """The scenes of `train` or of a set, at the size of each epoch, px."""
    folder, table = read_samples(prepared, name)
    return ModestScenes(folder, table, sizes=sizes, augment=augment)


def some_training_scenes(prepared: Path, count: int, batch_size: int) -> SceneLoader:
    """Batches of at most `count` training scenes, spread over the split, as they are."""
    folder, table = read_samples(prepared, "train")
    rows = np.unique(np.linspace(0, len(table) - 1, min(count, len(table))).astype(int))
    scenes = ModestScenes(folder, table.iloc[rows], sizes=[read_summary(prepared)["size"]])
    return SceneLoader(scenes, EpochOrder(len(rows)), batch_size, num_workers=0)


class FileSets:
    """Sets of scenes that are files: see `eval_sets.SceneSets`. A plate's depth is not known.

    Args:
        prepared: the folder that prepare wrote.
        batch_size: scenes in a batch.
        device: where they end up.
    """

    def __init__(self, prepared: Path, batch_size: int, device: str) -> None:
        summary = read_summary(prepared)
        self.prepared, self.batch_size, self.device = prepared, batch_size, device
        self.size: int = summary["size"]
        self.unit, self.alignment = summary["unit"], summary["depth_alignment"]
        self.names = ("val", *(name for name in TEST_SETS if name in COMPOSED_SETS))
        self.headline = headline_of(self.names)
        self.leak_sets = ("seen_seen", "unseen_unseen")

    def scenes(self, name: str) -> Iterator[Scene[Tensor]]:
        """The batches of `val` or of a test set."""
        folder, table = read_samples(self.prepared, name)
        yield from self._read(folder, table)

    def plate_depths(self, name: str) -> Iterator[None]:
        """None for each batch of `scenes`."""
        count = len(read_samples(self.prepared, name)[1])
        yield from [None] * -(-count // self.batch_size)

    def origins(self, name: str) -> pd.DataFrame:
        """Columns plate and cutout: what each scene of a set was made of, by name."""
        table = read_samples(self.prepared, name)[1]
        return table[["plate", "cutout"]].astype(str).reset_index(drop=True)

    def empty_scenes(self) -> Iterator[Scene[Tensor]]:
        """No batch: every file has somebody in it."""
        yield from ()

    def empty_plates(self) -> list[str]:
        """None: see `empty_scenes`."""
        return []

    def pairs(self, name: str) -> Iterator[tuple[Scene[Tensor], Scene[Tensor], np.ndarray]]:
        """Batches of the set's scenes, and of others before the same plate's file."""
        folder, table = read_samples(self.prepared, name)
        rows, others = next_alike(table["bg"].to_numpy())
        if len(rows):
            yield from zip(
                self._read(folder, table.iloc[rows]),
                self._read(folder, table.iloc[others]),
                [rows[at : at + self.batch_size] for at in range(0, len(rows), self.batch_size)],
                strict=True,
            )

    def _read(self, folder: Path, table: pd.DataFrame) -> SceneLoader:
        scenes = ModestScenes(folder, table, sizes=[self.size])
        order = EpochOrder(len(scenes))
        return SceneLoader(scenes, order, self.batch_size, num_workers=0, device=self.device)
