"""Photographs: a user's own pictures of empty rooms and of people become a library."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from depthmask.config import PhotosParams
from depthmask.data.scenes.leakage_check import group
from depthmask.data.scenes.library import Library
from depthmask.data.scenes.scene import Cutout, Plate
from depthmask.data.sources.photos.depth import Teacher, Unit, read_depth_map
from depthmask.data.sources.photos.floor import ground_plate
from depthmask.data.sources.photos.folder import Findings, list_photos
from depthmask.data.sources.photos.pictures import read_cutout, read_plate
from depthmask.errors import InputError

Result = TypeVar("Result")


def ingest_photos(
    folder: Path,
    params: PhotosParams,
    *,
    seed: int,
    size: int,
    splits: Mapping[str, Mapping[str, float]],
    cache: Path,
    findings_path: Path,
) -> tuple[Library, Unit]:
    """Read, check, ground and split the photographs of a folder; plates get `size` px.

    Args:
        splits: under `plates` and `cutouts` the weights of train, val and test.
        cache: folder of the teacher's answers.
        findings_path: CSV file of the remarks, which are also printed.

    Returns:
        A library, and the unit of its depths and stands: metres, nominal ones if relative.
    """
    findings = Findings(folder, findings_path)
    plate_paths, cutout_paths, map_paths = list_photos(folder, findings)
    teacher = None
    if map_paths and params.teacher:
        findings.note("teacher", folder / "depth", "is used, and the teacher is not asked")
    elif params.teacher:
        teacher = Teacher(folder / params.teacher, params.teacher_size, params.teacher_batch, cache)
    elif not map_paths:
        findings.stop_on_errors()  # which may be why there is no map
        raise InputError(
            f"{folder} tells no depth: put a depth map for each picture of bg/ into depth/, or"
            " name a teacher (an ONNX file) under prepare.photos.teacher"
        )
    images = _read_all(plate_paths, lambda path: read_plate(path, size), "plate", findings)

    def cutout(path: Path) -> Cutout:
        low, high = params.person_height_m
        share = np.random.default_rng([seed, *path.stem.encode()]).random()  # whoever else there is
        return read_cutout(path, size, float(low + share * (high - low)), findings)

    people = _read_all(cutout_paths, cutout, "cutout", findings)
    maps = _read_all(
        [path for stem, path in map_paths.items() if stem in images],
        lambda path: read_depth_map(path, images[path.stem][1], size, findings),
        "depth",
        findings,
    )
    map_of = {unit: map_paths[stem] for stem, (_, unit) in maps.items()}
    if len(map_of) > 1:
        text = f"is relative (8 bits) while {map_of['metre'].name} is in metres: make them all one"
        findings.error("units", map_of["relative"], text)
    findings.stop_on_errors()

    unit: Unit = "relative"
    if teacher:
        values = teacher.inverse_depths(plate_paths, size)
    else:
        unit = next(iter(map_of))
        values = (maps[path.stem][0] for path in plate_paths)
    plates = []
    for path, depth in zip(plate_paths, values, strict=True):
        ground = ground_plate(path, depth, unit, params, seed, findings)
        plates.append(Plate(path.stem, images[path.stem][0], *ground))
        if len(plates[-1].stands) == 0:
            remedy = "remove it, or mend fov_degrees, camera_height_m"
            findings.error("no-stand", path, f"has no place where a person fits: {remedy}")
    findings.stop_on_errors()
    cutouts = list(people.values())
    plate_groups = _groups(plate_paths, [plate.image for plate in plates], findings)
    cutout_groups = _groups(cutout_paths, [cutout.rgba for cutout in cutouts], findings)
    findings.publish()  # before the splits: near-duplicates may be why there are too few groups
    library = Library.pack(
        plates,
        assign_splits(list(images), plate_groups, splits["plates"], seed, "plates"),
        cutouts,
        assign_splits(list(people), cutout_groups, splits["cutouts"], seed, "cutouts"),
    )
    return library, unit


def _read_all(
    paths: Sequence[Path], read: Callable[[Path], Result], code: str, findings: Findings
) -> dict[str, Result]:
    """Read the files, by their stems; what cannot be read is a finding."""
    results = {}
    for path in paths:
        try:
            results[path.stem] = read(path)
        except InputError as error:
            findings.error(code, path, str(error))
    return results


def _groups(paths: Sequence[Path], images: Sequence[np.ndarray], findings: Findings) -> np.ndarray:
    """Near-duplicates share the first one's index."""
    groups = group(images)
    for path, first in zip(paths, groups, strict=True):
        if paths[first] != path:
            text = f"looks nearly like {paths[first].name}: both are in one split"
            findings.warn("near-duplicate", path, text)
    return groups


def assign_splits(
    names: Sequence[str], groups: np.ndarray, weights: Mapping[str, float], seed: int, kind: str
) -> list[str]:
    """Divide pictures among the splits, whole groups at a time; every split has one at least.

    The order is that of a hash of seed and name, so that another picture moves few of the others;
    equal numbers in `groups`, int [N], stay together; weights have any sum.
    """
    members = [np.flatnonzero(groups == number) for number in np.unique(groups)]
    if len(members) < 3:
        raise InputError(
            f"{len(names)} {kind} make {len(members)} groups that differ, and train, val and test"
            f" need one each: add {kind}"
        )

    def order(rows: np.ndarray) -> tuple[int, bytes]:
        return len(rows), hashlib.sha256(f"{seed}/{kind}/{names[rows[0]]}".encode()).digest()

    queue = sorted(members, key=order)
    chosen = ["train"] * len(names)
    for split, num_after in (("test", 2), ("val", 1)):
        wanted = round(len(names) * weights[split] / sum(weights.values()))
        taken = 0
        while taken == 0 or (taken + len(queue[0]) <= wanted and len(queue) > num_after):
            taken += len(queue[0])
            for index in queue.pop(0):
                chosen[index] = split
    return chosen
