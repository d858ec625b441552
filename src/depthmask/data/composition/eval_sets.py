"""The prepared test sets, as recipes and as scenes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from depthmask.config import CompositorParams, PlacementParams
from depthmask.data.composition.compositor import Compositor
from depthmask.data.scenes.files import read_array, read_summary, read_table
from depthmask.data.scenes.library import EmptyFrames, InSceneFrames, Library
from depthmask.data.scenes.placement import Placer, Recipes, next_alike, shot_uniforms
from depthmask.data.scenes.scene import TEST_SETS, Alignment, Scene, headline_of

BATCH_SIZE = 32
"""Scenes in a batch of a set: one number, as the last bits of a figure depend on it."""


def placed_recipes(prepared: Path, name: str, seed: int) -> Recipes:
    """The recipes of a composed set, from the placements table; sources are the originals."""
    columns = ("set", "stream", "index", "plate", "cutout", "stand", "mirrored")
    table = read_table(prepared / "placements.parquet", columns)
    table = table[table["set"] == name]
    count = len(table)
    original = np.zeros(count, np.int64)
    return Recipes(
        plate=table["plate"].to_numpy(),
        cutout=table["cutout"].to_numpy(),
        plate_variant=original,
        cutout_variant=original,
        stand=table["stand"].to_numpy(),
        mirrored=table["mirrored"].to_numpy(),
        nobody=np.zeros(count, bool),
        uniforms=shot_uniforms(seed, int(table["stream"].iloc[0]), 0, table["index"].tolist()),
    )


PAIR_SETS = {"seen_pairs": "train", "unseen_pairs": "test"}
"""Sets that tell the leak: the split that their rooms and people are of."""

PAIR_STREAM = 100
"""The first of their streams."""

MAX_PAIRS = 400


def pair_recipes(
    library: Library, visible: np.ndarray, params: PlacementParams, name: str
) -> Recipes:
    """Every pair of a room and a person of one split, or `MAX_PAIRS` spread evenly over both.

    Pairs go along the diagonals of their grid, so that any number of them has each room, and each
    person, about as often as the others.
    """
    split = (PAIR_SETS[name],)
    placer = Placer(library, visible, params, plates=split, cutouts=split)
    rooms, people = len(placer.plates), len(placer.cutouts)
    places = np.arange(min(rooms * people, MAX_PAIRS))
    diagonals = places // np.lcm(rooms, people)
    stream = PAIR_STREAM + list(PAIR_SETS).index(name)
    pairs = places % rooms, (places + diagonals) % people
    return placer.draw(stream, 0, places.tolist(), pairs)


class EvalSets(Protocol):
    """Every set's scenes, batch by batch, and the empty plates' depth beside them.

    Attributes:
        names: the sets that the source has: `val`, then the test sets, hardest first.
        headline: the hardest test set.
        unit: of the depth, one of `depthmask.data.scenes.scene.UNITS`.
        alignment: of relative depth before it is measured; see `depthmask.metrics`.
        leak_sets: two more sets, of seen and of unseen rooms and people, or two of `names`.
        device: where the scenes are.
    """

    names: tuple[str, ...]
    leak_sets: tuple[str, ...]
    headline: str
    unit: str
    alignment: Alignment | None
    device: str

    def scenes(self, name: str) -> Iterator[Scene[Tensor]]:
        """The batches of `val` or of one of `depthmask.data.scenes.scene.TEST_SETS`."""

    def plate_depths(self, name: str) -> Iterator[Tensor | None]:
        """N x 1 x S x S under each batch of `scenes`, or None where it is not known."""

    def origins(self, name: str) -> pd.DataFrame:
        """Columns plate and cutout: what each scene of a set was made of, by name."""

    def empty_scenes(self) -> Iterator[Scene[Tensor]]:
        """Batches of test rooms with nobody in the frame; none where the source has no such."""

    def empty_plates(self) -> list[str]:
        """The room of each of `empty_scenes`, by name."""

    def pairs(self, name: str) -> Iterator[tuple[Scene[Tensor], Scene[Tensor], np.ndarray]]:
        """Batches of the set's scenes, and of the same rooms in the same shots with others in them.

        With the numbers of the first within the set. Scenes whose room nobody else is ever in are
        left out.
        """


class LibrarySets:
    """The sets of recipes and, from the museum, of rendered frames: see `EvalSets`.

    Args:
        prepared: the folder that prepare wrote.
        params: the compositor's; a composed scene's light and noise follow from its seed.
        placement: whose seed the shots' numbers follow too.
        device: where scenes are composed.
    """

    leak_sets: tuple[str, ...] = tuple(PAIR_SETS)

    def __init__(
        self, prepared: Path, params: CompositorParams, placement: PlacementParams, device: str
    ) -> None:
        summary = read_summary(prepared)
        self.unit, self.alignment = summary["unit"], summary.get("depth_alignment")
        self.names = ("val", *(name for name in TEST_SETS if name in summary["num_scenes"]))
        self.headline = headline_of(self.names)
        self.library = Library.read(prepared)
        self.frames = InSceneFrames.read(prepared) if "in_scene" in self.names else None
        self.empty = EmptyFrames.read(prepared) if "nobody" in summary["num_scenes"] else None
        self.compositor = Compositor(self.library, params).to(device)
        self.prepared, self.placement, self.device = prepared, placement, device

    def scenes(self, name: str) -> Iterator[Scene[Tensor]]:
        """The batches of `val`, of a test set or of `leak_sets`."""
        if name == "in_scene" and self.frames is not None:
            return self._rendered(self.frames, np.arange(len(self.frames.table)))
        return self._composed(self._recipes(name))

    def plate_depths(self, name: str) -> Iterator[Tensor]:
        """N x 1 x S x S, metres: the room's own depth under each batch of `scenes`."""
        if name == "in_scene" and self.frames is not None:
            depths = self.library.depths[self.frames.table["plate"].to_numpy()]
            for part in torch.from_numpy(depths)[:, None].split(BATCH_SIZE):
                yield part.to(self.device)
        else:
            for scene in self._composed(_with_nobody(self._recipes(name))):
                yield scene.depth

    def origins(self, name: str) -> pd.DataFrame:
        """Columns plate and cutout: what each scene of a set was made of, by name."""
        if name == "in_scene" and self.frames is not None:
            table = self.frames.table
        else:
            table = pd.DataFrame(dict(zip(("plate", "cutout"), self._recipes(name), strict=False)))
        return pd.DataFrame(
            {
                "plate": self.library.plates["name"].to_numpy()[table["plate"]],
                "cutout": self.library.cutouts["name"].to_numpy()[table["cutout"]],
            }
        )

    def empty_scenes(self) -> Iterator[Scene[Tensor]]:
        """Batches of test rooms with nobody in the frame: rendered anew, or composed."""
        if self.empty is None:
            return self._composed(_with_nobody(self._recipes(self.headline)))
        depth = self.library.depths[self.empty.table["plate"].to_numpy()]
        mask = np.zeros(depth.shape, np.uint8)
        frames = InSceneFrames(self.empty.table, self.empty.bg_fg, mask, depth)
        return self._rendered(frames, np.arange(len(depth)))

    def empty_plates(self) -> list[str]:
        """The room of each of `empty_scenes`, by name."""
        if self.empty is None:
            return self.origins(self.headline)["plate"].to_list()
        plates = self.library.plates["name"].to_numpy()
        return plates[self.empty.table["plate"].to_numpy()].tolist()

    def pairs(self, name: str) -> Iterator[tuple[Scene[Tensor], Scene[Tensor], np.ndarray]]:
        """Batches of the set's scenes, and of the same rooms in the same shots with others."""
        if name == "in_scene" and self.frames is not None:
            rows, others = next_alike(self.frames.table["plate"].to_numpy())
            sides = self._rendered(self.frames, rows), self._rendered(self.frames, others)
            yield from zip(*sides, _batched(rows), strict=True)
            return
        recipes = self._recipes(name)
        rows, others = next_alike(recipes.plate)
        apart = recipes.stand[rows] != recipes.stand[others]  # two cannot stand in one place
        rows, others = rows[apart], others[apart]
        first, second = (Recipes(*(column[part] for column in recipes)) for part in (rows, others))
        # the same numbers: the same light and noise
        composed = self._composed(first), self._composed(second._replace(uniforms=first.uniforms))
        for one, other, numbers in zip(*composed, _batched(rows), strict=True):
            # but a crop may lean towards the person
            same = (one.bg == other.bg).flatten(1).all(1)
            one, other = (Scene(*(field[same] for field in scene)) for scene in (one, other))
            yield one, other, numbers[same.cpu().numpy()]

    def _recipes(self, name: str) -> Recipes:
        if name not in PAIR_SETS:
            return placed_recipes(self.prepared, name, self.placement.seed)
        shape = self.library.stands.shape[:2]
        visible = read_array(self.prepared / "visible_shares.npy", shape=shape)
        return pair_recipes(self.library, visible, self.placement, name)

    def _composed(self, recipes: Recipes) -> Iterator[Scene[Tensor]]:
        """The pictures rounded as a file's: a test scene is what a camera would have delivered."""
        for rows in _batched(np.arange(len(recipes.plate))):
            part = Recipes(*(column[rows] for column in recipes))
            scene = self.compositor(part, self.library.size)
            bg, bg_fg = ((image * 255).round() / 255 for image in (scene.bg, scene.bg_fg))
            yield scene._replace(bg=bg, bg_fg=bg_fg)

    def _rendered(self, frames: InSceneFrames, rows: np.ndarray) -> Iterator[Scene[Tensor]]:
        """Frames, each with its room's plate."""
        plates = frames.table["plate"].to_numpy()
        for part in _batched(rows):
            yield Scene(
                bg=self._unit(self.library.images[plates[part]]).permute(0, 3, 1, 2),
                bg_fg=self._unit(frames.bg_fg[part]).permute(0, 3, 1, 2),
                mask=self._unit(frames.mask[part])[:, None],
                depth=torch.from_numpy(np.array(frames.depth[part]))[:, None].to(self.device),
            )

    def _unit(self, images: np.ndarray) -> Tensor:
        """uint8 as float in 0..1."""
        return (torch.from_numpy(np.array(images)).float() / 255).to(self.device)


def _batched(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[start : start + BATCH_SIZE] for start in range(0, len(rows), BATCH_SIZE)]


def _with_nobody(recipes: Recipes) -> Recipes:
    return recipes._replace(nobody=np.ones(len(recipes.plate), bool))
