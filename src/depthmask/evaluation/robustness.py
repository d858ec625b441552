"""What makes a frame harder: every condition, and how it is applied."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from depthmask.data.composition.eval_sets import to_8_bits
from depthmask.data.scenes.scene import Scene
from depthmask.errors import InputError

DARKEST = 6 / 255  # added before a ratio is taken: in the dark a level of noise is a large ratio
FOLDS = 0.3  # exponent that leaves folds of what makes clothes light and dark, most of it dye
LEAST_ALPHA = 0.05  # that a pixel is divided by
LUMINANCE = (0.2126, 0.7152, 0.0722)


class Draws(NamedTuple):
    """What chance decides of each of N scenes, the same at every strength; float32."""

    direction: Tensor  # N, radians, where a shift goes
    turn: Tensor  # N, 1 or -1, which way a rotation goes
    noise: Tensor  # N x 6 x H x W, of standard deviation 1; bg's channels, then bg_fg's


def draw(scene: Scene[Tensor], seed: int) -> Draws:
    """Draw for a batch, of a seed."""
    random, count = np.random.default_rng(seed), len(scene.mask)
    angles, turns = random.uniform(0, 2 * np.pi, count), random.choice([-1, 1], count)
    noise = random.standard_normal((count, 6, *scene.mask.shape[-2:]), np.float32)
    return Draws(torch.Tensor(angles), torch.Tensor(turns), torch.from_numpy(noise))


Change = Callable[[Scene[Tensor], float, Draws], Scene[Tensor]]
"""A scene, a strength and draws to a scene whose pictures may leave 0 to 1."""


class Condition(NamedTuple):
    """A way to make a frame harder whose truth stays true; pictures stay 8 bits, 0 to 1."""

    label: str  # what happens to the frames
    unit: str  # of its strength
    bounds: tuple[float, float] | None  # of a strength; None where `params.yaml` has none
    apply: Change
    neutral: float = 0.0  # the strength that changes nothing
    is_falling: bool = False  # whether frames get harder as the strength falls


CONDITIONS: dict[str, Condition] = {}
"""In the order of tables and plots; a new one is a function under `condition` and its strengths in
`params.yaml`."""


def condition(
    label: str, unit: str, bounds: tuple[float, float], **about: Any
) -> Callable[[Change], Change]:
    """Enter a change into `CONDITIONS` under its name; arguments are fields of `Condition`."""

    def decorate(apply: Change) -> Change:
        CONDITIONS[apply.__name__] = Condition(label, unit, bounds, apply, **about)
        return apply

    return decorate


@condition("Plate shifted", "px", (0, 64))
def shift(scene: Scene[Tensor], px: float, draws: Draws) -> Scene[Tensor]:
    height, width = scene.bg.shape[-2:]
    theta = torch.eye(2, 3).repeat(len(scene.bg), 1, 1)
    theta[:, 0, 2] = 2 * px / width * draws.direction.cos()
    theta[:, 1, 2] = 2 * px / height * draws.direction.sin()
    return scene._replace(bg=_warp(theta, scene.bg))


@condition("Plate rotated", "degrees", (0, 180))
def rotation(scene: Scene[Tensor], degrees: float, draws: Draws) -> Scene[Tensor]:
    height, width = scene.bg.shape[-2:]
    angle = torch.deg2rad(degrees * draws.turn)
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    rows = (cos, -sin * height / width, zero, sin * width / height, cos, zero)
    return scene._replace(bg=_warp(torch.stack(rows, 1).view(-1, 2, 3), scene.bg))


def _warp(theta: Tensor, image: Tensor) -> Tensor:
    """Cubic, for a camera that moves does not blur; beyond the edge the edge goes on."""
    grid = F.affine_grid(theta, list(image.shape), align_corners=False)
    return F.grid_sample(image, grid, mode="bicubic", padding_mode="border", align_corners=False)


@condition("Plate brighter or darker", "stops of the stored values", (-4, 4))
def exposure(scene: Scene[Tensor], stops: float, draws: Draws) -> Scene[Tensor]:
    """As the compositor's `plate_light`: a stop of stored values is over two of light."""
    return scene._replace(bg=scene.bg * 2**stops)


@condition("Noise", "sigma, of a range 0 to 1", (0, 1))
def noise(scene: Scene[Tensor], sigma: float, draws: Draws) -> Scene[Tensor]:
    return scene._replace(
        bg=scene.bg + sigma * draws.noise[:, :3], bg_fg=scene.bg_fg + sigma * draws.noise[:, 3:]
    )


@condition("JPEG", "quality; 100: no JPEG", (1, 100), neutral=100.0, is_falling=True)
def jpeg(scene: Scene[Tensor], quality: float, draws: Draws) -> Scene[Tensor]:
    """With 4:2:0 colour, as cameras write it."""

    def through_jpeg(images: Tensor) -> Tensor:
        decoded = []
        for picture in (images * 255).round().byte().permute(0, 2, 3, 1).numpy():
            file = io.BytesIO()
            Image.fromarray(picture).save(file, "JPEG", quality=round(quality), subsampling="4:2:0")
            decoded.append(np.asarray(Image.open(file)))
        return torch.from_numpy(np.stack(decoded)).permute(0, 3, 1, 2) / 255

    return scene._replace(bg=through_jpeg(scene.bg), bg_fg=through_jpeg(scene.bg_fg))


@condition("Dressed like the wall", "share of the wall's colour", (0, 1))
def camouflage(scene: Scene[Tensor], share: float, draws: Draws) -> Scene[Tensor]:
    """The person's colours moved by `share` towards the mean colour of the room that they hide, as
    bright or dark from fold to fold as their own clothes are."""
    mask, room = scene.mask, scene.bg * light_between(scene).exp()
    # without what of the room shows through at the rim
    person = (scene.bg_fg - (1 - mask) * room) / mask.clamp_min(LEAST_ALPHA)
    luminance = (person * person.new_tensor(LUMINANCE).view(1, 3, 1, 1)).sum(1, keepdim=True)
    folds = luminance.clamp_min(1e-3) ** FOLDS
    area = mask.sum((2, 3), keepdim=True).clamp_min(1e-3)
    mean_room = (room * mask).sum((2, 3), keepdim=True) / area
    mean_folds = (folds * mask).sum((2, 3), keepdim=True) / area
    wall = mean_room * folds / mean_folds.clamp_min(1e-3)
    return scene._replace(bg_fg=scene.bg_fg + share * mask * (wall - person))


def light_between(scene: Scene[Tensor]) -> Tensor:
    """By what the whole frame is brighter than the plate, log, N x 3 x 1 x 1: the median over the
    pixels without anything of the person beside them, so that no shadow counts; 0 without such."""
    room = F.max_pool2d(scene.mask, 3, stride=1, padding=1) == 0
    ratio = ((scene.bg_fg + DARKEST) / (scene.bg + DARKEST)).log()
    median = torch.where(room, ratio, torch.nan).flatten(2).nanmedian(2).values
    return median.nan_to_num(0.0)[..., None, None]


# It has frames of its own, and no strengths in params.yaml: see `robustness_table`.
CONDITIONS["nobody"] = Condition("Nobody in the frame", "stops of the plate", None, exposure)


def make_harder(scene: Scene[Tensor], name: str, strength: float, draws: Draws) -> Scene[Tensor]:
    """Change a batch by a condition: at its neutral strength the very batch, else 8 bits again."""
    if strength == CONDITIONS[name].neutral:
        return scene
    return to_8_bits(CONDITIONS[name].apply(scene, strength, draws))


def check_strengths(strengths: Mapping[str, Sequence[float]]) -> None:
    """Raise InputError for a condition that there is not, or a strength out of its range."""
    known = {name: each.bounds for name, each in CONDITIONS.items() if each.bounds}
    for name, values in strengths.items():
        if name not in known:
            raise InputError(f"unknown condition {name!r}; use one of {', '.join(known)}")
        least, most = known[name]
        if not all(least <= value <= most for value in values):
            raise InputError(f"{name} lies between {least:g} and {most:g}, not {list(values)}")
        if len(set(values)) < len(values):
            raise InputError(f"the strengths of {name} must differ, not {list(values)}")
