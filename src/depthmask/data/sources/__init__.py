"""Where scenes come from, and the one interface to it.

A source's own modules are imported where they are used: OpenCV and Mitsuba are not on every machine
that trains.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from depthmask.config import CompositorParams, PlacementParams, PrepareParams, TrainParams
from depthmask.data.composition.eval_sets import EvalSets, LibrarySets
from depthmask.data.composition.training_scenes import TrainingScenes, read_composed_scenes
from depthmask.data.scenes.files import read_summary
from depthmask.data.scenes.leakage_check import check_files, check_library
from depthmask.data.scenes.placement import visible_shares, write_prepared
from depthmask.errors import InputError


class Places(NamedTuple):
    """Where a source reads, keeps a teacher's answers, and lists what it found."""

    source: Path
    cache: Path
    findings: Path


@dataclass(frozen=True)
class Source:
    """What is asked of a source, whose scenes are composed from a library or are files.

    Attributes:
        prepare: writes the prepared data into an existing folder; raises InputError.
        description, limit: for the model card, what it is and what figures on it leave unmeasured.
        is_composed: whether scenes are composed; if not, they are files that are read as they are.
        compares_pictures: whether two plates or two cutouts may be the same.
    """

    prepare: Callable[[Path, Places, PrepareParams, PlacementParams], None]
    description: str
    limit: str
    is_composed: bool = True
    compares_pictures: bool = True

    def check_leakage(self, prepared: Path) -> None:
        """Raise SplitLeak if anything is on both sides of a split; see `leakage_check`."""
        if self.is_composed:
            return check_library(prepared, compare=self.compares_pictures)
        from depthmask.data.sources.modest import SAMPLES, pictures_of

        images = {kind: pictures_of(kind, prepared) for kind in ("plate", "cutout")}
        lines = Path(read_summary(prepared)["folder"]) / "file_map.txt"
        check_files(prepared / SAMPLES, images, f"remove one's lines from {lines}")

    def training_scenes(
        self,
        prepared: Path,
        augmented: Path | None,
        params: TrainParams,
        placement: PlacementParams,
        compositor: CompositorParams,
    ) -> TrainingScenes:
        """What training sees, with the colours of `augmented`, where that is given."""
        if self.is_composed:
            return read_composed_scenes(prepared, augmented, params, placement, compositor)
        from depthmask.data.sources.modest import training_scenes

        return training_scenes(prepared, augmented, params.seed)


def _prepare_museum(
    folder: Path, places: Places, params: PrepareParams, placement: PlacementParams
) -> None:
    from depthmask.data.sources.museum import prepare_museum

    prepare_museum(folder, params, placement)


def _prepare_photos(
    folder: Path, places: Places, params: PrepareParams, placement: PlacementParams
) -> None:
    from depthmask.data.sources.photos import ingest_photos

    library, unit = ingest_photos(places.source, places.cache, places.findings, params)
    write_prepared(folder, library, visible_shares(library), params, placement, unit=unit)


def _prepare_modest(
    folder: Path, places: Places, params: PrepareParams, placement: PlacementParams
) -> None:
    from depthmask.data.sources.modest import prepare_modest

    prepare_modest(places.source, folder, params)


SOURCES = {
    "museum": Source(
        _prepare_museum,
        "rendered museum rooms and people, composed and varied at random",
        "Trained on rendered pictures alone: measure it on photographs before relying on it.",
        compares_pictures=False,  # rooms that were drawn at random cannot be the same
    ),
    "photos": Source(
        _prepare_photos,
        "photographs of rooms and cut-out people, composed and varied at random",
        "Rooms and people unlike those of its photographs were not measured.",
    ),
    "modest": Source(
        _prepare_modest,
        "composites in MODEST's layout, their depth a teacher network's",
        "Its truth is a teacher's depth: the figures say how well it agrees with that.",
        is_composed=False,
    ),
}
"""By the names of `prepare.source`."""


def read_source(prepared: Path) -> Source:
    """The source of prepared data; raises InputError if they are missing, damaged or of none."""
    name = read_summary(prepared)["source"]
    if name not in SOURCES:
        raise InputError(f"{prepared} is of no source that there is: run `dvc repro --force`")
    return SOURCES[name]


def check_leakage(prepared: Path) -> None:
    """Refuse prepared data if anything is on both sides of a split; see `leakage_check`."""
    read_source(prepared).check_leakage(prepared)


def open_sets(
    prepared: Path, params: CompositorParams, placement: PlacementParams, device: str
) -> EvalSets:
    """The validation's and the tests' scenes of prepared data."""
    if read_source(prepared).is_composed:
        return LibrarySets(prepared, params, placement, device)
    from depthmask.data.sources.modest import FileSets

    return FileSets(prepared, device)
