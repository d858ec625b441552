"""Who stands where: counter-based random numbers, and where a person would be seen.

Every sample is a function of (seed, stream, epoch, index) alone, key and counter of Philox (Salmon
et al. 2011): batch size, the number of workers and the device change nothing.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from depthmask.config import PlacementParams, PrepareParams
from depthmask.data.scenes.files import content_hash, read_table
from depthmask.data.scenes.library import Frames, Library
from depthmask.data.scenes.scene import SET_SPLITS, SPLITS
from depthmask.errors import InputError

TRAIN_STREAM = 0  # of the training samples; the composed sets count from 1
OTHERS_STREAM = 1000  # of who else is in them
NUM_UNIFORMS = 48  # random numbers of a sample's one shot (light, noise, motion, …)
_NUM_CHOICES = 7  # and of its placement, the first of them
_COUNT = _NUM_CHOICES + NUM_UNIFORMS
_PLACED = ("plate", "cutout", "stand", "mirrored")
_PERSON_M = (0.5, 1.7)  # the width and height of anybody when a stand's visibility is measured


class Recipes(NamedTuple):
    """What a batch of N scenes is made of, before a pixel is touched."""

    plate: np.ndarray  # int64 [N], index into the library
    cutout: np.ndarray  # int64 [N]
    plate_variant: np.ndarray  # int64 [N]; 0 is the original
    cutout_variant: np.ndarray  # int64 [N]
    stand: np.ndarray  # int64 [N], index into the plate's stands
    mirrored: np.ndarray  # bool [N]
    nobody: np.ndarray  # bool [N]; nobody is pasted
    frame: np.ndarray  # int64 [N]; a rendered frame, index, in place of the plate; -1: none
    uniforms: np.ndarray  # float64 [N, NUM_UNIFORMS] in [0, 1), for the compositor

    def take(self, rows: np.ndarray | Sequence[int]) -> "Recipes":
        return Recipes(*(column[rows] for column in self))


def uniforms(
    seed: int, stream: int, epoch: int, indices: Sequence[int], count: int = _COUNT
) -> np.ndarray:
    """Draw float64 [len(indices), count] in [0, 1), each row from its own counter."""
    key = np.array([seed & 0xFFFFFFFFFFFFFFFF, stream], dtype=np.uint64)
    counters = (np.array([0, index, epoch, 0], dtype=np.uint64) for index in indices)
    streams = (np.random.Philox(key=key, counter=counter) for counter in counters)
    return np.stack([np.random.Generator(stream).random(count) for stream in streams])


def visible_shares(library: Library) -> np.ndarray:
    """Share of a person, a box as large as an adult, that would be seen at each stand, float32
    [P, K]; hidden is what lies outside the frame or behind something nearer of the plate."""
    size, shares = library.size, np.zeros(library.stands.shape[:2], np.float32)
    width_m, height_m = _PERSON_M
    for plate in range(len(library.plates)):
        camera, depth = library.camera(plate), library.depths[plate]
        feet = np.asarray(library.stands[plate], np.float64)
        heads = feet + height_m * np.asarray(camera.up)
        foot_px, head_px = camera.project(feet, size), camera.project(heads, size)
        half_px = 0.5 * width_m * camera.focal * size / feet[:, 2]
        left, right = foot_px[:, 0] - half_px, foot_px[:, 0] + half_px
        top, bottom = head_px[:, 1], foot_px[:, 1]
        areas = ((right - left) * (bottom - top)).clip(1)
        edges = np.rint([left, right, top, bottom]).clip(0).astype(int).T
        for stand, (first, last, upper, lower) in enumerate(edges):
            # 0.25 m spare: a foot on the floor has the floor's own depth around it
            seen = depth[upper:lower, first:last] > feet[stand, 2] - 0.25
            shares[plate, stand] = min(1.0, np.count_nonzero(seen) / areas[stand])
    return shares


class Placer:
    """Draws recipes from the plates and the cutouts of a split each, `nobody` the probability of a
    frame without a person, `others` that of somebody else in it, `rendered` that of one of
    `frames`, a table of rendered ones; raises InputError if a plate has no stand that may be used.
    """

    def __init__(
        self,
        library: Library,
        visible: np.ndarray,
        params: PlacementParams,
        *,
        splits: tuple[str, str] = ("train", "train"),
        nobody: float = 0.0,
        others: float = 0.0,
        num_variants: int = 0,
        rendered: float = 0.0,
        frames: pd.DataFrame | None = None,
    ) -> None:
        self.rendered, self.frames = rendered, frames
        self.plates, self.cutouts = library.plates_of(splits[0]), library.cutouts_of(splits[1])
        self.params, self.num_variants = params, num_variants
        self.nobody, self.others = nobody, others
        seen = 1 - params.occluded
        self.stands = [np.flatnonzero(visible[plate] >= seen) for plate in self.plates]
        for plate, stands in zip(self.plates, self.stands, strict=True):
            if len(stands) == 0:
                raise InputError(
                    f"plate {plate} has no place where {seen:.0%} of a person is seen:"
                    " raise placement.occluded or change the plate"
                )

    def draw(
        self,
        stream: int,
        epoch: int,
        indices: Sequence[int],
        pairs: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> Recipes:
        """Draw the recipes of samples of an epoch of a stream; `pairs`, places among the plates and
        among the cutouts, say who is where."""
        numbers = uniforms(self.params.seed, stream, epoch, indices)
        sizes = len(self.plates), len(self.cutouts)
        pick, who = pairs or (numbers[:, :2] * sizes).astype(np.int64).T
        recipes = self._recipes(numbers, pick, who)
        if self.frames is None:
            return recipes
        frame = (numbers[:, 0] * len(self.frames)).astype(np.int64)
        plate, cutout, stand = self.frames[["plate", "cutout", "stand"]].to_numpy()[frame].T
        taken = numbers[:, 6] >= 1 - self.rendered
        # as they were rendered: in the plate's own colours, and nobody is pasted
        return recipes._replace(
            plate=np.where(taken, plate, recipes.plate),
            cutout=np.where(taken, cutout, recipes.cutout),
            plate_variant=np.where(taken, 0, recipes.plate_variant),
            stand=np.where(taken, stand, recipes.stand),
            nobody=taken | recipes.nobody,
            frame=np.where(taken, frame, recipes.frame),
        )

    def draw_others(self, recipes: Recipes, epoch: int, indices: Sequence[int]) -> Recipes:
        """Somebody else in the rooms of the training's samples, or `nobody`."""
        numbers = uniforms(self.params.seed, OTHERS_STREAM, epoch, indices, _COUNT + 1)
        pick = np.searchsorted(self.plates, recipes.plate)
        who = (numbers[:, 1] * len(self.cutouts)).astype(np.int64)
        others = self._recipes(numbers, pick, who)
        taken = (others.stand == recipes.stand) | (others.cutout == recipes.cutout)
        return others._replace(nobody=recipes.nobody | taken | (numbers[:, -1] >= self.others))

    def _recipes(self, numbers: np.ndarray, pick: np.ndarray, who: np.ndarray) -> Recipes:
        """Of places among the plates and among the cutouts; the numbers decide the rest."""
        stands = [self.stands[place] for place in pick]
        stand = [each[int(u * len(each))] for each, u in zip(stands, numbers[:, 2], strict=True)]
        variants = (numbers[:, 3:5] * (self.num_variants + 1)).astype(np.int64)
        return Recipes(
            plate=self.plates[pick],
            cutout=self.cutouts[who],
            plate_variant=variants[:, 0],
            cutout_variant=variants[:, 1],
            stand=np.array(stand, np.int64),
            mirrored=numbers[:, 5] < self.params.mirrored,
            nobody=numbers[:, 6] < self.nobody,
            frame=np.full(len(pick), -1),
            uniforms=numbers[:, _NUM_CHOICES:_COUNT],
        )


def placed_recipes(prepared: Path, name: str, seed: int) -> Recipes:
    """The recipes of a composed set, from the placements table; sources are the originals."""
    table = read_table(prepared / "placements.parquet", ("set", "stream", "index", *_PLACED))
    table = table[table["set"] == name]
    original = np.zeros(len(table), np.int64)
    numbers = uniforms(seed, int(table["stream"].iloc[0]), 0, table["index"].tolist())
    return Recipes(
        **{column: table[column].to_numpy() for column in _PLACED},
        plate_variant=original,
        cutout_variant=original,
        nobody=original > 0,
        frame=original - 1,
        uniforms=numbers[:, _NUM_CHOICES:],
    )


def write_prepared(
    folder: Path,
    library: Library,
    visible: np.ndarray,
    params: PrepareParams,
    placement: PlacementParams,
    *,
    unit: str = "metre",
    frames: Mapping[str, Frames] | None = None,
) -> None:
    """Place the people of the composed sets and write what the other stages read.

    Relative depth is in nominal metres, right but for the scale and shift of their inverse;
    `frames` are `rendered`, `in_scene` and `nobody`, whichever the source has.
    """
    frames = frames or {}
    library.write(folder)
    for name, each in frames.items():
        each.write(folder, name)
    np.save(folder / "visible_shares.npy", visible)
    tables = []
    for stream, (name, splits) in enumerate(SET_SPLITS.items(), start=TRAIN_STREAM + 1):
        numbers = range(getattr(params.num_scenes, name))
        recipes = Placer(library, visible, placement, splits=splits).draw(stream, 0, numbers)
        where = {column: getattr(recipes, column) for column in _PLACED}
        tables.append(pd.DataFrame({"set": name, "stream": stream, "index": numbers, **where}))
    pd.concat(tables, ignore_index=True).to_parquet(folder / "placements.parquet")
    summary = {
        "source": params.source,
        "unit": unit,
        "depth_alignment": None if unit == "metre" else "disparity",
        "size": params.size,
        "num_plates": {split: len(library.plates_of(split)) for split in SPLITS},
        "num_cutouts": {split: len(library.cutouts_of(split)) for split in SPLITS},
        "num_scenes": params.num_scenes.model_dump(exclude={"in_scene", "nobody"} - frames.keys()),
        "data_hash": content_hash(folder),
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
