"""What is asked for, checked; then composed, written and reported."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from depthmask.config import CompositorParams, PlacementParams
from depthmask.data.composition.eval_sets import placed_recipes
from depthmask.data.materialise.files import Encoding
from depthmask.data.materialise.painter import Painter
from depthmask.data.materialise.report import write_report
from depthmask.data.materialise.writing import Draw, Job, write_missing
from depthmask.data.materialise.written import WrittenLog, claimed
from depthmask.data.scenes.files import read_array, read_summary, read_text
from depthmask.data.scenes.library import Library
from depthmask.data.scenes.placement import TRAIN_STREAM, Placer, Recipes
from depthmask.data.scenes.scene import COMPOSED_SETS
from depthmask.errors import InputError
from depthmask.tracking.provenance import code_hash
from depthmask.training.assembly import read_compositor

_CODE = ("data/composition", "data/materialise", "data/scenes")
"""What decides the files' content; a folder that other code began is not continued."""


@dataclass(frozen=True)
class Materialised:
    """What `materialise` did.

    Attributes:
        statistics: as in `statistics.json`.
        num_new_scenes, num_new_files: how many of the scenes and image files this run wrote.
        seconds: which that took, without reading the sources and without the report.
    """

    statistics: dict[str, Any]
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
    depth_range_m: tuple[float, float],
    quality: int,
    exact_depth: bool = False,
    num_workers: int | None = None,
) -> Materialised:
    """Write the first `count` scenes of a set as files, or go on where a run was stopped.

    Scene k is a function of the data and the arguments before `num_workers`, `count` apart: a
    larger count adds scenes to those that are there. Of the set `train` it is the sample that
    training composes as number k of its first epoch, to within a step of 255.

    Args:
        out: the folder to write; new, empty, or from these same arguments.
        prepared, augmented: the folders of those stages; the latter's variants are for `train`
            alone, None leaves them out.
        set_name: `train` or one of `depthmask.data.scenes.scene.COMPOSED_SETS`.
        size: of the images, px.
        placement, compositor_params: see there; without variation of the plate every plate is
            written once, as in the original, and not with each scene.
        nobody: share of the training scenes in which nobody stands.
        depth_range_m: see `files.Encoding`, also quality and exact_depth.
        num_workers: processes or threads; by default one a core. The files do not depend on it.

    Raises:
        InputError: an argument or the folder is wrong, or the data is missing.
    """
    summary = read_summary(prepared)
    if summary["source"] == "modest":
        raise InputError(f"{summary['folder']} has this layout already: nothing to compose")
    library = Library.read(prepared)
    _check(summary, library, set_name, size, exact_depth)
    training = set_name == "train"
    digest = None
    if training and augmented is not None:
        digest = read_text(augmented / "digest.txt").strip()
    compositor = read_compositor(library, compositor_params, augmented if training else None)
    num_variants = compositor.num_variants
    encoding = Encoding(quality, depth_range_m, exact_depth)
    settings = {
        "set": set_name,
        "size": size,
        "placement": placement.model_dump(mode="json"),
        "compositor": compositor_params.model_dump(mode="json"),
        "nobody": nobody if training else 0.0,
        "encoding": asdict(encoding),
        "data": summary["data_hash"],
        "augmented": digest,
        "code": code_hash(_CODE),
    }
    if training:
        draw = _training_draw(library, prepared, placement, nobody, num_variants)
    else:
        draw = _set_draw(placed_recipes(prepared, set_name, placement.seed), set_name, count)
    with claimed(out, settings):
        log = WrittenLog(out)
        if log.stop > count:
            raise InputError(
                f"{out} has {log.stop} scenes already: give --count {log.stop} or more,"
                " or name another folder"
            )
        varied = num_variants > 0 or _varies_plate(compositor_params)
        job = Job(out, Painter(compositor, size), draw, encoding, varied)
        start, before = time.perf_counter(), log.num_scenes
        num_files = write_missing(job, log, count, num_workers)
        seconds = time.perf_counter() - start
        statistics = write_report(
            out,
            log.ordered(),
            settings,
            paint=lambda numbers: job.painter.paint(draw(numbers)),
            unit=summary["unit"],
        )
    return Materialised(statistics, log.num_scenes - before, num_files, seconds)


def plain_shots(params: CompositorParams) -> CompositorParams:
    """The parameters under which nothing varies from shot to shot: people pasted onto plates."""
    never = {"p": 0.0}
    return params.model_copy(
        update={
            "flipped": 0.0,
            "crop": params.crop.model_copy(update=never),
            "person_light": params.person_light.model_copy(update={"gain": 0.0, "tint": 0.0}),
            "shadow": params.shadow.model_copy(update=never),
            "noise": params.noise.model_copy(update=never),
            "plate_light": params.plate_light.model_copy(update=never),
            "plate_motion": params.plate_motion.model_copy(update=never),
        }
    )


def _varies_plate(params: CompositorParams) -> bool:
    """Whether the plate differs from scene to scene."""
    shares = (params.crop, params.noise, params.plate_light, params.plate_motion)
    return params.flipped > 0 or any(share.p > 0 for share in shares)


def _check(
    summary: dict[str, Any], library: Library, set_name: str, size: int, exact_depth: bool
) -> None:
    if set_name not in ("train", *COMPOSED_SETS):
        raise InputError(f"there is no set {set_name!r}: name train, {', '.join(COMPOSED_SETS)}")
    if not 32 <= size <= library.size:
        raise InputError(f"--size {size} is not possible: give 32 to {library.size}, the data's")
    if exact_depth and summary["unit"] != "metre":
        raise InputError("this data has relative depth, no metres: leave out --exact-depth")


def _training_draw(
    library: Library, prepared: Path, placement: PlacementParams, nobody: float, num_variants: int
) -> Draw:
    placer = Placer(
        library,
        read_array(prepared / "visible_shares.npy"),
        placement,
        nobody=nobody,
        num_variants=num_variants,
    )
    return lambda numbers: placer.draw(TRAIN_STREAM, 0, numbers)


def _set_draw(recipes: Recipes, set_name: str, count: int) -> Draw:
    num = len(recipes.plate)
    if count > num:
        raise InputError(f"{set_name} has {num} scenes: give --count {num} or less")
    return lambda numbers: Recipes(
        *(column[[number for number in numbers if number < num]] for column in recipes)
    )
