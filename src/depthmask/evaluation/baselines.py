"""What needs no training: a model that does not beat these has learnt nothing."""

from collections.abc import Iterable

import torch
from torch import Tensor

from depthmask.data.scenes.scene import Scene
from depthmask.metrics import SMALLEST_DEPTH_M, mask_iou

THRESHOLDS = tuple(step / 100 for step in range(2, 62, 2))
"""Candidates for the difference threshold, of an image's range 0 to 1."""


def difference(scene: Scene[Tensor]) -> Tensor:
    """Largest |bg_fg - bg| over the channels, N x 1 x H x W in 0..1."""
    return (scene.bg_fg - scene.bg).abs().amax(1, keepdim=True)


def best_threshold(scenes: Iterable[Scene[Tensor]]) -> float:
    """The threshold on `difference` with the highest mean mask IoU over the scenes."""
    totals = torch.zeros(len(THRESHOLDS), dtype=torch.float64)
    for scene in scenes:
        changed = difference(scene)
        for place, threshold in enumerate(THRESHOLDS):
            totals[place] += (
                mask_iou((changed > threshold).float(), scene.mask).cpu().double().sum()
            )
    return THRESHOLDS[int(totals.argmax())]


def best_constant(scenes: Iterable[Scene[Tensor]]) -> float:
    """The one depth, metres, that serves for every pixel: the geometric mean.

    It minimises the squared error of log depth, hence favours neither near nor far.
    """
    logs = [
        scene.depth.cpu().double().clamp(min=SMALLEST_DEPTH_M).log().mean((1, 2, 3))
        for scene in scenes
    ]
    return float(torch.cat(logs).mean().exp())
