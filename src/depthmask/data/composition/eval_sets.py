"""The prepared test sets, as recipes and as scenes."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from depthmask.config import Composition
from depthmask.data.composition.compositor import Compositor
from depthmask.data.scenes.files import read_array, read_summary
from depthmask.data.scenes.library import Frames, Library
from depthmask.data.scenes.placement import Placer, Recipes, placed_recipes
from depthmask.data.scenes.scene import TEST_SETS, Alignment, Scene

BATCH_SIZE = 32
"""Scenes in a batch of a set: one number, as the last bits of a figure depend on it."""

PAIR_SETS = {"seen_pairs": "train", "unseen_pairs": "test"}
"""Sets that tell the leak: the split that their rooms and people are of."""

PAIR_STREAM = 100  # the first of their streams
MAX_PAIRS = 200


class EvalSets(ABC):
    """Every set's scenes, batch by batch on a device, and the empty plates' depth beside them.

    `names` are the sets that the source has: `val`, then the test sets, hardest first.
    """

    leak_sets: tuple[str, ...]  # two more, of seen and of unseen rooms and people, or two of names

    def __init__(self, prepared: Path, device: str) -> None:
        summary = read_summary(prepared)
        self.prepared, self.device = prepared, device
        self.size: int = summary["size"]
        self.unit: str = summary["unit"]
        self.alignment: Alignment | None = summary.get("depth_alignment")
        self.num_scenes: dict[str, int] = summary["num_scenes"]
        self.names = ("val", *(name for name in TEST_SETS if name in self.num_scenes))
        self.headline = self.names[1]  # what a model is judged by

    @abstractmethod
    def scenes(self, name: str) -> Iterator[Scene[Tensor]]:
        """The batches of one of `names` or `leak_sets`, or of `nobody`: test rooms without anybody
        in the frame, none where the source has no such."""

    @abstractmethod
    def plate_depths(self, name: str) -> Iterator[Tensor | None]:
        """N x 1 x S x S under each batch of `scenes`, or None where it is not known."""

    @abstractmethod
    def origins(self, name: str) -> pd.DataFrame:
        """Columns plate and cutout: what each scene of a set was made of, by name."""


class LibrarySets(EvalSets):
    """The sets of recipes and, from the museum, of rendered frames.

    A composed scene's light and noise follow from the seeds of both parts of `composition`.
    """

    leak_sets = tuple(PAIR_SETS)

    def __init__(self, prepared: Path, composition: Composition, device: str) -> None:
        super().__init__(prepared, device)
        self.library, self.placement = Library.read(prepared), composition.placement
        rendered = {"in_scene", "nobody"} & self.num_scenes.keys()
        self.frames = {name: Frames.read(prepared, name) for name in rendered}
        self.compositor = Compositor(self.library, composition.compositor, device=device)

    def scenes(self, name: str) -> Iterator[Scene[Tensor]]:
        if name in self.frames:
            return self._rendered(name)
        return self._composed(self._recipes(name))

    def plate_depths(self, name: str) -> Iterator[Tensor]:
        if name in self.frames:
            depths = self.library.depths[self.frames[name].table["plate"].to_numpy()]
            for part in torch.from_numpy(depths)[:, None].split(BATCH_SIZE):
                yield part.to(self.device)
        else:
            for scene in self._composed(_without_people(self._recipes(name))):
                yield scene.depth

    def origins(self, name: str) -> pd.DataFrame:
        if name in self.frames:
            table = self.frames[name].table
        else:
            table = pd.DataFrame(dict(zip(("plate", "cutout"), self._recipes(name), strict=False)))
        names = {"plate": self.library.plates["name"], "cutout": self.library.cutouts["name"]}
        return pd.DataFrame(
            {kind: names[kind].to_numpy()[table[kind]] for kind in names if kind in table}
        )

    def _recipes(self, name: str) -> Recipes:
        if name == "nobody":
            return _without_people(self._recipes(self.headline))
        if name not in PAIR_SETS:
            return placed_recipes(self.prepared, name, self.placement.seed)
        shape = self.library.stands.shape[:2]
        visible = read_array(self.prepared / "visible_shares.npy", shape=shape)
        splits = PAIR_SETS[name], PAIR_SETS[name]
        placer = Placer(self.library, visible, self.placement, splits=splits)
        # along the diagonals of the grid of all pairs, so that any number of them has each room,
        # and each person, about as often as the others
        rooms, people = len(placer.plates), len(placer.cutouts)
        places = np.arange(min(rooms * people, MAX_PAIRS))
        pairs = places % rooms, (places + places // np.lcm(rooms, people)) % people
        stream = PAIR_STREAM + list(PAIR_SETS).index(name)
        return placer.draw(stream, 0, places.tolist(), pairs)

    def _composed(self, recipes: Recipes) -> Iterator[Scene[Tensor]]:
        """The pictures rounded as a file's: a test scene is what a camera would have delivered."""
        for rows in batched(np.arange(len(recipes.plate))):
            yield to_8_bits(self.compositor(recipes.take(rows), self.library.size))

    def _rendered(self, name: str, rows: np.ndarray | None = None) -> Iterator[Scene[Tensor]]:
        """Frames, each with its room's plate."""
        table, bg_fg, mask, depth = self.frames[name]
        for part in batched(np.arange(len(table)) if rows is None else rows):
            plates = table["plate"].to_numpy()[part]
            yield Scene(
                bg=self._tensor(self.library.images[plates]).permute(0, 3, 1, 2),
                bg_fg=self._tensor(bg_fg[part]).permute(0, 3, 1, 2),
                mask=self._tensor(mask[part])[:, None],
                depth=self._tensor(depth[part])[:, None],
                focal=self._tensor(self.library.focals(plates)),
            )

    def _tensor(self, array: np.ndarray) -> Tensor:
        """On the device; uint8 as float in 0..1."""
        tensor = torch.from_numpy(np.array(array))
        return (tensor.float() / 255 if array.dtype == np.uint8 else tensor).to(self.device)


def batched(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[start : start + BATCH_SIZE] for start in range(0, len(rows), BATCH_SIZE)]


def joined(batches: Iterable[Scene[Tensor]]) -> Scene[Tensor]:
    """All batches as one; of files the lens, which comes last, is not known."""
    fields = (parts for parts in zip(*batches, strict=True) if parts[0] is not None)
    return Scene(*map(torch.cat, fields))


def to_8_bits(scene: Scene[Tensor]) -> Scene[Tensor]:
    """Both pictures cut off at 0 and 1 and rounded to 8 bits."""
    bg, bg_fg = ((image.clamp(0, 1) * 255).round() / 255 for image in (scene.bg, scene.bg_fg))
    return scene._replace(bg=bg, bg_fg=bg_fg)


def to_pixels(images: Tensor) -> np.ndarray:
    """Float N x 3 x H x W, 0 to 1, as uint8 N x H x W x 3."""
    return (images * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def _without_people(recipes: Recipes) -> Recipes:
    return recipes._replace(nobody=np.ones(len(recipes.plate), bool))
