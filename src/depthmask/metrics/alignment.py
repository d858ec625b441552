"""Relative depth laid over the truth before it is measured."""

from typing import Literal

import torch
from torch import Tensor

from depthmask.metrics.pixels import SMALLEST_DEPTH_M, check_shapes, doubled, is_known

Alignment = Literal["depth", "disparity"]
"""In what relative depth is aligned: in its values, or in their inverse."""


def align_depth(depth: Tensor, true_depth: Tensor, alignment: Alignment) -> Tensor:
    """Scale and shift each image's depth to fit the truth by least squares.

    In disparity, as Ranftl et al. 2020 (MiDaS) measure a network whose answer is known but for
    both: 1 / (scale / depth + shift), no farther than the truth's farthest pixel. The scale does
    not fall below 0: a map turned inside out must not be right.

    Args:
        depth: predicted, N x 1 x H x W, above 0.
        true_depth: same shape; a pixel counts where it is finite and above 0.
        alignment: `depth` fits the values, `disparity` their inverse.

    Returns:
        float64, same shape; NaN for an image with a pixel that counts and is not finite.
    """
    check_shapes(depth, true_depth)
    true, found = doubled(true_depth), doubled(depth)
    known = is_known(true)
    true = torch.where(known, true, 1.0)
    if alignment == "disparity":
        true, found = 1 / true, 1 / found.clamp(min=SMALLEST_DEPTH_M)
    num_known = known.flatten(1).sum(1).clamp(min=1)[:, None, None, None]

    def mean(values: Tensor) -> Tensor:
        return torch.where(known, values, 0.0).sum((1, 2, 3), keepdim=True) / num_known

    # 1 / infinity is 0: an infinite depth must spoil its image in disparity too
    found = torch.where(doubled(depth).isfinite(), found, torch.nan)
    from_mean = found - mean(found)
    spread = mean(from_mean.square())
    scale = (mean(from_mean * (true - mean(true))) / spread.clamp(min=1e-12)).clamp(min=0)
    aligned = scale * from_mean + mean(true)
    if alignment == "disparity":
        farthest = torch.where(known, true, torch.inf).amin((1, 2, 3), keepdim=True)
        aligned = 1 / aligned.maximum(farthest)
    return aligned
