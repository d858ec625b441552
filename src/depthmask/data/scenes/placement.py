"""Who stands where: counter-based random numbers, and where a person would be seen.

Every sample is a function of (seed, stream, epoch, index) alone, key and counter of Philox (Salmon
et al. 2011): batch size, the number of workers and the device change nothing.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from depthmask.config import PlacementParams
from depthmask.data.scenes.library import Library
from depthmask.errors import InputError

TRAIN_STREAM = 0
"""The stream of the training samples; the composed sets count from 1."""

NUM_UNIFORMS = 32
"""Random numbers a sample has for what belongs to its one shot (light, noise, motion, …)."""

_NUM_CHOICES = 7

_PERSON_M = (0.5, 1.7)
"""Width and height of the box that stands for anybody when a stand's visibility is measured."""


class Recipes(NamedTuple):
    """What a batch of N scenes is made of, before a pixel is touched."""

    plate: np.ndarray  # int64 [N], index into the library
    cutout: np.ndarray  # int64 [N]
    plate_variant: np.ndarray  # int64 [N]; 0 is the original
    cutout_variant: np.ndarray  # int64 [N]
    stand: np.ndarray  # int64 [N], index into the plate's stands
    mirrored: np.ndarray  # bool [N]
    nobody: np.ndarray  # bool [N]; the frame is the plate again
    uniforms: np.ndarray  # float64 [N, NUM_UNIFORMS] in [0, 1), for the compositor


def uniforms(seed: int, stream: int, epoch: int, indices: Sequence[int], count: int) -> np.ndarray:
    """Draw float64 [len(indices), count] in [0, 1), a row per sample, each on its own counter."""
    key = np.array([seed & 0xFFFFFFFFFFFFFFFF, stream], dtype=np.uint64)
    rows = [
        np.random.Generator(
            np.random.Philox(key=key, counter=np.array([0, index, epoch, 0], dtype=np.uint64))
        ).random(count)
        for index in indices
    ]
    return np.stack(rows)


def shot_uniforms(seed: int, stream: int, epoch: int, indices: Sequence[int]) -> np.ndarray:
    """The numbers of `Recipes.uniforms` for samples whose placement is known already."""
    return uniforms(seed, stream, epoch, indices, _NUM_CHOICES + NUM_UNIFORMS)[:, _NUM_CHOICES:]


def next_alike(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The M rows whose key another has too, and their partners: the next, or the first, of it."""
    rows = pd.Series(np.arange(len(keys)))
    partners = rows.groupby(keys).transform(lambda group: np.roll(group, -1))
    paired = partners != rows
    return rows[paired].to_numpy(), partners[paired].to_numpy()


def visible_shares(library: Library) -> np.ndarray:
    """Share of a person that would be seen at each stand, float32 [P, K].

    A person is a box as wide and tall as an adult, upright on the stand. A pixel of it counts as
    hidden where the plate is nearer, or where it falls outside the frame.
    """
    size, shares = library.size, np.zeros(library.stands.shape[:2], np.float32)
    width_m, height_m = _PERSON_M
    for plate in range(len(library.plates)):
        camera, depth = library.camera(plate), library.depths[plate]
        feet = np.asarray(library.stands[plate], np.float64)
        heads = feet + height_m * np.asarray(camera.up)
        foot_px, head_px = camera.project(feet, size), camera.project(heads, size)
        half_px = 0.5 * width_m * camera.focal * size / feet[:, 2]
        for stand, (foot, head, half) in enumerate(zip(foot_px, head_px, half_px, strict=True)):
            left, right = foot[0] - half, foot[0] + half
            columns = slice(max(0, round(left)), max(0, round(right)))
            rows = slice(max(0, round(head[1])), max(0, round(foot[1])))
            area = max(1.0, (right - left) * (foot[1] - head[1]))
            # 0.25 m spare: a foot on the floor has the floor's own depth around it
            seen = depth[rows, columns] > feet[stand, 2] - 0.25
            shares[plate, stand] = min(1.0, np.count_nonzero(seen) / area)
    return shares


class Placer:
    """Draws recipes from the plates and the cutouts of the named splits.

    `visible` is of `visible_shares`, `nobody` the probability of a frame without a person; raises
    InputError if a plate has no stand that may be used.
    """

    def __init__(
        self,
        library: Library,
        visible: np.ndarray,
        params: PlacementParams,
        *,
        plates: Sequence[str] = ("train",),
        cutouts: Sequence[str] = ("train",),
        nobody: float = 0.0,
        num_variants: int = 0,
    ) -> None:
        self.plates, self.cutouts = library.plates_of(*plates), library.cutouts_of(*cutouts)
        self.params, self.nobody, self.num_variants = params, nobody, num_variants
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
        """Draw the recipes of samples `indices` of an epoch of a stream.

        With `pairs`, places among the plates and among the cutouts, who is where is given.
        """
        numbers = uniforms(self.params.seed, stream, epoch, indices, _NUM_CHOICES + NUM_UNIFORMS)
        if pairs is None:
            pick = (numbers[:, 0] * len(self.plates)).astype(np.int64)
            who = (numbers[:, 1] * len(self.cutouts)).astype(np.int64)
        else:
            pick, who = pairs
        stand = [
            self.stands[p][int(u * len(self.stands[p]))]
            for p, u in zip(pick, numbers[:, 2], strict=True)
        ]
        return Recipes(
            plate=self.plates[pick],
            cutout=self.cutouts[who],
            plate_variant=(numbers[:, 3] * (self.num_variants + 1)).astype(np.int64),
            cutout_variant=(numbers[:, 4] * (self.num_variants + 1)).astype(np.int64),
            stand=np.array(stand, np.int64),
            mirrored=numbers[:, 5] < self.params.mirrored,
            nobody=numbers[:, 6] < self.nobody,
            uniforms=numbers[:, _NUM_CHOICES:],
        )
