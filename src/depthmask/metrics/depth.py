"""How good a depth map is, on the frame and on the person: a value a scene.

Eigen et al. 2014, in metres; depth without a unit is aligned with the truth first.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from depthmask.data.scenes.person import find_person, largest_region
from depthmask.data.scenes.scene import Alignment
from depthmask.metrics.mask import check_shapes, on_float64_device
from depthmask.metrics.registry import METRICS, metric
from depthmask.models.losses import C1, C2, MIN_SIDE_PX, blur_matrix

SMALLEST_DEPTH_M = 1e-6
DELTA_RATIO = 1.25
SMALLEST_SPAN = 1e-3
"""Of the farthest depth: a flat wall still has a range to be measured by."""


class KnownPixels(NamedTuple):
    """Predicted and true depth where the truth is known, float64, N x 1 x H x W."""

    found: Tensor  # predicted; 1 where it does not count or is not finite
    true: Tensor  # the truth; 1 where it is unknown
    known: Tensor  # whether a pixel counts, bool
    has_nan: Tensor  # N, bool: a pixel that counts is predicted NaN or infinite

    @property
    def positive(self) -> Tensor:
        """The prediction, 1e-6 where it is less."""
        return self.found.clamp(min=SMALLEST_DEPTH_M)

    def mean(self, errors: Tensor) -> Tensor:
        """The mean over each scene's pixels that count, N; NaN for a scene without any."""
        counted = torch.where(self.known, errors, 0.0).flatten(1).sum(1)
        return counted / self.known.flatten(1).sum(1)


def known_pixels(depth: Tensor, true_depth: Tensor, *, with_zero: bool) -> KnownPixels:
    """Pair two maps; a true depth of 0 counts or not, of less never."""
    check_shapes(depth, true_depth)
    depth, true_depth = as_float64(depth), as_float64(true_depth)
    known = true_depth.isfinite() & ((true_depth >= 0) if with_zero else (true_depth > 0))
    finite = depth.isfinite()
    # set before any division or logarithm: 0 x NaN would spoil the sums
    found = torch.where(known & finite, depth, 1.0)
    has_nan = (known & ~finite).flatten(1).any(1)
    return KnownPixels(found, torch.where(known, true_depth, 1.0), known, has_nan)


def as_float64(values: Tensor) -> Tensor:
    """In float64 a scene's figure does not depend on its batch."""
    return on_float64_device(values).double()


def is_known(true_depth: Tensor, alignment: Alignment | None = None) -> Tensor:
    """Whether a pixel's true depth is known: finite and above 0, which stands for unknown.

    Of depth that is aligned in its values 0 is the nearest there is (MODEST's 8 bits).
    """
    return true_depth.isfinite() & ((true_depth >= 0) if alignment == "depth" else (true_depth > 0))


def depth_metric(
    label: str, *, is_ratio: bool = True, higher_is_better: bool = False, **about: Any
) -> Callable[[Callable[[KnownPixels], Tensor]], Callable[[Tensor, Tensor], Tensor]]:
    """Make a function of `KnownPixels` a metric of the predicted and the true depth.

    It takes N x 1 x H x W each and returns N values, float64: NaN for an image without a known
    pixel; for one with a prediction that is no number +inf, or -inf where higher is better. A
    ratio to a true depth of 0 does not count.
    """

    def decorate(measure: Callable[[KnownPixels], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
        @functools.wraps(measure)
        def function(depth: Tensor, true_depth: Tensor) -> Tensor:
            pixels = known_pixels(depth, true_depth, with_zero=not is_ratio)
            worst = -torch.inf if higher_is_better else torch.inf
            return measure(pixels).masked_fill(pixels.has_nan, worst)

        return metric(label, "depth", higher_is_better=higher_is_better, **about)(function)

    return decorate


@depth_metric("AbsRel", is_key=True)
def depth_abs_rel(pixels: KnownPixels) -> Tensor:
    """Mean of |d − g| / g over the pixels whose true depth g is known; d is the predicted depth
    (Eigen et al. 2014)."""
    return pixels.mean((pixels.found - pixels.true).abs() / pixels.true)


@depth_metric("RMSE", is_ratio=False, is_key=True, unit="metre", decimals=2)
def depth_rmse(pixels: KnownPixels) -> Tensor:
    """Root of the mean squared difference of predicted and true depth."""
    return pixels.mean((pixels.found - pixels.true).square()).sqrt()


@depth_metric("δ1", higher_is_better=True, is_key=True)
def depth_delta1(pixels: KnownPixels) -> Tensor:
    """Share of pixels with max(d/g, g/d) below 1.25: depth right to about a quarter."""
    return _share_within(pixels, DELTA_RATIO)


@depth_metric("δ2", higher_is_better=True)
def depth_delta2(pixels: KnownPixels) -> Tensor:
    """The same below 1.25², about 1.56."""
    return _share_within(pixels, DELTA_RATIO**2)


@depth_metric("δ3", higher_is_better=True)
def depth_delta3(pixels: KnownPixels) -> Tensor:
    """The same below 1.25³, about 1.95."""
    return _share_within(pixels, DELTA_RATIO**3)


@depth_metric("log10")
def depth_log10(pixels: KnownPixels) -> Tensor:
    """Mean of |log₁₀ d − log₁₀ g|: 0.1 is a factor of 1.26."""
    return pixels.mean((pixels.positive.log10() - pixels.true.log10()).abs())


@depth_metric("SILog × 100", decimals=1)
def depth_silog(pixels: KnownPixels) -> Tensor:
    """100 times the standard deviation of ln d − ln g over an image: the error that is left once
    the scale is free (Eigen et al. 2014)."""
    errors = pixels.positive.log() - pixels.true.log()
    # as the mean square about the mean: the difference of two squares could fall below 0
    about_mean = errors - pixels.mean(errors)[:, None, None, None]
    return 100 * pixels.mean(about_mean.square()).sqrt()


@depth_metric("SSIM", is_ratio=False, higher_is_better=True)
def depth_ssim(pixels: KnownPixels) -> Tensor:
    """Structural similarity of the two depth maps, window 11 px, σ 1.5 px, its range the truth’s
    own (Wang et al. 2004).

    Equal to torchmetrics' where every depth is known; that cancels in float32 and is slow. The
    mean is over windows whose middle is known; an unknown pixel in one is the mean true depth in
    both maps, a negative depth 0. ValueError: a side is below 6 px.
    """
    height, width = pixels.true.shape[-2:]
    if min(height, width) < MIN_SIDE_PX:
        raise ValueError(
            f"depth_ssim got {height} x {width} px; the nearest valid size is "
            f"{max(height, MIN_SIDE_PX)} x {max(width, MIN_SIDE_PX)} (no side below {MIN_SIDE_PX})"
        )
    mean = pixels.mean(pixels.true)[:, None, None, None]
    farthest = torch.where(pixels.known, pixels.true, -torch.inf).amax((1, 2, 3), keepdim=True)
    nearest = torch.where(pixels.known, pixels.true, torch.inf).amin((1, 2, 3), keepdim=True)
    span = (farthest - nearest).maximum(SMALLEST_SPAN * farthest).clamp(min=SMALLEST_DEPTH_M)
    found, true = (
        torch.where(pixels.known, values.clamp(min=0), mean) / span
        for values in (pixels.found, pixels.true)
    )
    return pixels.mean(_similarity(found, true))


for _metric in (METRICS["depth_abs_rel"], METRICS["depth_rmse"], METRICS["depth_delta1"]):
    _name = _metric.name.replace("depth", "person")
    METRICS[_name] = dataclasses.replace(
        _metric,
        name=_name,
        part="person",
        is_key=_name == "person_delta1",
        text=f"{_metric.label} over the true person’s pixels alone.",
    )


@metric(
    "distance error",
    "person",
    higher_is_better=False,
    takes_all=True,
    unit="metre",
    decimals=2,
    is_key=True,
)
def person_distance_error(
    mask_prob: Tensor,
    depth_m: Tensor,
    true_mask: Tensor,
    true_depth_m: Tensor,
    threshold: float = 0.5,
) -> Tensor:
    """|told − true| distance of the person, each the median depth over the mask’s largest region.
    Somebody who is not found counts as the largest error possible in the frame.

    That is up to the camera or the farthest thing, so that nothing is gained by finding only
    those who are easy. NaN where nobody is or no pixel of theirs has a known depth.
    """
    check_shapes(mask_prob, true_mask)
    check_shapes(depth_m, true_depth_m)
    probs, depths, true_persons, true_depths, known = (
        batch[:, 0].cpu().numpy()
        for batch in (
            mask_prob, depth_m, true_mask > threshold, true_depth_m, is_known(true_depth_m)
        )
    )  # fmt: skip
    errors = np.full(len(probs), np.nan)
    for row, (prob, depth) in enumerate(zip(probs, depths, strict=True)):
        there = largest_region(true_persons[row]) & known[row]
        if not there.any():
            continue
        true = float(np.median(true_depths[row][there]))
        person = find_person(prob, depth, threshold)
        if person is None:
            error = max(true, float(true_depths[row][known[row]].max()) - true)
        else:
            error = abs(person.depth - true)
        errors[row] = error if np.isfinite(error) and not np.isnan(prob).any() else np.inf
    return torch.from_numpy(errors).to(on_float64_device(mask_prob).device)


def depth_on_person(true_depth: Tensor, true_mask: Tensor, threshold: float = 0.5) -> Tensor:
    """The true depth on the true person's pixels, unknown (NaN) elsewhere; all N x 1 x H x W."""
    return torch.where(true_mask > threshold, true_depth, torch.nan)


def align_depth(depth: Tensor, true_depth: Tensor, alignment: Alignment) -> Tensor:
    """Scale and shift each image's depth to fit the truth by least squares.

    In disparity as Ranftl et al. 2020 (MiDaS): 1 / (scale / depth + shift), no farther than the
    truth's farthest pixel. The scale does not fall below 0: a map turned inside out must not be
    right. Depths N x 1 x H x W; float64; NaN for an image with a pixel that counts and is not
    finite.
    """
    check_shapes(depth, true_depth)
    true, found = as_float64(true_depth), as_float64(depth)
    finite, known = found.isfinite(), is_known(true, alignment)
    true = torch.where(known, true, 1.0)
    if alignment == "disparity":
        true, found = 1 / true, 1 / found.clamp(min=SMALLEST_DEPTH_M)
    num_known = known.flatten(1).sum(1).clamp(min=1)[:, None, None, None]

    def mean(values: Tensor) -> Tensor:
        return torch.where(known, values, 0.0).sum((1, 2, 3), keepdim=True) / num_known

    # 1 / infinity is 0: an infinite depth must spoil its image in disparity too
    found = torch.where(finite, found, torch.nan)
    from_mean = found - mean(found)
    spread = mean(from_mean.square())
    scale = (mean(from_mean * (true - mean(true))) / spread.clamp(min=1e-12)).clamp(min=0)
    aligned = scale * from_mean + mean(true)
    if alignment == "disparity":
        farthest = torch.where(known, true, torch.inf).amin((1, 2, 3), keepdim=True)
        aligned = 1 / aligned.maximum(farthest)
    return aligned


def _share_within(pixels: KnownPixels, ratio: float) -> Tensor:
    ratios = torch.maximum(pixels.positive / pixels.true, pixels.true / pixels.positive)
    return pixels.mean((ratios < ratio).double())


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
