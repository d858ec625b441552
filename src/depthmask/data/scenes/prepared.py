"""A library becomes prepared data: the composed sets' placements and a summary beside it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from depthmask.config import PlacementParams, PrepareParams
from depthmask.data.scenes.files import content_hash
from depthmask.data.scenes.library import EmptyFrames, InSceneFrames, Library
from depthmask.data.scenes.placement import TRAIN_STREAM, Placer
from depthmask.data.scenes.scene import SET_SPLITS, SPLITS


def write_prepared(
    folder: Path,
    library: Library,
    visible: np.ndarray,
    params: PrepareParams,
    placement: PlacementParams,
    *,
    unit: str = "metre",
    frames: InSceneFrames | None = None,
    empty: EmptyFrames | None = None,
) -> None:
    """Place the people of the composed sets and write what the other stages read.

    Args:
        folder: an existing one.
        visible: from `visible_shares`.
        unit: of the library's depth; `relative` metres are nominal, right but for the scale and
            shift of their inverse.
        frames, empty: None from a source that cannot render its rooms anew.
    """
    library.write(folder)
    rendered = {"in_scene": frames, "nobody": empty}
    for each in (frames, empty):
        if each is not None:
            each.write(folder)
    np.save(folder / "visible_shares.npy", visible)
    place(library, visible, params, placement).to_parquet(folder / "placements.parquet")
    summary = {
        "source": params.source,
        "unit": unit,
        "depth_alignment": None if unit == "metre" else "disparity",
        "size": params.size,
        "num_plates": _counts(library.plates),
        "num_cutouts": _counts(library.cutouts),
        "num_scenes": params.num_scenes.model_dump(
            exclude={name for name, each in rendered.items() if each is None}
        ),
        "data_hash": content_hash(folder),
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")


def place(
    library: Library, visible: np.ndarray, params: PrepareParams, placement: PlacementParams
) -> pd.DataFrame:
    """Draw the placements of the composed sets: a row per scene, the plate named first."""
    tables = []
    for stream, (name, (plate, cutout)) in enumerate(SET_SPLITS.items(), start=TRAIN_STREAM + 1):
        placer = Placer(library, visible, placement, plates=(plate,), cutouts=(cutout,))
        count = getattr(params.num_scenes, name)
        recipes = placer.draw(stream, 0, range(count))
        columns = {
            column: getattr(recipes, column) for column in ("plate", "cutout", "stand", "mirrored")
        }
        tables.append(
            pd.DataFrame({"set": name, "stream": stream, "index": np.arange(count), **columns})
        )
    return pd.concat(tables, ignore_index=True)


def _counts(table: pd.DataFrame) -> dict[str, int]:
    return {split: int((table["split"] == split).sum()) for split in SPLITS}
