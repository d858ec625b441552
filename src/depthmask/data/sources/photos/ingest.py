"""Reading, checking, grounding and splitting a folder of photographs."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from depthmask.config import PrepareParams
from depthmask.data.scenes.leakage_check import group
from depthmask.data.scenes.library import Library
from depthmask.data.scenes.scene import Plate
from depthmask.data.sources.photos import pictures
from depthmask.data.sources.photos.floor import ground_plate
from depthmask.data.sources.photos.folder import Findings, list_photos
from depthmask.errors import InputError


def ingest_photos(
    folder: Path, cache: Path, findings_path: Path, params: PrepareParams
) -> tuple[Library, pictures.Unit]:
    """Read, check, ground and split the photographs of a folder, the teacher's answers in `cache`,
    remarks in the CSV file `findings_path`: a library, and the unit that its depths had."""
    photos, size, seed = params.photos, params.size, params.seed
    findings = Findings(folder, findings_path)
    plate_paths, cutout_paths, map_paths = list_photos(folder, findings)
    teacher: pictures.Teacher | None = None
    if map_paths and photos.teacher:
        findings.warn("teacher", folder / "depth", "is used, and the teacher is not asked")
    elif photos.teacher:
        path = folder / photos.teacher
        teacher = pictures.Teacher(path, photos.teacher_size, photos.teacher_batch, cache)
    elif not map_paths:
        findings.stop_on_errors()  # which may be why there is no map
        raise InputError(
            f"{folder} tells no depth: put a depth map for each picture of bg/ into depth/, or"
            " name a teacher (an ONNX file) under prepare.photos.teacher"
        )
    images, maps, cutouts = {}, [], []
    map_of: dict[pictures.Unit, Path] = {}
    for name, path in plate_paths.items():
        with findings.caught("plate", path):
            images[name], shape = pictures.read_plate(path, size)
            if map_path := map_paths.get(name):
                with findings.caught("depth", map_path):
                    values, unit = pictures.read_depth_map(map_path, shape, size, findings)
                    maps.append(values)
                    map_of[unit] = map_path
    shortest, tallest = photos.person_height_m
    for name, path in cutout_paths.items():
        share = np.random.default_rng([seed, *name.encode()]).random()  # whoever else there is
        with findings.caught("cutout", path):
            height_m = float(shortest + share * (tallest - shortest))
            cutouts.append(pictures.read_cutout(path, size, height_m, findings))
    if len(map_of) > 1:
        text = f"is relative (8 bits) while {map_of['metre'].name} is in metres: make them all one"
        findings.error("units", map_of["relative"], text)
    findings.stop_on_errors()

    unit = "relative" if teacher else next(iter(map_of))
    depths: Iterable[np.ndarray] = maps
    if teacher:
        depths = teacher.inverse_depths(list(plate_paths.values()), size)
    plates = []
    for (name, path), values in zip(plate_paths.items(), depths, strict=True):
        ground = ground_plate(path, values, unit, photos, seed, findings)
        plates.append(Plate(name, images[name], *ground))
        if len(plates[-1].stands) == 0:
            remedy = "remove it, or mend fov_degrees, camera_height_m"
            findings.error("no-stand", path, f"has no place where a person fits: {remedy}")
    findings.stop_on_errors()
    groups = group(list(images.values())), group([cutout.rgba for cutout in cutouts])
    for paths, firsts in zip((plate_paths, cutout_paths), groups, strict=True):
        files = list(paths.values())
        for index in np.flatnonzero(firsts != np.arange(len(files))):
            text = f"looks nearly like {files[firsts[index]].name}: both are in one split"
            findings.warn("near-duplicate", files[index], text)
    findings.publish()  # before the splits: near-duplicates may be why there are too few groups
    weights = params.splits.model_dump()
    plate_splits, cutout_splits = (
        assign_splits(list(paths), firsts, weights[kind], seed, kind)
        for kind, paths, firsts in zip(weights, (plate_paths, cutout_paths), groups, strict=True)
    )
    return Library.pack(plates, plate_splits, cutouts, cutout_splits), unit


def assign_splits(
    names: Sequence[str], groups: np.ndarray, weights: Mapping[str, float], seed: int, kind: str
) -> list[str]:
    """Divide pictures among the splits, whole groups (equal numbers in `groups`) at a time, one at
    least, by a hash of seed and name, so that another picture moves few; weights have any sum."""
    members = [np.flatnonzero(groups == number) for number in np.unique(groups)]
    if len(members) < 3:
        raise InputError(
            f"{len(names)} {kind} make {len(members)} groups that differ, and train, val and test"
            f" need one each: add {kind}"
        )

    def order(rows: np.ndarray) -> tuple[int, bytes]:
        return len(rows), hashlib.sha256(f"{seed}/{kind}/{names[rows[0]]}".encode()).digest()

    queue = sorted(members, key=order)
    chosen = np.full(len(names), "train")
    for split, num_after in (("test", 2), ("val", 1)):
        wanted = round(len(names) * weights[split] / sum(weights.values()))
        taken = 0
        while taken == 0 or (taken + len(queue[0]) <= wanted and len(queue) > num_after):
            taken += len(queue[0])
            chosen[queue.pop(0)] = split
    return chosen.tolist()
