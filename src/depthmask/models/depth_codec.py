"""Metres as a number of 0 to 1, which a depth head learns, and back."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def encode_depth(depth_m: Tensor, range_m: Sequence[float]) -> Tensor:
    """What a depth head learns: log(depth / near) / log(far / near), clamped to 0..1.

    `range_m` is (near, far), metres, 0 <= near < far. An error of the code is a ratio of
    distances: 10 cm at 1 m costs what 1 m costs at 10 m (Eigen et al. 2014). A range from 0, that
    of relative depth, has no ratios: its code is depth / far.
    """
    near, far = range_m
    if near == 0:
        return (depth_m / far).clamp(0, 1)
    return ((depth_m / near).clamp(min=1).log() / math.log(far / near)).clamp(0, 1)


def decode_depth(unit: Tensor, range_m: Tensor | Sequence[float]) -> Tensor:
    """The metres of a code of 0 to 1; `range_m` as numbers or as a network's buffer."""
    if not isinstance(range_m, Tensor):
        near, far = range_m
        return far * unit if near == 0 else near * torch.exp(unit * math.log(far / near))
    nearest, farthest = range_m.unbind()
    # `where` works out both branches: 1 keeps the one that is not taken finite
    log_ratio = (farthest / torch.where(nearest > 0, nearest, 1.0)).log()
    return torch.where(nearest > 0, nearest * torch.exp(unit * log_ratio), farthest * unit)
