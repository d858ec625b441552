"""Chunks of scenes as image files, and a folder that says what it is made with and holds; `bg/`
has a file a scene, or, where nothing varies them, a plate."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
from filelock import FileLock, Timeout
from torch import Tensor
from torch.utils.data import Dataset

from depthmask.data.composition.compositor import Compositor
from depthmask.data.scenes.files import replaced_file
from depthmask.data.scenes.placement import Recipes
from depthmask.data.scenes.scene import Scene
from depthmask.errors import InputError
from depthmask.models.depth_codec import encode_depth

# how the names in each folder end
SUFFIXES = {"bg": ".jpeg", "bg_fg": ".jpeg", "bg_fg_mask": "_mask.jpeg"}
SUFFIXES |= {"bg_fg_depth_map": "_depth_map.jpeg", "depth_mm": "_depth_mm.png"}
CHUNK = 32  # scenes a worker writes before it notes them: what a kill costs
BATCH = 4  # composed at a time: what a core's cache holds
NOTES = ".written"  # a table a chunk whose files are all there


@dataclass(frozen=True)
class Encoding:
    """How pixels become files."""

    depth_range_m: tuple[float, float]  # of a depth map's 0 and 255, in equal ratios between
    exact_depth: bool = False  # whether `depth_mm` is written
    quality: int = 90  # of the JPEGs, 1 to 100

    def images(self, scene: Scene[Tensor]) -> dict[str, np.ndarray]:
        """By folder: N x S x S x 3 or x 1, uint8, and depth_mm uint16."""
        depth = encode_depth(scene.depth, self.depth_range_m)
        units = scene.bg, scene.bg_fg, scene.mask, depth
        images = [(unit.clamp(0, 1) * 255).round().byte() for unit in units]
        if self.exact_depth:
            images.append((scene.depth * 1000).round().clamp(0, 65535).to(torch.uint16))
        arrays = (image.permute(0, 2, 3, 1).numpy() for image in images)
        return dict(zip(SUFFIXES, arrays, strict=False))


@dataclass(eq=False)
class Writer(Dataset[int | OSError]):
    """Item n composes, writes and notes the n-th of the chunks that are not there yet: how many
    scenes; an OSError is returned, and so leaves a worker."""

    out: Path
    compositor: Compositor
    draw: Callable[[Sequence[int]], Recipes]  # of the scenes of the given numbers
    count: int
    size: int
    encoding: Encoding
    is_varied: bool  # a plate is written with every scene, else once

    def __post_init__(self) -> None:
        starts = range(0, self.count, CHUNK)
        self.chunks = [range(start, min(start + CHUNK, self.count)) for start in starts]
        self.missing = [chunk for chunk in self.chunks if not self.note(chunk).exists()]

    def note(self, chunk: range) -> Path:
        return self.out / NOTES / f"{chunk.start}-{chunk.stop}.csv"

    def __len__(self) -> int:
        return len(self.missing)

    def __getitem__(self, number: int) -> int | OSError:
        chunk, rows = self.missing[number], []
        try:
            for start in range(chunk.start, chunk.stop, BATCH):
                numbers = range(start, min(start + BATCH, chunk.stop))
                recipes = self.draw(numbers)
                images = self.encoding.images(self.compositor(recipes, self.size))
                for place, row in enumerate(self._names(recipes, numbers)):
                    for folder, pixels in images.items():
                        row |= self._write(folder, row, pixels[place])
                    person = (images["bg_fg_mask"][place] >= 128).astype(np.uint8)
                    row |= zip(("x", "y", "width", "height"), cv2.boundingRect(person), strict=True)
                    rows.append(row)
            with replaced_file(self.note(chunk)) as path:
                pd.DataFrame(rows).to_csv(path, index=False)
        except OSError as error:
            return error
        return len(chunk)

    def _names(self, recipes: Recipes, numbers: range) -> Iterator[dict[str, Any]]:
        """A scene's plate and person (0 is nobody), and what its files are called."""
        library = self.compositor.library
        wide = [max(3, len(str(len(table)))) for table in (library.plates, library.cutouts)]
        people = np.where(recipes.nobody, 0, recipes.cutout + 1)
        for number, plate, person in zip(numbers, recipes.plate + 1, people, strict=True):
            bg = f"bg{plate:0{wide[0]}d}"
            name = f"{bg}_fg{person:0{wide[1]}d}_{number + 1:06d}"
            bg = name if self.is_varied else bg
            yield {"plate": plate, "person": person, "bg": bg, "name": name}

    def _write(self, folder: str, row: dict[str, Any], pixels: np.ndarray) -> dict[str, float]:
        """Write an image; means over its pixels, of each channel and of its square, in 0..1."""
        stem = row["bg"] if folder == "bg" else row["name"]
        path = self.out / folder / f"{stem}{SUFFIXES[folder]}"
        if folder != "bg" or self.is_varied or not path.exists():
            options = [cv2.IMWRITE_JPEG_QUALITY, self.encoding.quality]
            with replaced_file(path) as temporary:
                encoded = cv2.imencode(path.suffix, pixels[..., ::-1], options)[1]
                temporary.write_bytes(encoded.tobytes())
        values = pixels.reshape(-1, pixels.shape[-1]) / np.iinfo(pixels.dtype).max
        moments = np.concatenate([values.mean(0), np.square(values).mean(0)])
        return {f"{folder}/{number}": value for number, value in enumerate(moments)}


@contextmanager
def claimed(out: Path, settings: dict[str, Any]) -> Iterator[None]:
    """Keep `out` to this process; raises InputError if what is there has other settings."""
    recipe, text = out / "recipe.json", json.dumps(settings, indent=2) + "\n"
    if not recipe.exists() and any(out.glob("[!.]*")):
        raise InputError(f"{out} holds something else: name a new or an empty folder")
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / ".lock", timeout=0):
            if not recipe.exists():
                recipe.write_text(text)
            new, old = json.loads(text), dict[str, Any]()
            with suppress(ValueError):
                old = json.loads(recipe.read_text())
            if names := ", ".join(name for name in new if old.get(name) != new[name]):
                words = f"was written with other settings ({names})"
                raise InputError(f"{out} {words}: name another folder, or delete this one")
            yield
    except Timeout:
        raise InputError(f"another run writes to {out}: wait for it, or name another") from None
