"""A recipe as files, in the original data set's layout, for tools that read files."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader

from depthmask.config import CompositorParams, PlacementParams
from depthmask.data.composition.training_scenes import read_compositor
from depthmask.data.materialise.writing import NOTES, SUFFIXES, Encoding, Writer, claimed
from depthmask.data.scenes.files import read_array, read_summary, read_text, replaced_file
from depthmask.data.scenes.library import Library
from depthmask.data.scenes.placement import TRAIN_STREAM, Placer, Recipes, placed_recipes
from depthmask.data.scenes.scene import Scene, spread
from depthmask.data.sources import read_source
from depthmask.data.work import num_cores, progress
from depthmask.errors import InputError
from depthmask.tracking.provenance import code_hash
from depthmask.visualization.sheets import NUM_SHOWN, composed_sheet

_PLATE_PARTS = ("camera", "crop", "noise", "plate_light", "plate_motion")


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
    num_workers: int | None = None,
) -> tuple[int, float]:
    """Write the first `count` scenes of a set as files, or go on where a run was stopped.

    Scene k of `train` is number k of training's first epoch, without who else is there, and
    composed where that is a rendered frame; in the share `nobody` nobody stands. Returns how many
    were written, and the seconds of it; raises InputError if an argument or the folder is wrong, or
    the data is missing.
    """
    summary = read_summary(prepared)
    if not read_source(prepared).is_composed:
        raise InputError(f"{summary['folder']} has this layout already: nothing to compose")
    library = Library.read(prepared)
    if size % 8 or not 32 <= size <= library.size:
        raise InputError(f"--size {size}: give a multiple of 8 from 32 to {library.size}")
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
        "code": code_hash(("data/composition", "data/materialise", "data/scenes")),
    }
    draw: Callable[[Sequence[int]], Recipes]
    if set_name == "train":
        visible, num_variants = read_array(prepared / "visible_shares.npy"), compositor.num_variants
        placer = Placer(library, visible, placement, nobody=nobody, num_variants=num_variants)
        draw = partial(placer.draw, TRAIN_STREAM, 0)
    else:
        recipes = placed_recipes(prepared, set_name, placement.seed)
        if count > (num := len(recipes.plate)):
            raise InputError(f"{set_name} has {num} scenes: give --count {num} or less")
        draw = recipes.take
    shares = [getattr(compositor_params, name).p for name in _PLATE_PARTS]
    is_varied = max(compositor_params.flipped, compositor.num_variants, *shares) > 0
    with claimed(out, settings):
        noted = [int(note.stem.partition("-")[2]) for note in out.glob(f"{NOTES}/*.csv")]
        if (num := max(noted, default=0)) > count:
            remedy = f"give --count {num} or more, or name another folder"
            raise InputError(f"{out} has {num} scenes already: {remedy}")
        start = time.perf_counter()
        writer = Writer(out, compositor, draw, count, size, encoding, is_varied)
        rest = sum(len(chunk) for chunk in writer.missing)
        if rest:
            _write(writer, rest, num_workers or num_cores())
        seconds = time.perf_counter() - start
        write_report(writer, set_name, summary["unit"])
    return rest, seconds


def _write(writer: Writer, rest: int, num_workers: int) -> None:
    """Write the missing chunks, `rest` scenes, in `num_workers` processes."""
    out, done = writer.out, writer.count - rest
    num_workers = min(num_workers, len(writer)) if num_workers > 1 else 0
    writer.compositor.sources(writer.size)  # for all workers
    threads = torch.get_num_threads()
    torch.set_num_threads(threads if num_workers else 1)
    cv2.setNumThreads(0)  # a forked worker would wait for OpenCV's threads, which do not come along
    try:  # the workers start before the bar starts a thread
        written = iter(DataLoader(writer, batch_size=None, num_workers=num_workers))
        with progress(rest, f"{out} ({done} are there)" if done else str(out)) as advance:
            for count in written:
                if isinstance(count, OSError):
                    raise count
                done += count
                advance(count)
    except (KeyboardInterrupt, SystemExit):
        words = f"{done} of {writer.count} scenes are in {out}: the same command goes on"
        print(words, file=sys.stderr)
        raise
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        remedy = "the same command goes on, with --workers 1 in less memory"
        raise InputError(f"a worker was ended, perhaps for want of memory: {remedy}") from None
    finally:
        torch.set_num_threads(threads)


def plain_shots(params: CompositorParams) -> CompositorParams:
    """The parameters under which nothing varies from shot to shot: people pasted onto plates."""
    values = params.model_dump() | {"flipped": 0.0}
    values["person_light"] |= {"gain": 0.0, "tint": 0.0}
    for name in (*_PLATE_PARTS, "shadow"):
        values[name]["p"] = 0.0
    return CompositorParams.model_validate(values)


def write_report(writer: Writer, set_name: str, unit: str) -> None:
    """Write statistics.json, contact_sheet.png, bbox.txt and, last, file_map.txt."""
    out = writer.out
    notes = (pd.read_csv(writer.note(chunk)) for chunk in writer.chunks)
    table = pd.concat(notes, ignore_index=True)
    boxes = table[["name", "x", "y", "width", "height"]].assign(name=table["name"] + ".jpeg")
    statistics = summarise(writer, table) | {"set": set_name, "unit": unit}
    (out / "statistics.json").write_text(json.dumps(statistics, indent=2) + "\n")
    scene = writer.compositor(writer.draw(spread(len(table), NUM_SHOWN)), writer.size)
    bg, bg_fg, mask, *_ = writer.encoding.images(scene).values()
    shown = Scene(bg, bg_fg, mask[..., 0], scene.depth[:, 0].numpy())
    subtitle = f"{len(table)} scenes of {set_name} · {writer.size} px"
    composed_sheet(out / "contact_sheet.png", shown, unit=unit, subtitle=subtitle)
    stem = table["name"]
    file_map = table[["bg", "name"]].assign(mask=stem + "_mask", depth=stem + "_depth_map")
    for name, lines in (("bbox", boxes), ("file_map", file_map)):
        with replaced_file(out / f"{name}.txt") as path:
            lines.to_csv(path, sep="\t", index=False, header=False)


def summarise(writer: Writer, table: pd.DataFrame) -> dict[str, Any]:
    """Counts, sizes on disk, mean and standard deviation (of the population) of values in 0..1."""
    images: dict[str, dict[str, Any]] = {}
    for folder in SUFFIXES:
        rows = table.drop_duplicates("bg") if folder == "bg" else table
        moments = rows.filter(regex=f"^{folder}/").mean().to_numpy()
        if len(moments):
            mean, squares = np.split(moments, 2)
            std = np.sqrt(np.maximum(squares - mean**2, 0))
            files = (writer.out / folder).glob("[!.]*")
            images[folder] = {
                "num_files": len(rows),
                "num_bytes": sum(file.stat().st_size for file in files),
                "shape": [writer.size, writer.size, len(mean)],
                "mean": mean.round(5).tolist(),
                "std": std.round(5).tolist(),
            }
    people = table["person"]
    return {
        "num_scenes": len(table),
        "num_plates": table["plate"].nunique(),
        "num_people": people[people > 0].nunique(),
        "num_scenes_without_person": int((people == 0).sum()),
        **{key: sum(each[key] for each in images.values()) for key in ("num_files", "num_bytes")},
        "depth_range": list(writer.encoding.depth_range_m),
        "depth": "near * (far / near) ** (value / 255), of the range",
        "images": images,
    }
