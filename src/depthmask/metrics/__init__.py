"""How good a mask and a depth map are: a value a scene, then the mean over scenes.

A new metric is one function under a decorator, in `mask.py` or `depth.py`: tables, charts, the
page and MLflow follow from `METRICS`.
"""

from depthmask.metrics.depth import SMALLEST_DEPTH_M, align_depth, depth_abs_rel
from depthmask.metrics.mask import mask_iou
from depthmask.metrics.registry import METRICS, Metric
from depthmask.metrics.scores import SceneMetrics, score_scenes

__all__ = [
    "METRICS",
    "SMALLEST_DEPTH_M",
    "Metric",
    "SceneMetrics",
    "align_depth",
    "depth_abs_rel",
    "mask_iou",
    "score_scenes",
]
