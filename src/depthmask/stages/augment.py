"""augment: colour variants of the training sources; the statistics of what training will see."""

import json
from collections.abc import Iterable
from pathlib import Path

import torch

from depthmask.config import AugmentParams, Composition
from depthmask.data.scenes.files import content_hash, replaced_folder
from depthmask.data.scenes.scene import Scene
from depthmask.data.sources import read_source
from depthmask.errors import exit_on_error
from depthmask.stages import AUGMENTED, PARAMS, PREPARED, read_params
from depthmask.tracking.provenance import code_hash


def augment(prepared: Path, output: Path, params: AugmentParams, composition: Composition) -> None:
    """Write what training varies the colours with, and the statistics of what it will see, into the
    folder `output`."""
    source = read_source(prepared)
    with replaced_folder(output) as folder:
        scenes = source.augment(prepared, folder, params, composition)
        _write_statistics(folder, scenes)
        digest = content_hash(folder) + code_hash(source.code)
        (folder / "digest.txt").write_text(digest + "\n")
        if source.is_composed:
            print(f"augment: {params.num_variants} variants of each training plate and person")
        else:
            print("augment: colours are drawn while the files are read")


def _write_statistics(folder: Path, scenes: Iterable[Scene[torch.Tensor]]) -> None:
    """Mean and standard deviation of bg, bg_fg, mask and depth, as the original reported them."""
    moments = [
        [torch.stack([x.mean((0, 2, 3)), x.square().mean((0, 2, 3))]) for x in fields]
        for fields in (map(torch.Tensor.double, scene[:4]) for scene in scenes)
    ]
    result = {}
    for name, batches in zip(Scene._fields[:4], zip(*moments, strict=True), strict=True):
        mean, square = torch.stack(batches).mean(0)
        for moment, values in (("mean", mean), ("std", (square - mean**2).clamp_min(0).sqrt())):
            rounded = [round(float(value), 6) for value in values]
            result[f"{name}_{moment}"] = rounded if len(rounded) > 1 else rounded[0]
    (folder / "statistics.json").write_text(json.dumps(result, indent=2) + "\n")


def main() -> None:
    params = read_params(PARAMS)
    composition = Composition(params.placement, params.compositor)
    augment(PREPARED, AUGMENTED, params.augment, composition)


if __name__ == "__main__":
    with exit_on_error():
        main()
