"""augment: colour variants of the training sources; the statistics of what training will see."""

import json
from collections.abc import Iterable
from pathlib import Path

import torch

from depthmask.config import AugmentParams, Composition
from depthmask.data.scenes.files import content_hash, read_array, replaced_folder
from depthmask.data.scenes.library import Library
from depthmask.data.scenes.scene import Scene
from depthmask.data.sources import read_source
from depthmask.errors import exit_on_error
from depthmask.stages import AUGMENTED, PARAMS, PREPARED, read_params
from depthmask.tracking.provenance import code_hash
from depthmask.visualization.sheets import augmented_sheet


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
            draw_variants(prepared, folder, params.num_variants)
        else:
            print("augment: colours are drawn while the files are read")


def draw_variants(prepared: Path, folder: Path, num_variants: int) -> None:
    """Draw the contact sheet of plates and cutouts beside their variants, where there are any."""
    library = Library.read(prepared)
    plates, cutouts = library.plates_of("train"), library.cutouts_of("train")
    if num_variants > 0:
        augmented_sheet(
            folder / "contact_sheet.png",
            plates=library.images[plates],
            plate_variants=read_array(folder / "plates_image.npy"),
            cutouts=library.rgba[cutouts],
            cutout_variants=read_array(folder / "cutouts_rgb.npy"),
            subtitle=f"{num_variants} colour variants of each",
        )
    print(f"augment: {num_variants} variants of {len(plates)} plates, {len(cutouts)} people")


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
