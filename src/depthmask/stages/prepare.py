"""prepare: render or read the sources, split them, place the people, write what training needs."""

import shutil
from pathlib import Path

import numpy as np

from depthmask.config import PlacementParams, PrepareParams
from depthmask.data.composition.eval_sets import to_pixels
from depthmask.data.composition.source import Places, Source
from depthmask.data.scenes.files import read_summary, replaced_folder
from depthmask.data.scenes.library import Frames, Library
from depthmask.data.scenes.scene import Scene
from depthmask.data.sources import source_named
from depthmask.errors import exit_on_error
from depthmask.stages import CACHE, PARAMS, PREPARED, SOURCES_FOLDER, read_params
from depthmask.visualization.sheets import NUM_SHOWN, composed_sheet, contact_sheet


def prepare(output: Path, params: PrepareParams, placement: PlacementParams) -> None:
    """Render or read the sources and write the folder `output`, all of it or nothing."""
    source = source_named(params.source)
    places = Places(SOURCES_FOLDER / params.source, CACHE)
    with replaced_folder(output) as folder:
        source.prepare(folder, places, params, placement)
        source.check_leakage(folder)
        if source.is_composed:
            draw_library(folder)
        else:
            draw_samples(folder, source)
    shutil.rmtree(CACHE / "renders", ignore_errors=True)


def draw_library(folder: Path) -> None:
    """Draw the contact sheet of plates, people and, where there are any, in-scene frames."""
    library, summary = Library.read(folder), read_summary(folder)
    none = np.zeros((0, 1, 1, 3), np.uint8)
    scenes: Scene[np.ndarray] = Scene(none, none, none[..., 0], none[..., 0].astype(np.float32))
    counts = f"{len(library.plates)} rooms, {len(library.cutouts)} people"
    if "in_scene" in summary["num_scenes"]:
        frames = Frames.read(folder, "in_scene")
        bg = library.images[frames.table["plate"].to_numpy()]
        scenes = Scene(bg, frames.bg_fg, frames.mask, frames.depth)
        counts += f", {len(frames.table)} in-scene frames"
    subtitle, sheet = f"{counts}, {library.size} px", folder / "contact_sheet.png"
    contact_sheet(sheet, library, scenes, unit=summary["unit"], subtitle=subtitle)


def draw_samples(folder: Path, source: Source) -> None:
    """Draw the contact sheet of prepared files: some of the training scenes."""
    bg, bg_fg, mask, depth = next(source.samples(folder, NUM_SHOWN))[:4]
    composed_sheet(
        folder / "contact_sheet.png",
        Scene(to_pixels(bg), to_pixels(bg_fg), mask[:, 0].numpy(), depth[:, 0].numpy()),
        unit="relative",
        title="The prepared data",
        subtitle=f"composites of the training split, {bg.shape[-1]} px",
    )


def main() -> None:
    params = read_params(PARAMS)
    prepare(PREPARED, params.prepare, params.placement)


if __name__ == "__main__":
    with exit_on_error():
        main()
