"""MODEST: the original data set's own layout, read as it is (see `layout`)."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from depthmask.config import AugmentParams, Composition, PlacementParams, PrepareParams, TrainParams
from depthmask.data.composition.eval_sets import BATCH_SIZE, EvalSets, batched
from depthmask.data.composition.source import NUM_STATISTICS, Places, Source
from depthmask.data.scenes.files import content_hash, read_json, read_summary, read_table
from depthmask.data.scenes.leakage_check import check_files
from depthmask.data.scenes.scene import COMPOSED_SETS, Scene, spread
from depthmask.data.sources.modest.layout import FOLDERS, check_images, draw_sets, read_layout
from depthmask.data.sources.modest.scenes import FileScenes, FileTrainingScenes, read_image
from depthmask.errors import InputError

SAMPLES = "samples.parquet"  # columns set, plate, cutout and the four paths within the source
_SIDE = 224  # of pictures that are compared, px
COLOURS = "colours.json"  # what augment writes: the strengths to draw from while files are read


def read_samples(prepared: Path, name: str) -> tuple[Path, pd.DataFrame]:
    """The source's folder, and the rows of `train` or of a set."""
    table = read_table(prepared / SAMPLES, ("set", "plate", "cutout", *FOLDERS))
    return Path(read_summary(prepared)["folder"]), table[table["set"] == name]


def pictures_of(kind: str, folder: Path, table: pd.DataFrame) -> dict[int, np.ndarray | None]:
    """A picture of each `plate` (uint8 S x S x 3) or `cutout`, by its number, to compare them: of a
    person uint8 S x S x 4, RGB and alpha, None where next to nothing is seen of them."""
    groups: dict[Any, pd.DataFrame] = dict(iter(table.groupby(kind, sort=False)))
    if kind == "plate":
        return {n: read_image(folder / rows["bg"].iloc[0], _SIDE) for n, rows in groups.items()}
    return {number: _person(folder, rows) for number, rows in groups.items()}


def _person(folder: Path, rows: pd.DataFrame) -> np.ndarray | None:
    some = rows.iloc[spread(len(rows), 8)]  # in some, furniture or the frame's edge hides part
    masks = [read_image(folder / path, _SIDE, "L") for path in some["mask"]]
    most = int(np.argmax([(mask > 127).sum() for mask in masks]))
    alpha = np.where(masks[most] < 32, 0, masks[most])  # what JPEG leaves of black
    if (alpha > 127).sum() < 64:
        return None
    return np.dstack([read_image(folder / some["bg_fg"].iloc[most], _SIDE), alpha])


class FileSets(EvalSets):
    """Sets of scenes that are files. A plate's depth is not known."""

    leak_sets = ("seen_seen", "unseen_unseen")

    def scenes(self, name: str) -> Iterator[Scene[Tensor]]:
        if name == "nobody":  # every file has somebody in it
            return iter(())
        return self._read(*read_samples(self.prepared, name))

    def plate_depths(self, name: str) -> Iterator[None]:
        yield from [None] * len(batched(read_samples(self.prepared, name)[1].index.to_numpy()))

    def origins(self, name: str) -> pd.DataFrame:
        table = read_samples(self.prepared, name)[1]
        return table[["plate", "cutout"]].astype(str).reset_index(drop=True)

    def _read(self, folder: Path, table: pd.DataFrame) -> Iterator[Scene[Tensor]]:
        return FileScenes(folder, table).batches(self.size, BATCH_SIZE, self.device)


class Modest(Source):
    description = "composites in MODEST's layout, their depth a teacher network's"
    limit = "Its truth is a teacher's depth: the figures say how well it agrees with that."
    code = ("data/composition/augmentation.py", "data/sources/modest")

    def prepare(
        self, folder: Path, places: Places, params: PrepareParams, placement: PlacementParams
    ) -> None:
        """Check and split the source, where the images stay; write the table and the summary.
        InputError counts and names what to mend."""
        layout = read_layout(places.source)
        side, content = check_images(places.source, layout)
        if params.size > side:
            remedy = f"set prepare.size to {side} or less, not {params.size}"
            raise InputError(f"the images of {places.source} are {side} px: {remedy}")
        sizes = params.num_scenes.model_dump(include=set(COMPOSED_SETS))
        samples = draw_sets(layout, params.splits, sizes, params.seed)
        samples.to_parquet(folder / SAMPLES)
        num_train = int((samples["set"] == "train").sum())
        summary = {
            "source": params.source,
            "folder": places.source.as_posix(),
            "unit": "relative",
            "depth_alignment": "depth",
            "depth_range": [0.0, 1.0],
            "size": params.size,
            "num_samples": {"train": num_train, "unused": len(layout) - len(samples)},
            "num_scenes": sizes,
            "data_hash": hashlib.sha256((content_hash(folder) + content).encode()).hexdigest()[:16],
        }
        (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")

    def check_leakage(self, prepared: Path) -> None:
        folder = Path(read_summary(prepared)["folder"])
        table = read_table(prepared / SAMPLES, ("set", "plate", "cutout", *FOLDERS))
        images = {kind: pictures_of(kind, folder, table) for kind in ("plate", "cutout")}
        check_files(table, images, f"remove one's lines from {folder / 'file_map.txt'}")

    def samples(self, prepared: Path, count: int) -> Iterator[Scene[Tensor]]:
        folder, table = read_samples(prepared, "train")
        some = FileScenes(folder, table.iloc[spread(len(table), count)])
        return some.batches(read_summary(prepared)["size"], BATCH_SIZE)

    def augment(
        self, prepared: Path, folder: Path, params: AugmentParams, composition: Composition
    ) -> Iterator[Scene[Tensor]]:
        """No variants but strengths: colours are drawn while the files are read."""
        (folder / COLOURS).write_text(json.dumps(params.model_dump(mode="json"), indent=2) + "\n")
        return self.samples(prepared, NUM_STATISTICS)

    def training_scenes(
        self, prepared: Path, augmented: Path | None, params: TrainParams, composition: Composition
    ) -> FileTrainingScenes:
        colours = None
        if augmented is not None:
            colours = AugmentParams.model_validate(read_json(augmented / COLOURS))
        train = FileScenes(*read_samples(prepared, "train"), colours)
        val = FileScenes(*read_samples(prepared, "val"))
        return FileTrainingScenes(train, val, seed=params.seed)

    def open_sets(self, prepared: Path, composition: Composition, device: str) -> FileSets:
        return FileSets(prepared, device)


SOURCE = Modest()
