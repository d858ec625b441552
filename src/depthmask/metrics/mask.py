"""How good a mask is: a value a scene, 0 to 1, or -inf for a prediction that holds a NaN.

A metric takes the probability of person and the true share of person, N x 1 x H x W, 0 to 1; a
pixel of either is person above 0.5. torchmetrics has no value for an empty mask (-1, NaN): a scene
without a person would not count.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from depthmask.data.scenes.person import THRESHOLD
from depthmask.metrics.registry import metric

CONTOUR_TOLERANCE = 0.008  # of the diagonal: how far apart contours may lie


@metric("IoU", "mask", higher_is_better=True, is_key=True)
def mask_iou(mask_prob: Tensor, true_mask: Tensor) -> Tensor:
    """Intersection over union of the predicted and the true mask, both cut at 0.5. An empty
    answer to an empty scene counts 1."""
    found, true, has_nan = _regions(mask_prob, true_mask)
    return _share(_area(found & true), _area(found | true)).masked_fill(has_nan, -torch.inf)


@metric("Dice", "mask", higher_is_better=True)
def mask_dice(mask_prob: Tensor, true_mask: Tensor) -> Tensor:
    """Twice the intersection over the sum of both areas; an empty answer to an empty scene
    counts 1."""
    found, true, has_nan = _regions(mask_prob, true_mask)
    overlap, total = 2 * _area(found & true), _area(found) + _area(true)
    return _share(overlap, total).masked_fill(has_nan, -torch.inf)


@metric("boundary F", "mask", higher_is_better=True, is_key=True)
def mask_boundary_f(mask_prob: Tensor, true_mask: Tensor) -> Tensor:
    """Harmonic mean of precision and recall of the contour’s pixels, right within 0.8 % of the
    image’s diagonal (Perazzi et al. 2016).

    The radius is a fraction: DAVIS rounds it up to pixels, which small images do not forgive. The
    frame's own edge is no contour. Where neither mask has one the value is 1 if they are the
    same and 0 if not. Contours alone do not tell a mask from its inverse.
    """
    found, true, has_nan = _regions(mask_prob, true_mask)
    contours = torch.stack((_contour(found), _contour(true)))
    radius = CONTOUR_TOLERANCE * math.hypot(*found.shape[-2:])
    near_found, near_true = (_within(contour, radius) for contour in contours)
    num_found, num_true = map(_area, contours)
    precision = _area(contours[0] & near_true) / num_found.clamp(min=1)
    recall = _area(contours[1] & near_found) / num_true.clamp(min=1)
    score = 2 * precision * recall / (precision + recall).clamp(min=torch.finfo().tiny)
    same = (found == true).flatten(1).all(1).double()
    return torch.where(num_found + num_true == 0, same, score).masked_fill(has_nan, -torch.inf)


def as_float64(values: Tensor) -> Tensor:
    """In float64 a figure does not depend on the batch; Apple's MPS, which has none, is left."""
    return (values.cpu() if values.device.type == "mps" else values).double()


def as_pair(predicted: Tensor, true: Tensor) -> tuple[Tensor, Tensor]:
    """Both in float64; ValueError where they do not lie pixel on pixel."""
    if predicted.shape != true.shape:
        raise ValueError(
            f"the prediction is {tuple(predicted.shape)} and the truth {tuple(true.shape)}; "
            "resize the prediction to the truth's size"
        )
    return as_float64(predicted), as_float64(true)


def _regions(mask_prob: Tensor, true_mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The found and the true person, bool, and which images' probabilities hold a NaN, N."""
    prob, true = as_pair(mask_prob, true_mask)
    return prob > THRESHOLD, true > THRESHOLD, prob.isnan().flatten(1).any(1)


def _area(region: Tensor) -> Tensor:
    return region.flatten(1).sum(1).double()


def _share(part: Tensor, whole: Tensor) -> Tensor:
    return torch.where(whole == 0, 1.0, part / whole.clamp(min=1))


def _contour(region: Tensor) -> Tensor:
    """Pixels that differ from their neighbour to the right, below, or right below."""
    padded = F.pad(region.float(), (0, 1, 0, 1), mode="replicate") > 0
    right, below, across = padded[..., :-1, 1:], padded[..., 1:, :-1], padded[..., 1:, 1:]
    return (region != right) | (region != below) | (region != across)


def _within(region: Tensor, radius: float) -> Tensor:
    """Pixels whose distance transform is at most `radius` px, centre to centre."""
    reach = int(radius)
    steps = torch.arange(-reach, reach + 1, device=region.device)
    disc = (steps[:, None].square() + steps.square() <= radius**2).float()
    return F.conv2d(region.float(), disc[None, None], padding=reach) > 0.5
