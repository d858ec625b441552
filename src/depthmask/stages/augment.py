"""augment: colour variants of the training sources; the statistics of what training will see."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch

from depthmask import visualization as report
from depthmask.config import AugmentParams, CompositorParams, PlacementParams
from depthmask.data.composition.augmentation import make_variants
from depthmask.data.composition.compositor import Compositor
from depthmask.data.scenes.files import content_hash, read_array, read_summary, replaced_folder
from depthmask.data.scenes.library import Library
from depthmask.data.scenes.placement import TRAIN_STREAM, Placer
from depthmask.data.scenes.scene import Scene
from depthmask.data.sources.modest.sets import COLOURS, some_training_scenes
from depthmask.errors import exit_on_error
from depthmask.stages import AUGMENTED, PARAMS, PREPARED, read_params
from depthmask.tracking.provenance import code_hash

_STATISTICS_SCENES = 256


def augment(
    prepared: Path,
    output: Path,
    params: AugmentParams,
    placement: PlacementParams,
    compositor: CompositorParams,
) -> None:
    """Write the variants and the statistics into the folder `output`.

    Where scenes are files, no variants: their colours are drawn while they are read.
    """
    if read_summary(prepared)["source"] == "modest":
        with replaced_folder(output) as folder:
            colours = json.dumps(params.model_dump(mode="json"), indent=2) + "\n"
            (folder / COLOURS).write_text(colours)
            figures = statistics(some_training_scenes(prepared, _STATISTICS_SCENES, 32))
            text = json.dumps(figures, indent=2) + "\n"
            (folder / "statistics.json").write_text(text)
            # what the files become is decided while they are read: by this code, not by arrays
            code = code_hash(("data/composition/augmentation.py", "data/sources/modest"))
            digest = hashlib.sha256((colours + text + code).encode()).hexdigest()[:16]
            (folder / "digest.txt").write_text(digest + "\n")
        print("augment: colours are drawn while the files are read")
        return
    library = Library.read(prepared)
    plates = np.asarray(library.images[library.plates_of("train")])
    cutouts = np.asarray(library.rgba[library.cutouts_of("train")])
    plate_variants = make_variants(plates, params, stream=0)
    cutout_variants = make_variants(cutouts[..., :3], params, stream=1)
    with replaced_folder(output) as folder:
        np.save(folder / "plates_image.npy", plate_variants)
        np.save(folder / "cutouts_rgb.npy", cutout_variants)
        scenes = training_scenes(
            library,
            read_array(prepared / "visible_shares.npy"),
            placement,
            Compositor(
                library,
                compositor,
                plate_variants=plate_variants,
                cutout_variants=cutout_variants,
            ),
        )
        figures = statistics(scenes)
        (folder / "statistics.json").write_text(json.dumps(figures, indent=2) + "\n")
        (folder / "digest.txt").write_text(content_hash(folder) + "\n")
        if params.num_variants > 0:
            report.augmented_sheet(
                folder / "contact_sheet.png",
                plates=plates,
                plate_variants=plate_variants,
                cutouts=cutouts,
                cutout_variants=cutout_variants,
                subtitle=f"{params.num_variants} colour variants of each",
            )
    print(f"augment: {params.num_variants} variants of {len(plates)} plates, {len(cutouts)} people")


def training_scenes(
    library: Library, visible: np.ndarray, placement: PlacementParams, compositor: Compositor
) -> Iterator[Scene[torch.Tensor]]:
    """Batches of training scenes with somebody in each."""
    placer = Placer(library, visible, placement, num_variants=compositor.num_variants)
    for start in range(0, _STATISTICS_SCENES, 32):
        yield compositor(placer.draw(TRAIN_STREAM, 0, range(start, start + 32)), library.size)


def statistics(scenes: Iterable[Scene[torch.Tensor]]) -> dict[str, list[float] | float]:
    """Mean and standard deviation of bg, bg_fg, mask and depth, as the original reported them."""
    moments: dict[str, list[torch.Tensor]] = {}
    for scene in scenes:
        for name, field in scene._asdict().items():
            values = field.double()
            both = torch.stack([values.mean((0, 2, 3)), values.square().mean((0, 2, 3))])
            moments.setdefault(name, []).append(both)
    result: dict[str, list[float] | float] = {}
    for name, batches in moments.items():
        mean, square = torch.stack(batches).mean(0)
        for moment, values in (("mean", mean), ("std", (square - mean**2).clamp_min(0).sqrt())):
            rounded = [round(float(value), 6) for value in values]
            result[f"{name}_{moment}"] = rounded if len(rounded) > 1 else rounded[0]
    return result


def main() -> None:
    params = read_params(PARAMS)
    augment(PREPARED, AUGMENTED, params.augment, params.placement, params.compositor)


if __name__ == "__main__":
    with exit_on_error():
        main()
