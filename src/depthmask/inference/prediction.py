"""From image files to the files of a prediction: mask, depth, summary, a picture to look at."""

import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from depthmask.data.scenes import images
from depthmask.data.scenes.person import THRESHOLD, Person, find_person
from depthmask.errors import InputError
from depthmask.inference.plate_check import plate_warning
from depthmask.inference.predictor import SAME_SIZE, Predictor, fov_of

ACCENT = (0, 214, 178)
INK = (8, 28, 26)


def list_scenes(paths: Sequence[Path]) -> list[Path]:
    """The frames that the paths name; InputError where two results would share a name."""
    scenes: list[Path] = []
    for path in paths:
        found = [item for item in path.glob("*") if item.suffix.lower() in images.SUFFIXES]
        if path.is_dir() and not found:
            raise InputError(f"{path} holds no image: give frames as {', '.join(images.SUFFIXES)}")
        scenes += sorted(found) if path.is_dir() else [path]
    scenes = list({os.path.abspath(scene): scene for scene in scenes}.values())
    by_stem = {scene.stem: scene for scene in reversed(scenes)}
    for scene in scenes:
        if (other := by_stem[scene.stem]) is not scene:
            both = f"{other} and {scene} would both become {scene.stem}_mask.png"
            raise InputError(f"{both}: rename one, or predict them into two folders")
    return scenes


def predict_files(
    predictor: Predictor,
    plate: Path,
    scenes: Sequence[Path],
    out: Path,
    *,
    plate_depth: Path | None = None,
    fov_degrees: float | None = None,
) -> list[dict[str, Any]]:
    """Predict every frame and write `STEM_mask.png`, `_depth.png` or `_depth_relative.png`,
    `_overlay.png`, `STEM.json`, once all are done; what the JSON files hold, or InputError.

    plate_depth: a file of `read_depth`. fov_degrees: without both a frame's EXIF tells, if it does.
    """
    home = next(path for path in (out, *out.parents) if path.exists())
    if not home.is_dir():
        raise InputError(f"{home} is a file: name a folder with --out")
    bg = images.read_rgb(plate)
    depth = None if plate_depth is None else read_plate_depth(plate_depth, bg.shape)
    given = {"plate_depth": depth, "fov_degrees": fov_degrees}
    try:
        with tempfile.TemporaryDirectory(prefix=".", suffix=".partial", dir=home) as name:
            folder = Path(name)
            about = predictor, plate, bg
            summaries = [_predict_file(*about, scene, folder, given) for scene in scenes]
            out.mkdir(parents=True, exist_ok=True)
            targets = {file: out / file.name for file in sorted(folder.iterdir())}
            if blocking := next(filter(Path.is_dir, targets.values()), None):
                raise InputError(f"{blocking} is a folder: name another --out")
            for file, target in targets.items():
                file.replace(target)
    except OSError as error:
        what = f"cannot write to {out} ({error.strerror})"
        raise InputError(f"{what}: make room or name another --out") from None
    return summaries


def read_plate_depth(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """A plate's depth, H x W, metres, in the size of the plate; InputError at another aspect."""
    depth = images.read_depth(path)
    height, width = shape[:2]
    if abs(depth.shape[1] * height / (depth.shape[0] * width) - 1) > 0.01:
        size = f"{depth.shape[1]}x{depth.shape[0]} px and the plate {width}x{height}"
        raise InputError(f"{path} is {size}: give the depth of the whole plate")
    # nothing lies between what is near and the wall behind it
    return cv2.resize(depth, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)


def _predict_file(
    predictor: Predictor, plate: Path, bg: np.ndarray, scene: Path, folder: Path, given: dict
) -> dict[str, Any]:
    bg_fg = images.read_rgb(scene)
    height, width, _ = bg_fg.shape
    if bg_fg.shape != bg.shape:
        other = f"the plate {plate} {bg.shape[1]}x{bg.shape[0]}"
        raise InputError(f"{scene} is {width}x{height} px and {other}: {SAME_SIZE}")
    unit, fov, fov_from = predictor.depth_unit, given["fov_degrees"], "--fov"
    # of an unknown lens the room's depth tells more than EXIF: it may have been fitted
    ask_lens = fov is None and unit == "metre" and given["plate_depth"] is None
    if ask_lens:
        fov, fov_from = images.read_fov(scene, bg_fg.shape), "EXIF"
    start = time.perf_counter()
    mask, depth = predictor.predict(bg, bg_fg, plate_depth=given["plate_depth"], fov_degrees=fov)
    latency_ms = (time.perf_counter() - start) * 1000
    if ask_lens and fov is None:
        fov, fov_from = fov_of(predictor.reference_focal, mask.shape), "training"
    person = find_person(mask, depth)
    distance = round(person.depth, 3) if person else None
    summary = {
        "scene": scene.name,
        "plate": plate.name,
        "width_px": width,
        "height_px": height,
        "depth_unit": unit,
        "distance_m": distance if unit == "metre" else None,
        **({} if unit == "metre" else {"relative_depth": distance}),
        **({"fov_degrees": round(fov, 1), "fov_from": fov_from} if fov else {}),
        "has_plate_depth": given["plate_depth"] is not None,
        "box": list(person.box) if person else None,
        "area_share": round(person.area_share, 5) if person else 0.0,
        "latency_ms": round(latency_ms, 2),
        "device": predictor.device,
        "experiment": predictor.metadata["experiment"],
        "warning": plate_warning(bg, bg_fg, mask) or None,
    }
    stem = str(folder / scene.stem)
    images.encode_mask(mask).save(f"{stem}_mask.png")
    depth_stem = f"{stem}_depth" if unit == "metre" else f"{stem}_depth_relative"
    images.encode_depth(depth).save(f"{depth_stem}.png")
    draw_overlay(bg_fg, mask, person, unit).save(f"{stem}_overlay.png")
    Path(f"{stem}.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary


def describe(summary: Mapping[str, Any]) -> str:
    """One line for people."""
    found = "nobody found"
    if summary["box"] is not None:
        x, y, width, height = summary["box"]
        where = f"at relative depth {summary.get('relative_depth') or 0:.2f}"
        if summary["distance_m"] is not None:
            where = f"{summary['distance_m']:.2f} m away"
        share = f"{summary['area_share']:.1%} of the frame"
        found = f"a person {where}, {width}x{height} px at ({x}, {y}), {share}"
    return f"{summary['scene']}: {found} ({summary['latency_ms']:.0f} ms)"


def draw_overlay(
    frame: np.ndarray, mask: np.ndarray, person: Person | None, unit: str
) -> Image.Image:
    """Tint and outline the mask, mute the room, write the distance above the person."""
    alpha = mask[..., np.newaxis].clip(0, 1)
    colour = frame.astype(np.float32)
    grey = colour.mean(axis=2, keepdims=True)
    room = 0.7 * (grey + 0.45 * (colour - grey))
    tinted = 0.6 * colour + 0.4 * np.array(ACCENT, dtype=np.float32)
    pixels = np.rint(alpha * tinted + (1 - alpha) * room).astype(np.uint8)
    # The outline lies just outside the region, so that it hides nothing of the person.
    inside = (mask > THRESHOLD).astype(np.uint8)
    width_px = max(1, round(min(inside.shape) / 240))
    grown = cv2.dilate(inside, np.ones((3, 3), np.uint8), iterations=width_px)
    pixels[grown > inside] = ACCENT
    image = Image.fromarray(pixels)
    text, fill, ink = "nobody", INK, ACCENT
    if person:
        text = f"{person.depth:.2f} m" if unit == "metre" else f"relative {person.depth:.2f}"
        fill, ink = ACCENT, INK
    font_px = max(10, round(min(image.size) / 18))
    font = ImageFont.load_default(size=font_px)
    draw = ImageDraw.Draw(image)
    pad = max(2, font_px // 3)
    box = np.reshape(draw.textbbox((0, 0), text, font=font), (2, 2)) + [[-pad], [pad]]
    size, corner = box[1] - box[0], np.array([pad, pad])
    if person:
        left, top, width, _ = person.box
        corner = np.rint((left + (width - size[0]) / 2, top - size[1] - pad))
    # within the frame, also for a head at its edge
    corner = corner.clip(0, np.maximum(image.size - size, 0))
    draw.rounded_rectangle((*corner, *(corner + size)), radius=size[1] / 3, fill=fill)
    draw.text(tuple(corner - box[0]), text, font=font, fill=ink)
    return image
