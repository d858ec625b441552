"""Scenes a second written as files, ours beside the original's way: run in the checkout's root.

    python scripts/materialise_bench.py [--rounds 5] [--ours 3000] [--original 300] [--json FILE]

All take the same plates and people of the prepared data, enlarged to 224 px where it is smaller,
and write to the same disk; they run in turn, so that whatever else the machine does meets all of
them. The original's way, with its sources in memory: a person 340 px high is pasted onto a plate
of 704 px at a random place, mirrored half the time, and so is the mask onto black; both are saved,
and the 352 px that its depth network would give (the network is left out); all three are opened
again, shrunk to 224 px (Lanczos) and saved. It ran in one process; here also in one a core, and
once more without the files between, which is kinder than it was.
A scene is four files (bg, bg_fg, mask, depth) with us, three with the original, whose plates are
files once. Ours are JPEGs of the default quality (90), with the statistics gathered meanwhile; the
original's are of Pillow's default, 75. Reading the sources is not timed, nor our report at the end.
"""

import argparse
import json
import multiprocessing
import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from depthmask.config.reading import read_params
from depthmask.data.materialise import materialise
from depthmask.data.materialise.writing import Encoding
from depthmask.data.scenes.library import Library, read_array
from depthmask.errors import exit_on_error
from depthmask.export.benchmark import processor_name
from depthmask.stages import PARAMS, PREPARED

SIZE, LARGE, PERSON_HEIGHT, NETWORK = 224, 704, 340, 352
NUM_SOURCES = 100

_sources: tuple[list[Image.Image], list[Image.Image], list[tuple[Image.Image, Image.Image]]]


def enlarge(prepared: Path, folder: Path) -> None:
    """Write up to 100 plates and people of the training split, at 224 px at least."""
    library = Library.read(prepared)
    plates = library.plates_of("train")[:NUM_SOURCES]
    cutouts = library.cutouts_of("train")[:NUM_SOURCES]
    factor = max(1.0, SIZE / library.size)

    def resized(images: np.ndarray, interpolation: int) -> np.ndarray:
        sizes = (round(images.shape[2] * factor), round(images.shape[1] * factor))
        return np.stack([cv2.resize(image, sizes, interpolation=interpolation) for image in images])

    table = library.cutouts.iloc[cutouts].reset_index(drop=True)
    table[["foot_u", "foot_v"]] *= factor
    table["metres_per_px"] /= factor
    folder.mkdir()
    replace(
        library,
        plates=library.plates.iloc[plates].reset_index(drop=True),
        images=resized(library.images[plates], cv2.INTER_CUBIC),
        depths=resized(library.depths[plates], cv2.INTER_NEAREST),
        stands=library.stands[plates],
        cutouts=table,
        rgba=resized(library.rgba[cutouts], cv2.INTER_LINEAR),
        relief=resized(library.relief[cutouts], cv2.INTER_LINEAR),
    ).write(folder)
    np.save(folder / "visible_shares.npy", read_array(prepared / "visible_shares.npy")[plates])
    shutil.copy(prepared / "summary.json", folder)


def load_sources(prepared: Path) -> None:
    """The original's sources in memory: plates, and people and their masks, each also mirrored."""
    global _sources
    library = Library.read(prepared)
    plates = [Image.fromarray(image).resize((LARGE, LARGE)) for image in library.images]
    depths = [plate.convert("L").resize((NETWORK, NETWORK)) for plate in plates]
    people = []
    for rgba in library.rgba:
        person = Image.fromarray(rgba)
        person = person.crop(person.getchannel("A").getbbox())
        width = min(LARGE, person.width * PERSON_HEIGHT // person.height)
        person = person.resize((width, PERSON_HEIGHT))
        mask = Image.merge("RGBA", [person.getchannel("A").point([0] + [255] * 255)] * 4)
        people += [(person, mask), (ImageOps.mirror(person), ImageOps.mirror(mask))]
    _sources = plates, depths, people


def compose_original(out: Path, start: int, count: int, between: bool) -> None:
    """Write scenes as the original did; `between` says whether the large images become files.

    Without, masks are grey from the start as well, and depth is shrunk but never large on disk.
    """
    plates, depths, people = _sources
    chance = random.Random(start)
    for number in range(start, start + count):
        plate = chance.choice(plates)
        person, alpha = chance.choice(people)
        place = chance.randint(0, LARGE - person.width), chance.randint(0, LARGE - person.height)
        frame = plate.copy()
        frame.paste(person, place, person)
        mask = Image.new("RGB" if between else "L", (LARGE, LARGE))
        mask.paste(alpha if between else alpha.getchannel("A"), place, alpha if between else None)
        images = {
            "bg_fg": frame,
            "bg_fg_mask": mask.convert("L"),
            "bg_fg_depth_map": depths[number % len(depths)],
        }
        paths = {folder: out / folder / f"{number:06d}.jpeg" for folder in images}
        for folder, image in images.items():
            if between:
                image.save(paths[folder])
                image = Image.open(paths[folder])
            image.resize((SIZE, SIZE), Image.Resampling.LANCZOS).save(paths[folder])


class Original:
    """Scenes per second of the original's way in a number of processes, started beforehand."""

    def __init__(self, prepared: Path, num_processes: int, between: bool) -> None:
        self.num_processes, self.between = num_processes, between
        context = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(num_processes, context, load_sources, (prepared,))

    def __call__(self, out: Path, count: int) -> float:
        for folder in ("bg_fg", "bg_fg_mask", "bg_fg_depth_map"):
            (out / folder).mkdir(parents=True)
        share = count // self.num_processes
        start = time.perf_counter()
        futures = [
            self.pool.submit(compose_original, out, share * number, share, self.between)
            for number in range(self.num_processes)
        ]
        for future in futures:
            future.result()
        return share * self.num_processes / (time.perf_counter() - start)


def ours(prepared: Path, num_workers: int) -> Callable[[Path, int], float]:
    params = read_params(PARAMS)

    def measure(out: Path, count: int) -> float:
        num_scenes, seconds = materialise(
            out,
            prepared=prepared,
            augmented=None,
            set_name="train",
            count=count,
            size=SIZE,
            placement=params.placement,
            compositor_params=params.compositor,
            nobody=params.train.nobody,
            encoding=Encoding(params.train.depth_range_m),
            num_workers=num_workers,
        )
        assert num_scenes == count
        return count / seconds

    return measure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ours", type=int, default=3000, help="scenes a measurement of ours")
    parser.add_argument("--original", type=int, default=300, help="scenes of the original's way")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepared = folder / "prepared"
        enlarge(PREPARED, prepared)
        ways = {
            f"ours, {cores} workers": (ours(prepared, cores), arguments.ours, 4),
            "ours, 1 worker": (ours(prepared, 1), arguments.ours // 2, 4),
            "original, 1 process": (Original(prepared, 1, True), arguments.original // 2, 3),
            f"original, {cores} processes": (
                Original(prepared, cores, True),
                arguments.original,
                3,
            ),
            f"original without files between, {cores} processes": (
                Original(prepared, cores, False),
                arguments.original,
                3,
            ),
        }
        rates: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(arguments.rounds + 1):
            for way, (measure, count, _) in ways.items():
                rate = measure(folder / "out", count)
                shutil.rmtree(folder / "out")
                if number > 0:  # the first round starts processes and fills caches
                    rates[way].append(rate)
    print(f"{SIZE} px on {processor_name()}, {cores} cores, medians of {arguments.rounds} rounds")
    first = next(iter(rates))
    result = {}
    for way, values in rates.items():
        ratios = [mine / value for mine, value in zip(rates[first], values, strict=True)]
        rate, files = statistics.median(values), ways[way][2]
        result[way] = {
            "scenes_per_s": round(rate, 1),
            "files_per_s": round(files * rate, 1),
            "ours_is_faster_by": round(statistics.median(ratios), 2),
            "range": [round(min(values), 1), round(max(values), 1)],
        }
        print(
            f"{way:<48} {rate:7.1f} scenes/s ({min(values):.1f} to {max(values):.1f}),"
            f" {files * rate:7.1f} files/s; ours, all cores, is {statistics.median(ratios):.2f} x"
        )
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    with exit_on_error():
        main()
