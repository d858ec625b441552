"""A recipe as files, in the original data set's layout, for tools that read files."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import torch
from torch.utils.data import DataLoader

from depthmask.config import CompositorParams, PlacementParams
from depthmask.data.composition.training_scenes import read_compositor
from depthmask.data.materialise.report import rich_table, write_report
from depthmask.data.materialise.writing import Encoding, Log, Writer, claimed
from depthmask.data.scenes.files import read_array, read_summary, read_text
from depthmask.data.scenes.library import Library
from depthmask.data.scenes.placement import TRAIN_STREAM, Placer, Recipes, placed_recipes
from depthmask.data.sources import read_source
from depthmask.data.work import num_cores, progress
from depthmask.errors import InputError

__all__ = ["Materialised", "materialise", "plain_shots", "rich_table"]


_PLATE_PARTS = ("crop", "noise", "plate_light", "plate_motion")


class Materialised(NamedTuple):
    """What this run wrote, in how many seconds without reading the sources and the report."""

    statistics: dict[str, Any]  # as in statistics.json
    num_new_scenes: int
    num_new_files: int
    seconds: float


def materialise(
    out: Path,
    *,
    prepared: Path,
    augmented: Path | None,
    set_name: str,
    count: int,
    size: int,
    placement: PlacementParams,
    compositor_params: CompositorParams,
    nobody: float,
    encoding: Encoding,
    code: str,
    num_workers: int | None = None,
) -> Materialised:
    """Write the first `count` scenes of a set as files, or go on where a run was stopped.

    A larger count adds scenes to those that are there. Scene k of the set `train` is the sample
    that training composes as number k of its first epoch.

    Args:
        out: new, empty, or from these same arguments, `count` and `num_workers` apart.
        set_name: `train` or one of `depthmask.data.scenes.scene.COMPOSED_SETS`.
        nobody: share of the training scenes in which nobody stands.
        code: a hash of what decides the files' content: a folder of other code is not continued.
        num_workers: processes; by default one a core.

    Raises:
        InputError: an argument or the folder is wrong, or the data is missing.
    """
    summary = read_summary(prepared)
    if not read_source(prepared).is_composed:
        raise InputError(f"{summary['folder']} has this layout already: nothing to compose")
    library = Library.read(prepared)
    if not 32 <= size <= library.size:
        raise InputError(f"--size {size} is not possible: give 32 to {library.size}, the data's")
    if encoding.exact_depth and summary["unit"] != "metre":
        raise InputError("this data has relative depth, no metres: leave out --exact-depth")
    augmented = augmented if set_name == "train" else None
    compositor = read_compositor(library, compositor_params, augmented)
    settings = {
        "set": set_name,
        "size": size,
        "placement": placement.model_dump(mode="json"),
        "compositor": compositor_params.model_dump(mode="json"),
        "nobody": nobody,
        "encoding": asdict(encoding),
        "data": summary["data_hash"],
        "augmented": augmented and read_text(augmented / "digest.txt").strip(),
        "code": code,
    }
    draw: Callable[[Sequence[int]], Recipes]
    if set_name == "train":
        visible, num_variants = read_array(prepared / "visible_shares.npy"), compositor.num_variants
        placer = Placer(library, visible, placement, nobody=nobody, num_variants=num_variants)
        draw = partial(placer.draw, TRAIN_STREAM, 0)
    else:
        recipes = placed_recipes(prepared, set_name, placement.seed)
        num = len(recipes.plate)
        if count > num:
            raise InputError(f"{set_name} has {num} scenes: give --count {num} or less")
        draw = partial(_take, recipes)
    varies_plate = compositor_params.flipped > 0 or any(
        getattr(compositor_params, name).p > 0 for name in _PLATE_PARTS
    )
    is_varied = compositor.num_variants > 0 or varies_plate
    writer = Writer(out, compositor, draw, size, encoding, is_varied)
    with claimed(out, settings):
        log = Log(out)
        if log.stop > count:
            raise InputError(
                f"{out} has {log.stop} scenes already: give --count {log.stop} or more,"
                " or name another folder"
            )
        start, before = time.perf_counter(), log.num_scenes
        num_files = _write_missing(writer, log, count, num_workers or num_cores())
        seconds = time.perf_counter() - start
        statistics = write_report(
            out,
            [log.chunks[number] for number in sorted(log.chunks)],
            settings,
            compose=lambda numbers: compositor(draw(numbers), size),
            unit=summary["unit"],
        )
    return Materialised(statistics, log.num_scenes - before, num_files, seconds)


def _take(recipes: Recipes, numbers: Sequence[int]) -> Recipes:
    return recipes.take([n for n in numbers if n < len(recipes.plate)])


def _write_missing(writer: Writer, log: Log, count: int, num_workers: int) -> int:
    """Write the chunks that the log lacks; returns the number of files."""
    writer.plan(log, count)
    if not writer.tasks:
        return 0
    for folder in writer.encoding.folders:
        (writer.out / folder).mkdir(exist_ok=True)
    rest, num_files = sum(len(task.names) for task in writer.tasks), 0
    there = f" ({count - rest} are there)" if rest < count else ""
    num_workers = min(num_workers, len(writer.tasks)) if num_workers > 1 else 0
    threads = torch.get_num_threads()
    torch.set_num_threads(threads if num_workers else 1)
    # before the fork: OpenCV's threads do not come along, and a worker would wait for them
    cv2.setNumThreads(0)
    try:
        # the workers start before the bar starts a thread
        chunks = iter(DataLoader(writer, batch_size=None, num_workers=num_workers))
        with progress(rest, f"{writer.out}{there}") as advance:
            for chunk in chunks:
                if isinstance(chunk, OSError):
                    raise chunk
                log.append(chunk)
                num_files += sum(len(sizes) for sizes in chunk.num_bytes.values())
                advance(len(chunk.names))
    except (KeyboardInterrupt, SystemExit):
        print(
            f"{log.num_scenes} of {count} scenes are in {writer.out}: the same command goes on",
            file=sys.stderr,
        )
        raise
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise InputError(
            "a worker was ended from outside, perhaps for want of memory:"
            " the same command goes on, with --workers 1 in less memory"
        ) from None
    finally:
        torch.set_num_threads(threads)
    return num_files


def plain_shots(params: CompositorParams) -> CompositorParams:
    """The parameters under which nothing varies from shot to shot: people pasted onto plates."""
    values = params.model_dump() | {"flipped": 0.0}
    values["person_light"] |= {"gain": 0.0, "tint": 0.0}
    for name in (*_PLATE_PARTS, "shadow"):
        values[name]["p"] = 0.0
    return CompositorParams.model_validate(values)
