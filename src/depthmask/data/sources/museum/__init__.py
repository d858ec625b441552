"""The museum: rooms and people rendered with Mitsuba, with exact depth and masks."""

from pathlib import Path

from depthmask.config import PlacementParams, PrepareParams
from depthmask.data.composition.source import LibrarySource, Places
from depthmask.errors import InputError


class Museum(LibrarySource):
    description = "rendered museum rooms and people, composed and varied at random"
    limit = "Trained on rendered pictures alone: measure it on photographs before relying on it."
    compares_pictures = False  # rooms that were drawn at random cannot be the same

    def prepare(
        self, folder: Path, places: Places, params: PrepareParams, placement: PlacementParams
    ) -> None:
        # not above: Mitsuba is not on every machine that trains
        try:
            from depthmask.data.sources.museum.prepare import prepare_museum
        except ModuleNotFoundError as error:
            raise InputError(f"{error.name} renders rooms: install it, or `dvc pull`") from None
        prepare_museum(folder, params, placement, cache=places.cache / "renders")


SOURCE = Museum()
