"""The one interface to where scenes come from, and what sources of plates and people share."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from torch import Tensor

from depthmask.config import AugmentParams, Composition, PlacementParams, PrepareParams, TrainParams
from depthmask.data.composition.eval_sets import BATCH_SIZE, EvalSets, LibrarySets
from depthmask.data.composition.training_scenes import (
    ComposedScenes,
    TrainingScenes,
    read_compositor,
)
from depthmask.data.scenes.files import read_array
from depthmask.data.scenes.leakage_check import check_library
from depthmask.data.scenes.library import Frames, Library
from depthmask.data.scenes.placement import TRAIN_STREAM, Placer, placed_recipes
from depthmask.data.scenes.scene import Scene

NUM_STATISTICS = 256
"""Scenes that `augment` gives, for the statistics of what training sees."""


class Places(NamedTuple):
    """Where a source reads, and keeps what took long: a teacher's answers, finished renders."""

    source: Path
    cache: Path


class Source(ABC):
    """What the stages ask of a source. `prepared` and `augmented` are the stages' folders.

    Attributes:
        description, limit: for the model card, what it is and what figures on it leave unmeasured.
        is_composed: whether scenes are composed from a `Library`, or are files read as they are.
        code: modules that decide, after `augment`, what training reads.
    """

    description: ClassVar[str]
    limit: ClassVar[str]
    is_composed: ClassVar[bool] = False
    code: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def prepare(
        self, folder: Path, places: Places, params: PrepareParams, placement: PlacementParams
    ) -> None:
        """Write the prepared data into an existing folder; raises InputError."""

    @abstractmethod
    def check_leakage(self, prepared: Path) -> None:
        """Raise SplitLeak if anything is on both sides of a split; see `leakage_check`."""

    @abstractmethod
    def samples(self, prepared: Path, count: int) -> Iterator[Scene[Tensor]]:
        """Batches of at most `count` training scenes as they are stored; none if composed."""

    @abstractmethod
    def augment(
        self, prepared: Path, folder: Path, params: AugmentParams, composition: Composition
    ) -> Iterator[Scene[Tensor]]:
        """Write what training varies colours with into an existing folder; batches of
        `NUM_STATISTICS` scenes that training sees, or all that there are."""

    @abstractmethod
    def training_scenes(
        self, prepared: Path, augmented: Path | None, params: TrainParams, composition: Composition
    ) -> TrainingScenes:
        """What training sees, with the colours of `augmented`, where that is given."""

    @abstractmethod
    def open_sets(self, prepared: Path, composition: Composition, device: str) -> EvalSets:
        """The validation's and the tests' scenes."""


class LibrarySource(Source):
    """A source whose `prepare` writes a library of plates and cutouts.

    `compares_pictures` says whether two plates or two cutouts may be the same.
    """

    is_composed = True
    compares_pictures: ClassVar[bool] = True

    def check_leakage(self, prepared: Path) -> None:
        check_library(prepared, compare=self.compares_pictures)

    def samples(self, prepared: Path, count: int) -> Iterator[Scene[Tensor]]:
        return iter(())

    def augment(
        self, prepared: Path, folder: Path, params: AugmentParams, composition: Composition
    ) -> Iterator[Scene[Tensor]]:
        # not above: Albumentations is not on every machine that trains
        from depthmask.data.composition.augmentation import make_variants

        library = Library.read(prepared)
        plates = np.asarray(library.images[library.plates_of("train")])
        cutouts = np.asarray(library.rgba[library.cutouts_of("train")])
        np.save(folder / "plates_image.npy", make_variants(plates, params, stream=0))
        np.save(folder / "cutouts_rgb.npy", make_variants(cutouts[..., :3], params, stream=1))
        compositor = read_compositor(library, composition.compositor, folder)
        visible = read_array(prepared / "visible_shares.npy", shape=library.stands.shape[:2])
        placer = Placer(library, visible, composition.placement, num_variants=params.num_variants)
        starts = range(0, NUM_STATISTICS, BATCH_SIZE)
        recipes = (placer.draw(TRAIN_STREAM, 0, range(n, n + BATCH_SIZE)) for n in starts)
        return (compositor(each, library.size) for each in recipes)

    def training_scenes(
        self, prepared: Path, augmented: Path | None, params: TrainParams, composition: Composition
    ) -> TrainingScenes:
        library, placement = Library.read(prepared), composition.placement
        is_there = (prepared / "rendered.parquet").exists()
        frames = Frames.read(prepared, "rendered") if is_there else None
        compositor = read_compositor(library, composition.compositor, augmented, frames)
        # other seeds of a training see other draws; its validation stays the same
        draws = placement.model_copy(update={"seed": placement.seed + (params.seed << 32)})
        visible = read_array(prepared / "visible_shares.npy", shape=library.stands.shape[:2])
        placer = Placer(
            library,
            visible,
            draws,
            nobody=params.nobody,
            others=params.others,
            num_variants=compositor.num_variants,
            rendered=params.rendered,
            frames=frames.table if frames else None,
        )
        return ComposedScenes(compositor, placer, placed_recipes(prepared, "val", placement.seed))

    def open_sets(self, prepared: Path, composition: Composition, device: str) -> EvalSets:
        return LibrarySets(prepared, composition, device)
