"""Rendering the rooms, the people and the test frames, each in a process of a core."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import drjit
import numpy as np
import pandas as pd
from torch.utils.data import DataLoader

from depthmask.config import PlacementParams, PrepareParams, SplitSizes
from depthmask.data.scenes.library import Frames, Library
from depthmask.data.scenes.placement import Placer, uniforms, visible_shares, write_prepared
from depthmask.data.scenes.scene import SPLITS
from depthmask.data.sources.museum import render
from depthmask.data.work import end_with_parent, num_cores, progress

_IN_SCENE_STREAM = 100


def prepare_museum(folder: Path, params: PrepareParams, placement: PlacementParams) -> None:
    """Render rooms and people, people of the test in its rooms, these rooms anew; write them."""
    size, sampling = params.size, params.museum
    settings = {"size": size, "samples_per_px": sampling.samples_per_px}
    plain = {"size": size, "samples_per_px": sampling.cutout_samples_per_px}
    room_seeds, room_splits = _split_seeds(params.splits.plates, params.seed, 0)
    person_seeds, person_splits = _split_seeds(params.splits.cutouts, params.seed, 1)
    jobs: list[partial[Any]] = []
    jobs += [partial(render.render_plate, seed, **settings) for seed in room_seeds]
    kinds = _kinds(params.splits.cutouts, sampling.things)
    jobs += [
        partial(render.render_cutout, seed, kind=kind, **plain)
        for seed, kind in zip(person_seeds, kinds, strict=True)
    ]
    sources = run_jobs(jobs, "rooms and people")
    rooms, people = sources[: len(room_seeds)], sources[len(room_seeds) :]
    library = Library.pack(rooms, room_splits, people, person_splits)
    visible = visible_shares(library)

    plate, cutout, stands = _place(library, visible, params.num_scenes.in_scene, placement)
    seeds = _seeds(len(plate), params.seed, 2)
    jobs = [
        partial(render.render_in_scene, room_seeds[p], person_seeds[c], stand, seed=s, **settings)
        for p, c, stand, s in zip(plate, cutout, stands, seeds, strict=True)
    ]
    test_rooms = library.plates_of("test")
    empty = test_rooms[np.arange(params.num_scenes.nobody) % len(test_rooms)]
    jobs += [
        partial(render.render_empty, room_seeds[p], seed=seed, **settings)
        for p, seed in zip(empty, _seeds(len(empty), params.seed, 3), strict=True)
    ]
    # room by room: a worker loads a room once, and keeps the last
    order = np.argsort(np.concatenate([plate, empty]), kind="stable").tolist()
    frames_by_job = dict(zip(order, run_jobs([jobs[n] for n in order], "test frames"), strict=True))
    rendered = [frames_by_job[n] for n in range(len(jobs))]
    images, masks, depths = zip(*rendered[: len(plate)], strict=True)
    table = {"plate": plate, "cutout": cutout, "distance_m": stands[:, 2].astype(float)}
    frames = Frames(
        table=pd.DataFrame(table),
        bg_fg=np.stack(images),
        mask=np.round(np.stack(masks) * 255).astype(np.uint8),
        depth=np.stack(depths),
    )
    nobody = Frames.of_nobody(empty, np.stack(rendered[len(plate) :]), library.depths)
    both = {"in_scene": frames, "nobody": nobody}
    write_prepared(folder, library, visible, params, placement, rendered=both)


def _split_seeds(sizes: SplitSizes, *stream: int) -> tuple[list[int], list[str]]:
    """Seeds and splits of rooms or people: more to train on leave the test's as they were."""
    counts = [getattr(sizes, split) for split in SPLITS]
    seeds = [seed for n, count in enumerate(counts) for seed in _seeds(count, *stream, n)]
    return seeds, np.repeat(SPLITS, counts).tolist()


def _kinds(sizes: SplitSizes, things: float) -> list[Any]:
    """What each cutout is: a share of those to train on, spread evenly, are things."""
    thing = np.diff(np.floor(np.arange(sizes.train + 1) * things + 1e-9)) > 0
    return np.where(thing, "thing", "person").tolist() + ["person"] * (sizes.val + sizes.test)


def _seeds(count: int, *stream: int) -> list[int]:
    return np.random.SeedSequence(stream).generate_state(count).tolist()


def _place(
    library: Library, visible: np.ndarray, count: int, placement: PlacementParams
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Plates, cutouts (indices [n]) and stands [n, 3] of in-scene frames."""
    placer = Placer(library, visible, placement, splits=("test", "test"))
    # every room and person takes its turn: a draw would leave some of the few out
    turn, num_rooms = np.arange(count), len(placer.plates)
    cutout = placer.cutouts[(turn + turn // num_rooms) % len(placer.cutouts)]
    numbers = uniforms(placement.seed, _IN_SCENE_STREAM, 0, range(count), 1)[:, 0]
    usable = [placer.stands[room] for room in turn % num_rooms]
    stand = [each[int(n * len(each))] for each, n in zip(usable, numbers, strict=True)]
    plate = placer.plates[turn % num_rooms]
    return plate, cutout, library.stands[plate, stand]


def run_jobs(jobs: Sequence[Callable[[], Any]], description: str) -> list[Any]:
    """Call picklable functions in processes of their own, one a core; results in order."""
    loader: DataLoader[Any] = DataLoader(
        jobs,  # type: ignore[arg-type]
        collate_fn=_call,
        num_workers=min(num_cores(), len(jobs)),
        multiprocessing_context="spawn",
        worker_init_fn=_start_worker,
    )
    results = []
    with progress(len(jobs), description) as advance:
        for result in loader:
            results.append(result)
            advance(1)
    return results


def _call(jobs: list[Callable[[], Any]]) -> Any:
    return jobs[0]()


def _start_worker(_: int) -> None:
    end_with_parent()
    drjit.set_thread_count(1)
