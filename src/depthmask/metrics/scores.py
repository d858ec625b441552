"""Every metric of a batch: a value a scene, and the means over scenes."""

from collections.abc import Collection

import torch
import torch.distributed as dist
from torch import Tensor, nn

from depthmask.data.scenes.scene import Alignment
from depthmask.metrics.depth import align_depth, as_float64, depth_on_person, is_known
from depthmask.metrics.mask import on_float64_device
from depthmask.metrics.registry import METRICS


@torch.no_grad()
def score_scenes(
    mask_prob: Tensor | None,
    depth: Tensor | None,
    true_mask: Tensor,
    true_depth: Tensor,
    *,
    threshold: float = 0.5,
    alignment: Alignment | None = None,
    names: Collection[str] = METRICS.keys(),
) -> dict[str, Tensor]:
    """Measure each scene of a batch; all N x 1 x H x W, on one device.

    Args:
        mask_prob, true_mask: probability and share of person, 0 to 1, who is there above the
            threshold; None from a method without a mask.
        depth, true_depth: in metres or relative; None from a method without depth.
        alignment: of relative depth, see `align_depth`; None for metres.
        names: of the metrics wanted.

    Returns:
        By name N values, see `Metric`; without the metrics of a part that is None.
    """
    true_mask, true_depth = on_float64_device(true_mask), as_float64(true_depth)
    true_depth = true_depth.where(is_known(true_depth, alignment), torch.nan)
    if mask_prob is not None:
        mask_prob = on_float64_device(mask_prob)
    if depth is not None:
        depth = as_float64(depth)
        if alignment is not None:
            depth = align_depth(depth, true_depth, alignment)
    on_person = depth_on_person(true_depth, true_mask, threshold)
    values = {}
    for name, metric in METRICS.items():
        if name not in names:
            continue
        if metric.takes_all:
            if mask_prob is not None and depth is not None and alignment is None:
                values[name] = metric.function(mask_prob, depth, true_mask, true_depth, threshold)
        elif metric.part == "mask":
            if mask_prob is not None:
                values[name] = metric.function(mask_prob, true_mask, threshold)
        elif depth is not None:
            truth = on_person if metric.part == "person" else true_depth
            values[name] = metric.function(depth, truth)
    return values


class SceneMetrics(nn.Module):
    """Means over the scenes that count, whatever the batches' sizes and across processes.

    The sums are float64 on the CPU, wherever the module goes: MPS has no float64. Arguments as
    for `score_scenes`.
    """

    def __init__(
        self,
        threshold: float = 0.5,
        alignment: Alignment | None = None,
        names: Collection[str] = METRICS.keys(),
    ) -> None:
        super().__init__()
        self.threshold, self.alignment, self.names = threshold, alignment, tuple(names)
        self.reset()

    def update(
        self, mask_prob: Tensor | None, depth: Tensor | None, true_mask: Tensor, true_depth: Tensor
    ) -> None:
        """Add a batch; arguments as for `score_scenes`."""
        values = score_scenes(
            mask_prob,
            depth,
            true_mask,
            true_depth,
            threshold=self.threshold,
            alignment=self.alignment,
            names=self.names,
        )
        for row, name in enumerate(self.names):
            if name in values:
                counted = values[name][~values[name].isnan()].cpu()
                self._sums[row] += torch.stack([counted.sum(), torch.tensor(counted.numel())])

    def compute(self) -> dict[str, float]:
        """The means by name, without the names none counted for; every process must call it."""
        sums = self._sums.clone()
        if dist.is_available() and dist.is_initialized():
            # what NCCL adds up lies on its GPU
            sums = sums.to("cuda" if dist.get_backend() == "nccl" else "cpu")
            dist.all_reduce(sums)
        return {
            name: total / count
            for name, (total, count) in zip(self.names, sums.tolist(), strict=True)
            if count
        }

    def reset(self) -> None:
        """Forget every scene."""
        self._sums = torch.zeros(len(self.names), 2, dtype=torch.float64)
