"""Plates and cutouts packed into arrays: a data set is a folder of a dozen files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from depthmask.data.scenes.files import read_array, read_table
from depthmask.data.scenes.scene import Camera, Cutout, Plate

_PLATE_COLUMNS = ["name", "split", "focal", "up_x", "up_y", "up_z", "height_m"]
_CUTOUT_COLUMNS = ["name", "split", "metres_per_px", "foot_u", "foot_v", "height_m"]

_ARRAYS = {
    "images": ("plates_image.npy", np.uint8, "P S S 3"),
    "depths": ("plates_depth.npy", np.float32, "P S S"),
    "stands": ("plates_stands.npy", np.float32, "P K 3"),
    "rgba": ("cutouts_rgba.npy", np.uint8, "C h w 4"),
    "relief": ("cutouts_relief.npy", np.float32, "C h w"),
}
"""Of a library's arrays: file, type and shape; lengths in metres."""


@dataclass(frozen=True)
class Library:
    """Plates and cutouts, each row of a table, with its split, beside its arrays (`_ARRAYS`)."""

    plates: pd.DataFrame
    images: np.ndarray
    depths: np.ndarray
    stands: np.ndarray
    cutouts: pd.DataFrame
    rgba: np.ndarray
    relief: np.ndarray

    @property
    def size(self) -> int:
        """Side of a plate, px."""
        return self.images.shape[1]

    def camera(self, plate: int) -> Camera:
        row = self.plates.iloc[plate]
        return Camera(row.focal, (row.up_x, row.up_y, row.up_z), row.height_m)

    def focals(self, plates: np.ndarray) -> np.ndarray:
        """Focal lengths in heights of the plate, float32 [N, 1, 1, 1]."""
        return self.plates.focal.to_numpy(np.float32)[plates].reshape(-1, 1, 1, 1)

    def plates_of(self, split: str) -> np.ndarray:
        """Indices of a split's plates."""
        return np.flatnonzero(self.plates.split == split)

    def cutouts_of(self, split: str) -> np.ndarray:
        """Indices of a split's cutouts."""
        return np.flatnonzero(self.cutouts.split == split)

    @classmethod
    def pack(
        cls,
        plates: Sequence[Plate],
        plate_splits: Sequence[str],
        cutouts: Sequence[Cutout],
        cutout_splits: Sequence[str],
    ) -> "Library":
        """Pack sources, each with its split, into tables and arrays."""
        plate_rows = [
            (plate.name, split, plate.camera.focal, *plate.camera.up, plate.camera.height_m)
            for plate, split in zip(plates, plate_splits, strict=True)
        ]
        cutout_rows = [
            (cutout.name, split, cutout.metres_per_px, *cutout.foot, cutout.height_m)
            for cutout, split in zip(cutouts, cutout_splits, strict=True)
        ]
        return cls(
            plates=pd.DataFrame(plate_rows, columns=_PLATE_COLUMNS),
            images=np.stack([plate.image for plate in plates]),
            depths=np.stack([plate.depth for plate in plates]).astype(np.float32),
            stands=np.stack([plate.stands for plate in plates]).astype(np.float32),
            cutouts=pd.DataFrame(cutout_rows, columns=_CUTOUT_COLUMNS),
            rgba=np.stack([cutout.rgba for cutout in cutouts]),
            relief=np.stack([cutout.relief for cutout in cutouts]).astype(np.float32),
        )

    def write(self, folder: Path) -> None:
        """Write the tables and the arrays into an existing folder."""
        self.plates.to_parquet(folder / "plates.parquet")
        self.cutouts.to_parquet(folder / "cutouts.parquet")
        for name, (file, *_) in _ARRAYS.items():
            np.save(folder / file, getattr(self, name))

    @classmethod
    def read(cls, folder: Path) -> "Library":
        """Open a written library, its arrays memory-mapped; raises InputError as `read_array`."""
        plates = read_table(folder / "plates.parquet", _PLATE_COLUMNS)
        cutouts = read_table(folder / "cutouts.parquet", _CUTOUT_COLUMNS)
        lengths = {"P": len(plates), "C": len(cutouts), "3": 3, "4": 4}
        arrays = {}
        for name, (file, dtype, letters) in _ARRAYS.items():
            axes = letters.split()
            arrays[name] = read_array(folder / file, dtype, [lengths.get(axis) for axis in axes])
            lengths |= zip(axes, arrays[name].shape, strict=True)
        return cls(plates=plates, cutouts=cutouts, **arrays)


class Frames(NamedTuple):
    """What was rendered inside rooms: `rendered`, people of the training's splits, `in_scene`, of
    the tests', and `nobody`, the tests' plates once more with other noise."""

    table: pd.DataFrame  # columns plate and, of people, cutout and stand (indices) and distance_m
    bg_fg: np.ndarray  # uint8, N x S x S x 3
    mask: np.ndarray  # uint8, N x S x S, 255 where a pixel is all person
    depth: np.ndarray  # float32, N x S x S, metres

    def write(self, folder: Path, name: str) -> None:
        self.table.to_parquet(folder / f"{name}.parquet")
        for field in ("bg_fg",) if name == "nobody" else ("bg_fg", "mask", "depth"):
            np.save(folder / f"{name}_{field}.npy", getattr(self, field))

    @classmethod
    def read(cls, folder: Path, name: str) -> "Frames":
        """Open written frames beside their library; raises InputError as `read_array`."""
        columns = ("plate", *(() if name == "nobody" else ("cutout", "stand", "distance_m")))
        table = read_table(folder / f"{name}.parquet", columns)
        bg_fg = read_array(folder / f"{name}_bg_fg.npy", np.uint8, (len(table), None, None, 3))
        if name == "nobody":
            plates = read_array(folder / "plates_depth.npy", np.float32)
            return cls.of_nobody(table["plate"].to_numpy(), bg_fg, plates)
        mask = read_array(folder / f"{name}_mask.npy", np.uint8, bg_fg.shape[:3])
        depth = read_array(folder / f"{name}_depth.npy", np.float32, bg_fg.shape[:3])
        return cls(table, bg_fg, mask, depth)

    @classmethod
    def of_nobody(cls, plate: np.ndarray, bg_fg: np.ndarray, plate_depths: np.ndarray) -> "Frames":
        depth = plate_depths[plate]
        return cls(pd.DataFrame({"plate": plate}), bg_fg, np.zeros(depth.shape, np.uint8), depth)
