"""Where the person is and how far: one summary of a mask and a depth map."""

from dataclasses import dataclass

import numpy as np

THRESHOLD = 0.5
_GRID = 128  # cells along the longer side: about what the network itself resolves


@dataclass(frozen=True)
class Person:
    """The largest connected region of a mask.

    Attributes:
        depth: median over the region, in the map's unit: robust against its ragged edge.
        box: x, y, width, height, px; x to the right, y down, from the frame's top left corner.
        area_share: the region's share of the frame's pixels, 0 to 1.
    """

    depth: float
    box: tuple[int, int, int, int]
    area_share: float


def find_person(mask: np.ndarray, depth: np.ndarray, threshold: float = THRESHOLD) -> Person | None:
    """Summarise the largest region above the threshold; specks elsewhere do not count.

    Two people who touch are one region; of two who do not, the larger is told about.

    Args:
        mask: float, H x W, 0 to 1.
        depth: float, H x W, in metres or relative.
        threshold: a pixel is person above it.

    Returns:
        None if no pixel is.
    """
    region = largest_region(mask > threshold)
    if not region.any():
        return None
    columns = np.flatnonzero(region.any(axis=0))
    rows = np.flatnonzero(region.any(axis=1))
    box = (columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1)
    return Person(
        depth=float(np.median(depth[region])),
        box=tuple(int(value) for value in box),
        area_share=float(region.mean()),
    )


def largest_region(person: np.ndarray) -> np.ndarray:
    """The largest 8-connected region of a boolean H x W, all False if there is none.

    Regions are told apart on a grid of at most 128 cells a side, so a gap narrower than a cell
    does not part them.
    """
    height, width = person.shape
    cell = -(-max(height, width) // _GRID)
    tops, lefts = np.arange(0, height, cell), np.arange(0, width, cell)
    num_person = np.add.reduceat(np.add.reduceat(person, tops, axis=0, dtype=int), lefts, axis=1)
    filled = num_person > 0
    if not filled.any():
        return np.zeros_like(person)
    labels = np.zeros_like(num_person)
    within = np.ix_(_extent(filled.any(axis=1)), _extent(filled.any(axis=0)))
    labels[within] = _labelled(filled[within])  # few frames are full of people
    sizes = np.bincount(labels.ravel(), weights=num_person.ravel())
    sizes[0] = 0  # the background
    chosen = labels == sizes.argmax()
    return person & chosen.repeat(cell, axis=0)[:height].repeat(cell, axis=1)[:, :width]


def _extent(filled: np.ndarray) -> np.ndarray:
    """The indices from the first True to the last."""
    places = np.flatnonzero(filled)
    return np.arange(places[0], places[-1] + 1)


def _labelled(filled: np.ndarray) -> np.ndarray:
    """Number the regions: each takes the largest of its cells' numbers; 0 is background."""
    labels = np.where(filled, np.arange(1, filled.size + 1).reshape(filled.shape), 0)
    while True:
        padded = np.pad(labels, 1)
        spread = np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])
        spread = np.maximum(np.maximum(spread[:, :-2], spread[:, 1:-1]), spread[:, 2:])
        spread = np.where(filled, spread, 0)
        if np.array_equal(spread, labels):
            return labels
        labels = spread
