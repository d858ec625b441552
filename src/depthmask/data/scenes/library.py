"""Plates and cutouts packed into arrays: a data set is a folder of a dozen files.

plates.parquet    name, split, focal, up_x, up_y, up_z, height_m
plates_image.npy  uint8   P x S x S x 3        cutouts.parquet     name, split, metres_per_px,
plates_depth.npy  float32 P x S x S, metres                        foot_u, foot_v, height_m
plates_stands.npy float32 P x K x 3, metres    cutouts_rgba.npy    uint8   C x h x w x 4
                                               cutouts_relief.npy  float32 C x h x w, metres
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from depthmask.data.scenes.files import read_array, read_table
from depthmask.data.scenes.scene import Camera, Cutout, Plate

PLATE_COLUMNS = ["name", "split", "focal", "up_x", "up_y", "up_z", "height_m"]
CUTOUT_COLUMNS = ["name", "split", "metres_per_px", "foot_u", "foot_v", "height_m"]


@dataclass(frozen=True)
class Library:
    """Plates and cutouts, each row of a table beside its arrays: those of the module's docstring.

    Column `split` of the tables says train, val or test.
    """

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

    def plates_of(self, *splits: str) -> np.ndarray:
        """Indices of the plates in the given splits."""
        return np.flatnonzero(self.plates.split.isin(splits))

    def cutouts_of(self, *splits: str) -> np.ndarray:
        """Indices of the cutouts in the given splits."""
        return np.flatnonzero(self.cutouts.split.isin(splits))

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
            plates=pd.DataFrame(plate_rows, columns=PLATE_COLUMNS),
            images=np.stack([plate.image for plate in plates]),
            depths=np.stack([plate.depth for plate in plates]).astype(np.float32),
            stands=np.stack([plate.stands for plate in plates]).astype(np.float32),
            cutouts=pd.DataFrame(cutout_rows, columns=CUTOUT_COLUMNS),
            rgba=np.stack([cutout.rgba for cutout in cutouts]),
            relief=np.stack([cutout.relief for cutout in cutouts]).astype(np.float32),
        )

    def write(self, folder: Path) -> None:
        """Write the files named in the module's docstring into an existing folder."""
        self.plates.to_parquet(folder / "plates.parquet")
        np.save(folder / "plates_image.npy", self.images)
        np.save(folder / "plates_depth.npy", self.depths)
        np.save(folder / "plates_stands.npy", self.stands)
        self.cutouts.to_parquet(folder / "cutouts.parquet")
        np.save(folder / "cutouts_rgba.npy", self.rgba)
        np.save(folder / "cutouts_relief.npy", self.relief)

    @classmethod
    def read(cls, folder: Path) -> "Library":
        """Open a written library, its arrays memory-mapped; raises InputError as `read_array`."""
        plates = read_table(folder / "plates.parquet", PLATE_COLUMNS)
        cutouts = read_table(folder / "cutouts.parquet", CUTOUT_COLUMNS)
        num, people = len(plates), len(cutouts)
        images = read_array(folder / "plates_image.npy", np.uint8, (num, None, None, 3))
        rgba = read_array(folder / "cutouts_rgba.npy", np.uint8, (people, None, None, 4))
        size, canvas = images.shape[1], rgba.shape[1:3]
        return cls(
            plates=plates,
            images=images,
            depths=read_array(folder / "plates_depth.npy", np.float32, (num, size, size)),
            stands=read_array(folder / "plates_stands.npy", np.float32, (num, None, 3)),
            cutouts=cutouts,
            rgba=rgba,
            relief=read_array(folder / "cutouts_relief.npy", np.float32, (people, *canvas)),
        )


@dataclass(frozen=True)
class InSceneFrames:
    """People rendered inside rooms: the hardest test set, never trained on."""

    table: pd.DataFrame  # columns plate and cutout, indices into the library, and distance_m
    bg_fg: np.ndarray  # uint8, N x S x S x 3
    mask: np.ndarray  # uint8, N x S x S, 255 where a pixel is all person
    depth: np.ndarray  # float32, N x S x S, metres

    def write(self, folder: Path) -> None:
        self.table.to_parquet(folder / "in_scene.parquet")
        np.save(folder / "in_scene_bg_fg.npy", self.bg_fg)
        np.save(folder / "in_scene_mask.npy", self.mask)
        np.save(folder / "in_scene_depth.npy", self.depth)

    @classmethod
    def read(cls, folder: Path) -> "InSceneFrames":
        """Open written frames; raises InputError as `read_array`."""
        table = read_table(folder / "in_scene.parquet", ("plate", "cutout", "distance_m"))
        shape = (len(table), None, None, 3)
        bg_fg = read_array(folder / "in_scene_bg_fg.npy", np.uint8, shape)
        mask = read_array(folder / "in_scene_mask.npy", np.uint8, bg_fg.shape[:3])
        depth = read_array(folder / "in_scene_depth.npy", np.float32, bg_fg.shape[:3])
        return cls(table, bg_fg, mask, depth)


@dataclass(frozen=True)
class EmptyFrames:
    """Rooms rendered once more with nobody in them: whoever is found there is not there."""

    table: pd.DataFrame  # column plate, index into the library
    bg_fg: np.ndarray  # uint8, N x S x S x 3; the light is the plate's, the noise is not

    def write(self, folder: Path) -> None:
        self.table.to_parquet(folder / "nobody.parquet")
        np.save(folder / "nobody_bg_fg.npy", self.bg_fg)

    @classmethod
    def read(cls, folder: Path) -> "EmptyFrames":
        """Open written frames; raises InputError as `read_array`."""
        table = read_table(folder / "nobody.parquet", ("plate",))
        shape = (len(table), None, None, 3)
        return cls(table, read_array(folder / "nobody_bg_fg.npy", np.uint8, shape))
