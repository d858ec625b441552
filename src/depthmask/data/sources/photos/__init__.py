"""Photographs: a user's own pictures of empty rooms and of people become a library."""

from pathlib import Path

from depthmask.config import PlacementParams, PrepareParams
from depthmask.data.composition.source import LibrarySource, Places
from depthmask.data.scenes.placement import visible_shares, write_prepared


class Photos(LibrarySource):
    description = "photographs of rooms and cut-out people, composed and varied at random"
    limit = "Rooms and people unlike those of its photographs were not measured."

    def prepare(
        self, folder: Path, places: Places, params: PrepareParams, placement: PlacementParams
    ) -> None:
        # not above: training needs none of it
        from depthmask.data.sources.photos.ingest import ingest_photos

        library, unit = ingest_photos(places.source, places.cache / "teacher", params)
        write_prepared(folder, library, visible_shares(library), params, placement, unit=unit)


SOURCE = Photos()
