"""Rendering the rooms, the people and the frames, each in a process of a core, here or on Ray."""

import hashlib
import itertools
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import drjit
import mitsuba
import numpy as np
import pandas as pd
from torch.utils.data import DataLoader

import depthmask.data
from depthmask.config import PlacementParams, PrepareParams, SplitSizes
from depthmask.data.scenes.files import replaced_file
from depthmask.data.scenes.library import Frames, Library
from depthmask.data.scenes.placement import Placer, uniforms, visible_shares, write_prepared
from depthmask.data.scenes.scene import SPLITS
from depthmask.data.sources.museum import render
from depthmask.data.work import num_cores, progress
from depthmask.errors import InputError, end_with_parent

# of frames with people: whose rooms and people, the random streams of stands and of noise
_FRAMES = {"rendered": ("train", 101, 4), "in_scene": ("test", 100, 2)}


def prepare_museum(
    folder: Path, params: PrepareParams, placement: PlacementParams, *, cache: Path
) -> None:
    """Render rooms and people, some people inside rooms, the test rooms anew; write them. `cache`
    keeps what was rendered before a kill."""
    size, sampling = params.size, params.museum
    settings: dict[str, Any] = {"size": size, "samples_per_px": sampling.samples_per_px}
    plain = {"size": size, "samples_per_px": sampling.cutout_samples_per_px}
    room_seeds, room_splits = _split_seeds(params.splits.plates, params.seed, 0)
    person_seeds, person_splits = _split_seeds(params.splits.cutouts, params.seed, 1)
    jobs: list[Any] = [partial(render.render_plate, seed, **settings) for seed in room_seeds]
    kinds = _kinds(params.splits.cutouts, sampling.things)
    jobs += [
        partial(render.render_cutout, seed, kind=kind, **plain)
        for seed, kind in zip(person_seeds, kinds, strict=True)
    ]
    sources = run_jobs(jobs, "rooms and people", cache)
    rooms, people = sources[: len(room_seeds)], sources[len(room_seeds) :]
    library = Library.pack(rooms, room_splits, people, person_splits)
    visible = visible_shares(library)

    counts = {"rendered": sampling.rendered, "in_scene": params.num_scenes.in_scene}
    tables = {
        name: _place(library, visible, name, count, placement)
        for name, count in counts.items()
        if count > 0
    }
    jobs, in_scene = [], partial(render.render_in_scene, **settings)
    for name, table in tables.items():
        stands = library.stands[table["plate"], table["stand"]]
        seeds = _seeds(len(table), params.seed, _FRAMES[name][2])
        jobs += [
            partial(in_scene, room_seeds[p], person_seeds[c], stand, kind=kinds[c], seed=seed)
            for p, c, stand, seed in zip(table.plate, table.cutout, stands, seeds, strict=True)
        ]
    test_rooms = library.plates_of("test")
    empty = test_rooms[np.arange(params.num_scenes.nobody) % len(test_rooms)]
    jobs += [
        partial(render.render_empty, room_seeds[p], seed=seed, **settings)
        for p, seed in zip(empty, _seeds(len(empty), params.seed, 3), strict=True)
    ]
    # room by room: a worker loads a room once, and keeps the last
    plates = np.concatenate([*(table["plate"] for table in tables.values()), empty])
    order = np.argsort(plates, kind="stable").tolist()
    done = dict(zip(order, run_jobs([jobs[n] for n in order], "frames", cache), strict=True))
    results = iter([done[n] for n in range(len(jobs))])
    frames = {}
    for name, table in tables.items():
        planes = zip(*itertools.islice(results, len(table)), strict=True)
        images, masks, depths = map(np.stack, planes)
        frames[name] = Frames(table, images, np.round(masks * 255).astype(np.uint8), depths)
    frames["nobody"] = Frames.of_nobody(empty, np.stack(list(results)), library.depths)
    write_prepared(folder, library, visible, params, placement, frames=frames)


def _split_seeds(sizes: SplitSizes, *stream: int) -> tuple[list[int], list[str]]:
    """Seeds and splits of rooms or people: more to train on leave the test's as they were."""
    counts = [getattr(sizes, split) for split in SPLITS]
    seeds = [seed for n, count in enumerate(counts) for seed in _seeds(count, *stream, n)]
    return seeds, np.repeat(SPLITS, counts).tolist()


def _kinds(sizes: SplitSizes, things: float) -> list[render.Kind]:
    """What each cutout is: a share of those to train on, spread evenly, are things."""
    thing = np.diff(np.floor(np.arange(sizes.train + 1) * things + 1e-9)) > 0
    return np.where(thing, "thing", "person").tolist() + ["person"] * (sizes.val + sizes.test)


def _seeds(count: int, *stream: int) -> list[int]:
    return np.random.SeedSequence(stream).generate_state(count).tolist()


def _place(
    library: Library, visible: np.ndarray, name: str, count: int, placement: PlacementParams
) -> pd.DataFrame:
    """Who stands where in the frames of that name: the table of `Frames`."""
    split, stream, _ = _FRAMES[name]
    placer = Placer(library, visible, placement, splits=(split, split))
    # every room and person takes its turn: a draw would leave some of the few out
    turn, num_rooms = np.arange(count), len(placer.plates)
    plate = placer.plates[turn % num_rooms]
    cutout = placer.cutouts[(turn + turn // num_rooms) % len(placer.cutouts)]
    numbers = uniforms(placement.seed, stream, 0, range(count), 1)[:, 0]
    usable = [placer.stands[room] for room in turn % num_rooms]
    stand = np.array([each[int(n * len(each))] for each, n in zip(usable, numbers, strict=True)])
    distance_m = library.stands[plate, stand, 2].astype(float)
    return pd.DataFrame(
        {"plate": plate, "cutout": cutout, "stand": stand, "distance_m": distance_m}
    )


def run_jobs(jobs: Sequence[Callable[[], Any]], description: str, cache: Path) -> list[Any]:
    """What picklable functions return, in order: from `cache`, as far as this code has been there
    before, or called in processes, one a core, of this machine or of Ray's cluster."""
    code = hashlib.sha256(f"{mitsuba.__version__}".encode())
    for path in sorted(Path(depthmask.data.__file__).parent.rglob("*.py")):
        code.update(path.read_bytes())
    names = []
    for job in jobs:
        name = code.copy()
        name.update(pickle.dumps(job))
        names.append(cache / f"{name.hexdigest()}.pickle")
    missing = [n for n, path in enumerate(names) if not path.exists()]
    with progress(len(jobs), description) as advance:
        advance(len(jobs) - len(missing))
        call = _call_on_ray if os.environ.get("RAY_ADDRESS") else _call_here
        results = call([jobs[n] for n in missing]) if missing else ()
        for place, result in results:
            with replaced_file(names[missing[place]]) as temporary:
                temporary.write_bytes(pickle.dumps(result))
            advance(1)
    return [pickle.loads(path.read_bytes()) for path in names]


def _call_here(jobs: list[Callable[[], Any]]) -> Iterator[tuple[int, Any]]:
    """What jobs return, with their places, as it comes."""
    loader: DataLoader[Any] = DataLoader(
        jobs,  # type: ignore[arg-type]
        collate_fn=_call,
        num_workers=min(num_cores(), len(jobs)),
        multiprocessing_context="spawn",
        worker_init_fn=_start_worker,
    )
    return enumerate(loader)


def _call(jobs: list[Callable[[], Any]]) -> Any:
    return jobs[0]()


def _start_worker(_: int) -> None:
    end_with_parent()
    drjit.set_thread_count(1)


def _call_on_ray(jobs: list[Callable[[], Any]]) -> Iterator[tuple[int, Any]]:
    """On the cluster at RAY_ADDRESS, whose machines have what we import and are sent our code."""
    try:
        import ray
    except ModuleNotFoundError:
        raise InputError("RAY_ADDRESS is set: `pip install ray`, or unset it") from None

    @ray.remote(max_retries=5)
    def call(job: Callable[[], Any]) -> Any:
        drjit.set_thread_count(1)
        return job()

    with ray.init(runtime_env={"py_modules": [depthmask]}, log_to_driver=False):
        places = {call.remote(job): place for place, job in enumerate(jobs)}
        while places:
            [done], _ = ray.wait(list(places))
            yield places.pop(done), ray.get(done)
