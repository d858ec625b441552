"""Photographs that the tests take: rooms of known geometry, flat people, a teacher of red."""

from pathlib import Path

import numpy as np
import onnx
from PIL import Image

from depthmask.config import PhotosParams, PrepareParams
from depthmask.data.scenes.library import Library
from depthmask.data.sources.photos.ingest import ingest_photos
from synthetic import TINY

WEIGHTS = {kind: {"train": 4, "val": 1, "test": 1} for kind in ("plates", "cutouts")}
FOCAL = 0.5 / np.tan(np.radians(30))


def params(**changes) -> PhotosParams:
    settings = {"teacher": None, "teacher_size": 56, "fov_degrees": 60.0}
    settings |= {"camera_height_m": 1.6, "person_height_m": [1.7, 1.7]} | changes
    return PhotosParams.model_validate(settings)


def ingest(folder: Path, *, size: int = 48, seed: int = 0, **changes) -> tuple[Library, str]:
    prepare = TINY.prepare.model_dump() | {"seed": seed, "size": size, "splits": WEIGHTS}
    prepare["photos"] = params(**changes)
    return ingest_photos(folder, folder.parent / "cache", PrepareParams.model_validate(prepare))


def room_depth(
    shape: tuple[int, int], *, pitch_degrees=0.0, roll_degrees=0.0, height_m=1.6, wall_m=6.0
) -> np.ndarray:
    """Planar depth, metres, of a floor and an upright wall, the lens FOCAL on the shorter side; the
    camera looks down by the pitch and leans to its right by the roll."""
    side = min(shape)
    v, u = np.mgrid[0 : shape[0], 0 : shape[1]] + 0.5
    u, v = (u - shape[1] / 2) / side / FOCAL, (v - shape[0] / 2) / side / FOCAL
    sin, cos = np.sin(np.radians(pitch_degrees)), np.cos(np.radians(pitch_degrees))
    lean = np.radians(roll_degrees)
    down = np.array([np.sin(lean) * cos, np.cos(lean) * cos, sin])
    ahead = np.array([-np.sin(lean) * sin, -np.cos(lean) * sin, cos])
    rays = np.stack([u, v, np.ones_like(u)], -1)
    with np.errstate(divide="ignore"):
        distances = [height_m / (rays @ down), wall_m / (rays @ ahead)]
    return np.min([np.where(z > 0, z, np.inf) for z in distances], axis=0).astype(np.float32)


def texture(number: int, shape: tuple[int, int]) -> np.ndarray:
    """uint8 H x W x 3 of coloured patches, another for every number."""
    patches = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(patches).resize(shape[::-1], Image.Resampling.BICUBIC))


def person(number: int, height: int = 120, margin: int = 10) -> np.ndarray:
    """uint8 H x W x 4: somebody with a head, in the colours of the number, background cut out."""
    width = height // 2
    rgba = np.dstack([texture(1000 + number, (height, width)), np.zeros((height, width), np.uint8)])
    rgba[margin : height // 4, width // 2 - 6 : width // 2 + 6, 3] = 255
    rgba[height // 4 : height - margin, width // 4 : -width // 4, 3] = 255
    return rgba


def save(path: Path, array: np.ndarray, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


def write_photos(folder: Path, *, num_plates: int = 5, num_cutouts: int = 4, red: bool = False):
    """Rooms 64 x 80 px with depth in millimetres, and people; or without depth maps, and a plate's
    red is its inverse depth, 1 at 0.4 m."""
    for number in range(num_plates):
        image = texture(number, (64, 80)).copy()
        metres = room_depth((64, 80), pitch_degrees=3.0 * number)
        if red:
            image[..., 0] = np.rint(255 * (0.4 / metres).clip(0, 1))
        else:
            save(folder / f"depth/room-{number}.png", np.rint(1000 * metres).astype(np.uint16))
        save(folder / f"bg/room-{number}.png", image)
    for number in range(num_cutouts):
        save(folder / f"fg/person-{number}.png", person(number))


def write_teacher(path: Path, *, shape="n,3,h,w", answer="n,h,w", scale=1.0, shift=0.0) -> Path:
    """A teacher with the names of Depth Anything V2's ONNX files: scale * red (0..1) + shift."""
    channel = "value_ints = [0]" if answer.count(",") == 3 else "value_int = 0"
    nodes = f"""
        red = Constant <{channel}> ()
        std = Constant <value = float {{{0.229 * scale}}}> ()
        mean = Constant <value = float {{{0.485 * scale + shift}}}> ()
        normalised = Gather <axis = 1> (pixel_values, red)
        scaled = Mul (normalised, std)
        predicted_depth = Add (scaled, mean)
    """
    images, depths = f"float[{shape}] pixel_values", f"float[{answer}] predicted_depth"
    return write_onnx(path, images, depths, nodes)


def write_onnx(path: Path, inputs: str, outputs: str, nodes: str) -> Path:
    """All in ONNX's textual syntax."""
    head = '<ir_version: 9, opset_import: ["": 18]>'
    text = f"{head} teacher ({inputs}) => ({outputs}) {{{nodes}}}"
    onnx.save(onnx.parser.parse_model(text), path)
    return path
