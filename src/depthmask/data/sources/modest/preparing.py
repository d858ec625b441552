"""A folder in MODEST's layout becomes prepared data: a table of which composites serve what."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from depthmask.data.scenes.files import content_hash
from depthmask.data.scenes.scene import COMPOSED_SETS
from depthmask.data.sources.modest.checking import check_images
from depthmask.data.sources.modest.decoding import image_side
from depthmask.data.sources.modest.layout import FOLDERS, read_layout
from depthmask.data.sources.modest.splitting import draw_sets, split_sources
from depthmask.errors import InputError

SAMPLES = "samples.parquet"
"""Columns set, plate, cutout and the four paths within the source folder."""


def prepare_modest(
    source: Path,
    folder: Path,
    *,
    size: int,
    splits: Mapping[str, Mapping[str, float]],
    num_scenes: Mapping[str, int],
    seed: int,
    decode: int,
) -> pd.DataFrame:
    """Check and split the source; write the table and the summary into an existing folder.

    The images stay where they are. Depth is relative and linear, 0 to 1, as the files have it.

    Args:
        source: the data set's folder.
        folder: where `samples.parquet` and `summary.json` go.
        size: of the largest images that training will see, px.
        splits: under `plates` and `cutouts` the shares of train, val and test.
        num_scenes: how many composites each of `depthmask.data.scenes.scene.COMPOSED_SETS` has.
        seed: of the split and of the choice.
        decode: how many rows are decoded for the check; of the others heads and tails are read.

    Returns:
        The table.

    Raises:
        InputError: something must be mended in the source; named and counted.
    """
    layout = read_layout(source)
    side = image_side(source, layout)
    if size > side:
        raise InputError(
            f"the images of {source} are {side} px: set prepare.size to {side} or less, not {size}"
        )
    content = check_images(source, layout, decode=decode)
    split = split_sources(layout, splits["plates"], splits["cutouts"], seed)
    sizes = {name: num_scenes[name] for name in COMPOSED_SETS}
    chosen = draw_sets(split, sizes, seed)
    samples = pd.concat(
        [split.iloc[rows].assign(set=name) for name, rows in chosen.items()], ignore_index=True
    )[["set", "plate", "cutout", *FOLDERS]]
    samples.to_parquet(folder / SAMPLES)
    summary = {
        "source": "modest",
        "folder": source.as_posix(),
        "unit": "relative",
        "depth_alignment": "depth",
        "depth_range": [0.0, 1.0],
        "size": size,
        "num_plates": _counts(split, "plate"),
        "num_cutouts": _counts(split, "cutout"),
        "num_samples": {"train": len(chosen["train"]), "unused": len(layout) - len(samples)},
        "num_scenes": sizes,
        "data_hash": hashlib.sha256((content_hash(folder) + content).encode()).hexdigest()[:16],
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    return samples


def _counts(split: pd.DataFrame, column: str) -> dict[str, int]:
    sources = split.drop_duplicates(column)[f"{column}_split"]
    return {name: int(np.sum(sources == name)) for name in ("train", "val", "test")}
