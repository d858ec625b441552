"""Structural similarity of depth maps: a value per image, over the pixels whose depth is known.

Equal to torchmetrics' where every depth is known. Its own is not used: in float32 it cancels (a
flat wall scored -388), and in float64 its convolutions take 26 ms an image of 96 px on a CPU
core, longer than DepthMaskNet8 takes for it; products with banded matrices take 1 ms.
"""

from functools import cache

import torch
from torch import Tensor

from depthmask.metrics.pixels import KnownPixels

WINDOW_PX = 11
SIGMA_PX = 1.5
C1 = 0.01**2
C2 = 0.03**2
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
    min_side = WINDOW_PX // 2 + 1
    if min(height, width) < min_side:
        raise ValueError(
            f"depth_ssim got {height} x {width} px; the nearest valid size is "
            f"{max(height, min_side)} x {max(width, min_side)} (no side below {min_side})"
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
    blur_rows = _blur_matrix(first.shape[-2], first.device)
    blur_columns = _blur_matrix(first.shape[-1], first.device).T
    # the variances enter only as their sum, so one map serves both
    maps = torch.stack((first, second, first.square() + second.square(), first * second))
    mean_x, mean_y, squares, product = (blur_rows @ maps @ blur_columns).unbind()
    mean_xy, mean_squares = mean_x * mean_y, mean_x.square() + mean_y.square()
    luminance = (2 * mean_xy + C1) / (mean_squares + C1)
    return luminance * (2 * (product - mean_xy) + C2) / (squares - mean_squares + C2)


@cache
def _blur_matrix(side: int, device: torch.device) -> Tensor:
    """The window as a matrix, side x side: row i holds the weights of the pixels around i."""
    reach = WINDOW_PX // 2
    offset = torch.arange(-reach, reach + 1)
    window = torch.exp(-offset.double().square() / (2 * SIGMA_PX**2))
    window = (window / window.sum()).expand(side, -1)
    last = side - 1
    pixel = (torch.arange(side).unsqueeze(1) + offset).abs()
    pixel = last - (last - pixel).abs()  # reflected at both borders
    matrix = torch.zeros(side, side, dtype=torch.float64)
    return matrix.scatter_add_(1, pixel, window).to(device)
