"""How good a mask and a depth map are: a value a scene, then the mean over scenes.

A new metric is one function under a decorator, in `mask.py` or `depth.py`: tables, charts, the
page and MLflow follow from `METRICS`.
"""

import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from depthmask.data.scenes.person import THRESHOLD
from depthmask.data.scenes.scene import Alignment
from depthmask.metrics.depth import align_depth, is_known
from depthmask.metrics.mask import as_float64, mask_iou
from depthmask.metrics.registry import METRICS, Metric, metric

__all__ = ["METRICS", "Metric", "align_depth", "mask_iou", "metric"]


@torch.no_grad()
def score_scenes(
    mask_prob: Tensor | None,
    depth: Tensor | None,
    true_mask: Tensor,
    true_depth: Tensor,
    *,
    alignment: Alignment | None = None,
    names: Collection[str] = METRICS.keys(),
) -> dict[str, Tensor]:
    """Measure each scene of a batch: N values by name, see `Metric`, without a part that is None.

    All N x 1 x H x W, on one device: probability and share of person, 0 to 1; depth in metres, or
    relative and first aligned, see `align_depth`. names: of the metrics wanted.
    """
    true_mask, true_depth = as_float64(true_mask), as_float64(true_depth)
    true_depth = true_depth.where(is_known(true_depth, alignment == "depth"), torch.nan)
    arguments: dict[str, tuple[Tensor, ...]] = {}
    if mask_prob is not None:
        arguments["mask"] = (mask_prob, true_mask)
    if depth is not None:
        depth = as_float64(depth)
        if alignment is not None:
            depth = align_depth(depth, true_depth, alignment)
        on_person = true_depth.where(true_mask > THRESHOLD, torch.nan)
        arguments |= {"depth": (depth, true_depth), "person": (depth, on_person)}
        if mask_prob is not None and alignment is None:
            arguments["all"] = (mask_prob, depth, true_mask, true_depth)
    return {
        name: metric.function(*arguments[key])
        for name, metric in METRICS.items()
        if name in names and (key := "all" if metric.takes_all else metric.part) in arguments
    }


class SceneMetrics:
    """Means over the scenes that count, whatever the batches' sizes.

    The sums are float64 on the CPU: MPS has none. Arguments as for `score_scenes`.
    """

    def __init__(
        self, alignment: Alignment | None = None, names: Collection[str] = METRICS.keys()
    ) -> None:
        self.alignment, self.names = alignment, tuple(names)
        self.reset()

    def update(self, *scenes: Any) -> None:
        """Add a batch: its mask, depth, true mask and true depth."""
        values = score_scenes(*scenes, alignment=self.alignment, names=self.names)
        for row, name in enumerate(self.names):
            if name in values:
                counted = values[name][~values[name].isnan()].cpu()
                self._sums[row] += torch.stack([counted.sum(), torch.tensor(len(counted))])

    def compute(self) -> dict[str, float]:
        """The means by name, without the names none counted for."""
        means = zip(self.names, self._sums.tolist(), strict=True)
        return {name: total / count for name, (total, count) in means if count}

    def reset(self) -> None:
        self._sums = torch.zeros(len(self.names), 2, dtype=torch.float64)


def largest_difference(
    found: Mapping[str, float], expected: Mapping[str, float | None]
) -> tuple[str, float]:
    """The expected figure that is missed most, and by how much: absolute or, of what exceeds 1,
    relative; infinite where one of the two alone is a number. At least one must be expected."""
    true = pd.Series(expected, dtype=float)
    other = pd.Series(found, dtype=float).reindex(true.index)
    apart = (other - true).abs() / true.abs().clip(lower=1)
    apart = apart.fillna(math.inf).where(true.notna() | np.isfinite(other), 0)
    return str(apart.idxmax()), float(apart.max())
