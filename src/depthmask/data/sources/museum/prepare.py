"""The museum's part of prepare: rooms, people, people in rooms, and rooms with nobody in them."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from depthmask.config import PlacementParams, PrepareParams, SplitSizes
from depthmask.data.scenes.library import Frames, Library
from depthmask.data.scenes.placement import Placer, uniforms
from depthmask.data.scenes.scene import SPLITS
from depthmask.data.sources import museum

_IN_SCENE_STREAM = 100


def render_library(params: PrepareParams) -> Library:
    """Render the rooms and the people, the splits one after another."""
    splits, sampling = params.splits, params.museum
    room_seeds = [(seed,) for seed in _seeds(params.seed, 0, splits.plates)]
    person_seeds = [(seed,) for seed in _seeds(params.seed, 1, splits.cutouts)]
    settings = {"size": params.size, "samples_per_px": sampling.samples_per_px}
    rooms = _render(museum.render_plate, room_seeds, "rooms", settings)
    settings = {"size": params.size, "samples_per_px": sampling.cutout_samples_per_px}
    people = _render(museum.render_cutout, person_seeds, "people", settings)
    return Library.pack(rooms, _split_names(splits.plates), people, _split_names(splits.cutouts))


def render_in_scene(
    library: Library, visible: np.ndarray, params: PrepareParams, placement: PlacementParams
) -> Frames:
    """Render people of the test split inside rooms of the test split."""
    count = params.num_scenes.in_scene
    # every room and person takes its turn: a draw would leave some of the few out
    rooms, people = library.plates_of("test"), library.cutouts_of("test")
    plate = rooms[np.arange(count) % len(rooms)]
    cutout = people[(np.arange(count) + np.arange(count) // len(rooms)) % len(people)]
    plate_seeds = _seeds(params.seed, 0, params.splits.plates)
    cutout_seeds = _seeds(params.seed, 1, params.splits.cutouts)
    placer = Placer(library, visible, placement, splits=("test", "test"))
    usable = dict(zip(placer.plates, placer.stands, strict=True))
    numbers = uniforms(placement.seed, _IN_SCENE_STREAM, 0, range(count), 1)[:, 0]
    stands = [
        library.stands[p, usable[p][int(number * len(usable[p]))]]
        for p, number in zip(plate, numbers, strict=True)
    ]
    frames = [
        (plate_seeds[p], cutout_seeds[c], stand)
        for p, c, stand in zip(plate, cutout, stands, strict=True)
    ]
    rendered = _render_frames(museum.render_in_scene, frames, "people in rooms", params, kind=2)
    images, masks, depths, distances = zip(*rendered, strict=True)
    return Frames(
        table=pd.DataFrame({"plate": plate, "cutout": cutout, "distance_m": distances}),
        bg_fg=np.stack(images),
        mask=np.round(np.stack(masks) * 255).astype(np.uint8),
        depth=np.stack(depths).astype(np.float32),
    )


def render_empty(library: Library, params: PrepareParams) -> Frames:
    """Render rooms of the test split once more, each in its turn, with nobody in them."""
    rooms = library.plates_of("test")
    plate = rooms[np.arange(params.num_scenes.nobody) % len(rooms)]
    plate_seeds = _seeds(params.seed, 0, params.splits.plates)
    frames = [(plate_seeds[p],) for p in plate]
    images = _render_frames(museum.render_empty, frames, "rooms with nobody", params, kind=3)
    return Frames.of_nobody(plate, np.stack(images), library.depths)


def _render(
    function: Callable[..., Any],
    arguments: Iterable[tuple],
    description: str,
    settings: dict[str, Any],
) -> list[Any]:
    jobs = [museum.Job(function, each, settings) for each in arguments]
    return museum.run_jobs(jobs, description=description)


def _render_frames(
    function: Callable[..., Any],
    frames: list[tuple],
    description: str,
    params: PrepareParams,
    kind: int,
) -> list[Any]:
    """Each with a seed of its own."""
    seeds = np.random.SeedSequence([params.seed, kind]).generate_state(len(frames)).tolist()
    settings = {"size": params.size, "samples_per_px": params.museum.samples_per_px}
    jobs = [
        museum.Job(function, frame, settings | {"seed": seed})
        for frame, seed in zip(frames, seeds, strict=True)
    ]
    return museum.run_jobs(jobs, description=description)


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
