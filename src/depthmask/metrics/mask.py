"""How good a mask is: a value a scene, -inf for one that holds a NaN.

A metric takes the probability of person and the true share of person, N x 1 x H x W, 0 to 1, and
the threshold above which a pixel of either is person. It returns N values, float64, 0 to 1. IoU
and Dice are our own for the sake of empty masks: there torchmetrics has no value (-1, NaN), and a
scene without a person would not count.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from depthmask.metrics.registry import metric

CONTOUR_TOLERANCE = 0.008
"""Of the image's diagonal: how far apart two contours may lie (Perazzi et al. 2016)."""


@metric("IoU", "mask", higher_is_better=True, is_key=True)
def mask_iou(mask_prob: Tensor, true_mask: Tensor, threshold: float = 0.5) -> Tensor:
    """Intersection over union of the predicted and the true mask, both cut at 0.5. An empty
    answer to an empty scene counts 1."""
    found, true, has_nan = _regions(mask_prob, true_mask, threshold)
    return _share(_area(found & true), _area(found | true)).masked_fill(has_nan, -torch.inf)


@metric("Dice", "mask", higher_is_better=True)
def mask_dice(mask_prob: Tensor, true_mask: Tensor, threshold: float = 0.5) -> Tensor:
    """Twice the intersection over the sum of both areas; an empty answer to an empty scene
    counts 1."""
    found, true, has_nan = _regions(mask_prob, true_mask, threshold)
    overlap, total = 2 * _area(found & true), _area(found) + _area(true)
    return _share(overlap, total).masked_fill(has_nan, -torch.inf)


@metric("boundary F", "mask", higher_is_better=True, is_key=True)
def mask_boundary_f(mask_prob: Tensor, true_mask: Tensor, threshold: float = 0.5) -> Tensor:
    """Harmonic mean of precision and recall of the contour’s pixels, right within 0.8 % of the
    image’s diagonal (Perazzi et al. 2016).

    The radius is a fraction: DAVIS rounds it up to pixels, which small images do not forgive. The
    frame's own edge is no contour. Where neither mask has one the value is 1 if they are the
    same and 0 if not. Contours alone do not tell a mask from its inverse.
    """
    found, true, has_nan = _regions(mask_prob, true_mask, threshold)
    contours = _contour(found), _contour(true)
    radius = CONTOUR_TOLERANCE * math.hypot(*found.shape[-2:])
    near_found, near_true = _within(torch.cat(contours), radius).chunk(2)
    lengths = [_area(contour) for contour in contours]
    precision = _area(contours[0] & near_true) / lengths[0].clamp(min=1)
    recall = _area(contours[1] & near_found) / lengths[1].clamp(min=1)
    score = 2 * precision * recall / (precision + recall).clamp(min=torch.finfo().tiny)
    same = (found == true).flatten(1).all(1).double()
    neither = (lengths[0] == 0) & (lengths[1] == 0)
    return torch.where(neither, same, score).masked_fill(has_nan, -torch.inf)


def on_float64_device(values: Tensor) -> Tensor:
    """Move what lies on Apple's MPS, which has no float64, to the CPU."""
    return values.cpu() if values.device.type == "mps" else values


def check_shapes(predicted: Tensor, true: Tensor) -> None:
    """Raise ValueError for tensors that do not lie pixel on pixel."""
    if predicted.shape != true.shape:
        raise ValueError(
            f"the prediction is {tuple(predicted.shape)} and the truth {tuple(true.shape)}; "
            "resize the prediction to the truth's size"
        )


def _regions(
    mask_prob: Tensor, true_mask: Tensor, threshold: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The found and the true person, bool, and which images' probabilities hold a NaN, N."""
    check_shapes(mask_prob, true_mask)
    mask_prob, true_mask = on_float64_device(mask_prob), on_float64_device(true_mask)
    return mask_prob > threshold, true_mask > threshold, mask_prob.isnan().flatten(1).any(1)


def _area(region: Tensor) -> Tensor:
    return region.flatten(1).sum(1).double()


def _share(part: Tensor, whole: Tensor) -> Tensor:
    return torch.where(whole == 0, 1.0, part / whole.clamp(min=1))  # `part` is 0 where `whole` is


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
