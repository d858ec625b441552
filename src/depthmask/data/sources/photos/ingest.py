"""Reading, checking, grounding and splitting a folder of photographs."""

from pathlib import Path

import numpy as np

from depthmask.config import PrepareParams
from depthmask.data.scenes.images import read_rgb
from depthmask.data.scenes.leakage_check import assign_splits, group
from depthmask.data.scenes.library import Library
from depthmask.data.scenes.scene import Cutout, Plate
from depthmask.data.sources.photos import pictures
from depthmask.data.sources.photos.floor import ground_plate
from depthmask.data.sources.photos.folder import collected, list_photos, stop_on_errors, warn
from depthmask.data.work import progress
from depthmask.errors import InputError


def ingest_photos(
    folder: Path, cache: Path, params: PrepareParams
) -> tuple[Library, pictures.Unit]:
    """Read, check, ground and split the photographs of a folder, the teacher's answers in `cache`:
    a library, and the unit that its depths had. All errors are printed before InputError."""
    photos, size, seed = params.photos, params.size, params.seed
    errors: list[str] = []
    plate_paths, cutout_paths, map_paths = list_photos(folder, errors)
    teacher: pictures.Teacher | None = None
    if not map_paths and photos.teacher:
        teacher = pictures.Teacher(folder / photos.teacher, photos.teacher_size, cache)
    elif not map_paths:
        remedy = "or name a teacher (an ONNX file) under prepare.photos.teacher"
        maps = "put a depth map for each picture of bg/ into depth/"
        raise InputError(f"{folder} tells no depth: {maps}, {remedy}")
    plates: list[Plate] = []
    cutouts: list[Cutout] = []
    source_of: dict[pictures.Unit, Path] = {}
    with progress(len(plate_paths), "plates read") as advance:
        for name, path in plate_paths.items():
            source = path if teacher else map_paths.get(name)
            with collected(errors):
                picture = read_rgb(path)
                image = pictures.plate_image(path, picture, size)
                unit: pictures.Unit = "relative"
                if source is None:  # which is told already
                    continue
                if teacher:
                    values = teacher.inverse_depth(path, picture, size)
                else:
                    values, unit = pictures.read_depth_map(source, picture.shape[:2], size)
                source_of[unit] = source
                plates.append(Plate(name, image, *ground_plate(path, values, unit, photos, seed)))
                if len(plates[-1].stands) == 0:
                    remedy = "remove it, or mend fov_degrees, camera_height_m"
                    raise InputError(f"{path} has no place where a person fits: {remedy}")
            advance(1)
    for name, path in cutout_paths.items():
        draw = np.random.default_rng([seed, *name.encode()])  # whoever else there is
        with collected(errors):
            height_m = draw.uniform(*photos.person_height_m)
            cutouts.append(pictures.read_cutout(path, size, height_m))
    if len(source_of) > 1:
        text = f"is relative (8 bits) and {source_of['metre'].name} in metres: make them all one"
        errors.insert(0, f"{source_of['relative']} {text}")
    stop_on_errors(folder, errors)

    groups = group([plate.image for plate in plates]), group([each.rgba for each in cutouts])
    weights, splits = params.splits.model_dump(), []
    for kind, paths, firsts in zip(weights, (plate_paths, cutout_paths), groups, strict=True):
        files = list(paths.values())
        for index in np.flatnonzero(firsts != np.arange(len(files))):
            text = f"looks nearly like {files[firsts[index]].name}: both are in one split"
            warn(files[index], text)
        splits.append(assign_splits(kind, list(paths), weights[kind], seed, firsts))
    return Library.pack(plates, splits[0], cutouts, splits[1]), next(iter(source_of))
