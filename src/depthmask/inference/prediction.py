"""From image files to the files of a prediction: mask, depth, overlay and summary."""

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from depthmask.data.scenes.images import SUFFIXES, encode_depth, encode_mask, read_rgb
from depthmask.data.scenes.person import Person, find_person
from depthmask.errors import InputError
from depthmask.inference.overlay import draw_overlay
from depthmask.inference.plate_check import plate_warning
from depthmask.inference.predictor import Predictor


class PredictedFrame(NamedTuple):
    """What was found in one frame; `files` are the mask, the depth, the overlay and the summary."""

    scene: Path
    person: Person | None
    latency_ms: float  # of the model alone; the first frame's pays for buffers
    warning: str
    files: tuple[Path, ...]
    depth_unit: str

    def describe(self) -> str:
        """One line for people."""
        found = "nobody found"
        if self.person is not None:
            x, y, width, height = self.person.box
            where = f"{self.person.depth:.2f} m away"
            if self.depth_unit != "metre":
                where = f"at relative depth {self.person.depth:.2f}"
            found = (
                f"a person {where}, {width}x{height} px at ({x}, {y}),"
                f" {self.person.area_share:.1%} of the frame"
            )
        return f"{self.scene.name}: {found} ({self.latency_ms:.0f} ms)"


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
) -> list[PredictedFrame]:
    """Predict every frame and write `STEM_mask.png`, `_depth.png`, `_overlay.png`, `STEM.json`.

    Depth without a unit goes to `STEM_depth_relative.png`, in thousandths.

    All or nothing: files appear in `out` when every frame is done.

    Args:
        plate: the room with nobody in it.
        scenes: frames of the same camera and size, from `list_scenes`.
        out: a folder, made if need be; files of the same names in it are replaced.

    Raises:
        InputError: an image cannot be read, a frame's size is not the plate's, or `out` cannot
            be written to.
    """
    home = next(path for path in (out, *out.parents) if path.exists())
    if not home.is_dir():
        raise InputError(f"{home} is a file: name a folder with --out")
    try:
        with tempfile.TemporaryDirectory(prefix=".", suffix=".partial", dir=home) as folder:
            staging = Path(folder)
            frames = _predict_into(staging, predictor, plate, scenes, out)
            out.mkdir(parents=True, exist_ok=True)
            files = [file for frame in frames for file in frame.files]
            for file in files:
                if file.is_dir():
                    raise InputError(f"{file} is a folder: remove it or name another --out")
            for file in files:
                (staging / file.name).replace(file)
    except OSError as error:
        raise InputError(
            f"cannot write to {out} ({error.strerror}): make room or name another --out"
        ) from None
    return frames


def _predict_into(
    folder: Path, predictor: Predictor, plate: Path, scenes: Sequence[Path], out: Path
) -> list[PredictedFrame]:
    """Write every frame's files to `folder`; the frames name them in `out`."""
    bg = read_rgb(plate)
    height, width = bg.shape[:2]
    unit = predictor.depth_unit
    depth_end = "_depth.png" if unit == "metre" else "_depth_relative.png"
    frames = []
    for scene in scenes:
        bg_fg = read_rgb(scene)
        if bg_fg.shape != bg.shape:
            raise InputError(
                f"{scene} is {bg_fg.shape[1]}x{bg_fg.shape[0]} px and the plate {plate}"
                f" {width}x{height}: take both with the same camera at one size"
            )
        start = time.perf_counter()
        mask, depth = predictor.predict(bg, bg_fg)
        latency_ms = (time.perf_counter() - start) * 1000
        person = find_person(mask, depth)
        names = [f"{scene.stem}{end}" for end in ("_mask.png", depth_end, "_overlay.png", ".json")]
        warning = plate_warning(bg, bg_fg, mask)
        files = tuple(out / name for name in names)
        frame = PredictedFrame(scene, person, latency_ms, warning, files, unit)
        encode_mask(mask).save(folder / names[0])
        encode_depth(depth).save(folder / names[1])
        draw_overlay(bg_fg, mask, person, unit).save(folder / names[2])
        summary = _summary(frame) | {
            "plate": plate.name,
            "width_px": width,
            "height_px": height,
            "device": predictor.device,
            "experiment": predictor.metadata["experiment"],
        }
        (folder / names[3]).write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
        frames.append(frame)
    return frames


def _summary(frame: PredictedFrame) -> dict[str, Any]:
    person = frame.person
    depth = None if person is None else round(person.depth, 3)
    is_metre = frame.depth_unit == "metre"
    return {
        "scene": frame.scene.name,
        "depth_unit": frame.depth_unit,
        "distance_m": depth if is_metre else None,
        **({} if is_metre else {"relative_depth": depth}),
        "box": None if person is None else list(person.box),
        "area_share": 0.0 if person is None else round(person.area_share, 5),
        "latency_ms": round(frame.latency_ms, 2),
        "warning": frame.warning or None,
    }
