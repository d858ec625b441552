"""A folder of photographs becomes a library, as the museum is one."""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd

from depthmask.config import PhotosParams
from depthmask.data.scenes.duplicates import group
from depthmask.data.scenes.library import Library
from depthmask.data.scenes.scene import Cutout, Plate
from depthmask.data.sources.photos.depth_maps import DepthMap, Unit, read_depth_map
from depthmask.data.sources.photos.findings import Findings
from depthmask.data.sources.photos.folder import Listing, list_photos
from depthmask.data.sources.photos.grounding import Ground, ground_plate
from depthmask.data.sources.photos.pictures import (
    CutoutPicture,
    PlatePicture,
    read_cutout,
    read_plate,
)
from depthmask.data.sources.photos.splits import assign_splits
from depthmask.data.sources.photos.teacher import Teacher
from depthmask.errors import InputError

Read = TypeVar("Read")


class PhotosSource(NamedTuple):
    """What a folder of photographs gave.

    Attributes:
        library: as the museum's; `depths` and `stands` are in metres, or in nominal metres if the
            unit is relative.
        unit: `metre` or `relative`.
        report: a row a plate: name, split, group, floor_share, camera_height_m, pitch_degrees,
            roll_degrees.
        findings: the remarks about the files, published.
    """

    library: Library
    unit: Unit
    report: pd.DataFrame
    findings: Findings


def ingest_photos(
    folder: Path,
    params: PhotosParams,
    *,
    seed: int,
    size: int,
    splits: Mapping[str, Mapping[str, float]],
    cache: Path,
    findings_path: Path,
) -> PhotosSource:
    """Read, check, ground and split the photographs of a folder.

    Args:
        folder: with bg/, fg/ and perhaps depth/.
        params: what the pictures do not tell.
        seed: of the split, the floor's search, the stands and the people's heights.
        size: side of the plates, px.
        splits: under `plates` and `cutouts` the weights of train, val and test.
        cache: folder of the teacher's answers.
        findings_path: CSV file of the remarks, written in any case; errors are also printed.

    Raises:
        InputError: something must be mended: the number of errors and the first one.
    """
    findings = Findings(folder, findings_path)
    listing = list_photos(folder, findings)
    teacher = _open_teacher(folder, listing, params, cache, findings)
    plates = _read_all(listing.plates, lambda path: read_plate(path, size), findings, "plate")
    heights = [_height_m(path.stem, params.person_height_m, seed) for path in listing.cutouts]
    height_of = dict(zip(listing.cutouts, heights, strict=True))
    cutouts = _read_all(
        listing.cutouts, lambda path: read_cutout(path, size, height_of[path]), findings, "cutout"
    )
    maps = _read_maps(listing, plates, size, findings)
    findings.stop_on_errors()

    unit: Unit = "relative"
    if teacher is None:
        unit = next(iter(maps.values())).unit
        values: Iterator[np.ndarray] = (maps[path].values for path in listing.plates)
    else:
        digests = [plates[path].digest for path in listing.plates]
        values = teacher.inverse_depths(listing.plates, digests, size)
    grounds = {}
    for path, inverse in zip(listing.plates, values, strict=True):
        grounds[path] = ground_plate(
            inverse,
            unit,
            fov_degrees=params.fov_degrees,
            camera_height_m=params.camera_height_m,
            person_height_m=sum(params.person_height_m) / 2,
            seed=[seed, _number(path.stem)],
        )
        for code, text in grounds[path].warnings:
            findings.add("warning", code, path, text)
        if len(grounds[path].stands) == 0:
            findings.add(
                "error",
                "no-stand",
                path,
                "has no place where a person would take 5 % to 100 % of the frame's height: remove"
                " it, or mend fov_degrees and camera_height_m",
            )
    findings.stop_on_errors()
    try:
        split_plates = _split(listing.plates, plates, splits["plates"], seed, "plates", findings)
        split_cutouts = _split(
            listing.cutouts, cutouts, splits["cutouts"], seed, "cutouts", findings
        )
    finally:
        findings.publish()  # near-duplicates may be why there are too few groups
    library = Library.pack(
        [_plate(path, plates[path], grounds[path]) for path in listing.plates],
        split_plates.split.tolist(),
        [_cutout(path, cutouts[path], height_of[path]) for path in listing.cutouts],
        split_cutouts.split.tolist(),
    )
    return PhotosSource(library, unit, _report(split_plates, grounds.values()), findings)


def _open_teacher(
    folder: Path, listing: Listing, params: PhotosParams, cache: Path, findings: Findings
) -> Teacher | None:
    """The teacher, checked before a picture is opened; None if there are depth maps."""
    if listing.depths:
        if params.teacher is not None:
            findings.add("note", "teacher", "depth", "is used, and the teacher is not asked")
        return None
    if params.teacher is None:
        raise InputError(
            f"{folder} tells no depth: put a depth map for each picture of bg/ into depth/, or"
            " name a teacher (an ONNX file) under prepare.photos.teacher"
        )
    return Teacher(
        folder / params.teacher, size=params.teacher_size, batch=params.teacher_batch, cache=cache
    )


def _read_all(
    paths: Sequence[Path], read: Callable[[Path], Read], findings: Findings, code: str
) -> dict[Path, Read]:
    """Read the files, several at a time; what cannot be read is an error among the findings."""

    def attempt(path: Path) -> Read | InputError:
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
                continue
            results[path] = result
            for warning, text in getattr(result, "warnings", ()):
                findings.add("warning", warning, path, text)
    return results


def _read_maps(
    listing: Listing, plates: Mapping[Path, PlatePicture], size: int, findings: Findings
) -> dict[Path, DepthMap]:
    """Depth maps by their plates' paths; all must share one unit."""
    plate_of = {listing.depths[p.stem]: p for p in plates if p.stem in listing.depths}
    maps = _read_all(
        list(plate_of),
        lambda path: read_depth_map(path, plates[plate_of[path]].shape, size),
        findings,
        "depth",
    )
    units = {depth.unit: path for path, depth in reversed(maps.items())}
    if len(units) > 1:
        findings.add(
            "error",
            "units",
            units["relative"],
            f"is relative (8 bits) while {units['metre'].name} is in metres: give all maps in one"
            " unit",
        )
    return {plate_of[path]: depth for path, depth in maps.items()}


def _split(
    paths: Sequence[Path],
    pictures: Mapping[Path, PlatePicture | CutoutPicture],
    weights: Mapping[str, float],
    seed: int,
    kind: str,
    findings: Findings,
) -> pd.DataFrame:
    """Columns name, group, split; near-duplicates share the first one's group."""
    names = [path.stem for path in paths]
    groups = group([pictures[path].look for path in paths])
    for path, first in zip(paths, groups, strict=True):
        if paths[first] != path:
            findings.add(
                "warning",
                "near-duplicate",
                path,
                f"looks nearly like {paths[first].name}: both are in one split",
            )
    chosen = assign_splits(names, groups, weights, seed=seed, kind=kind)
    return pd.DataFrame({"name": names, "group": [names[g] for g in groups], "split": chosen})


def _plate(path: Path, picture: PlatePicture, ground: Ground) -> Plate:
    return Plate(path.stem, picture.image, ground.depth, ground.camera, ground.stands)


def _cutout(path: Path, picture: CutoutPicture, height_m: float) -> Cutout:
    """A photograph is flat: what of a person is nearer than the feet it does not tell."""
    relief = np.zeros(picture.rgba.shape[:2], np.float32)
    return Cutout(path.stem, picture.rgba, relief, picture.metres_per_px, picture.foot, height_m)


def _report(table: pd.DataFrame, grounds: Sequence[Ground]) -> pd.DataFrame:
    return table.assign(
        floor_share=[ground.floor_share for ground in grounds],
        camera_height_m=[ground.camera.height_m for ground in grounds],
        pitch_degrees=[
            float(np.degrees(np.arctan2(-ground.camera.up[2], -ground.camera.up[1])))
            for ground in grounds
        ],
        roll_degrees=[ground.roll_degrees for ground in grounds],
    )


def _height_m(name: str, limits: tuple[float, float], seed: int) -> float:
    """A person's height, the same whatever other people there are."""
    share = np.random.default_rng([seed, _number(name)]).random()
    return float(limits[0] + share * (limits[1] - limits[0]))


def _number(name: str) -> int:
    """64 bits that depend on the name alone."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
