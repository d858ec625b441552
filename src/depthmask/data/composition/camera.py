"""What a camera does to a picture: optics, sensor and JPEG, each picture with its own strength.

Pictures are float32 N x 3 x S x S in 0..1, on any device, S a multiple of 8.
"""

import io
import math
from functools import cache

import torch
from PIL import Image
from torch import Tensor

_YCBCR = torch.tensor(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
)
"""Luma and colour differences of RGB (JFIF 1.02)."""


def blur(images: Tensor, sigma_px: Tensor) -> Tensor:
    """Blur with Gaussians of standard deviations [N] above 0, px."""
    pixel = torch.arange(images.shape[-1], device=images.device)
    apart = (pixel[:, None] - pixel).square()
    weights = torch.exp(-0.5 * apart / sigma_px.view(-1, 1, 1).square())
    weights = (weights / weights.sum(-1, keepdim=True))[:, None]
    return weights @ images @ weights.mT


def jpeg(images: Tensor, quality: Tensor) -> Tensor:
    """As JPEGs of a quality [N], 1 to 100, give them back, their colour not subsampled."""
    size, device = images.shape[-1], images.device
    to_ycc, to_rgb, table, dct = _jpeg_constants(size, device)
    percent = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality).view(-1, 1, 1, 1)
    step = (table * percent / 100).round_().clamp_(1, 255).repeat(1, 1, size // 8, size // 8)
    planes = (to_ycc @ (images * 255 - 128).flatten(2)).view_as(images)
    coded = (dct @ planes @ dct.mT).div_(step).round_().mul_(step)
    planes = dct.mT @ coded @ dct
    return ((to_rgb @ planes.flatten(2)).view_as(images).add_(128).div_(255)).clamp_(0, 1)


@cache
def _jpeg_constants(size: int, device: torch.device) -> tuple[Tensor, ...]:
    """RGB to YCbCr and back, 3 x 3; the tables of quality 50 for luma and twice for colour, 3 x 8 x
    8 (ITU-T T.81, annex K); the cosine transform of every 8 values of `size`, orthonormal: on CPUs
    and GPUs a product with it is faster than one of each block."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", quality=50)
    luma, colour = Image.open(file).quantization.values()  # type: ignore[attr-defined]
    tables = torch.tensor([luma, colour, colour], dtype=torch.float32).view(3, 8, 8)
    place, frequency = torch.arange(8) + 0.5, torch.arange(8)[:, None]
    cosines = torch.cos(math.pi / 8 * place * frequency) / 2
    cosines[0] /= math.sqrt(2)
    dct = torch.block_diag(*[cosines] * (size // 8))
    constants = _YCBCR, torch.linalg.inv(_YCBCR), tables, dct
    return tuple(constant.to(device) for constant in constants)


_STEP, _MIX_1, _MIX_2 = (
    number - (1 << 64) for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)  # as torch's signed integers


def sensor_noise(keys: Tensor, size: int) -> Tensor:
    """Draw from the standard normal distribution, N x 2 x 3 x size x size: for bg, then for bg_fg.

    A sample's numbers follow from its key, int64 [N]: a pixel's counter goes through SplitMix64
    (Steele, Lea, Flood 2014), in integers that are the same on every device, and its 64 bits give
    two independent normal numbers (Box and Muller 1958).
    """
    counter = torch.arange(1, 3 * size * size + 1, device=keys.device)
    bits = keys[:, None] + counter * _STEP
    for places, factor in ((30, _MIX_1), (27, _MIX_2)):
        bits ^= _shifted(bits, places)
        bits *= factor
    bits = (bits ^ _shifted(bits, 31)).view(len(keys), 3, size, size)
    # 24 bits each, all that float32 holds; the first in (0, 1], whose logarithm is finite
    radius = ((_shifted(bits, 40) + 1).float() * 2**-24).log_().mul_(-2).sqrt_()
    angle = (bits & 0xFFFFFF).float() * (2 * math.pi * 2**-24)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], 1)


def _shifted(bits: Tensor, places: int) -> Tensor:
    """To the right, zeros coming in: torch's own shift repeats the sign."""
    return (bits >> places).bitwise_and_((1 << (64 - places)) - 1)
