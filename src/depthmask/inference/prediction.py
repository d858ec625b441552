"""From image files to the files of a prediction: mask, depth, overlay and summary."""

import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from depthmask.data.scenes.images import SUFFIXES, encode_depth, encode_mask, read_rgb
from depthmask.data.scenes.person import Person, find_person
from depthmask.errors import InputError
from depthmask.inference.overlay import draw_overlay
from depthmask.inference.predictor import Predictor

_UNLIKE = 0.15  # a share of full scale; other light and noise stay below it


class PredictedFrame(NamedTuple):
    """What was found in one frame and where it is written.

    Attributes:
        scene: the frame's file.
        person: None if nobody was found.
        latency_ms: of the model alone, without reading and writing files.
        warning: one line, or empty.
        files: the mask, the depth, the overlay and the summary.
        depth_unit: `metre` or `relative`.
    """

    scene: Path
    person: Person | None
    latency_ms: float
    warning: str
    files: tuple[Path, Path, Path, Path]
    depth_unit: str


def list_scenes(paths: Sequence[Path]) -> list[Path]:
    """The frames that the paths name, the images of a folder in the order of their names.

    Raises:
        InputError: a folder without images, or two frames whose results would share a name.
    """
    scenes: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = sorted(item for item in path.iterdir() if item.suffix.lower() in SUFFIXES)
            if not found:
                raise InputError(f"{path} holds no image: give frames as {', '.join(SUFFIXES)}")
            scenes += found
        else:
            scenes.append(path)
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
) -> list[PredictedFrame]:
    """Predict every frame and write `STEM_mask.png`, `_depth.png`, `_overlay.png`, `STEM.json`.

    Depth without a unit goes to `STEM_depth_relative.png`, in thousandths.

    All or nothing: files appear in `out` when every frame is done.

    Args:
        predictor: the model.
        plate: the room with nobody in it.
        scenes: frames of the same camera and size, from `list_scenes`.
        out: a folder, made if need be; files of the same names in it are replaced.

    Raises:
        InputError: an image cannot be read, a frame's size is not the plate's, or `out` is a
            file.
    """
    home = next(path for path in (out, *out.parents) if path.exists())
    if not home.is_dir():
        raise InputError(f"{home} is a file: name a folder with --out")
    bg = read_rgb(plate)
    # The first run pays for buffers that the later ones keep; it also refuses a wrong first
    # frame before any folder is made.
    predictor.predict(bg, _read_frame(scenes[0], plate, bg))
    try:
        with tempfile.TemporaryDirectory(prefix=".", suffix=".partial", dir=home) as folder:
            staging = Path(folder)
            frames = [_predict_file(predictor, plate, bg, scene, staging, out) for scene in scenes]
            out.mkdir(parents=True, exist_ok=True)
            for file in (file for frame in frames for file in frame.files):
                if file.is_dir():
                    raise InputError(f"{file} is a folder: remove it or name another --out")
            for frame in frames:
                for file in frame.files:
                    (staging / file.name).replace(file)
    except OSError as error:
        raise InputError(
            f"cannot write to {out} ({error.strerror}): make room or name another --out"
        ) from None
    return frames


def _predict_file(
    predictor: Predictor, plate: Path, bg: np.ndarray, scene: Path, folder: Path, out: Path
) -> PredictedFrame:
    bg_fg = _read_frame(scene, plate, bg)
    start = time.perf_counter()
    mask, depth = predictor.predict(bg, bg_fg)
    latency_ms = (time.perf_counter() - start) * 1000
    unit = predictor.depth_unit
    depth_end = "_depth.png" if unit == "metre" else "_depth_relative.png"
    names = [f"{scene.stem}{end}" for end in ("_mask.png", depth_end, "_overlay.png", ".json")]
    person = find_person(mask, depth)
    frame = PredictedFrame(
        scene,
        person,
        latency_ms,
        plate_warning(bg, bg_fg, mask),
        tuple(out / name for name in names),
        unit,
    )
    encode_mask(mask).save(folder / names[0])
    encode_depth(depth).save(folder / names[1])
    draw_overlay(bg_fg, mask, person, unit).save(folder / names[2])
    summary = _summary(predictor, plate, bg.shape, frame)
    (folder / names[3]).write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return frame


def plate_warning(bg: np.ndarray, bg_fg: np.ndarray, mask: np.ndarray) -> str:
    """One line if most of the room around the person is not the plate's, else nothing.

    A plate of another room, or of a camera that has moved, gives an answer like any other;
    the room that both should share tells.

    Args:
        bg: uint8, H x W x 3.
        bg_fg: uint8, H x W x 3.
        mask: float, H x W, 0 to 1.
    """
    room = mask < 0.5
    if not room.any():
        return "all of the frame is taken for a person: is this the plate of the same room?"
    difference = np.abs(bg.astype(np.int16) - bg_fg).mean(axis=2)[room]
    share = float(np.median(difference)) / 255
    if share <= _UNLIKE:
        return ""
    return (
        f"half of the room differs from the plate by more than {share:.0%}: take a new plate if"
        " the camera or the light has changed"
    )


def _read_frame(scene: Path, plate: Path, bg: np.ndarray) -> np.ndarray:
    bg_fg = read_rgb(scene)
    if bg_fg.shape != bg.shape:
        (height, width), (plate_height, plate_width) = bg_fg.shape[:2], bg.shape[:2]
        raise InputError(
            f"{scene} is {width}x{height} px and the plate {plate} {plate_width}x{plate_height}:"
            " take both with the same camera at one size"
        )
    return bg_fg


def _summary(
    predictor: Predictor, plate: Path, shape: tuple[int, ...], frame: PredictedFrame
) -> dict[str, Any]:
    person = frame.person
    return {
        "scene": frame.scene.name,
        "plate": plate.name,
        "width_px": shape[1],
        "height_px": shape[0],
        "depth_unit": predictor.depth_unit,
        **_person_depth(predictor, person),
        "box": None if person is None else list(person.box),
        "area_share": 0.0 if person is None else round(person.area_share, 5),
        "latency_ms": round(frame.latency_ms, 2),
        "device": predictor.device,
        "experiment": predictor.metadata["experiment"],
        "warning": frame.warning or None,
    }


def _person_depth(predictor: Predictor, person: Person | None) -> dict[str, float | None]:
    depth = None if person is None else round(person.depth, 3)
    if predictor.depth_unit == "metre":
        return {"distance_m": depth}
    return {"distance_m": None, "relative_depth": depth}


def describe(frames: Sequence[PredictedFrame]) -> Iterator[str]:
    """One line a frame, for people."""
    for frame in frames:
        person = frame.person
        if person is None:
            found = "nobody found"
        else:
            x, y, width, height = person.box
            where = f"{person.depth:.2f} m away"
            if frame.depth_unit != "metre":
                where = f"at relative depth {person.depth:.2f}"
            found = (
                f"a person {where}, {width}x{height} px at ({x}, {y}),"
                f" {person.area_share:.1%} of the frame"
            )
        yield f"{frame.scene.name}: {found} ({frame.latency_ms:.0f} ms)"
