"""prepare: render the sources, split them, place the people, write what training needs."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from depthmask import report
from depthmask.artifacts import content_hash
from depthmask.errors import exit_on_error
from depthmask.library import InSceneFrames, Library
from depthmask.output import replaced_folder
from depthmask.params import PlacementParams, PrepareParams, SplitSizes, read_params
from depthmask.placement import TRAIN_STREAM, Placer, uniforms, visible_shares
from depthmask.scene import COMPOSED_SETS, SPLITS, Scene
from depthmask.sources import museum
from depthmask.stages import PARAMS, PREPARED

_IN_SCENE_STREAM = 100


def prepare(output: Path, params: PrepareParams, placement: PlacementParams) -> None:
    """Render everything and write the folder `output`, all of it or nothing."""
    library = render_library(params)
    visible = visible_shares(library)
    frames = render_in_scene(library, visible, params, placement)
    write_prepared(output, library, visible, frames, params, placement)


def write_prepared(
    output: Path,
    library: Library,
    visible: np.ndarray,
    frames: InSceneFrames,
    params: PrepareParams,
    placement: PlacementParams,
) -> None:
    """Place the people of the composed sets and write the folder that the other stages read."""
    with replaced_folder(output) as folder:
        library.write(folder)
        frames.write(folder)
        np.save(folder / "visible_shares.npy", visible)
        placements = place(library, visible, params, placement)
        placements.to_parquet(folder / "placements.parquet")
        summary = {
            "source": params.source,
            "unit": "metre",
            "size": params.size,
            "num_plates": params.splits.plates.model_dump(),
            "num_cutouts": params.splits.cutouts.model_dump(),
            "num_scenes": params.num_scenes.model_dump(),
            "data_hash": content_hash(folder),
        }
        (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
        report.contact_sheet(
            folder / "contact_sheet.png",
            rooms=report.SplitImages(library.images, library.plates.split.tolist()),
            rooms_depth=library.depths,
            people=report.SplitImages(library.rgba, library.cutouts.split.tolist()),
            frames=Scene(
                bg=library.images[frames.table["plate"].to_numpy()],
                bg_fg=frames.bg_fg,
                mask=frames.mask,
                depth=frames.depth,
            ),
            subtitle=(
                f"{len(library.plates)} rooms, {len(library.cutouts)} people,"
                f" {len(frames.table)} in-scene frames, {params.size} px"
            ),
        )


def _seeds(seed: int, kind: int, splits: SplitSizes) -> list[int]:
    """Independent seeds for the sources of a kind, the splits one after another.

    A split's seeds depend on nothing but its own length: more rooms to train on leave the test
    rooms what they were.
    """
    return [
        int(value)
        for number, split in enumerate(SPLITS)
        for value in np.random.SeedSequence([seed, kind, number]).generate_state(
            getattr(splits, split)
        )
    ]


def _split_names(sizes: SplitSizes) -> list[str]:
    return [split for split in SPLITS for _ in range(getattr(sizes, split))]


def render_library(params: PrepareParams) -> Library:
    """Render the rooms and the people, the splits one after another."""
    plate_splits = _split_names(params.splits.plates)
    cutout_splits = _split_names(params.splits.cutouts)
    sampling = params.museum
    plates = museum.run_jobs(
        [
            museum.Job(
                museum.render_plate,
                (seed,),
                {"size": params.size, "samples_per_px": sampling.samples_per_px},
            )
            for seed in _seeds(params.seed, 0, params.splits.plates)
        ],
        description="rooms",
    )
    cutouts = museum.run_jobs(
        [
            museum.Job(
                museum.render_cutout,
                (seed,),
                {"size": params.size, "samples_per_px": sampling.cutout_samples_per_px},
            )
            for seed in _seeds(params.seed, 1, params.splits.cutouts)
        ],
        description="people",
    )
    return Library.pack(plates, plate_splits, cutouts, cutout_splits)


def render_in_scene(
    library: Library, visible: np.ndarray, params: PrepareParams, placement: PlacementParams
) -> InSceneFrames:
    """Render people of the test split inside rooms of the test split."""
    count = params.num_scenes.in_scene
    # every room and person takes its turn: a draw would leave some of the few out
    rooms, people = library.plates_of("test"), library.cutouts_of("test")
    plate = rooms[np.arange(count) % len(rooms)]
    cutout = people[(np.arange(count) + np.arange(count) // len(rooms)) % len(people)]
    frame_seeds = np.random.SeedSequence([params.seed, 2]).generate_state(count).tolist()
    plate_seeds = _seeds(params.seed, 0, params.splits.plates)
    cutout_seeds = _seeds(params.seed, 1, params.splits.cutouts)
    placer = Placer.of_splits(library, visible, placement, plates=("test",), cutouts=("test",))
    usable = dict(zip(placer.plates, placer.stands, strict=True))
    numbers = uniforms(placement.seed, _IN_SCENE_STREAM, 0, range(count), 1)[:, 0]
    stands = [
        library.stands[p, usable[p][int(number * len(usable[p]))]]
        for p, number in zip(plate, numbers, strict=True)
    ]
    jobs = [
        museum.Job(
            museum.render_in_scene,
            (plate_seeds[p], cutout_seeds[c], stand),
            {
                "seed": seed,
                "size": params.size,
                "samples_per_px": params.museum.samples_per_px,
            },
        )
        for p, c, stand, seed in zip(plate, cutout, stands, frame_seeds, strict=True)
    ]
    rendered = museum.run_jobs(jobs, description="people in rooms")
    images, masks, depths, distances = zip(*rendered, strict=True)
    return InSceneFrames(
        table=pd.DataFrame({"plate": plate, "cutout": cutout, "distance_m": distances}),
        bg_fg=np.stack(images),
        mask=np.round(np.stack(masks) * 255).astype(np.uint8),
        depth=np.stack(depths).astype(np.float32),
    )


def place(
    library: Library, visible: np.ndarray, params: PrepareParams, placement: PlacementParams
) -> pd.DataFrame:
    """Draw the placements of the composed sets: a row per scene, the plate named first."""
    seen = {"seen": ("train",), "unseen": ("test",), "val": ("val",)}
    tables = []
    for stream, name in enumerate(COMPOSED_SETS, start=TRAIN_STREAM + 1):
        plate, _, cutout = name.partition("_")
        placer = Placer.of_splits(
            library, visible, placement, plates=seen[plate], cutouts=seen[cutout or plate]
        )
        count = getattr(params.num_scenes, name)
        recipes = placer.draw(stream, 0, range(count))
        columns = {
            column: getattr(recipes, column) for column in ("plate", "cutout", "stand", "mirrored")
        }
        tables.append(
            pd.DataFrame({"set": name, "stream": stream, "index": np.arange(count), **columns})
        )
    return pd.concat(tables, ignore_index=True)


def main() -> None:
    params = read_params(PARAMS)
    prepare(PREPARED, params.prepare, params.placement)


if __name__ == "__main__":
    with exit_on_error():
        main()
