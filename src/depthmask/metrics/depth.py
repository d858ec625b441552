"""How good a depth map is, over the pixels whose true depth is known: a value per image.

Eigen et al. 2014, in metres; depth without a unit is aligned with the truth first. NaN says that
an image does not count, because no pixel's depth is known; a prediction that is not a number
scores +inf (-inf where higher is better), so that it surfaces in the mean.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from depthmask.metrics.pixels import SMALLEST_DEPTH_M, KnownPixels
from depthmask.metrics.similarity import depth_ssim

DELTA_RATIO = 1.25


def depth_abs_rel(depth_m: Tensor, true_depth_m: Tensor) -> Tensor:
    """mean |d - g| / g, a ratio from 0.

    Args:
        depth_m: predicted planar depth, N x 1 x H x W, metres.
        true_depth_m: true planar depth, same shape; a pixel counts where it is finite and
            above 0.

    Returns:
        N values, float64; NaN for an image without a pixel that counts.
    """
    pixels = KnownPixels.of(depth_m, true_depth_m)
    errors = (pixels.found - pixels.true).abs() / pixels.true
    return pixels.scored(pixels.mean(errors), worst=torch.inf)


def depth_rmse(depth_m: Tensor, true_depth_m: Tensor) -> Tensor:
    """sqrt(mean (d - g)^2), metres; arguments and result as for `depth_abs_rel`."""
    pixels = KnownPixels.of(depth_m, true_depth_m)
    errors = (pixels.found - pixels.true).square()
    return pixels.scored(pixels.mean(errors).sqrt(), worst=torch.inf)


def depth_delta1(depth_m: Tensor, true_depth_m: Tensor) -> Tensor:
    """Share of pixels with max(d / g, g / d) below 1.25, 0 to 1, higher is better.

    Arguments and result as for `depth_abs_rel`. A depth of 0 or less is wrong.
    """
    return _share_within(depth_m, true_depth_m, DELTA_RATIO)


def depth_delta2(depth_m: Tensor, true_depth_m: Tensor) -> Tensor:
    """As `depth_delta1`, below 1.25 squared."""
    return _share_within(depth_m, true_depth_m, DELTA_RATIO**2)


def depth_delta3(depth_m: Tensor, true_depth_m: Tensor) -> Tensor:
    """As `depth_delta1`, below 1.25 cubed."""
    return _share_within(depth_m, true_depth_m, DELTA_RATIO**3)


def depth_log10(depth_m: Tensor, true_depth_m: Tensor) -> Tensor:
    """mean |log10 d - log10 g|, from 0; arguments and result as for `depth_abs_rel`.

    A depth of 0 or less counts as 1e-6.
    """
    pixels = KnownPixels.of(depth_m, true_depth_m)
    errors = (_floored(pixels).log10() - pixels.true.log10()).abs()
    return pixels.scored(pixels.mean(errors), worst=torch.inf)


def depth_silog(depth_m: Tensor, true_depth_m: Tensor) -> Tensor:
    """100 sqrt(mean e^2 - (mean e)^2) of e = ln d - ln g: KITTI's SILog, from 0.

    The root of Eigen et al. 2014's scale-invariant error with lambda 1, in log metres times 100:
    0 for any multiple of the truth. Arguments and result as for `depth_abs_rel`; a depth of 0 or
    less counts as 1e-6.
    """
    pixels = KnownPixels.of(depth_m, true_depth_m)
    errors = _floored(pixels).log() - pixels.true.log()
    # as the mean square about the mean: the difference of two squares could fall below 0
    about = errors - pixels.mean(errors)[:, None, None, None]
    return pixels.scored(100 * pixels.mean(about.square()).sqrt(), worst=torch.inf)


DEPTH_METRICS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "depth_abs_rel": depth_abs_rel,
    "depth_rmse": depth_rmse,
    "depth_delta1": depth_delta1,
    "depth_delta2": depth_delta2,
    "depth_delta3": depth_delta3,
    "depth_log10": depth_log10,
    "depth_silog": depth_silog,
    "depth_ssim": depth_ssim,
}


def _share_within(depth_m: Tensor, true_depth_m: Tensor, ratio: float) -> Tensor:
    pixels = KnownPixels.of(depth_m, true_depth_m)
    found = _floored(pixels)
    close = torch.maximum(found / pixels.true, pixels.true / found) < ratio
    return pixels.scored(pixels.mean(close.double()), worst=-torch.inf)


def _floored(pixels: KnownPixels) -> Tensor:
    return pixels.found.clamp(min=SMALLEST_DEPTH_M)
