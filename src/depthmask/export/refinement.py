"""Edges at a frame's own resolution, from a network that answers at S x S px."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from depthmask.config import RefineParams
from depthmask.models import Prediction

LIMIT = 6.0  # of a logit: that of a probability of 0.25 %; beyond it an answer is sure


def refined(
    logits: Prediction,
    small_guide: Tensor,
    guide: Tensor,
    enlarge: Callable[[Tensor], Tensor],
    params: RefineParams,
) -> tuple[Tensor, Tensor]:
    """Mask and depth's code, N x H x W, 0 to 1, with the edges of a guide of that size.

    The guide is N x H x W, 0 to 255; `small_guide` is the same at N x 1 x S x S, 0 to 1, and
    `enlarge` takes planes of that size to the other. The mask's logits follow the guide, and the
    depth's follow the mask, so that both have one silhouette. Where H = W = S nothing changes.
    """
    mask, depth = logits
    assert depth is not None
    small_mask = mask.sigmoid()
    step = slope(small_guide, mask.clamp(-LIMIT, LIMIT), params)
    depth_step = slope(small_mask, depth, params)
    lines = mask - step * small_guide, step / 255, depth - depth_step * small_mask, depth_step
    mask, step, depth, depth_step = enlarge(torch.cat(lines, 1)).unbind(1)
    mask = (mask + step * guide).sigmoid()
    return mask, (depth + depth_step * mask).sigmoid()


def guidance(bg: Tensor, bg_fg: Tensor, channels: int) -> Tensor:
    """The largest absolute difference of the channels, which lie on that axis."""
    return (bg_fg - bg).abs().amax(dim=channels)


def slope(guide: Tensor, answer: Tensor, params: RefineParams) -> Tensor:
    """How steeply the answer rises with the guide around each pixel; all N x 1 x S x S.

    The guided filter's coefficient a (He et al. 2013), least squares in windows of 2 radius + 1 px:
    cov(guide, answer) / (var(guide) + eps). As in the fast form (He and Sun 2015) it is worked
    out small and enlarged; the rest, answer - a guide, is not smoothed, to leave the answer alone.
    """
    products = torch.cat((guide, answer, guide.square(), guide * answer), dim=1)
    window = 2 * params.radius + 1
    # at the frame's border a window holds fewer pixels
    means = F.avg_pool2d(products, window, 1, params.radius, count_include_pad=False)
    mean_guide, mean_answer, square, product = means.split(1, dim=1)
    return (product - mean_guide * mean_answer) / (square - mean_guide.square() + params.eps)
