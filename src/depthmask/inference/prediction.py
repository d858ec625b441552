"""From image files to the files of a prediction: mask, depth, overlay and summary."""

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from depthmask.data.scenes.images import SUFFIXES, encode_depth, encode_mask, read_rgb
from depthmask.data.scenes.person import find_person
from depthmask.errors import InputError
from depthmask.inference.overlay import draw_overlay
from depthmask.inference.plate_check import plate_warning
from depthmask.inference.predictor import Predictor


def list_scenes(paths: Sequence[Path]) -> list[Path]:
    """The frames that the paths name, the images of a folder in the order of their names.

    Raises:
        InputError: a folder without images, or two frames whose results would share a name.
    """
    scenes: list[Path] = []
    for path in paths:
        if not path.is_dir():
            scenes.append(path)
            continue
        found = sorted(item for item in path.iterdir() if item.suffix.lower() in SUFFIXES)
        if not found:
            raise InputError(f"{path} holds no image: give frames as {', '.join(SUFFIXES)}")
        scenes += found
    by_stem: dict[str, Path] = {}
    for scene in scenes:
        if scene.stem in by_stem:
            raise InputError(
                f"{by_stem[scene.stem]} and {scene} would both become {scene.stem}_mask.png:"
                " rename one, or predict them into two folders"
            )
        by_stem[scene.stem] = scene
    return scenes


def predict_files(
    predictor: Predictor, plate: Path, scenes: Sequence[Path], out: Path
) -> list[dict[str, Any]]:
    """Predict every frame and write `STEM_mask.png`, `_depth.png`, `_overlay.png`, `STEM.json`.

    Depth without a unit goes to `STEM_depth_relative.png`, in thousandths. All or nothing: files
    appear in `out`, and replace those of the same names, when every frame is done.

    Returns:
        What the JSON files hold.

    Raises:
        InputError: an image cannot be read, a frame's size is not the plate's, or `out` cannot
            be written to.
    """
    home = next(path for path in (out, *out.parents) if path.exists())
    if not home.is_dir():
        raise InputError(f"{home} is a file: name a folder with --out")
    bg = read_rgb(plate)
    try:
        with tempfile.TemporaryDirectory(prefix=".", suffix=".partial", dir=home) as name:
            folder = Path(name)
            summaries = [_predict_file(predictor, plate, bg, scene, folder) for scene in scenes]
            out.mkdir(parents=True, exist_ok=True)
            files = sorted(folder.iterdir())
            for file in files:
                if (out / file.name).is_dir():
                    raise InputError(f"{out / file.name} is a folder: name another --out")
            for file in files:
                file.replace(out / file.name)
    except OSError as error:
        raise InputError(
            f"cannot write to {out} ({error.strerror}): make room or name another --out"
        ) from None
    return summaries


def _predict_file(
    predictor: Predictor, plate: Path, bg: np.ndarray, scene: Path, folder: Path
) -> dict[str, Any]:
    """Write a frame's files to a folder; the first frame's latency pays for buffers."""
    bg_fg = read_rgb(scene)
    height, width = bg.shape[:2]
    if bg_fg.shape != bg.shape:
        raise InputError(
            f"{scene} is {bg_fg.shape[1]}x{bg_fg.shape[0]} px and the plate {plate}"
            f" {width}x{height}: take both with the same camera at one size"
        )
    start = time.perf_counter()
    mask, depth = predictor.predict(bg, bg_fg)
    latency_ms = (time.perf_counter() - start) * 1000
    person = find_person(mask, depth)
    unit = predictor.depth_unit
    is_metre = unit == "metre"
    distance = None if person is None else round(person.depth, 3)
    summary = {
        "scene": scene.name,
        "plate": plate.name,
        "width_px": width,
        "height_px": height,
        "depth_unit": unit,
        "distance_m": distance if is_metre else None,
        **({} if is_metre else {"relative_depth": distance}),
        "box": None if person is None else list(person.box),
        "area_share": 0.0 if person is None else round(person.area_share, 5),
        "latency_ms": round(latency_ms, 2),
        "device": predictor.device,
        "experiment": predictor.metadata["experiment"],
        "warning": plate_warning(bg, bg_fg, mask) or None,
    }
    stem = str(folder / scene.stem)
    encode_mask(mask).save(f"{stem}_mask.png")
    encode_depth(depth).save(f"{stem}{'_depth' if is_metre else '_depth_relative'}.png")
    draw_overlay(bg_fg, mask, person, unit).save(f"{stem}_overlay.png")
    Path(f"{stem}.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary


def describe(summary: Mapping[str, Any]) -> str:
    """One line for people."""
    found = "nobody found"
    if summary["box"] is not None:
        x, y, width, height = summary["box"]
        if summary["depth_unit"] == "metre":
            where = f"{summary['distance_m']:.2f} m away"
        else:
            where = f"at relative depth {summary['relative_depth']:.2f}"
        found = (
            f"a person {where}, {width}x{height} px at ({x}, {y}),"
            f" {summary['area_share']:.1%} of the frame"
        )
    return f"{summary['scene']}: {found} ({summary['latency_ms']:.0f} ms)"
