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
    num, _, height, width = images.shape
    to_ycc, table, dct = (each.to(images.device) for each in (_YCBCR, _quantisation(), _dct()))
    percent = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality).view(-1, 1, 1, 1, 1, 1)
    step = (table.view(3, 1, 8, 1, 8) * percent / 100).round_().clamp_(1, 255)
    planes = torch.einsum("ij,njhw->nihw", to_ycc, images * 255 - 128)
    blocks = planes.reshape(num, 3, height // 8, 8, width // 8, 8)
    coded = torch.einsum("ui,ncyixj,vj->ncyuxv", dct, blocks, dct)
    coded = coded.div_(step).round_().mul_(step)
    planes = torch.einsum("ui,ncyuxv,vj->ncyixj", dct, coded, dct).reshape(num, 3, height, width)
    rgb = torch.einsum("ij,njhw->nihw", torch.linalg.inv(to_ycc), planes)
    return ((rgb + 128) / 255).clamp_(0, 1)


@cache
def _quantisation() -> Tensor:
    """The tables of quality 50, 3 x 8 x 8, for luma and twice for colour (ITU-T T.81, annex K)."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", quality=50)
    luma, colour = Image.open(file).quantization.values()  # type: ignore[attr-defined]
    return torch.tensor([luma, colour, colour], dtype=torch.float32).view(3, 8, 8)


@cache
def _dct() -> Tensor:
    """The cosine transform of 8 values, orthonormal."""
    place, frequency = torch.arange(8) + 0.5, torch.arange(8)[:, None]
    matrix = torch.cos(math.pi / 8 * place * frequency) / 2
    matrix[0] /= math.sqrt(2)
    return matrix


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
