"""From image files to the files of a prediction: mask, depth, summary, a picture to look at."""

import io
import json
import math
import time
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image

from depthmask.data.scenes import images
from depthmask.data.scenes.files import replaced_file
from depthmask.data.scenes.person import THRESHOLD, Person, largest_region
from depthmask.errors import InputError
from depthmask.inference.overlay import depth_span, draw_depth, draw_overlay
from depthmask.inference.plate_check import Verdict, check_plate
from depthmask.inference.predictor import LARGE_PX, SAME_SIZE, Predictor, Result, focal_of, fov_of
from depthmask.inference.smoothing import Smoother

# Pillow's, of a damaged EXIF in a picture that can be read
warnings.filterwarnings("ignore", message="Corrupt EXIF data")
PICTURES = ("mask", "depth", "overlay")
"""Of what `draw` draws, what `predict` writes of a picture unless it is asked for more."""


class GivenPlate(NamedTuple):
    """The empty room that frames are compared with, and what is known of its camera."""

    name: str
    image: np.ndarray  # uint8, H x W x 3, RGB
    depth: np.ndarray | None = None  # H x W, metres
    fov_degrees: float | None = None  # horizontal; without it and the depth a frame's EXIF tells
    is_forced: bool = False  # whether frames that it is not the plate of are answered all the same


class Answer(NamedTuple):
    """What is found in a frame."""

    mask: np.ndarray  # float32, H x W, 0 to 1
    depth: np.ndarray  # float32, H x W, in the model's unit
    person: Person | None
    verdict: Verdict | None  # on the plate, where something is wrong with it
    summary: dict[str, Any]  # of the person, as JSON holds it


def read_plate_depth(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """A plate's depth, H x W, metres, in the size of the plate; InputError at another aspect."""
    depth = images.read_depth(path)
    height, width = shape[:2]
    if abs(depth.shape[1] * height / (depth.shape[0] * width) - 1) > 0.01:
        size = f"{depth.shape[1]}x{depth.shape[0]} px and the plate {width}x{height}"
        raise InputError(f"{path} is {size}: give the depth of the whole plate")
    # nothing lies between what is near and the wall behind it
    return cv2.resize(depth, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)


def choose_plate(plates: Sequence[GivenPlate], bg_fg: np.ndarray) -> GivenPlate:
    """The plate, of those of the frame's size, that half of the frame is most like."""
    same = [plate for plate in plates if plate.image.shape == bg_fg.shape]
    if len(same) < 2:
        return (same or plates)[0]
    step = max(1, max(bg_fg.shape) // 256)
    thin = np.s_[::step, ::step]
    return min(same, key=lambda each: np.median(cv2.absdiff(each.image[thin], bg_fg[thin])))


def find(predictor: Predictor, plate: GivenPlate, bg_fg: np.ndarray) -> Answer:
    """Predict a frame, uint8 H x W x 3, RGB, of the plate's size."""
    return conclude(predictor, plate, bg_fg, *run(predictor, plate, bg_fg))


def run(predictor: Predictor, plate: GivenPlate, bg_fg: np.ndarray) -> tuple[Result, float]:
    """What the model says about a frame, and how long it took, ms."""
    start = time.perf_counter()
    result = predictor.predict(
        plate.image, bg_fg, plate_depth=plate.depth, fov_degrees=plate.fov_degrees
    )
    return result, (time.perf_counter() - start) * 1000


def conclude(
    predictor: Predictor,
    plate: GivenPlate,
    bg_fg: np.ndarray,
    result: Result,
    latency_ms: float,
    smooth: Smoother | None = None,
) -> Answer:
    """What follows from what `run` gave, smoothed over the frames before."""
    mask, depth = smooth(bg_fg, *result) if smooth else result
    person = locate(mask, depth)
    if smooth:
        person = smooth.steady(person)
    verdict = check_plate(plate.image, bg_fg, mask)
    distance = round(person.depth, 3) if person else None
    is_metric = predictor.depth_unit == "metre"
    summary = {
        "distance_m": distance if is_metric else None,
        **({} if is_metric else {"relative_depth": distance}),
        "box": list(person.box) if person else None,
        "area_share": round(person.area_share, 5) if person else 0.0,
        "latency_ms": round(latency_ms, 2),
        "warning": verdict.text if verdict else None,
    }
    return Answer(mask, depth, person, verdict, summary)


def locate(mask: np.ndarray, depth: np.ndarray) -> Person | None:
    """`find_person`, where the mask is anything; a box above 2 megapixels by every n-th pixel."""
    x, y, width, height = cv2.boundingRect((mask > THRESHOLD).astype(np.uint8))
    step = max(1, math.ceil(math.sqrt(width * height / LARGE_PX)))
    part = np.s_[y : y + height : step, x : x + width : step]
    if not mask[part].size or not (region := largest_region(mask[part] > THRESHOLD)).any():
        return None
    left, top, *sides = (step * each for each in cv2.boundingRect(region.astype(np.uint8)))
    box = x + left, y + top, min(sides[0], width - left), min(sides[1], height - top)
    depths = depth[part][region]
    # a median of all of a large person takes as long as the rest
    median = float(np.median(depths[:: max(1, depths.size // 2**15)]))
    return Person(median, box, float(region.mean()) * width * height / mask.size)


def read_lens(path: Path, shape: tuple[int, ...]) -> float | None:
    """`read_fov`, None also where it is damaged or no lens of a camera."""
    try:
        fov = images.read_fov(path, shape)
    except images.UNREADABLE:
        return None
    return fov if fov and 1 < fov < 179 else None


def draw(
    kind: str,
    bg_fg: np.ndarray,
    answer: Answer,
    unit: str,
    span: tuple[float, float] | None = None,
) -> Image.Image:
    """An answer as a picture: the `mask`, 8 bits, the `depth`, 16 bits in thousandths, the person
    cut out with `alpha`, an `overlay` to look at, or the depth in `colors` of a span, by default
    that of its own."""
    if kind == "mask":
        return images.encode_mask(answer.mask)
    if kind == "depth":
        return images.encode_depth(answer.depth)
    if kind == "alpha":
        return Image.fromarray(np.dstack([bg_fg, np.asarray(images.encode_mask(answer.mask))]))
    if kind == "colors":
        return draw_depth(answer.depth, span or depth_span(answer.depth), unit)
    return draw_overlay(bg_fg, answer.mask, answer.person, unit)


def predict_file(
    predictor: Predictor,
    plates: Sequence[GivenPlate],
    scene: Path,
    out: Path,
    kinds: Sequence[str] = PICTURES,
) -> dict[str, Any]:
    """Predict a frame by the plate most like it and write `STEM_KIND.png` of each of `kinds`
    (`_depth_relative.png` where the model's depth has no unit; `ply` is `STEM.ply`) and
    `STEM.json`, all or none; what the JSON file holds, or InputError."""
    bg_fg = images.read_rgb(scene)
    plate = choose_plate(plates, bg_fg)
    check_size(scene.name, bg_fg, plate)
    unit, fov, fov_from = predictor.depth_unit, plate.fov_degrees, "--fov"
    # of an unknown lens the room's depth tells more than EXIF: it may have been fitted
    ask_lens = fov is None and unit == "metre" and plate.depth is None
    if ask_lens:
        fov, fov_from = read_lens(scene, bg_fg.shape), "EXIF"
    answer = find(predictor, plate._replace(fov_degrees=fov), bg_fg)
    check_verdict(scene.name, answer.verdict, plate)
    if ask_lens and fov is None:
        fov, fov_from = fov_of(predictor.reference_focal, answer.mask.shape), "training"
    summary = {
        "scene": scene.name,
        "plate": plate.name,
        "width_px": bg_fg.shape[1],
        "height_px": bg_fg.shape[0],
        "depth_unit": unit,
        **({"fov_degrees": round(fov, 1), "fov_from": fov_from} if fov else {}),
        "has_plate_depth": plate.depth is not None,
        "model": predictor.path.name,
        "device": predictor.device,
        "experiment": predictor.metadata["experiment"],
        **answer.summary,
    }
    contents = encode_pictures(bg_fg, answer, [kind for kind in kinds if kind != "ply"], unit)
    contents[".json"] = (json.dumps(summary, indent=2) + "\n").encode()
    with ExitStack() as files:
        for end, content in contents.items():
            temporary = files.enter_context(replaced_file(out / f"{scene.stem}{end}"))
            temporary.write_bytes(content)
        if "ply" in kinds:
            focal = focal_of(fov, bg_fg.shape) if fov else predictor.reference_focal
            temporary = files.enter_context(replaced_file(out / f"{scene.stem}.ply"))
            write_ply(temporary, bg_fg, answer.depth, focal)
    return summary


def encode_pictures(
    bg_fg: np.ndarray, answer: Answer, kinds: Sequence[str], unit: str
) -> dict[str, bytes]:
    """PNGs of what `draw` draws, side by side in threads, by the ends of their names."""

    views = {"overlay", "colors"}.intersection(kinds)
    small = _shrunk(bg_fg, answer) if views else (bg_fg, answer)

    def encode(kind: str) -> bytes:
        return _encode_png(draw(kind, *(small if kind in views else (bg_fg, answer)), unit))

    ends = [f"_{kind}.png" for kind in kinds]
    if unit != "metre":
        ends = [end.replace("_depth", "_depth_relative") for end in ends]
    with ThreadPoolExecutor() as pool:
        return dict(zip(ends, pool.map(encode, kinds), strict=True))


def _shrunk(bg_fg: np.ndarray, answer: Answer) -> tuple[np.ndarray, Answer]:
    """A frame and its answer in at most `LARGE_PX` pixels."""
    scale, person = min(1.0, math.sqrt(LARGE_PX / answer.mask.size)), answer.person
    if scale == 1:
        return bg_fg, answer
    size = [max(1, int(scale * side)) for side in reversed(answer.mask.shape)]
    bg_fg, mask, depth = (
        cv2.resize(each, size, interpolation=cv2.INTER_AREA)
        for each in (bg_fg, answer.mask, answer.depth)
    )
    if person:
        x, y, width, height = (round(scale * each) for each in person.box)
        person = person._replace(box=(x, y, width, height))
    return bg_fg, answer._replace(mask=mask, depth=depth, person=person)


def _encode_png(image: Image.Image) -> bytes:
    """A PNG; level 1 takes a third of the time of level 6 and 5 % more bytes."""
    image.save(file := io.BytesIO(), format="PNG", compress_level=1)
    return file.getvalue()


def write_ply(path: Path, image: np.ndarray, depth: np.ndarray, focal: float) -> None:
    """Write a point a pixel, in colour, as a binary PLY: x right, y down, z along the optical axis,
    in the unit of depth, by a pinhole whose focal length is `focal` heights of the frame."""
    height, width = depth.shape
    kinds = [(axis, "<f4") for axis in "xyz"] + [(name, "u1") for name in ("red", "green", "blue")]
    points = np.empty((height, width), kinds)
    points["x"] = depth * ((np.arange(width) + 0.5 - width / 2) / (focal * height))
    points["y"] = depth * ((np.arange(height) + 0.5 - height / 2) / (focal * height))[:, None]
    points["z"] = depth
    for place, name in enumerate(("red", "green", "blue")):
        points[name] = image[..., place]
    names = {"<f4": "float", "u1": "uchar"}
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {depth.size}"]
    lines += [f"property {names[kind]} {name}" for name, kind in kinds]
    with path.open("wb") as file:
        file.write("\n".join([*lines, "end_header", ""]).encode())
        points.tofile(file)


def check_size(name: str, bg_fg: np.ndarray, plate: GivenPlate) -> None:
    """InputError if a frame is not of the plate's size."""
    if bg_fg.shape != plate.image.shape:
        frame, other = (f"{each.shape[1]}x{each.shape[0]}" for each in (bg_fg, plate.image))
        raise InputError(f"{name} is {frame} px and the plate {plate.name} {other}: {SAME_SIZE}")


def check_verdict(
    name: str, verdict: Verdict | None, plate: GivenPlate, otherwise: str = "give --force"
) -> None:
    """InputError if the plate is of another room or view, unless it is forced."""
    if verdict and verdict.is_refused and not plate.is_forced:
        raise InputError(f"{name}: {verdict.text}, or {otherwise} for an answer all the same")


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
