"""Frames whose people are changed: their shadow, their clothes, how many there are."""

import torch
from torch import Tensor

from depthmask.data.scenes.scene import Scene
from depthmask.evaluation.robustness.light import light_between, shadow_of, spread_from

_FOLDS = 0.3
"""Exponent that leaves folds and shade of what makes clothes light and dark, most of it dye."""

_APART = 1.12
"""Of two distances, one person before the other: half a metre at four; less and bodies meet."""

_LUMINANCE = (0.2126, 0.7152, 0.0722)


def with_shadow(scene: Scene[Tensor], strength: float) -> Scene[Tensor]:
    """The person's shadow and bounced light `strength` times as deep; 0 takes them away."""
    change = (shadow_of(scene) * (strength - 1)).exp()
    return scene._replace(bg_fg=scene.bg_fg * (scene.mask + (1 - scene.mask) * change))


def dressed_like_the_wall(scene: Scene[Tensor], share: float) -> Scene[Tensor]:
    """The person's colours moved by `share` towards those of the room behind them.

    At 1 the person wears the mean colour of what they hide, as bright or dark from fold to fold
    as their own clothes are. The rim moves by what of it is person.
    """
    mask, person = scene.mask, person_colour(scene)
    room = scene.bg * light_between(scene).exp()
    luminance = (person * person.new_tensor(_LUMINANCE).view(1, 3, 1, 1)).sum(1, keepdim=True)
    folds = luminance.clamp_min(1e-3) ** _FOLDS
    wall = _mean_on(mask, room) * folds / _mean_on(mask, folds).clamp_min(1e-3)
    return scene._replace(bg_fg=scene.bg_fg + share * mask * (wall - person))


def person_colour(scene: Scene[Tensor]) -> Tensor:
    """The person's own colour, N x 3 x H x W: at the rim, where the room shows through, that of
    the nearest pixels that are all person."""
    inside = (scene.mask > 0.99).float()
    near = spread_from(inside, scene.bg_fg, scene.mask.shape[-1] / 96, otherwise=scene.bg_fg)
    return torch.where(inside > 0, scene.bg_fg, near)


def together(first: Scene[Tensor], second: Scene[Tensor]) -> Scene[Tensor]:
    """Two people of one room in one shot, each scene with one of them, in one frame.

    The nearer stands in front, both shadows fall on the room, none on the other person.
    """
    front_first = _distance(first) <= _distance(second)
    front, back = (
        Scene(*(torch.where(front_first, a, b) for a, b in zip(one, other, strict=True)))
        for one, other in ((first, second), (second, first))
    )
    shadows = shadow_of(front), shadow_of(back)
    room = front.bg * (light_between(front) + shadows[0] + shadows[1]).exp()
    lit = [
        scene.bg_fg * (scene.mask + (1 - scene.mask) * of_other.exp())
        for scene, of_other in ((front, shadows[1]), (back, shadows[0]))
    ]
    # over the front's rim the other person shines through in place of the room
    over = lit[0] + (1 - front.mask) * (lit[1] - room)
    bg_fg = torch.where(front.mask == 0, lit[1], torch.where(back.mask == 0, lit[0], over))
    return Scene(
        bg=first.bg,
        bg_fg=bg_fg,
        mask=front.mask + (1 - front.mask) * back.mask,
        depth=torch.where(front.mask > 0.5, front.depth, back.depth),
    )


def can_stand_together(first: Scene[Tensor], second: Scene[Tensor]) -> Tensor:
    """Whether both people have room and are seen, bool N.

    One stands `_APART` times as far as the other, or both beside each other; of the rear one more
    than half is seen.
    """
    one, other = (scene.mask > 0.5 for scene in (first, second))
    both = (one & other).flatten(1).sum(1)
    smaller = torch.minimum(one.flatten(1).sum(1), other.flatten(1).sum(1))
    near, far = _distance(first).flatten(), _distance(second).flatten()
    rear_first = near > far
    apart = torch.maximum(near, far) >= _APART * torch.minimum(near, far)
    rear = torch.where(rear_first, one.flatten(1).sum(1), other.flatten(1).sum(1))
    return ((both <= 0.05 * smaller) | apart) & (both < 0.5 * rear)


def _distance(scene: Scene[Tensor]) -> Tensor:
    """Median depth on the person, N x 1 x 1 x 1; far where nobody is."""
    on_person = torch.where(scene.mask > 0.5, scene.depth, torch.nan).flatten(1)
    return on_person.nanmedian(1).values.nan_to_num(torch.inf)[:, None, None, None]


def _mean_on(mask: Tensor, values: Tensor) -> Tensor:
    """Mean over the person, N x C x 1 x 1."""
    area = mask.sum((2, 3), keepdim=True).clamp_min(1e-3)
    return (values * mask).sum((2, 3), keepdim=True) / area
