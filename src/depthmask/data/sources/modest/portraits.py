"""One picture of each plate and of each person, for comparing them."""

from pathlib import Path

import numpy as np
import pandas as pd

from depthmask.data.sources.modest.decoding import image_side, read_image

_ROWS = 8  # of a person's composites: in some, furniture or the frame's edge hides part
_HAZE = 32  # what JPEG leaves of a mask's black
_LEAST_PX = 64


def pictures_of(kind: str, folder: Path, table: pd.DataFrame) -> dict[int, np.ndarray | None]:
    """Pictures by the numbers of the plates or of the people.

    Args:
        kind: `plate` or `cutout`.
        folder: the data set's.
        table: rows of `depthmask.data.sources.modest.read_layout`.

    Returns:
        Of a plate uint8 S x S x 3. Of a person uint8 S x S x 4, RGB and alpha, out of the composite
        that shows most of them, of a few; None if that is next to nothing.

    Raises:
        InputError: a file cannot be read.
    """
    side = image_side(folder, table)
    if kind == "plate":
        first = table.drop_duplicates("plate")
        return {
            row.plate: read_image(folder / row.bg, side, side=side) for row in first.itertuples()
        }
    return {int(number): _person(folder, rows, side) for number, rows in table.groupby("cutout")}


def _person(folder: Path, rows: pd.DataFrame, side: int) -> np.ndarray | None:
    some = rows.iloc[np.unique(np.linspace(0, len(rows) - 1, _ROWS).astype(int))]
    masks = [read_image(folder / path, side, side=side, grey=True) for path in some["mask"]]
    most = int(np.argmax([(mask > 127).sum() for mask in masks]))
    alpha = np.where(masks[most] < _HAZE, 0, masks[most])
    if (alpha > 127).sum() < _LEAST_PX:
        return None
    return np.dstack([read_image(folder / some["bg_fg"].iloc[most], side, side=side), alpha])
