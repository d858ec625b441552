"""How good a mask is: a value per image, higher is better, -inf for one that holds a NaN."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from depthmask.metrics.pixels import check_shapes, where_doubles_are

CONTOUR_TOLERANCE = 0.008
"""Of the image's diagonal: how far apart two contours may lie (Perazzi et al. 2016)."""


def mask_iou(mask_prob: Tensor, true_mask: Tensor, threshold: float = 0.5) -> Tensor:
    """Intersection over union; 1 where nobody is there and nobody is found.

    Args:
        mask_prob: probability of person, N x 1 x H x W, 0 to 1.
        true_mask: true share of person, same shape, 0 to 1.
        threshold: a pixel of either is person above it.

    Returns:
        N values, float64, 0 to 1; -inf for an image with a probability that is not a number.
    """
    found, true, spoilt = _regions(mask_prob, true_mask, threshold)
    return _share(_area(found & true), _area(found | true)).masked_fill(spoilt, -torch.inf)


def mask_dice(mask_prob: Tensor, true_mask: Tensor, threshold: float = 0.5) -> Tensor:
    """Twice the intersection over the sum of areas; arguments and result as for `mask_iou`."""
    found, true, spoilt = _regions(mask_prob, true_mask, threshold)
    overlap, total = 2 * _area(found & true), _area(found) + _area(true)
    return _share(overlap, total).masked_fill(spoilt, -torch.inf)


def mask_boundary_f(mask_prob: Tensor, true_mask: Tensor, threshold: float = 0.5) -> Tensor:
    """Boundary F of Perazzi et al. 2016 (DAVIS): 2 P R / (P + R) of the contours' pixels.

    P is the share of the found contour within a disc's radius of the true one, R the share of
    the true contour within that of the found one; the radius is 0.008 of the diagonal, rounded
    up. The frame's own edge is no contour. Where neither mask has one, the value is 1 if they
    are the same and 0 if not: DAVIS gives 1 to an all-white answer to an empty mask. Contours
    alone do not tell a mask from its inverse: `mask_iou` beside it does.

    Arguments and result as for `mask_iou`.
    """
    found, true, spoilt = _regions(mask_prob, true_mask, threshold)
    contours = _contour(found), _contour(true)
    radius = math.ceil(CONTOUR_TOLERANCE * math.hypot(*found.shape[-2:]))
    near_found, near_true = _dilated(torch.cat(contours), radius).chunk(2)
    lengths = [_area(contour) for contour in contours]
    precision = _area(contours[0] & near_true) / lengths[0].clamp(min=1)
    recall = _area(contours[1] & near_found) / lengths[1].clamp(min=1)
    score = 2 * precision * recall / (precision + recall).clamp(min=torch.finfo().tiny)
    same = (found == true).flatten(1).all(1).double()
    bare = (lengths[0] == 0) & (lengths[1] == 0)
    return torch.where(bare, same, score).masked_fill(spoilt, -torch.inf)


def _regions(
    mask_prob: Tensor, true_mask: Tensor, threshold: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The found and the true person, bool, and which images' probabilities hold a NaN, N."""
    check_shapes(mask_prob, true_mask)
    mask_prob, true_mask = where_doubles_are(mask_prob), where_doubles_are(true_mask)
    return mask_prob > threshold, true_mask > threshold, mask_prob.isnan().flatten(1).any(1)


def _area(region: Tensor) -> Tensor:
    """Pixels of each image's region, N, as float64."""
    return region.flatten(1).sum(1).double()


def _share(part: Tensor, whole: Tensor) -> Tensor:
    # `part` is 0 where `whole` is
    return torch.where(whole == 0, 1.0, part / whole.clamp(min=1))


def _contour(region: Tensor) -> Tensor:
    """Pixels that differ from their neighbour to the right, below, or right below."""
    padded = F.pad(region.float(), (0, 1, 0, 1), mode="replicate") > 0
    right, below, across = padded[..., :-1, 1:], padded[..., 1:, :-1], padded[..., 1:, 1:]
    return (region != right) | (region != below) | (region != across)


def _dilated(region: Tensor, radius: int) -> Tensor:
    """Pixels within `radius` px of the region, centre to centre."""
    steps = torch.arange(-radius, radius + 1, device=region.device)
    disc = (steps[:, None].square() + steps.square() <= radius**2).float()
    return F.conv2d(region.float(), disc[None, None], padding=radius) > 0.5
