"""How good a mask and a depth map are: a value per image, then the mean over images.

Mask: IoU and Dice of the thresholded probability. Depth, in metres, over the pixels whose true
depth is known: Eigen et al. 2014. Depth without a unit is aligned with the truth first.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric

Alignment = Literal["depth", "disparity"]
"""In what relative depth is aligned: in its values, or in their inverse."""

DELTA1_RATIO = 1.25
SMALLEST_DEPTH_M = 1e-6


def mask_iou(mask_prob: Tensor, true_mask: Tensor, threshold: float = 0.5) -> Tensor:
    """Intersection over union; 1 where nobody is there and nobody is found.

    Args:
        mask_prob: probability of person, N x 1 x H x W, 0 to 1.
        true_mask: true share of person, same shape, 0 to 1.
        threshold: a pixel of either is person above it.

    Returns:
        N values, 0 to 1; NaN for an image whose probabilities hold one.
    """
    both, predicted, true = _areas(mask_prob, true_mask, threshold)
    return _ratio(both, predicted + true - both)


def mask_dice(mask_prob: Tensor, true_mask: Tensor, threshold: float = 0.5) -> Tensor:
    """Twice the intersection over the sum of areas; arguments and result as for `mask_iou`."""
    both, predicted, true = _areas(mask_prob, true_mask, threshold)
    return _ratio(2 * both, predicted + true)


def depth_rmse(depth_m: Tensor, true_depth_m: Tensor) -> Tensor:
    """sqrt(mean (d - g)^2), metres.

    Args:
        depth_m: predicted planar depth, N x 1 x H x W, metres.
        true_depth_m: true planar depth, same shape; a pixel counts where it is finite and
            above 0.

    Returns:
        N values; NaN for an image without a pixel that counts.
    """
    return _mean_where_known(lambda d, g: (d - g).square(), depth_m, true_depth_m).sqrt()


def depth_abs_rel(depth_m: Tensor, true_depth_m: Tensor) -> Tensor:
    """mean |d - g| / g, a ratio from 0; arguments and result as for `depth_rmse`."""
    return _mean_where_known(lambda d, g: (d - g).abs() / g, depth_m, true_depth_m)


def depth_delta1(depth_m: Tensor, true_depth_m: Tensor) -> Tensor:
    """Share of pixels with max(d / g, g / d) below 1.25, 0 to 1, larger is better.

    Arguments and result as for `depth_rmse`. A depth of 0 or less is wrong.
    """

    def is_close(d: Tensor, g: Tensor) -> Tensor:
        d = d.clamp(min=SMALLEST_DEPTH_M)
        close = (torch.maximum(d / g, g / d) < DELTA1_RATIO).to(d.dtype)
        return torch.where(d.isnan(), d, close)

    return _mean_where_known(is_close, depth_m, true_depth_m)


def align_depth(depth: Tensor, true_depth: Tensor, alignment: Alignment) -> Tensor:
    """Scale and shift each image's depth to fit the truth by least squares.

    In disparity, as Ranftl et al. 2020 (MiDaS) measure a network whose answer is known but for
    both: 1 / (scale / depth + shift), no farther than the truth's farthest pixel. The scale does
    not fall below 0: a map turned inside out must not be right.

    Args:
        depth: predicted, N x 1 x H x W, above 0.
        true_depth: same shape; a pixel counts where it is finite and above 0.
        alignment: `depth` fits the values, `disparity` their inverse.
    """
    _check_shapes(depth, true_depth)
    known = _is_known(true_depth)
    true = torch.where(known, true_depth, 1.0).double()
    found = depth.double()
    if alignment == "disparity":
        true, found = 1 / true, 1 / found.clamp(min=SMALLEST_DEPTH_M)
    weight = known / known.flatten(1).sum(1).clamp(min=1)[:, None, None, None]

    def mean(values: Tensor) -> Tensor:
        return (values * weight).sum((1, 2, 3), keepdim=True)

    from_mean = found - mean(found)
    spread = mean(from_mean.square())
    scale = (mean(from_mean * (true - mean(true))) / spread.clamp(min=1e-12)).clamp(min=0)
    aligned = scale * from_mean + mean(true)
    if alignment == "disparity":
        farthest = torch.where(known, true, torch.inf).amin((1, 2, 3), keepdim=True)
        aligned = 1 / aligned.maximum(farthest)
    return aligned.to(depth.dtype)


MASK_METRICS: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "mask_iou": mask_iou,
    "mask_dice": mask_dice,
}
DEPTH_METRICS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "depth_rmse": depth_rmse,
    "depth_abs_rel": depth_abs_rel,
    "depth_delta1": depth_delta1,
}


class SceneMetrics(nn.Module):
    """Means over images, whatever the size of the batches they come in.

    A prediction that is not a number makes its metric NaN instead of vanishing from the mean.

    Args:
        threshold: a mask's pixel is person above it.
        alignment: of depth without a unit, see `align_depth`; None for metres.
    """

    def __init__(self, threshold: float = 0.5, alignment: Alignment | None = None) -> None:
        super().__init__()
        self.threshold, self.alignment = threshold, alignment
        self.means = nn.ModuleDict(
            {name: MeanMetric(nan_strategy="disable") for name in (*MASK_METRICS, *DEPTH_METRICS)}
        )

    @torch.no_grad()
    def update(
        self,
        mask_prob: Tensor | None,
        depth_m: Tensor | None,
        true_mask: Tensor,
        true_depth_m: Tensor,
    ) -> None:
        """Add a batch; all N x 1 x H x W, on the metrics' device.

        Args:
            mask_prob: probability of person, 0 to 1; None from a method without a mask.
            depth_m: predicted depth, metres; None from a method without depth.
            true_mask: true share of person, 0 to 1.
            true_depth_m: true depth, metres; images without a known pixel do not count.
        """
        if mask_prob is not None:
            for name, score in MASK_METRICS.items():
                self.means[name].update(score(mask_prob, true_mask, self.threshold))
        if depth_m is not None:
            has_depth = _is_known(true_depth_m).flatten(1).any(dim=1)
            if has_depth.any():
                depth_m, true_depth_m = depth_m[has_depth], true_depth_m[has_depth]
                if self.alignment is not None:
                    depth_m = align_depth(depth_m, true_depth_m, self.alignment)
                for name, score in DEPTH_METRICS.items():
                    self.means[name].update(score(depth_m, true_depth_m))

    def compute(self) -> dict[str, float]:
        """The means of what was updated, by name; without the names that nothing came for."""
        return {
            name: float(mean.compute()) for name, mean in self.means.items() if mean.update_called
        }

    def reset(self) -> None:
        """Forget every image."""
        for mean in self.means.values():
            mean.reset()


def _areas(mask_prob: Tensor, true_mask: Tensor, threshold: float) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels in both, in the prediction and in the truth; N each, NaN where a probability is."""
    _check_shapes(mask_prob, true_mask)
    predicted = (mask_prob > threshold).flatten(1)
    true = (true_mask > threshold).flatten(1)
    both = (predicted & true).sum(dim=1).float()
    spoilt = mask_prob.isnan().flatten(1).any(dim=1)
    return (
        both.masked_fill(spoilt, torch.nan),
        predicted.sum(dim=1).float(),
        true.sum(dim=1).float(),
    )


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    # `part` is 0 where `whole` is, or NaN, which must stay.
    return torch.where(whole == 0, part + 1, part / whole)


def _is_known(true_depth_m: Tensor) -> Tensor:
    return true_depth_m.isfinite() & (true_depth_m > 0)


def _mean_where_known(
    error: Callable[[Tensor, Tensor], Tensor], depth_m: Tensor, true_depth_m: Tensor
) -> Tensor:
    """The mean of a pixel's error over the pixels of each image whose depth is known."""
    _check_shapes(depth_m, true_depth_m)
    known = _is_known(true_depth_m)
    # Unknown pixels are set to 1 m before the division: 0 x NaN would spoil the sum.
    true = torch.where(known, true_depth_m, 1.0).float()
    errors = torch.where(known, error(depth_m.float(), true), 0.0)
    return errors.flatten(1).sum(dim=1) / known.flatten(1).sum(dim=1)


def _check_shapes(predicted: Tensor, true: Tensor) -> None:
    if predicted.shape != true.shape:
        raise ValueError(
            f"the prediction is {tuple(predicted.shape)} and the truth {tuple(true.shape)}; "
            "resize the prediction to the truth's size"
        )
