"""augment: photometric variants of the train split's plates and cutouts."""

from pathlib import Path

import numpy as np

from depthmask import report
from depthmask.augmentation import make_variants
from depthmask.errors import exit_on_error
from depthmask.library import Library, content_hash
from depthmask.output import replaced_folder
from depthmask.params import AugmentParams, read_params
from depthmask.stages import AUGMENTED, PARAMS, PREPARED


def augment(prepared: Path, output: Path, params: AugmentParams) -> None:
    """Write the variants of the prepared sources into the folder `output`."""
    library = Library.read(prepared)
    plates = np.asarray(library.images[library.plates_of("train")])
    cutouts = np.asarray(library.rgba[library.cutouts_of("train")])
    plate_variants = make_variants(plates, params, stream=0)
    cutout_variants = make_variants(cutouts[..., :3], params, stream=1)
    with replaced_folder(output) as folder:
        np.save(folder / "plates_image.npy", plate_variants)
        np.save(folder / "cutouts_rgb.npy", cutout_variants)
        (folder / "digest.txt").write_text(content_hash(folder) + "\n")
        if params.num_variants > 0:
            report.augmented_sheet(
                folder / "contact_sheet.png",
                plates=plates,
                plate_variants=plate_variants,
                cutouts=cutouts,
                cutout_variants=cutout_variants,
            )
    print(f"augment: {params.num_variants} variants of {len(plates)} plates, {len(cutouts)} people")


def main() -> None:
    params = read_params(PARAMS)
    augment(PREPARED, AUGMENTED, params.augment)


if __name__ == "__main__":
    with exit_on_error():
        main()
