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
from depthmask.data.materialise import writing
from depthmask.data.materialise.writing import LOG, Chunk, Encoding, Writer, plate_name, write_text
from depthmask.data.scenes.files import read_array, read_summary, read_text
from depthmask.data.scenes.library import Library
from depthmask.data.scenes.placement import TRAIN_STREAM, Placer, Recipes, placed_recipes
from depthmask.data.scenes.scene import Scene
from depthmask.data.sources import read_source
from depthmask.data.work import num_cores, progress
from depthmask.errors import InputError
from depthmask.tracking.provenance import code_hash
from depthmask.visualization.canvas import spread
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

    Scene k of `train` is what training composes as number k of its first epoch; `nobody` is the
    share of scenes in which nobody stands. Returns how many were written, and the seconds of it.
    Raises InputError if an argument or the folder is wrong, or the data is missing.
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
    writer = Writer(out, compositor, draw, size, encoding, is_varied)
    with writing.claimed(out, settings):
        written = writing.read_log(out)
        if (num := max((chunk.stop for chunk in written.values()), default=0)) > count:
            remedy = f"give --count {num} or more, or name another folder"
            raise InputError(f"{out} has {num} scenes already: {remedy}")
        start = time.perf_counter()
        writer.plan(written, count)
        rest = sum(len(task.names) for task in writer.tasks)
        if rest:
            _write(writer, written, rest, count, num_workers or num_cores())
        seconds = time.perf_counter() - start
        chunks = [chunk for _, chunk in sorted(written.items())]
        write_report(writer, chunks, set_name, summary["unit"])
    return rest, seconds


def _write(
    writer: Writer, written: dict[int, Chunk], rest: int, count: int, num_workers: int
) -> None:
    """Write the tasks, `rest` scenes, in `num_workers` processes; each is noted when it is done."""
    out, done = writer.out, count - rest
    title = f"{out} ({done} are there)" if done else str(out)
    num_workers = min(num_workers, len(writer.tasks)) if num_workers > 1 else 0
    writer.compositor.sources(writer.size)  # for all workers
    threads = torch.get_num_threads()
    torch.set_num_threads(threads if num_workers else 1)
    cv2.setNumThreads(0)  # a forked worker would wait for OpenCV's threads, which do not come along
    try:  # the workers start before the bar starts a thread
        chunks = iter(DataLoader(writer, batch_size=None, num_workers=num_workers))
        with progress(rest, title) as advance:
            for chunk in chunks:
                if isinstance(chunk, OSError):
                    raise chunk
                with open(out / LOG, "a", encoding="utf-8") as log:
                    log.write("\n" + json.dumps(asdict(chunk)))
                written[chunk.start] = chunk
                done += len(chunk.names)
                advance(len(chunk.names))
    except (KeyboardInterrupt, SystemExit):
        print(f"{done} of {count} scenes are in {out}: the same command goes on", file=sys.stderr)
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


def write_report(writer: Writer, chunks: Sequence[Chunk], set_name: str, unit: str) -> None:
    """Write bbox.txt, statistics.json, dataset.md, contact_sheet.png and, last, file_map.txt."""
    out, names = writer.out, [name for chunk in chunks for name in chunk.names]
    boxes = ("\t".join(map(str, box)) for chunk in chunks for box in chunk.boxes)
    lines = (f"{name}.jpeg\t{box}\n" for name, box in zip(names, boxes, strict=True))
    write_text(out / "bbox.txt", "".join(lines))
    statistics = summarise(writer, chunks, set_name, unit)
    write_text(out / "statistics.json", json.dumps(statistics, indent=2) + "\n")
    write_text(out / "dataset.md", describe(statistics))
    scene = writer.compositor(writer.draw(spread(len(names), NUM_SHOWN)), writer.size)
    bg, bg_fg, mask, *_ = writer.encoding.images(scene).values()
    shown = Scene(bg, bg_fg, mask[..., 0], scene.depth[:, 0].numpy())
    subtitle = f"{len(names)} scenes of {set_name} · {writer.size} px"
    composed_sheet(out / "contact_sheet.png", shown, unit=unit, subtitle=subtitle)
    bgs = names if writer.is_varied else map(plate_name, names)
    lines = (f"{bg}\t{n}\t{n}_mask\t{n}_depth_map\n" for bg, n in zip(bgs, names, strict=True))
    write_text(out / "file_map.txt", "".join(lines))


def summarise(writer: Writer, chunks: Sequence[Chunk], set_name: str, unit: str) -> dict[str, Any]:
    """Counts, sizes on disk, mean and standard deviation (of the population) of values in 0..1."""
    images: dict[str, dict[str, Any]] = {}
    for folder in chunks[0].num_bytes:
        num_bytes = [size for chunk in chunks for size in chunk.num_bytes.get(folder, ())]
        images[folder] = {"num_files": len(num_bytes), "num_bytes": sum(num_bytes)}
        if sums := [chunk.sums[folder] for chunk in chunks if folder in chunk.sums]:
            mean, squares = np.sum(sums, axis=0) / (len(num_bytes) * writer.size**2)
            images[folder] |= {
                "shape": [writer.size, writer.size, len(mean)],
                "mean": (mean / 255).round(5).tolist(),
                "std": (np.sqrt(np.maximum(squares - mean**2, 0)) / 255).round(5).tolist(),
            }
    names = pd.Series([name for chunk in chunks for name in chunk.names])
    people = names.str.extract("_fg([0-9]+)_", expand=False).astype(int)
    return {
        "set": set_name,
        "num_scenes": len(names),
        "num_plates": names.map(plate_name).nunique(),
        "num_people": people[people > 0].nunique(),
        "num_scenes_without_person": int((people == 0).sum()),
        **{key: sum(each[key] for each in images.values()) for key in ("num_files", "num_bytes")},
        "unit": unit,
        "depth_range": list(writer.encoding.depth_range_m),
        "images": images,
    }


def describe(statistics: dict[str, Any]) -> str:
    """The data set's own page, in Markdown."""
    near, far = statistics["depth_range"]
    unit = " m" if statistics["unit"] == "metre" else f" ({statistics['unit']})"
    table = "| folder | images | shape | MB | mean | std |\n| --- | --: | --- | --: | --- | --- |"
    for folder, entry in statistics["images"].items():
        mean, std = (" ".join(f"{v:.5f}" for v in entry.get(name, ())) for name in ("mean", "std"))
        shape = "x".join(map(str, entry.get("shape", ("16 bit",))))
        figures = f"{entry['num_files']:,} | {shape} | {entry['num_bytes'] / 1e6:.1f}"
        table += f"\n| {folder} | {figures} | {mean} | {std} |"
    return f"""\
# {statistics["num_scenes"]:,} composed scenes of the set {statistics["set"]}

{statistics["num_plates"]} plates, {statistics["num_people"]} people,\
 {statistics["num_scenes_without_person"]} scenes with nobody in them (`fg000`);\
 {statistics["num_files"]:,} images, {statistics["num_bytes"] / 1e6:.1f} MB.
Mean and standard deviation are of the pixels' values in 0 to 1, red, green, blue.

{table}

![24 of the scenes](contact_sheet.png)

- `file_map.txt`: background, background with foreground, mask, depth map, by tabs
- `bbox.txt`: background with foreground, the person's x, y, width, height, px

`bg007_fg012_000042` is plate 7 and person 12 in sample 42; `fg000` is nobody.
A mask is 255 where a pixel is all person. A depth map is 8 bits of
{near:g} * ({far:g} / {near:g}) ** (value / 255){unit}: 0 is near, 255 far.
"""
