"""How good a mask and a depth map are: a value per scene, then the mean over scenes.

Mask: IoU, Dice and boundary F of the thresholded probability. Depth, in metres, over the pixels
whose true depth is known: Eigen et al. 2014 and structural similarity, on the frame and on the
person alone. Depth without a unit is aligned with the truth first.

IoU and Dice are our own for the sake of empty masks: there torchmetrics has no value (-1, NaN),
and a scene without a person would not count; here an empty answer to an empty mask is right.
"""

from depthmask.metrics.alignment import Alignment, align_depth
from depthmask.metrics.depth import (
    DEPTH_METRICS,
    depth_abs_rel,
    depth_delta1,
    depth_delta2,
    depth_delta3,
    depth_log10,
    depth_rmse,
    depth_silog,
)
from depthmask.metrics.mask import mask_boundary_f, mask_dice, mask_iou
from depthmask.metrics.person import PERSON_METRICS, depth_on_person, person_distance_error
from depthmask.metrics.pixels import SMALLEST_DEPTH_M
from depthmask.metrics.scores import MASK_METRICS, METRICS, Metric, SceneMetrics, score_scenes
from depthmask.metrics.similarity import depth_ssim

__all__ = [
    "DEPTH_METRICS",
    "MASK_METRICS",
    "METRICS",
    "PERSON_METRICS",
    "SMALLEST_DEPTH_M",
    "Alignment",
    "Metric",
    "SceneMetrics",
    "align_depth",
    "depth_abs_rel",
    "depth_delta1",
    "depth_delta2",
    "depth_delta3",
    "depth_log10",
    "depth_on_person",
    "depth_rmse",
    "depth_silog",
    "depth_ssim",
    "mask_boundary_f",
    "mask_dice",
    "mask_iou",
    "person_distance_error",
    "score_scenes",
]
