"""augment: colour variants of the training sources; the statistics of what training will see."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from depthmask.config import AugmentParams, CompositorParams, PlacementParams
from depthmask.data.composition.augmentation import make_variants
from depthmask.data.composition.training_scenes import read_compositor
from depthmask.data.scenes.files import content_hash, read_array, replaced_folder
from depthmask.data.scenes.library import Library
from depthmask.data.scenes.placement import TRAIN_STREAM, Placer
from depthmask.data.scenes.scene import Scene
from depthmask.data.sources import read_source
from depthmask.data.sources.modest import COLOURS, some_training_scenes
from depthmask.errors import exit_on_error
from depthmask.stages import AUGMENTED, PARAMS, PREPARED, read_params
from depthmask.tracking.provenance import code_hash
from depthmask.visualization.sheets import augmented_sheet

_BATCH, _NUM_BATCHES = 32, 8


def augment(
    prepared: Path,
    output: Path,
    params: AugmentParams,
    placement: PlacementParams,
    compositor_params: CompositorParams,
) -> None:
    """Write variants of the training split's colours and the statistics into the folder `output`.

    Where scenes are files, no variants but strengths: colours are drawn while they are read.
    """
    with replaced_folder(output) as folder:
        if not read_source(prepared).is_composed:
            write_colours(prepared, folder, params)
            return
        library = Library.read(prepared)
        plates = np.asarray(library.images[library.plates_of("train")])
        cutouts = np.asarray(library.rgba[library.cutouts_of("train")])
        np.save(folder / "plates_image.npy", make_variants(plates, params, stream=0))
        np.save(folder / "cutouts_rgb.npy", make_variants(cutouts[..., :3], params, stream=1))
        compositor = read_compositor(library, compositor_params, folder)
        visible = read_array(prepared / "visible_shares.npy")
        placer = Placer(library, visible, placement, num_variants=params.num_variants)
        starts = range(0, _BATCH * _NUM_BATCHES, _BATCH)
        recipes = (placer.draw(TRAIN_STREAM, 0, range(start, start + _BATCH)) for start in starts)
        _write_statistics(folder, (compositor(each, library.size) for each in recipes))
        (folder / "digest.txt").write_text(content_hash(folder) + "\n")
        if params.num_variants > 0:
            augmented_sheet(
                folder / "contact_sheet.png",
                plates=plates,
                plate_variants=read_array(folder / "plates_image.npy"),
                cutouts=cutouts,
                cutout_variants=read_array(folder / "cutouts_rgb.npy"),
                subtitle=f"{params.num_variants} colour variants of each",
            )
        num = f"{params.num_variants} variants"
        print(f"augment: {num} of {len(plates)} plates, {len(cutouts)} people")


def write_colours(prepared: Path, folder: Path, params: AugmentParams) -> None:
    """Write the strengths to draw from while files are read."""
    colours = json.dumps(params.model_dump(mode="json"), indent=2) + "\n"
    (folder / COLOURS).write_text(colours)
    text = _write_statistics(folder, some_training_scenes(prepared, _BATCH * _NUM_BATCHES, _BATCH))
    # what the files become is decided while they are read: by this code, not by arrays
    code = code_hash(("data/composition/augmentation.py", "data/sources/modest"))
    digest = hashlib.sha256((colours + text + code).encode()).hexdigest()[:16]
    (folder / "digest.txt").write_text(digest + "\n")
    print("augment: colours are drawn while the files are read")


def _write_statistics(folder: Path, scenes: Iterable[Scene[torch.Tensor]]) -> str:
    """Mean and standard deviation of bg, bg_fg, mask and depth, as the original reported them."""
    moments = [
        [torch.stack([x.mean((0, 2, 3)), x.square().mean((0, 2, 3))]) for x in fields]
        for fields in (map(torch.Tensor.double, scene) for scene in scenes)
    ]
    result = {}
    for name, batches in zip(Scene._fields, zip(*moments, strict=True), strict=True):
        mean, square = torch.stack(batches).mean(0)
        for moment, values in (("mean", mean), ("std", (square - mean**2).clamp_min(0).sqrt())):
            rounded = [round(float(value), 6) for value in values]
            result[f"{name}_{moment}"] = rounded if len(rounded) > 1 else rounded[0]
    text = json.dumps(result, indent=2) + "\n"
    (folder / "statistics.json").write_text(text)
    return text


def main() -> None:
    params = read_params(PARAMS)
    augment(PREPARED, AUGMENTED, params.augment, params.placement, params.compositor)


if __name__ == "__main__":
    with exit_on_error():
        main()
