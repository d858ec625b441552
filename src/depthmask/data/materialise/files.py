"""A scene as image files.

    bg/             bg007_fg012_000042.jpeg              a plate as this sample saw it, or
                    bg007.jpeg                           the plate, where nothing varies it
    bg_fg/          bg007_fg012_000042.jpeg
    bg_fg_mask/     bg007_fg012_000042_mask.jpeg         grey, 255 is person
    bg_fg_depth_map/bg007_fg012_000042_depth_map.jpeg    grey, 0 near to 255 far
    depth_mm/       bg007_fg012_000042_depth_mm.png      16 bit, millimetres; only if asked for

The names follow the original's (`bg029_fg010_18`): plate and person are numbered from 1, here by
their rows in the library, and `fg000` is nobody. The last number is the sample's, also from 1.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from depthmask.data.scenes.placement import Recipes
from depthmask.data.scenes.scene import Scene

SUFFIXES = {
    "bg": ".jpeg",
    "bg_fg": ".jpeg",
    "bg_fg_mask": "_mask.jpeg",
    "bg_fg_depth_map": "_depth_map.jpeg",
    "depth_mm": "_depth_mm.png",
}
"""How the names in each folder end."""

NUM_CHANNELS = {"bg": 3, "bg_fg": 3, "bg_fg_mask": 1, "bg_fg_depth_map": 1}
"""The folders of 8 bits, whose statistics are reported."""

_FARTHEST_MM = np.iinfo(np.uint16).max


@dataclass(frozen=True)
class Encoding:
    """How pixels become files.

    Attributes:
        quality: of the JPEGs, 1 to 100.
        depth_range_m: what 0 and 255 of a depth map stand for, in equal ratios between.
        exact_depth: whether `depth_mm` is written.
    """

    quality: int
    depth_range_m: tuple[float, float]
    exact_depth: bool

    @property
    def folders(self) -> tuple[str, ...]:
        return tuple(name for name in SUFFIXES if name != "depth_mm" or self.exact_depth)


class Written:
    """What was written of some scenes.

    Attributes:
        boxes: per scene, x, y, width, height of the person, px; zeros if nobody is seen.
        num_bytes: of each folder, a file's size after the other.
    """

    def __init__(self) -> None:
        self.boxes: list[tuple[int, ...]] = []
        self.num_bytes: dict[str, list[int]] = {}
        self._moments: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
        self._area = 0

    def add_file(self, folder: str, num_bytes: int) -> None:
        self.num_bytes.setdefault(folder, []).append(num_bytes)

    def add_pixels(self, folder: str, pixels: np.ndarray) -> None:
        """Add an image to the sums, uint8 H x W or H x W x 3 in OpenCV's order BGR."""
        self._moments.setdefault(folder, []).append(cv2.meanStdDev(pixels))
        self._area = pixels.shape[0] * pixels.shape[1]

    def sums(self) -> dict[str, list[list[int]]]:
        """Of each folder of 8 bits, the sum of the values and of their squares, per channel (RGB).

        Exact: an image's mean and deviation are doubles, which give the whole numbers back.
        """
        sums = {}
        for folder, moments in self._moments.items():
            mean, std = np.array(moments)[:, :, ::-1, 0].transpose(1, 0, 2)
            both = np.rint(np.stack([mean, std**2 + mean**2]) * self._area)
            sums[folder] = both.sum(1).astype(np.int64).tolist()
        return sums


def scene_names(recipes: Recipes, first: int, num_plates: int, num_cutouts: int) -> list[str]:
    """Names of the samples `first`, `first + 1`, …; the numbers' digits follow the library."""
    plate_digits, person_digits = (max(3, len(str(num))) for num in (num_plates, num_cutouts))
    people = np.where(recipes.nobody, 0, recipes.cutout + 1)
    return [
        f"bg{plate + 1:0{plate_digits}d}_fg{person:0{person_digits}d}_{first + offset + 1:06d}"
        for offset, (plate, person) in enumerate(zip(recipes.plate, people, strict=True))
    ]


def plate_name(name: str) -> str:
    """The part of a scene's name that stands for its plate."""
    return name.partition("_")[0]


def write_scene(
    out: Path,
    scene: Scene[np.ndarray],
    name: str,
    bg_name: str | None,
    encoding: Encoding,
    written: Written,
) -> None:
    """Write the files of a scene and add them to `written`.

    Args:
        scene: as `depthmask.data.materialise.painter.Painter` paints it.
        bg_name: what to call the plate; None leaves it out.
    """
    quality = [cv2.IMWRITE_JPEG_QUALITY, encoding.quality]
    for folder, stem, pixels in (
        ("bg", bg_name, scene.bg),
        ("bg_fg", name, scene.bg_fg),
        ("bg_fg_mask", name, scene.mask),
        ("bg_fg_depth_map", name, depth_bytes(scene.depth, encoding.depth_range_m)),
    ):
        if stem is not None:
            written.add_file(folder, _write(out / folder, stem + SUFFIXES[folder], pixels, quality))
            written.add_pixels(folder, pixels)
    written.boxes.append(tuple(cv2.boundingRect((scene.mask >= 128).astype(np.uint8))))
    if encoding.exact_depth:
        depth_mm = np.rint(scene.depth * 1000).clip(0, _FARTHEST_MM).astype(np.uint16)
        file = name + SUFFIXES["depth_mm"]
        written.add_file("depth_mm", _write(out / "depth_mm", file, depth_mm, []))


def depth_bytes(depth_m: np.ndarray, range_m: tuple[float, float]) -> np.ndarray:
    """`depth_codec.encode_depth` of metres, 0..1, as uint8 0..255."""
    near, far = range_m
    code = np.log(np.maximum(depth_m, near))
    return cv2.convertScaleAbs(code - np.float32(np.log(near)), alpha=255 / np.log(far / near))


def _write(folder: Path, name: str, pixels: np.ndarray, options: list[int]) -> int:
    """Encode and write a file; returns its size in bytes."""
    _, encoded = cv2.imencode(name[name.rindex(".") :], pixels, options)
    with open(folder / name, "wb") as file:
        file.write(encoded.data)
    return len(encoded)
