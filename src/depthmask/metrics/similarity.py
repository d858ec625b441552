"""Structural similarity of depth maps: a value per image, over the pixels whose depth is known.

Equal to torchmetrics' where every depth is known. Its own is not used: in float32 it cancels (a
flat wall scored -388), and in float64 its convolutions take 26 ms an image of 96 px on a CPU
core, longer than DepthMaskNet8 takes for it; products with banded matrices take 1 ms.
"""

import torch
from torch import Tensor

from depthmask.metrics.pixels import KnownPixels
from depthmask.models.ssim import C1, C2, MIN_SIDE_PX, blur_matrix

SMALLEST_SPAN = 1e-3
"""Of the farthest depth: a flat wall still has a range to be measured by."""


def depth_ssim(depth_m: Tensor, true_depth_m: Tensor) -> Tensor:
    """Mean structural similarity (Wang et al. 2004), up to 1, higher is better.

    A Gaussian window of 11 px and sigma 1.5 px over depth in metres, whose dynamic range L is
    the truth's own, farthest minus nearest known pixel of the image; constants (0.01 L)^2 and
    (0.03 L)^2; reflected at the borders. A negative depth counts as 0. The mean is over the
    windows whose middle is known; an unknown pixel inside one is the mean true depth in both
    maps, so that no prediction there matters.

    Args:
        depth_m: predicted planar depth, N x 1 x H x W, metres.
        true_depth_m: true planar depth, same shape; a pixel counts where it is finite and
            above 0.

    Returns:
        N values, float64; NaN for an image without a pixel that counts.

    Raises:
        ValueError: a side is below 6 px, too small to reflect.
    """
    pixels = KnownPixels.of(depth_m, true_depth_m)
    height, width = pixels.true.shape[-2:]
    if min(height, width) < MIN_SIDE_PX:
        raise ValueError(
            f"depth_ssim got {height} x {width} px; the nearest valid size is "
            f"{max(height, MIN_SIDE_PX)} x {max(width, MIN_SIDE_PX)} (no side below {MIN_SIDE_PX})"
        )
    mean = pixels.mean(pixels.true)[:, None, None, None]
    farthest = torch.where(pixels.known, pixels.true, -torch.inf).amax((1, 2, 3), keepdim=True)
    nearest = torch.where(pixels.known, pixels.true, torch.inf).amin((1, 2, 3), keepdim=True)
    span = (farthest - nearest).maximum(SMALLEST_SPAN * farthest)
    found, true = (
        torch.where(pixels.known, values.clamp(min=0), mean) / span
        for values in (pixels.found, pixels.true)
    )
    return pixels.scored(pixels.mean(_similarity(found, true)), worst=-torch.inf)


def _similarity(first: Tensor, second: Tensor) -> Tensor:
    """The index at every pixel of two images whose range is 1."""
    blur_rows, blur_columns = (
        blur_matrix(side, first.device, first.dtype) for side in first.shape[-2:]
    )
    # the variances enter only as their sum, so one map serves both
    maps = torch.stack((first, second, first.square() + second.square(), first * second))
    mean_x, mean_y, squares, product = (blur_rows @ maps @ blur_columns.T).unbind()
    mean_xy, mean_squares = mean_x * mean_y, mean_x.square() + mean_y.square()
    luminance = (2 * mean_xy + C1) / (mean_squares + C1)
    return luminance * (2 * (product - mean_xy) + C2) / (squares - mean_squares + C2)
