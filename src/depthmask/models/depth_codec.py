"""Metres to the 0 to 1 that a depth head learns, and back, in equal ratios.

An error of the code is a ratio of distances: 10 cm at 1 m costs what 1 m costs at 10 m, as in
AbsRel and the delta of Eigen et al. 2014. A range from 0, that of depth maps which are relative
from the start, has no ratios: its code is depth / far.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def encode_depth(depth_m: Tensor, range_m: Sequence[float] | Tensor) -> Tensor:
    """log(depth / near) / log(far / near), clamped to 0..1; depth / far where near is 0.

    Args:
        depth_m: planar depth, metres, any shape; what is nearer than near becomes 0.
        range_m: (near, far), metres, 0 <= near < far; a model's buffer `depth_range_m` will do.
    """
    near, far, log_ratio = _near_far_and_log_ratio(depth_m, range_m)
    logarithmic = (depth_m / near).clamp(min=1).log() / log_ratio
    return torch.where(near > 0, logarithmic, depth_m / far).clamp(0, 1)


def decode_depth(unit: Tensor, range_m: Sequence[float] | Tensor) -> Tensor:
    """near * (far / near) ** unit, metres: the inverse of `encode_depth` within the range.

    Args:
        unit: the sigmoid of depth logits, 0 to 1, any shape.
        range_m: (near, far), metres, 0 <= near < far; far * unit where near is 0.
    """
    near, far, log_ratio = _near_far_and_log_ratio(unit, range_m)
    return torch.where(near > 0, near * torch.exp(unit * log_ratio), far * unit)


def _near_far_and_log_ratio(
    like: Tensor, range_m: Sequence[float] | Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    if not isinstance(range_m, Tensor):
        range_m = torch.tensor(tuple(range_m), dtype=like.dtype, device=like.device)
    near, far = range_m[0], range_m[1]
    # `where` works out both branches: 1 keeps the one that is not taken finite
    return near, far, (far / torch.where(near > 0, near, 1.0)).log()
