"""Arrays as pictures: masks, what a mask got wrong, a person on a ground, a choice of samples."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import to_rgb

from depthmask.data.scenes.scene import SPLITS
from depthmask.visualization.theme import ORANGE, SKY

MISSED, FALSE = SKY, ORANGE
"""Person taken for room, room taken for person: apart also for colour-blind readers."""


def unit_mask(mask: np.ndarray) -> np.ndarray:
    """Bring a mask, bool, uint8 0..255 or float 0..1, to float32 0..1."""
    mask = np.asarray(mask)
    unit = mask.astype(np.float32)
    return unit / 255 if mask.dtype == np.uint8 else unit


def mask_rgb(mask: np.ndarray) -> np.ndarray:
    """A mask (..., H, W) as white on black, uint8 (..., H, W, 3)."""
    grey = np.round(255 * np.clip(unit_mask(mask), 0, 1)).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)


def mask_errors_rgb(
    pred_mask: np.ndarray, true_mask: np.ndarray, threshold: float = 0.5
) -> np.ndarray:
    """The predicted mask, white on black, its errors coloured `MISSED` and `FALSE`.

    Returns:
        uint8, (..., H, W, 3).
    """
    pred = unit_mask(pred_mask) > threshold
    true = unit_mask(true_mask) > threshold
    rgb = mask_rgb(pred & true)
    for wrong, color in ((true & ~pred, MISSED), (pred & ~true, FALSE)):
        rgb[wrong] = np.round(255 * np.array(to_rgb(color))).astype(np.uint8)
    return rgb


def on_checkerboard(rgba: np.ndarray, square_px: int = 8) -> np.ndarray:
    """Lay a cutout, uint8 H x W x 4 of straight alpha, on a faint checkerboard."""
    height, width = rgba.shape[:2]
    rows, columns = np.mgrid[:height, :width] // square_px
    ground = np.where((rows + columns) % 2, 222.0, 232.0)[..., None]
    alpha = rgba[..., 3:] / 255
    return np.round(rgba[..., :3] * alpha + ground * (1 - alpha)).astype(np.uint8)


def shared_crop(rgba: np.ndarray, margin: float = 0.04) -> tuple[slice, slice]:
    """Rows and columns that hold every cutout of C x h x w x 4, so their sizes stay comparable."""
    opaque = (rgba[..., 3] > 8).any(axis=0)
    if not opaque.any():
        return slice(None), slice(None)
    bounds = []
    for axis in (1, 0):
        used = np.flatnonzero(opaque.any(axis=axis))
        extra = round(margin * opaque.shape[1 - axis])
        bounds.append(slice(max(0, used[0] - extra), used[-1] + 1 + extra))
    return bounds[0], bounds[1]


def spread(num_total: int, num_wanted: int) -> list[int]:
    """Choose up to `num_wanted` indices below `num_total`, evenly spread, the first among them."""
    num_wanted = min(num_total, num_wanted)
    return [i * num_total // num_wanted for i in range(num_wanted)]


def sample_splits(splits: Sequence[str], num_wanted: int) -> list[int]:
    """Choose indices from every split, half of them of the first, ordered by split.

    Args:
        splits: the split of each item.
    """
    members = {split: [i for i, s in enumerate(splits) if s == split] for split in SPLITS}
    shares = {split: min(len(members[split]), num_wanted // 4) for split in SPLITS[1:]}
    shares[SPLITS[0]] = min(len(members[SPLITS[0]]), num_wanted - sum(shares.values()))
    return [members[s][i] for s in SPLITS for i in spread(len(members[s]), shares[s])]
