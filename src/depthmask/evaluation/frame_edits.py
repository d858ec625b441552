"""Frames whose people are changed: their shadow, their clothes, how many there are.

The room around the person tells the frame's light; logarithms of ratios are N x 3 x H x W.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from depthmask.data.scenes.scene import Scene

DARKEST = 6 / 255  # added before a ratio is taken: in the dark a level of noise is a large ratio
BLUR = 1 / 64  # standard deviation of the low-pass, as a share of the frame's side
HELD_BACK = 4.0  # times the noise's median power, where a shadow is halved
FOLDS = 0.3  # exponent that leaves folds of what makes clothes light and dark, most of it dye
APART = 1.12  # of two distances: half a metre at four; less and bodies meet
LEAST_WEIGHT = 1e-4
LUMINANCE = (0.2126, 0.7152, 0.0722)


def scale_shadow(scene: Scene[Tensor], strength: float) -> Scene[Tensor]:
    """The person's shadow and bounced light `strength` times as deep; 0 takes them away."""
    change = (shadow_of(scene) * (strength - 1)).exp()
    return scene._replace(bg_fg=_lit(scene, change))


def dress_like_wall(scene: Scene[Tensor], share: float) -> Scene[Tensor]:
    """The person's colours moved by `share` towards the mean colour of the room that they hide, as
    bright or dark from fold to fold as their own clothes are."""
    mask = scene.mask
    inside = (mask > 0.99).float()
    # at the rim, where the room shows through, the colour of the nearest pixels all person
    near = spread_from(inside, scene.bg_fg, mask.shape[-1] / 96, otherwise=scene.bg_fg)
    person = torch.where(inside > 0, scene.bg_fg, near)
    room = scene.bg * light_between(scene).exp()
    luminance = (person * person.new_tensor(LUMINANCE).view(1, 3, 1, 1)).sum(1, keepdim=True)
    folds = luminance.clamp_min(1e-3) ** FOLDS
    area = mask.sum((2, 3), keepdim=True).clamp_min(1e-3)
    mean_room, mean_folds = (
        (values * mask).sum((2, 3), keepdim=True) / area for values in (room, folds)
    )
    wall = mean_room * folds / mean_folds.clamp_min(1e-3)
    return scene._replace(bg_fg=scene.bg_fg + share * mask * (wall - person))


def put_together(first: Scene[Tensor], second: Scene[Tensor]) -> Scene[Tensor]:
    """Two people of one room in one shot, each scene with one of them, in one frame: the nearer in
    front, both shadows on the room and none on the other person."""
    front_first = _distance(first) <= _distance(second)
    front, back = (
        Scene(*(torch.where(front_first, a, b) for a, b in zip(one[:4], other[:4], strict=True)))
        for one, other in ((first, second), (second, first))
    )
    shadows = shadow_of(front), shadow_of(back)
    room = front.bg * (light_between(front) + shadows[0] + shadows[1]).exp()
    lit_front, lit_back = _lit(front, shadows[1].exp()), _lit(back, shadows[0].exp())
    # over the front's rim the other person shines through in place of the room
    over = lit_front + (1 - front.mask) * (lit_back - room)
    bg_fg = torch.where(front.mask == 0, lit_back, torch.where(back.mask == 0, lit_front, over))
    mask = front.mask + (1 - front.mask) * back.mask
    depth = torch.where(front.mask > 0.5, front.depth, back.depth)
    return Scene(first.bg, bg_fg, mask, depth, first.focal)


def can_stand_together(first: Scene[Tensor], second: Scene[Tensor]) -> Tensor:
    """Whether both people have room, `APART` times as far or beside each other, and of the rear one
    more than half is seen: bool N."""
    one, other = (scene.mask > 0.5 for scene in (first, second))
    areas = one.flatten(1).sum(1), other.flatten(1).sum(1)
    both = (one & other).flatten(1).sum(1)
    near, far = _distance(first).flatten(), _distance(second).flatten()
    apart = torch.maximum(near, far) >= APART * torch.minimum(near, far)
    rear = torch.where(near > far, *areas)
    return ((both <= 0.05 * torch.minimum(*areas)) | apart) & (both < 0.5 * rear)


def light_between(scene: Scene[Tensor]) -> Tensor:
    """By what the whole frame is brighter than the plate, N x 3 x 1 x 1: the median over the room,
    so that no shadow counts; 0 where the person leaves no room."""
    return _median(torch.where(_is_room(scene), _log_ratio(scene), torch.nan))


def shadow_of(scene: Scene[Tensor]) -> Tensor:
    """What the person takes from the room's light, negative, or throws on it: a low-pass of the log
    ratio of the room's pixels, less `light_between`; what is near the noise is held back (Wiener).
    """
    room = _is_room(scene)
    ratio = _log_ratio(scene) - light_between(scene)
    ratio = spread_from(room.float(), ratio, BLUR * scene.mask.shape[-1])
    power = ratio.square().mean(1, keepdim=True)
    noise = _median(torch.where(room, power, torch.nan))
    return ratio * power / (power + HELD_BACK * noise).clamp_min(1e-12)


def typical_shadow(scene: Scene[Tensor]) -> float:
    """Which share of the light the darkest place of the typical frame's shadow lacks, 0 to 1."""
    darkest = shadow_of(scene).mean(1).flatten(1).amin(1)
    return float(1 - darkest.median().exp())


def spread_from(
    weight: Tensor, values: Tensor, sigma: float, otherwise: Tensor | float = 0.0
) -> Tensor:
    """Gaussian mean, sigma in px, of the values with a weight 0 to 1, N x 1 x H x W: a normalised
    convolution (Knutsson and Westin 1993), `otherwise` where nothing is near."""
    steps = [torch.arange(n)[:, None] - torch.arange(n) for n in weight.shape[-2:]]
    norm = sigma * math.sqrt(2 * math.pi)
    down, along = ((torch.exp(-0.5 * (each / sigma) ** 2) / norm).to(weight) for each in steps)
    total = down @ weight @ along
    mean = (down @ (values * weight) @ along) / total.clamp_min(LEAST_WEIGHT)
    return torch.where(total > LEAST_WEIGHT, mean, otherwise)


def _lit(scene: Scene[Tensor], light: Tensor) -> Tensor:
    """The frame with the room's light changed by a factor, the person's left."""
    return scene.bg_fg * (scene.mask + (1 - scene.mask) * light)


def _is_room(scene: Scene[Tensor]) -> Tensor:
    """Whether neither a pixel nor one beside it has anything of the person; N x 1 x H x W."""
    return F.max_pool2d(scene.mask, 3, stride=1, padding=1) == 0


def _log_ratio(scene: Scene[Tensor]) -> Tensor:
    return ((scene.bg_fg + DARKEST) / (scene.bg + DARKEST)).log()


def _distance(scene: Scene[Tensor]) -> Tensor:
    """Median depth on the person, N x 1 x 1 x 1; far where nobody is."""
    return _median(torch.where(scene.mask > 0.5, scene.depth, torch.nan), torch.inf)


def _median(values: Tensor, otherwise: float = 0.0) -> Tensor:
    """Of each plane what is no NaN, N x C x 1 x 1."""
    return values.flatten(2).nanmedian(2).values.nan_to_num(otherwise)[..., None, None]
