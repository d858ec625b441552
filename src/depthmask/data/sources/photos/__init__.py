"""Photographs: a user's own pictures of empty rooms and of people become a library."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from depthmask.config import PhotosParams
from depthmask.data.scenes.duplicates import group
from depthmask.data.scenes.library import Library
from depthmask.data.scenes.scene import SPLITS, Cutout, Plate
from depthmask.data.sources.photos.depth import Teacher, Unit, read_depth_map
from depthmask.data.sources.photos.floor import ground_plate
from depthmask.data.sources.photos.folder import Findings, Listing, list_photos
from depthmask.data.sources.photos.pictures import read_cutout, read_plate
from depthmask.errors import InputError

Result = TypeVar("Result")


class Photos(NamedTuple):
    """A library whose depths and stands are in metres, or in nominal metres if relative."""

    library: Library
    unit: Unit


def ingest_photos(
    folder: Path,
    params: PhotosParams,
    *,
    seed: int,
    size: int,
    splits: Mapping[str, Mapping[str, float]],
    cache: Path,
    findings_path: Path,
) -> Photos:
    """Read, check, ground and split the photographs of a folder.

    Args:
        folder: with bg/, fg/ and perhaps depth/.
        params: what the pictures do not tell.
        seed: of the split, the floor's search, the stands and the people's heights.
        size: side of the plates, px.
        splits: under `plates` and `cutouts` the weights of train, val and test.
        cache: folder of the teacher's answers.
        findings_path: CSV file of the remarks, which are also printed.

    Raises:
        InputError: something must be mended: the number of errors and the first one.
    """
    findings = Findings(folder, findings_path)
    listing = list_photos(folder, findings)
    teacher = _open_teacher(folder, listing, params, cache, findings)
    images = _read_all(listing.plates, lambda path: read_plate(path, size), "plate", findings)

    def cutout(path: Path) -> Cutout:
        low, high = params.person_height_m
        share = np.random.default_rng([seed, *path.stem.encode()]).random()  # whoever else there is
        return read_cutout(path, size, float(low + share * (high - low)), findings)

    people = _read_all(listing.cutouts, cutout, "cutout", findings)
    maps = _read_all(
        [path for stem, path in listing.depths.items() if stem in images],
        lambda path: read_depth_map(path, images[path.stem][1], size, findings),
        "depth",
        findings,
    )
    map_of = {unit: listing.depths[stem] for stem, (_, unit) in maps.items()}
    if len(map_of) > 1:
        text = f"is relative (8 bits) while {map_of['metre'].name} is in metres: make them all one"
        findings.add("error", "units", map_of["relative"], text)
    findings.stop_on_errors()

    unit: Unit = "relative" if teacher else next(iter(map_of))
    values = (
        teacher.inverse_depths(listing.plates, size)
        if teacher
        else (maps[path.stem][0] for path in listing.plates)
    )
    plates = []
    for path, depth in zip(listing.plates, values, strict=True):
        ground = ground_plate(path, depth, unit, params, seed, findings)
        plates.append(Plate(path.stem, images[path.stem][0], *ground))
        if len(plates[-1].stands) == 0:
            text = (
                "has no place where a person would take 5 % to 100 % of the frame's height: remove"
                " it, or mend fov_degrees and camera_height_m"
            )
            findings.add("error", "no-stand", path, text)
    findings.stop_on_errors()
    cutouts = list(people.values())
    plate_groups = _groups(listing.plates, [plate.image for plate in plates], findings)
    cutout_groups = _groups(listing.cutouts, [cutout.rgba for cutout in cutouts], findings)
    findings.publish()  # before the splits: near-duplicates may be why there are too few groups
    library = Library.pack(
        plates,
        assign_splits(list(images), plate_groups, splits["plates"], seed, "plates"),
        cutouts,
        assign_splits(list(people), cutout_groups, splits["cutouts"], seed, "cutouts"),
    )
    return Photos(library, unit)


def _open_teacher(
    folder: Path, listing: Listing, params: PhotosParams, cache: Path, findings: Findings
) -> Teacher | None:
    """The teacher, checked before a picture is opened; None if there are depth maps."""
    if listing.depths:
        if params.teacher is not None:
            text = "is used, and the teacher is not asked"
            findings.add("note", "teacher", folder / "depth", text)
        return None
    if params.teacher is None:
        findings.stop_on_errors()  # which may be why there is no map
        raise InputError(
            f"{folder} tells no depth: put a depth map for each picture of bg/ into depth/, or"
            " name a teacher (an ONNX file) under prepare.photos.teacher"
        )
    path = folder / params.teacher
    return Teacher(path, size=params.teacher_size, batch=params.teacher_batch, cache=cache)


def _read_all(
    paths: Sequence[Path], read: Callable[[Path], Result], code: str, findings: Findings
) -> dict[str, Result]:
    """Read the files, several at a time, by their stems; what cannot be read is a finding."""

    def attempt(path: Path) -> Result | InputError:
        try:
            return read(path)
        except InputError as error:
            return error

    results = {}
    # decoding releases the interpreter; each holds a whole picture, so not too many
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for path, result in zip(paths, pool.map(attempt, paths), strict=True):
            if isinstance(result, InputError):
                findings.add("error", code, path, str(result))
            else:
                results[path.stem] = result
    return results


def _groups(paths: Sequence[Path], images: Sequence[np.ndarray], findings: Findings) -> np.ndarray:
    """Near-duplicates share the first one's index."""
    groups = group(images)
    for path, first in zip(paths, groups, strict=True):
        if paths[first] != path:
            text = f"looks nearly like {paths[first].name}: both are in one split"
            findings.add("warning", "near-duplicate", path, text)
    return groups


def assign_splits(
    names: Sequence[str], groups: np.ndarray, weights: Mapping[str, float], seed: int, kind: str
) -> list[str]:
    """Divide pictures among the splits, whole groups at a time; every split has one at least.

    The order is that of a hash of seed and name, so that another picture moves few of the others.

    Args:
        groups: int [N], equal numbers for pictures that must stay together.
        weights: the splits' shares, in any proportion (200, 20, 20 or 0.8, 0.1, 0.1).

    Raises:
        InputError: there are fewer groups than splits.
    """
    members = [np.flatnonzero(groups == number) for number in np.unique(groups)]
    if len(members) < len(SPLITS):
        raise InputError(
            f"{len(names)} {kind} make {len(members)} groups that differ, and train, val and test"
            f" need one each: add {kind}"
        )

    def order(rows: np.ndarray) -> tuple[int, bytes]:
        return -len(rows), hashlib.sha256(f"{seed}/{kind}/{names[rows[0]]}".encode()).digest()

    total = sum(weights[split] for split in SPLITS)
    wanted = {split: max(1, round(len(names) * weights[split] / total)) for split in SPLITS[1:]}
    wanted[SPLITS[0]] = len(names) - sum(wanted.values())
    chosen, empty = [""] * len(names), list(SPLITS)
    for number, rows in enumerate(sorted(members, key=order)):
        # the last groups go to those that have none
        among = empty if len(members) - number <= len(empty) else SPLITS
        split = max(among, key=lambda name: wanted[name])
        wanted[split] -= len(rows)
        empty = [name for name in empty if name != split]
        for index in rows:
            chosen[index] = split
    return chosen
