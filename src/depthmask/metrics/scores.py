"""Every metric of a prediction by name: a value per scene, and the means over scenes."""

from collections.abc import Callable, Collection
from typing import Literal, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn

from depthmask.metrics.alignment import Alignment, align_depth
from depthmask.metrics.depth import DELTA_RATIO, DEPTH_METRICS
from depthmask.metrics.mask import mask_boundary_f, mask_dice, mask_iou
from depthmask.metrics.person import PERSON_METRICS, depth_on_person, person_distance_error
from depthmask.metrics.pixels import doubled, where_doubles_are


class Metric(NamedTuple):
    """What a metric is called, and which way it points.

    Attributes:
        name: in code and files.
        label: in tables and plots.
        better: `higher` or `lower`.
        part: of the answer that it looks at.
        unit: `metre`, or nothing for a ratio.
        tolerance: a depth within this ratio of the truth is right by it.
    """

    name: str
    label: str
    better: Literal["higher", "lower"]
    part: Literal["mask", "depth", "person"]
    unit: Literal["", "metre"] = ""
    tolerance: float = 1.0


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("mask_iou", "IoU", "higher", "mask"),
        Metric("mask_dice", "Dice", "higher", "mask"),
        Metric("mask_boundary_f", "boundary F", "higher", "mask"),
        Metric("depth_abs_rel", "AbsRel", "lower", "depth"),
        Metric("depth_rmse", "RMSE", "lower", "depth", "metre"),
        Metric("depth_delta1", "δ1", "higher", "depth", tolerance=DELTA_RATIO),
        Metric("depth_delta2", "δ2", "higher", "depth", tolerance=DELTA_RATIO**2),
        Metric("depth_delta3", "δ3", "higher", "depth", tolerance=DELTA_RATIO**3),
        Metric("depth_log10", "log10", "lower", "depth"),
        Metric("depth_silog", "SILog × 100", "lower", "depth"),
        Metric("depth_ssim", "SSIM", "higher", "depth"),
        Metric("person_abs_rel", "person AbsRel", "lower", "person"),
        Metric("person_rmse", "person RMSE", "lower", "person", "metre"),
        Metric("person_delta1", "person δ1", "higher", "person", tolerance=DELTA_RATIO),
        Metric("person_distance_error", "distance error", "lower", "person", "metre"),
    )
}
"""In the order in which they are shown."""

MASK_METRICS: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "mask_iou": mask_iou,
    "mask_dice": mask_dice,
    "mask_boundary_f": mask_boundary_f,
}


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
        mask_prob: probability of person, 0 to 1; None from a method without a mask.
        depth: predicted depth, metres or relative; None from a method without depth.
        true_mask: true share of person, 0 to 1.
        true_depth: true depth; a pixel counts where it is finite and above 0.
        threshold: a mask's pixel is person above it.
        alignment: of relative depth, see `align_depth`; None for metres. Without metres there
            is no `person_distance_error`.
        names: of the metrics wanted, any of `METRICS`.

    Returns:
        By name N values, float64: NaN where the metric does not count for the scene, +-inf, the
        worse of them, for a prediction that is not a number. Without the metrics of a part that
        is None.
    """
    values, true_mask, true_depth = {}, where_doubles_are(true_mask), doubled(true_depth)
    if mask_prob is not None:
        mask_prob = where_doubles_are(mask_prob)
        for name in MASK_METRICS.keys() & names:
            values[name] = MASK_METRICS[name](mask_prob, true_mask, threshold)
    if depth is not None:
        depth = doubled(depth)
        if alignment is not None:
            depth = align_depth(depth, true_depth, alignment)
        for name in DEPTH_METRICS.keys() & names:
            values[name] = DEPTH_METRICS[name](depth, true_depth)
        on_person = depth_on_person(true_depth, true_mask, threshold)
        for name in PERSON_METRICS.keys() & names:
            values[name] = PERSON_METRICS[name](depth, on_person)
        if mask_prob is not None and alignment is None and "person_distance_error" in names:
            values["person_distance_error"] = person_distance_error(
                mask_prob, depth, true_mask, true_depth, threshold
            )
    return {name: values[name] for name in METRICS if name in values}


class SceneMetrics(nn.Module):
    """Means over the scenes that count, whatever the batches' sizes and across processes.

    The sums are float64 on the CPU, wherever the module goes: MPS has no float64.

    Args:
        threshold: a mask's pixel is person above it.
        alignment: of depth without a unit, see `align_depth`; None for metres.
        names: of the metrics wanted, any of `METRICS`.
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
        self,
        mask_prob: Tensor | None,
        depth: Tensor | None,
        true_mask: Tensor,
        true_depth: Tensor,
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
        """The means over every process's scenes, by name; without the names none counted for.

        Every process must call it.
        """
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
