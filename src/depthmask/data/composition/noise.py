"""Sensor noise from a counter: each picture's and channel's is its own, whatever the batch."""

import math

import torch
from torch import Tensor

_STEP, _MIX_1, _MIX_2 = (
    number - (1 << 64) for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)  # as torch's signed integers


def sensor_noise(keys: Tensor, size: int) -> Tensor:
    """Draw from the normal distribution of deviation 1; a sample's numbers follow from its key.

    A pixel's counter goes through SplitMix64 (Steele, Lea, Flood 2014), in integers that are the
    same on every device, and its 64 bits give two independent normal numbers (Box and Muller 1958).

    Args:
        keys: int64 [N].

    Returns:
        float32 N x 2 x 3 x size x size: the channels of bg, then of bg_fg.
    """
    counter = torch.arange(1, 3 * size * size + 1, device=keys.device)
    bits = keys[:, None] + counter * _STEP
    bits = (bits ^ _shifted(bits, 30)) * _MIX_1
    bits = (bits ^ _shifted(bits, 27)) * _MIX_2
    bits = (bits ^ _shifted(bits, 31)).view(len(keys), 3, size, size)
    # 24 bits each, all that float32 holds; the first in (0, 1], whose logarithm is finite
    radius = ((_shifted(bits, 40) + 1).float() * 2**-24).log_().mul_(-2).sqrt_()
    angle = (bits & 0xFFFFFF).float() * (2 * math.pi * 2**-24)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], 1)


def _shifted(bits: Tensor, places: int) -> Tensor:
    """To the right, zeros coming in: torch's own shift repeats the sign."""
    return (bits >> places) & ((1 << (64 - places)) - 1)
