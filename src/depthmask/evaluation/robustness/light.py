"""How a frame's light differs from its plate's, told by the room around the person."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from depthmask.data.scenes.scene import Scene

_DARKEST = 6 / 255
"""Added before a ratio is taken: in the dark a level of noise is a large ratio."""

_BLUR = 1 / 64
"""Standard deviation of the low-pass, as a share of the frame's side."""

_LEAST_WEIGHT = 1e-4


_HELD_BACK = 4.0
"""Times the noise's median power, where a shadow is halved."""


def light_between(scene: Scene[Tensor]) -> Tensor:
    """By what the whole frame is brighter than the plate: log ratios, N x 3 x 1 x 1.

    The median over the room, so that no shadow counts; 0 where the person leaves no room.
    """
    ratio = torch.where(_is_room(scene), _log_ratio(scene), torch.nan).flatten(2)
    return ratio.nanmedian(2).values.nan_to_num(0.0)[..., None, None]


def shadow_of(scene: Scene[Tensor]) -> Tensor:
    """What the person takes from the room's light or throws on it: log ratios, N x 3 x H x W.

    A low-pass of the ratio of frame and plate that knows nothing of the person's pixels, less
    `light_between`: negative in a shadow, positive in bounced light, 0 far inside the person.
    What is no stronger than the noise around it, as told by its median, is held back (Wiener).
    """
    room = _is_room(scene)
    ratio = _log_ratio(scene) - light_between(scene)
    ratio = spread_from(room.float(), ratio, _BLUR * scene.mask.shape[-1])
    power = ratio.square().mean(1, keepdim=True)
    noise = torch.where(room, power, torch.nan).flatten(1).nanmedian(1).values.nan_to_num(0.0)
    return ratio * power / (power + _HELD_BACK * noise[:, None, None, None]).clamp_min(1e-12)


def typical_shadow(scene: Scene[Tensor]) -> float:
    """Which share of the light the darkest place of the typical frame's shadow lacks, 0 to 1."""
    darkest = shadow_of(scene).mean(1).flatten(1).amin(1)
    return float(1 - darkest.median().exp())


def spread_from(
    weight: Tensor, values: Tensor, sigma: float, otherwise: Tensor | float = 0.0
) -> Tensor:
    """Gaussian mean of the values that have a weight: a normalised convolution.

    Knutsson and Westin 1993.

    Args:
        weight: N x 1 x H x W, 0 to 1.
        values: N x C x H x W.
        sigma: px.
        otherwise: what to say where nothing that has a weight is near.
    """
    total = _blurred(weight, sigma)
    mean = _blurred(values * weight, sigma) / total.clamp_min(_LEAST_WEIGHT)
    return torch.where(total > _LEAST_WEIGHT, mean, otherwise)


def _is_room(scene: Scene[Tensor]) -> Tensor:
    """Whether neither a pixel nor one beside it has anything of the person; N x 1 x H x W."""
    return F.max_pool2d(scene.mask, 3, stride=1, padding=1) == 0


def _log_ratio(scene: Scene[Tensor]) -> Tensor:
    return ((scene.bg_fg + _DARKEST) / (scene.bg + _DARKEST)).log()


def _blurred(image: Tensor, sigma: float) -> Tensor:
    """A Gaussian blur, rows and columns as products of matrices; beyond the frame lies 0."""
    down, along = (_gaussian(length, sigma).to(image.device) for length in image.shape[-2:])
    return down @ image @ along


def _gaussian(length: int, sigma: float) -> Tensor:
    """Weights of every place for every other, length x length; symmetric."""
    at = torch.arange(length)
    weights = torch.exp(-0.5 * ((at[:, None] - at) / sigma) ** 2)
    return weights / (sigma * math.sqrt(2 * math.pi))
