"""Chunks of scenes as image files, and a folder that says what it is made with and holds; `bg/`
has a file a scene, or, where nothing varies them, a plate."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
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
BATCH = 4  # composed at a time: what a core's cache holds
LOG = ".written.jsonl"


@dataclass(frozen=True)
class Encoding:
    """How pixels become files."""

    quality: int  # of the JPEGs, 1 to 100
    depth_range_m: tuple[float, float]  # of a depth map's 0 and 255, in equal ratios between
    exact_depth: bool = False  # whether `depth_mm` is written

    def images(self, scene: Scene[Tensor]) -> dict[str, np.ndarray]:
        """By folder: N x S x S x 3 or x 1, uint8, and depth_mm uint16."""
        bg, bg_fg, mask, depth = scene[:4]
        units = bg, bg_fg, mask, encode_depth(depth, self.depth_range_m)
        images = [(unit.clamp(0, 1) * 255).round().byte() for unit in units]
        if self.exact_depth:
            images.append((depth * 1000).round().clamp(0, 65535).to(torch.uint16))
        arrays = (image.permute(0, 2, 3, 1).numpy() for image in images)
        return dict(zip(SUFFIXES, arrays, strict=False))


@dataclass
class Chunk:
    """Consecutive scenes, and what their files are once they are written."""

    start: int  # from 0
    names: list[str]
    bg_names: list[str]  # of the plates' files that are written with them
    boxes: list[list[int]] = field(default_factory=list)  # a scene's person: x, y, width, height
    num_bytes: dict[str, list[int]] = field(default_factory=dict)  # of each folder's files
    # of each folder of 8 bits: of the values and of their squares, per channel
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


@dataclass(eq=False)
class Writer(Dataset[Chunk | OSError]):
    """Item n composes and writes the n-th task; an OSError is returned, and so leaves a worker."""

    out: Path
    compositor: Compositor
    draw: Callable[[Sequence[int]], Recipes]  # of the scenes of the given numbers
    size: int
    encoding: Encoding
    is_varied: bool  # a plate is written with every scene, else once
    tasks: list[Chunk] = field(default_factory=list)

    def plan(self, written: dict[int, Chunk], count: int) -> None:
        """Set the tasks for `count` scenes; of those that share a plate the first writes it."""
        stops = {start: min(start + CHUNK, count) for start in range(0, count, CHUNK)}
        missing = [n for n, stop in stops.items() if n not in written or written[n].stop < stop]
        plates = {name for n in written.keys() - missing for name in written[n].bg_names}
        for start in missing:
            names = bg_names = self._names(range(start, stops[start]))
            if not self.is_varied:
                bg_names = [n for n in dict.fromkeys(map(plate_name, names)) if n not in plates]
                plates.update(bg_names)
            self.tasks.append(Chunk(start, names, bg_names))

    def _names(self, numbers: range) -> list[str]:
        library, recipes = self.compositor.library, self.draw(numbers)
        bg, fg = (max(3, len(str(len(table)))) for table in (library.plates, library.cutouts))
        people = np.where(recipes.nobody, 0, recipes.cutout + 1)
        rows = zip(recipes.plate + 1, people, numbers, strict=True)
        return [f"bg{b:0{bg}d}_fg{f:0{fg}d}_{number + 1:06d}" for b, f, number in rows]

    def __len__(self) -> int:
        return len(self.tasks)

    def __getitem__(self, number: int) -> Chunk | OSError:
        chunk = self.tasks[number]
        left = set(chunk.bg_names)
        try:
            for start in range(chunk.start, chunk.stop, BATCH):
                numbers = range(start, min(start + BATCH, chunk.stop))
                images = self.encoding.images(self.compositor(self.draw(numbers), self.size))
                for place, name in enumerate(chunk.names[start - chunk.start :][: len(numbers)]):
                    bg_name = name if self.is_varied else plate_name(name)
                    for folder, pixels in images.items():
                        stem = bg_name if folder == "bg" else name
                        if folder != "bg" or stem in left:
                            self._write(chunk, folder, stem, pixels[place])
                    left.discard(bg_name)
                    person = (images["bg_fg_mask"][place] >= 128).astype(np.uint8)
                    chunk.boxes.append(list(cv2.boundingRect(person)))
        except OSError as error:
            return error
        return chunk

    def _write(self, chunk: Chunk, folder: str, stem: str, pixels: np.ndarray) -> None:
        path = self.out / folder / f"{stem}{SUFFIXES[folder]}"
        options = [cv2.IMWRITE_JPEG_QUALITY, self.encoding.quality]
        encoded = cv2.imencode(path.suffix, pixels[..., ::-1], options)[1].tobytes()
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encoded)
        chunk.num_bytes.setdefault(folder, []).append(len(encoded))
        if folder != "depth_mm":
            values = pixels.reshape(-1, pixels.shape[-1]).astype(np.int64)
            sums = np.stack([values.sum(0), np.square(values).sum(0)])
            chunk.sums[folder] = (sums + chunk.sums.get(folder, 0)).tolist()


def plate_name(name: str) -> str:
    """The part of a scene's name that stands for its plate."""
    return name.partition("_")[0]


def read_log(out: Path) -> dict[int, Chunk]:
    """The chunks whose files are all there, by their first scene's number."""
    written = {}
    with suppress(FileNotFoundError):
        for line in (out / LOG).read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError, TypeError):  # a kill may have cut it off
                chunk = Chunk(**json.loads(line))
                if chunk.is_whole(out):
                    written[chunk.start] = chunk
    return written


def write_text(path: Path, text: str) -> None:
    with replaced_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


@contextmanager
def claimed(out: Path, settings: dict[str, Any]) -> Iterator[None]:
    """Keep `out` to this process; raises InputError if what is there has other settings."""
    recipe, text = out / "recipe.json", json.dumps(settings, indent=2) + "\n"
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file: name a folder")
    if not recipe.exists() and any(out.glob("[!.]*")):
        raise InputError(f"{out} holds something else: name a new or an empty folder")
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / ".lock", timeout=0):
            if not recipe.exists():
                write_text(recipe, text)
            new, old = json.loads(text), dict[str, Any]()
            with suppress(ValueError):
                old = json.loads(recipe.read_text(encoding="utf-8"))
            if names := ", ".join(name for name in new if old.get(name) != new[name]):
                words = f"was written with other settings ({names})"
                raise InputError(f"{out} {words}: name another folder, or delete this one")
            yield
    except Timeout:
        raise InputError(f"another run writes to {out}: wait for it, or name another") from None
