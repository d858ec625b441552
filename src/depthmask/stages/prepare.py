"""prepare: render or read the sources, split them, place the people, write what training needs."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from depthmask import visualization as report
from depthmask.config import PlacementParams, PrepareParams, SplitSizes
from depthmask.data.scenes.files import content_hash, replaced_folder
from depthmask.data.scenes.library import EmptyFrames, InSceneFrames, Library
from depthmask.data.scenes.placement import TRAIN_STREAM, Placer, uniforms, visible_shares
from depthmask.data.scenes.scene import SET_SPLITS, SPLITS, Scene
from depthmask.data.sources import check_leakage, museum
from depthmask.data.sources.modest.preparing import prepare_modest
from depthmask.data.sources.modest.sets import some_training_scenes
from depthmask.data.sources.photos import ingest_photos
from depthmask.errors import exit_on_error
from depthmask.stages import FINDINGS, PARAMS, PREPARED, SOURCES, TEACHER_CACHE, read_params

_IN_SCENE_STREAM = 100


def prepare(output: Path, params: PrepareParams, placement: PlacementParams) -> None:
    """Render or read the sources and write the folder `output`, all of it or nothing."""
    folder = SOURCES / params.source
    if params.source == "museum":
        library = render_library(params)
        visible = visible_shares(library)
        frames = render_in_scene(library, visible, params, placement)
        empty = render_empty(library, params)
        write_prepared(output, library, visible, frames, params, placement, empty=empty)
    elif params.source == "photos":
        library, unit = ingest_photos(
            folder,
            params.photos,
            seed=params.seed,
            size=params.size,
            splits=params.splits.model_dump(),
            cache=TEACHER_CACHE,
            findings_path=FINDINGS,
        )
        visible = visible_shares(library)
        write_prepared(output, library, visible, None, params, placement, unit=unit)
    else:
        with replaced_folder(output) as temporary:
            prepare_modest(
                folder,
                temporary,
                size=params.size,
                splits={
                    "plates": params.splits.plates.shares(),
                    "cutouts": params.splits.cutouts.shares(),
                },
                num_scenes=params.num_scenes.model_dump(),
                seed=params.seed,
                decode=params.modest.decoded,
            )
            check_leakage(temporary)
            draw_samples(temporary)


def write_prepared(
    output: Path,
    library: Library,
    visible: np.ndarray,
    frames: InSceneFrames | None,
    params: PrepareParams,
    placement: PlacementParams,
    unit: str = "metre",
    empty: EmptyFrames | None = None,
) -> None:
    """Place the people of the composed sets and write the folder that the other stages read.

    Args:
        frames: None from a source that cannot render people in its rooms.
        unit: of the library's depth; `relative` metres are nominal, right but for the scale and
            shift of their inverse.
        empty: None from a source that cannot take a second picture of its rooms.
    """
    with replaced_folder(output) as folder:
        library.write(folder)
        if frames is not None:
            frames.write(folder)
        if empty is not None:
            empty.write(folder)
        np.save(folder / "visible_shares.npy", visible)
        placements = place(library, visible, params, placement)
        placements.to_parquet(folder / "placements.parquet")
        summary = {
            "source": params.source,
            "unit": unit,
            "depth_alignment": None if unit == "metre" else "disparity",
            "size": params.size,
            "num_plates": _counts(library.plates),
            "num_cutouts": _counts(library.cutouts),
            "num_scenes": params.num_scenes.model_dump(
                exclude={
                    name
                    for name, rendered in (("in_scene", frames), ("nobody", empty))
                    if rendered is None
                }
            ),
            "data_hash": content_hash(folder),
        }
        (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
        check_leakage(folder)
        draw_sources(folder / "contact_sheet.png", library, frames, unit)


def draw_sources(path: Path, library: Library, frames: InSceneFrames | None, unit: str) -> None:
    """Draw the contact sheet of plates, people and, where there are any, in-scene frames."""
    none = np.zeros((0, 1, 1, 3), np.uint8)
    scenes = Scene(none, none, none[..., 0], none[..., 0].astype(np.float32))
    counts = f"{len(library.plates)} rooms, {len(library.cutouts)} people"
    if frames is not None:
        bg = library.images[frames.table["plate"].to_numpy()]
        scenes = Scene(bg, frames.bg_fg, frames.mask, frames.depth)
        counts += f", {len(frames.table)} in-scene frames"
    report.contact_sheet(
        path,
        rooms=report.SplitImages(library.images, library.plates.split.tolist()),
        rooms_depth=library.depths,
        people=report.SplitImages(library.rgba, library.cutouts.split.tolist()),
        frames=scenes,
        unit=unit,
        subtitle=f"{counts}, {library.size} px",
    )


def draw_samples(folder: Path) -> None:
    """Draw the contact sheet of prepared files: some of the training scenes."""
    bg, bg_fg, mask, depth = next(iter(some_training_scenes(folder, 24, 24)))
    images = [(image * 255).round().byte().permute(0, 2, 3, 1).numpy() for image in (bg, bg_fg)]
    report.composed_sheet(
        folder / "contact_sheet.png",
        Scene(*images, mask[:, 0].numpy(), depth[:, 0].numpy()),
        unit="relative",
        title="The prepared data",
        subtitle=f"composites of the training split, {bg.shape[-1]} px",
    )


def _counts(table: pd.DataFrame) -> dict[str, int]:
    return {split: int((table["split"] == split).sum()) for split in SPLITS}


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
    placer = Placer(library, visible, placement, plates=("test",), cutouts=("test",))
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


def render_empty(library: Library, params: PrepareParams) -> EmptyFrames:
    """Render rooms of the test split once more, each in its turn, with nobody in them."""
    count, rooms = params.num_scenes.nobody, library.plates_of("test")
    plate = rooms[np.arange(count) % len(rooms)]
    frame_seeds = np.random.SeedSequence([params.seed, 3]).generate_state(count).tolist()
    plate_seeds = _seeds(params.seed, 0, params.splits.plates)
    jobs = [
        museum.Job(
            museum.render_empty,
            (plate_seeds[p],),
            {"seed": seed, "size": params.size, "samples_per_px": params.museum.samples_per_px},
        )
        for p, seed in zip(plate, frame_seeds, strict=True)
    ]
    images = museum.run_jobs(jobs, description="rooms with nobody")
    return EmptyFrames(pd.DataFrame({"plate": plate}), np.stack(images))


def place(
    library: Library, visible: np.ndarray, params: PrepareParams, placement: PlacementParams
) -> pd.DataFrame:
    """Draw the placements of the composed sets: a row per scene, the plate named first."""
    tables = []
    for stream, (name, (plate, cutout)) in enumerate(SET_SPLITS.items(), start=TRAIN_STREAM + 1):
        placer = Placer(library, visible, placement, plates=(plate,), cutouts=(cutout,))
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
