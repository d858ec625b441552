"""Scenes as image files, and a folder that says what it holds.

    bg/             bg007_fg012_000042.jpeg              a plate as this sample saw it, or
                    bg007.jpeg                           the plate, where nothing varies it
    bg_fg/          bg007_fg012_000042.jpeg
    bg_fg_mask/     bg007_fg012_000042_mask.jpeg         grey, 255 is person
    bg_fg_depth_map/bg007_fg012_000042_depth_map.jpeg    grey, 0 near to 255 far
    depth_mm/       bg007_fg012_000042_depth_mm.png      16 bit, millimetres; only if asked for

Plate, person and sample are numbered from 1, and `fg000` is nobody. `recipe.json` says what the
folder is made with, a log which chunks are complete: what a kill interrupted is written again.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor
from torch.utils.data import Dataset

from depthmask.data.composition.compositor import Compositor
from depthmask.data.scenes.files import replaced_file
from depthmask.data.scenes.placement import Recipes
from depthmask.data.scenes.scene import Scene
from depthmask.errors import InputError
from depthmask.models.networks import encode_depth

# how the names in each folder end
SUFFIXES = {"bg": ".jpeg", "bg_fg": ".jpeg", "bg_fg_mask": "_mask.jpeg"}
SUFFIXES |= {"bg_fg_depth_map": "_depth_map.jpeg", "depth_mm": "_depth_mm.png"}

CHUNK = 32  # scenes a worker writes between two lines of the log: what a kill costs
LOG = ".written.jsonl"


@dataclass(frozen=True)
class Encoding:
    """How pixels become files: the JPEGs' quality, 1 to 100; what 0 and 255 of a depth map stand
    for, in equal ratios between; whether `depth_mm` is written."""

    quality: int
    depth_range_m: tuple[float, float]
    exact_depth: bool = False

    @property
    def folders(self) -> tuple[str, ...]:
        return tuple(name for name in SUFFIXES if name != "depth_mm" or self.exact_depth)


@dataclass
class Chunk:
    """Consecutive scenes whose files are complete.

    Attributes:
        boxes: per scene, x, y, width, height of the person, px; zeros if nobody is seen.
        num_bytes: of each folder, a file's size after the other.
        sums: of each folder of 8 bits, the sum of the values and of their squares, per channel.
    """

    start: int  # from 0
    names: list[str]
    bg_names: list[str]  # of the plates' files written with them
    boxes: list[list[int]] = field(default_factory=list)
    num_bytes: dict[str, list[int]] = field(default_factory=dict)
    sums: dict[str, list[list[int]]] = field(default_factory=dict)

    @property
    def stop(self) -> int:
        return self.start + len(self.names)

    def is_whole(self, out: Path) -> bool:
        """Whether every file is there in the size in which it was written."""
        for folder, sizes in self.num_bytes.items():
            stems = self.bg_names if folder == "bg" else self.names
            paths = [out / folder / f"{stem}{SUFFIXES[folder]}" for stem in stems]
            if [path.exists() and path.stat().st_size for path in paths] != sizes:
                return False
        return True


class Writer(Dataset[Chunk | OSError]):
    """Item n writes the n-th chunk that is planned; an OSError is returned, not raised.

    `draw` gives the recipes of the scenes of the given numbers, without those that there are not.
    If `is_varied` a plate is written with every scene, else once.
    """

    def __init__(
        self,
        out: Path,
        compositor: Compositor,
        draw: Callable[[Sequence[int]], Recipes],
        size: int,
        encoding: Encoding,
        is_varied: bool,
    ) -> None:
        self.out, self.compositor, self.draw, self.size = out, compositor, draw, size
        self.encoding, self.is_varied = encoding, is_varied
        self.tasks: list[Chunk] = []
        compositor.sources(size)  # for all workers

    def plan(self, log: "Log", count: int) -> None:
        """Settle in order which chunk writes a plate that many scenes share."""
        starts = log.missing(count)
        plates = {name for c in log.chunks.values() if c.start not in starts for name in c.bg_names}
        for start in starts:
            names = self._names(start)[: count - start]
            bg_names = names
            if not self.is_varied:
                bg_names = [n for n in dict.fromkeys(map(plate_name, names)) if n not in plates]
                plates.update(bg_names)
            self.tasks.append(Chunk(start, names, bg_names))

    def __len__(self) -> int:
        return len(self.tasks)

    def __getitem__(self, number: int) -> Chunk | OSError:
        chunk = self.tasks[number]
        recipes = self.draw(range(chunk.start, chunk.start + CHUNK))
        images = encode(self.compositor(recipes, self.size), self.encoding)
        left = set(chunk.bg_names)
        try:
            for place, name in enumerate(chunk.names):
                bg_name = name if self.is_varied else plate_name(name)
                for folder in self.encoding.folders:
                    stem = bg_name if folder == "bg" else name
                    if folder != "bg" or stem in left:
                        self._write(chunk, folder, stem, images[folder][place])
                left.discard(bg_name)
                person = (images["bg_fg_mask"][place] >= 128).astype(np.uint8)
                chunk.boxes.append(list(cv2.boundingRect(person)))
        except OSError as error:
            return error
        return chunk

    def _names(self, start: int) -> list[str]:
        library, recipes = self.compositor.library, self.draw(range(start, start + CHUNK))
        bg, fg = (max(3, len(str(len(table)))) for table in (library.plates, library.cutouts))
        pairs = zip(recipes.plate, np.where(recipes.nobody, 0, recipes.cutout + 1), strict=True)
        return [
            f"bg{plate + 1:0{bg}d}_fg{person:0{fg}d}_{number:06d}"
            for number, (plate, person) in enumerate(pairs, start + 1)
        ]

    def _write(self, chunk: Chunk, folder: str, stem: str, pixels: np.ndarray) -> None:
        options = [cv2.IMWRITE_JPEG_QUALITY, self.encoding.quality]
        suffix = SUFFIXES[folder]
        _, encoded = cv2.imencode(suffix[suffix.index(".") :], pixels[..., ::-1], options)
        (self.out / folder / f"{stem}{suffix}").write_bytes(encoded.tobytes())
        chunk.num_bytes.setdefault(folder, []).append(len(encoded))
        if folder != "depth_mm":
            values = pixels.reshape(-1, pixels.shape[-1]).astype(np.int64)
            sums = np.stack([values.sum(0), np.square(values).sum(0)])
            chunk.sums[folder] = (sums + chunk.sums.get(folder, 0)).tolist()


def encode(scene: Scene[Tensor], encoding: Encoding) -> dict[str, np.ndarray]:
    """The images by folder: N x S x S x 3 or x 1, uint8, and depth_mm uint16."""
    depth_map = encode_depth(scene.depth, encoding.depth_range_m)
    units = {"bg": scene.bg, "bg_fg": scene.bg_fg, "bg_fg_mask": scene.mask}
    images = {
        name: (unit.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()
        for name, unit in (units | {"bg_fg_depth_map": depth_map}).items()
    }
    depth_mm = (scene.depth * 1000).round().clamp(0, 65535).to(torch.int32)
    return images | {"depth_mm": depth_mm.permute(0, 2, 3, 1).numpy().astype(np.uint16)}


def plate_name(name: str) -> str:
    """The part of a scene's name that stands for its plate."""
    return name.partition("_")[0]


def write_text(path: Path, text: str) -> None:
    with replaced_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


@contextmanager
def claimed(out: Path, settings: dict[str, Any]) -> Iterator[None]:
    """Keep `out` to this process, for what `settings` (JSON values) describe.

    Raises InputError if another process writes there, or something else was written there.
    """
    recipe = out / "recipe.json"
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file: name a folder")
    if out.is_dir() and not recipe.exists():
        if any(not path.name.startswith(".") for path in out.iterdir()):
            raise InputError(f"{out} holds something else: name a new or an empty folder")
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / ".lock", timeout=0):
            _check_recipe(recipe, settings)
            yield
    except Timeout:
        raise InputError(f"another run writes to {out}: wait for it, or name another") from None


def _check_recipe(path: Path, settings: dict[str, Any]) -> None:
    text = json.dumps(settings, indent=2) + "\n"
    if not path.exists():
        write_text(path, text)
        return
    try:
        old, new = json.loads(path.read_text(encoding="utf-8")), json.loads(text)
        names = [name for name in new if old.get(name) != new[name]]
    except (ValueError, AttributeError):
        raise InputError(f"{path} is damaged: name another folder, or delete this one") from None
    if names:
        raise InputError(
            f"{path.parent} was written with other settings ({', '.join(names)}):"
            " name another folder, or delete this one"
        )


class Log:
    """The chunks of a folder whose files are all there, by their first scene's number."""

    def __init__(self, out: Path) -> None:
        self.path, self.chunks = out / LOG, dict[int, Chunk]()
        with open(self.path, "a+", encoding="utf-8", errors="replace") as file:
            file.seek(0)
            text = file.read()
            if text and not text.endswith("\n"):
                file.write("\n")  # what a kill cut off stays on a line of its own
        for line in text.splitlines():
            try:
                chunk = Chunk(**json.loads(line))
            except (ValueError, TypeError):
                continue
            if chunk.is_whole(out):
                self.chunks[chunk.start] = chunk

    @property
    def num_scenes(self) -> int:
        return sum(len(chunk.names) for chunk in self.chunks.values())

    @property
    def stop(self) -> int:
        """One more than the highest number of a complete scene."""
        return max((chunk.stop for chunk in self.chunks.values()), default=0)

    def missing(self, count: int) -> list[int]:
        """Where chunks start that are yet to be written for `count` scenes."""
        stops = {start: chunk.stop for start, chunk in self.chunks.items()}
        return [n for n in range(0, count, CHUNK) if stops.get(n, 0) < min(n + CHUNK, count)]

    def append(self, chunk: Chunk) -> None:
        """Note a chunk whose files are all written."""
        self.chunks[chunk.start] = chunk
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(chunk), separators=(",", ":")) + "\n")
