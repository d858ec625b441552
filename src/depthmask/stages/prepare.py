"""prepare: render the sources, split them, place the people, write what training needs."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from depthmask import report
from depthmask.compositor import Compositor
from depthmask.errors import exit_on_error
from depthmask.library import InSceneFrames, Library, content_hash
from depthmask.output import replaced_folder
from depthmask.params import CompositorParams, PrepareParams, SplitSizes, read_params
from depthmask.placement import TRAIN_STREAM, Placer, Recipes, uniforms, visible_shares
from depthmask.scene import COMPOSED_SETS, SPLITS, Scene
from depthmask.sources import museum
from depthmask.stages import PARAMS, PREPARED

_IN_SCENE_STREAM = 100
_STATISTICS_SCENES = 256


def prepare(output: Path, params: PrepareParams, compositor: CompositorParams) -> None:
    """Render everything and write the folder `output`, all of it or nothing."""
    library = render_library(params)
    visible = visible_shares(library)
    frames = render_in_scene(library, visible, params, compositor)
    write_prepared(output, library, visible, frames, params, compositor)


def write_prepared(
    output: Path,
    library: Library,
    visible: np.ndarray,
    frames: InSceneFrames,
    params: PrepareParams,
    compositor: CompositorParams,
) -> None:
    """Place the people of the composed sets and write the folder that the other stages read."""
    with replaced_folder(output) as folder:
        library.write(folder)
        frames.write(folder)
        np.save(folder / "visible_shares.npy", visible)
        placements = place(library, visible, params, compositor)
        placements.to_parquet(folder / "placements.parquet")
        summary = {
            "source": params.source,
            "unit": "metre",
            "size": params.size,
            "num_plates": params.splits.plates.model_dump(),
            "num_cutouts": params.splits.cutouts.model_dump(),
            "num_scenes": params.num_scenes.model_dump(),
            "data_hash": content_hash(folder),
            "statistics": statistics(library, visible, compositor, params.size),
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
        )


def _seeds(seed: int, kind: int, count: int) -> list[int]:
    """Independent seeds for `count` sources of a kind."""
    state = np.random.SeedSequence([seed, kind]).generate_state(count)
    return [int(value) for value in state]


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
            for seed in _seeds(params.seed, 0, len(plate_splits))
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
            for seed in _seeds(params.seed, 1, len(cutout_splits))
        ],
        description="people",
    )
    return Library.pack(plates, plate_splits, cutouts, cutout_splits)


def _placer(
    library: Library,
    visible: np.ndarray,
    plates: tuple[str, ...],
    cutouts: tuple[str, ...],
    compositor: CompositorParams,
) -> Placer:
    return Placer(
        visible,
        plates=library.plates_of(*plates),
        cutouts=library.cutouts_of(*cutouts),
        seed=compositor.seed,
        occluded=compositor.occluded,
        mirrored=compositor.mirrored,
    )


def render_in_scene(
    library: Library, visible: np.ndarray, params: PrepareParams, compositor: CompositorParams
) -> InSceneFrames:
    """Render people of the test split inside rooms of the test split."""
    count = params.num_scenes.in_scene
    # every room and person takes its turn: a draw would leave some of the few out
    rooms, people = library.plates_of("test"), library.cutouts_of("test")
    plate = rooms[np.arange(count) % len(rooms)]
    cutout = people[(np.arange(count) + np.arange(count) // len(rooms)) % len(people)]
    plate_seeds = _seeds(params.seed, 0, len(library.plates))
    cutout_seeds = _seeds(params.seed, 1, len(library.cutouts))
    placer = _placer(library, visible, ("test",), ("test",), compositor)
    usable = dict(zip(placer.plates, placer.stands, strict=True))
    numbers = uniforms(compositor.seed, _IN_SCENE_STREAM, 0, range(count), 1)[:, 0]
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
        for p, c, stand, seed in zip(
            plate, cutout, stands, _seeds(params.seed, 2, count), strict=True
        )
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
    library: Library, visible: np.ndarray, params: PrepareParams, compositor: CompositorParams
) -> pd.DataFrame:
    """Draw the placements of the composed sets: a row per scene, the plate named first."""
    seen = {"seen": ("train",), "unseen": ("test",), "val": ("val",)}
    tables = []
    for stream, name in enumerate(COMPOSED_SETS, start=TRAIN_STREAM + 1):
        plate, _, cutout = name.partition("_")
        placer = _placer(library, visible, seen[plate], seen[cutout or plate], compositor)
        count = getattr(params.num_scenes, name)
        recipes = placer.draw(stream, 0, range(count))
        columns = {
            column: getattr(recipes, column) for column in ("plate", "cutout", "stand", "mirrored")
        }
        tables.append(
            pd.DataFrame({"set": name, "stream": stream, "index": np.arange(count), **columns})
        )
    return pd.concat(tables, ignore_index=True)


def statistics(
    library: Library, visible: np.ndarray, params: CompositorParams, size: int
) -> dict[str, list[float] | float]:
    """Mean and standard deviation of composed training scenes, as the original reported them."""
    placer = _placer(library, visible, ("train",), ("train",), params)
    compositor = Compositor(library, params)
    recipes = placer.draw(TRAIN_STREAM, 0, range(_STATISTICS_SCENES))
    sums: dict[str, list[torch.Tensor]] = {}
    for start in range(0, _STATISTICS_SCENES, 32):
        part = Recipes(*(column[start : start + 32] for column in recipes))
        scene = compositor(part, size)
        for name in scene._fields:
            values = getattr(scene, name).double()
            moments = torch.stack([values.mean((0, 2, 3)), (values**2).mean((0, 2, 3))])
            sums.setdefault(name, []).append(moments)
    result: dict[str, list[float] | float] = {}
    for name, parts in sums.items():
        mean, square = torch.stack(parts).mean(0)
        std = (square - mean**2).clamp_min(0).sqrt()
        for moment, values in (("mean", mean), ("std", std)):
            rounded = [round(float(value), 6) for value in values]
            result[f"{name}_{moment}"] = rounded if len(rounded) > 1 else rounded[0]
    return result


def main() -> None:
    params = read_params(PARAMS)
    prepare(PREPARED, params.prepare, params.compositor)


if __name__ == "__main__":
    with exit_on_error():
        main()
