"""How good a depth map is, on the frame and on the person: a value a scene.

Eigen et al. 2014, in metres; depth without a unit is aligned with the truth first.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from depthmask.data.scenes.person import THRESHOLD, find_person, largest_region
from depthmask.data.scenes.scene import Alignment
from depthmask.metrics.mask import as_pair
from depthmask.metrics.registry import METRICS, metric
from depthmask.models.losses import MIN_SIDE_PX, similarity

SMALLEST_DEPTH_M = 1e-6
SMALLEST_SPAN = 1e-3
"""Of the farthest depth: a flat wall still has a range to be measured by."""


DepthMeasure = Callable[[Tensor, Tensor], Tensor]
"""Depth and true depth, N x 1 x H x W, to N values."""


def is_known(true_depth: Tensor, with_zero: bool = False) -> Tensor:
    """Whether a pixel's true depth is known: finite and above 0, which stands for unknown.

    Of depth that is aligned in its values 0 is the nearest there is (MODEST's 8 bits).
    """
    return true_depth.isfinite() & ((true_depth >= 0) if with_zero else (true_depth > 0))


def depth_metric(
    label: str, *, is_ratio: bool = True, higher_is_better: bool = False, **about: Any
) -> Callable[[DepthMeasure], DepthMeasure]:
    """Make a metric of a function of finite depth and true depth, NaN where that is unknown.

    It returns float64: NaN for an image without a known pixel; for one with a prediction that is
    no number +inf, or -inf where higher is better. A ratio to a true depth of 0 does not count.
    """

    def decorate(measure: DepthMeasure) -> DepthMeasure:
        @functools.wraps(measure)
        def function(depth: Tensor, true_depth: Tensor) -> Tensor:
            found, true = as_pair(depth, true_depth)
            known, finite = is_known(true, with_zero=not is_ratio), found.isfinite()
            values = measure(found.where(finite, 1.0), true.where(known, torch.nan))
            has_nan = (known & ~finite).flatten(1).any(1)
            return values.masked_fill(has_nan, -torch.inf if higher_is_better else torch.inf)

        return metric(label, "depth", higher_is_better=higher_is_better, **about)(function)

    return decorate


@depth_metric("AbsRel", is_key=True)
def depth_abs_rel(found: Tensor, true: Tensor) -> Tensor:
    """Mean of |d − g| / g over the pixels whose true depth g is known; d is the predicted depth
    (Eigen et al. 2014)."""
    return _mean((found - true).abs() / true)


@depth_metric("RMSE", is_ratio=False, is_key=True, unit="metre", decimals=2)
def depth_rmse(found: Tensor, true: Tensor) -> Tensor:
    """Root of the mean squared difference of predicted and true depth."""
    return _mean((found - true).square()).sqrt()


@depth_metric("δ1", higher_is_better=True, is_key=True)
def depth_delta1(found: Tensor, true: Tensor) -> Tensor:
    """Share of pixels with max(d/g, g/d) below 1.25: depth right to about a quarter."""
    return _share_within(1.25, found, true)


@depth_metric("δ1, scale free", higher_is_better=True)
def depth_delta1_aligned(found: Tensor, true: Tensor) -> Tensor:
    """δ1 once the prediction is scaled so that the median ratio to the truth is 1: what is left of
    the error is one of shape."""
    ratios = (true / found.clamp(min=SMALLEST_DEPTH_M)).flatten(1).nanmedian(1).values
    return _share_within(1.25, found * ratios[:, None, None, None], true)


@depth_metric("δ2", higher_is_better=True)
def depth_delta2(found: Tensor, true: Tensor) -> Tensor:
    """The same below 1.25², about 1.56."""
    return _share_within(1.25**2, found, true)


@depth_metric("δ3", higher_is_better=True)
def depth_delta3(found: Tensor, true: Tensor) -> Tensor:
    """The same below 1.25³, about 1.95."""
    return _share_within(1.25**3, found, true)


@depth_metric("log10")
def depth_log10(found: Tensor, true: Tensor) -> Tensor:
    """Mean of |log₁₀ d − log₁₀ g|: 0.1 is a factor of 1.26."""
    return _mean((found.clamp(min=SMALLEST_DEPTH_M).log10() - true.log10()).abs())


@depth_metric("SILog × 100", decimals=1)
def depth_silog(found: Tensor, true: Tensor) -> Tensor:
    """100 times the standard deviation of ln d − ln g over an image: the error that is left once
    the scale is free (Eigen et al. 2014)."""
    errors = found.clamp(min=SMALLEST_DEPTH_M).log() - true.log()
    # as the mean square about the mean: the difference of two squares could fall below 0
    return 100 * _mean((errors - _mean(errors)[:, None, None, None]).square()).sqrt()


@depth_metric("SSIM", is_ratio=False, higher_is_better=True)
def depth_ssim(found: Tensor, true: Tensor) -> Tensor:
    """Structural similarity of the two depth maps, window 11 px, σ 1.5 px, its range the truth’s
    own (Wang et al. 2004).

    Equal to torchmetrics' where every depth is known; that cancels in float32 and is slow. The
    mean is over windows whose middle is known; an unknown pixel in one is the mean true depth in
    both maps, a negative depth 0. ValueError: a side is below 6 px.
    """
    height, width = true.shape[-2:]
    if min(height, width) < MIN_SIDE_PX:
        raise ValueError(
            f"depth_ssim got {height} x {width} px; the nearest valid size is "
            f"{max(height, MIN_SIDE_PX)} x {max(width, MIN_SIDE_PX)} (no side below {MIN_SIDE_PX})"
        )
    known = true.isfinite()
    farthest = true.where(known, -torch.inf).amax((1, 2, 3), keepdim=True)
    nearest = true.where(known, torch.inf).amin((1, 2, 3), keepdim=True)
    span = (farthest - nearest).maximum(SMALLEST_SPAN * farthest).clamp(min=SMALLEST_DEPTH_M)
    mean = _mean(true)[:, None, None, None]
    x, y = (values.clamp(min=0).where(known, mean) / span for values in (found, true))
    return _mean(similarity(x, y).where(known, torch.nan))


for _name in ("abs_rel", "rmse", "delta1"):
    _metric = METRICS[f"depth_{_name}"]
    _text = f"{_metric.label} over the true person’s pixels alone."
    METRICS[f"person_{_name}"] = dataclasses.replace(
        _metric, name=f"person_{_name}", part="person", is_key=_name == "delta1", text=_text
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
    mask_prob: Tensor, depth_m: Tensor, true_mask: Tensor, true_depth_m: Tensor
) -> Tensor:
    """|told − true| distance of the person, each the median depth over the mask’s largest region.
    Somebody who is not found counts as the largest error possible in the frame.

    That is up to the camera or the farthest thing, so that nothing is gained by finding only
    those who are easy. NaN where nobody is or no pixel of theirs has a known depth.
    """
    batches = (mask_prob, depth_m, true_mask > THRESHOLD, true_depth_m, is_known(true_depth_m))
    scenes = zip(*(batch[:, 0].cpu().numpy() for batch in batches), strict=True)
    errors = np.full(len(mask_prob), np.nan)
    for row, (prob, depth, true_person, true_depth, known) in enumerate(scenes):
        there = largest_region(true_person) & known
        if there.any():
            true, farthest = float(np.median(true_depth[there])), float(true_depth[known].max())
            person = find_person(prob, depth)
            error = abs(person.depth - true) if person else max(true, farthest - true)
            errors[row] = error if np.isfinite(error) and not np.isnan(prob).any() else np.inf
    return torch.from_numpy(errors)


def align_depth(depth: Tensor, true_depth: Tensor, alignment: Alignment) -> Tensor:
    """Scale and shift each image's depth to fit the truth by least squares.

    In disparity as Ranftl et al. 2020 (MiDaS): 1 / (scale / depth + shift), no farther than the
    truth's farthest pixel. The scale does not fall below 0: a map turned inside out must not be
    right. Depths N x 1 x H x W; float64; NaN for an image with a pixel that counts and is not
    finite.
    """
    found, true = as_pair(depth, true_depth)
    finite, known = found.isfinite(), is_known(true, alignment == "depth")
    true = true.where(known, 1.0)
    if alignment == "disparity":
        true, found = 1 / true, 1 / found.clamp(min=SMALLEST_DEPTH_M)
    num_known = known.sum((1, 2, 3), keepdim=True).clamp(min=1)

    def mean(values: Tensor) -> Tensor:
        return values.where(known, 0.0).sum((1, 2, 3), keepdim=True) / num_known

    # 1 / infinity is 0: an infinite depth must spoil its image in disparity too
    found = found.where(finite, torch.nan)
    from_mean = found - mean(found)
    variance = mean(from_mean.square()).clamp(min=1e-12)
    scale = (mean(from_mean * (true - mean(true))) / variance).clamp(min=0)
    aligned = scale * from_mean + mean(true)
    if alignment == "disparity":
        farthest = true.where(known, torch.inf).amin((1, 2, 3), keepdim=True)
        aligned = 1 / aligned.maximum(farthest)
    return aligned


def _mean(errors: Tensor) -> Tensor:
    """The mean over each scene's pixels that are no NaN, N; NaN for a scene without any."""
    known = ~errors.isnan()
    return errors.where(known, 0.0).flatten(1).sum(1) / known.flatten(1).sum(1)


def _share_within(ratio: float, found: Tensor, true: Tensor) -> Tensor:
    found = found.clamp(min=SMALLEST_DEPTH_M)
    within = torch.maximum(found / true, true / found) < ratio
    return _mean(within.double().where(true.isfinite(), torch.nan))
