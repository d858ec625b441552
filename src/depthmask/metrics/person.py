"""How good the depth is on the person alone, and how far off the distance told to a user is."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from depthmask.data.scenes.person import find_person, largest_region
from depthmask.metrics.depth import depth_abs_rel, depth_delta1, depth_rmse
from depthmask.metrics.pixels import check_shapes, is_known, where_doubles_are

PERSON_METRICS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "person_abs_rel": depth_abs_rel,
    "person_rmse": depth_rmse,
    "person_delta1": depth_delta1,
}
"""Of a depth map and of `depth_on_person`: where nobody is, a scene does not count."""


def depth_on_person(true_depth: Tensor, true_mask: Tensor, threshold: float = 0.5) -> Tensor:
    """The true depth on the true person's pixels, unknown (NaN) elsewhere; all N x 1 x H x W."""
    return torch.where(true_mask > threshold, true_depth, torch.nan)


def person_distance_error(
    mask_prob: Tensor,
    depth_m: Tensor,
    true_mask: Tensor,
    true_depth_m: Tensor,
    threshold: float = 0.5,
) -> Tensor:
    """|told distance - true distance| of the person, metres.

    Told is what `find_person` tells a user: the median predicted depth over the
    predicted mask's largest region. True is the median true depth over the true mask's largest
    region, its known pixels.

    A person who is there and is not found counts, so that nothing is gained by finding only
    those who are easy: as the largest error that an answer between the camera and the farthest
    thing in the frame could make. A person found elsewhere counts by the depth found there.

    Args:
        mask_prob: probability of person, N x 1 x H x W, 0 to 1.
        depth_m: predicted planar depth, same shape, metres.
        true_mask: true share of person, same shape, 0 to 1.
        true_depth_m: true planar depth, same shape, metres.
        threshold: a pixel of either mask is person above it.

    Returns:
        N values, float64; NaN where nobody is or no pixel of theirs has a known depth, +inf
        where the answer is not a number.
    """
    check_shapes(mask_prob, true_mask)
    check_shapes(depth_m, true_depth_m)
    probs, depths = _planes(mask_prob), _planes(depth_m)
    true_persons, true_depths = _planes(true_mask > threshold), _planes(true_depth_m)
    known = _planes(is_known(true_depth_m))
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
    return torch.from_numpy(errors).to(where_doubles_are(mask_prob).device)


def _planes(batch: Tensor) -> np.ndarray:
    """N x 1 x H x W as an array N x H x W."""
    return batch[:, 0].cpu().numpy()
