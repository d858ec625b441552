"""What makes a frame harder, each a pure function of scenes and a strength.

A plate was taken earlier: moved, turned or in other light it is the plate that changes, and what
is true of the frame stays true. Pictures stay what a camera delivers: 8 bits, 0 to 1.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Self

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from depthmask.data.scenes.scene import Scene
from depthmask.errors import InputError
from depthmask.evaluation.robustness.people import dressed_like_the_wall, with_shadow


class Draws(NamedTuple):
    """What chance decides of each of N scenes, the same at every strength.

    Attributes:
        direction: float32 [N], radians, where a shift goes.
        turn: float32 [N], 1 or -1, which way a rotation goes.
        noise: float32 [N, 6, H, W], of standard deviation 1; bg's three channels, then bg_fg's.
    """

    direction: Tensor
    turn: Tensor
    noise: Tensor

    @classmethod
    def of(cls, scene: Scene[Tensor], seed: int) -> Self:
        """Draw for a batch; a scene's numbers depend on the seed and its place alone."""
        height, width = scene.mask.shape[-2:]
        streams = [np.random.default_rng([seed, place]) for place in range(len(scene.mask))]
        angles, turns, noise = zip(
            *(
                (
                    stream.uniform(0, 2 * np.pi),
                    1 - 2 * stream.integers(2),
                    stream.standard_normal((6, height, width), np.float32),
                )
                for stream in streams
            ),
            strict=True,
        )
        device = scene.mask.device
        return cls(
            torch.tensor(angles, dtype=torch.float32, device=device),
            torch.tensor(turns, dtype=torch.float32, device=device),
            torch.from_numpy(np.stack(noise)).to(device),
        )


class Condition(NamedTuple):
    """A way to make a frame harder.

    Attributes:
        change: scene, strength and draws to a scene whose pictures may leave 0 to 1.
        least, most: what a strength may be.
        neutral: the strength that changes nothing.
    """

    change: Callable[[Scene[Tensor], float, Draws], Scene[Tensor]]
    least: float
    most: float
    neutral: float = 0.0


def harder(scene: Scene[Tensor], name: str, strength: float, draws: Draws) -> Scene[Tensor]:
    """Change a batch by one of `CONDITIONS`.

    Returns:
        At the neutral strength the very batch; else one with pictures of 8 bits.
    """
    condition = CONDITIONS[name]
    if strength == condition.neutral:
        return scene
    return as_taken(condition.change(scene, strength, draws))


def as_taken(scene: Scene[Tensor]) -> Scene[Tensor]:
    """Both pictures cut off at 0 and 1 and rounded to 8 bits."""
    bg, bg_fg = ((image.clamp(0, 1) * 255).round() / 255 for image in (scene.bg, scene.bg_fg))
    return scene._replace(bg=bg, bg_fg=bg_fg)


def shifted(scene: Scene[Tensor], px: float, draws: Draws) -> Scene[Tensor]:
    """The plate seen by a camera that pointed elsewhere by `px`, in each scene's direction."""
    height, width = scene.bg.shape[-2:]
    theta = torch.eye(2, 3, device=scene.bg.device).repeat(len(scene.bg), 1, 1)
    theta[:, 0, 2] = 2 * px / width * draws.direction.cos()
    theta[:, 1, 2] = 2 * px / height * draws.direction.sin()
    return scene._replace(bg=_seen_through(theta, scene.bg))


def rotated(scene: Scene[Tensor], degrees: float, draws: Draws) -> Scene[Tensor]:
    """The plate turned about the middle of the frame, one way or the other."""
    height, width = scene.bg.shape[-2:]
    angle = torch.deg2rad(degrees * draws.turn)
    cos, sin = angle.cos(), angle.sin()
    rows = (cos, -sin * height / width, sin * width / height, cos)
    theta = torch.zeros(len(angle), 2, 3, device=angle.device)
    theta[:, :, :2] = torch.stack(rows, 1).view(-1, 2, 2)
    return scene._replace(bg=_seen_through(theta, scene.bg))


def exposed(scene: Scene[Tensor], stops: float, draws: Draws) -> Scene[Tensor]:
    """The plate's stored values times 2^`stops`, as the compositor's `plate_light` does it.

    Stored values are about light to the power of 1 / 2.2: a stop of them is over two of light.
    """
    return scene._replace(bg=scene.bg * 2**stops)


def warmed(scene: Scene[Tensor], stops: float, draws: Draws) -> Scene[Tensor]:
    """The plate's red over blue times 2^`stops`, half of it in each; below 0 it is colder."""
    gains = torch.tensor([stops / 2, 0.0, -stops / 2], device=scene.bg.device).exp2()
    return scene._replace(bg=scene.bg * gains.view(1, 3, 1, 1))


def noisy(scene: Scene[Tensor], sigma: float, draws: Draws) -> Scene[Tensor]:
    """Independent noise of that standard deviation on every value of both pictures."""
    return scene._replace(
        bg=scene.bg + sigma * draws.noise[:, :3], bg_fg=scene.bg_fg + sigma * draws.noise[:, 3:]
    )


def compressed(scene: Scene[Tensor], quality: float, draws: Draws) -> Scene[Tensor]:
    """Both pictures through JPEG with 4:2:0 colour, as cameras write it."""
    return scene._replace(
        bg=_through_jpeg(scene.bg, round(quality)), bg_fg=_through_jpeg(scene.bg_fg, round(quality))
    )


def shadowed(scene: Scene[Tensor], strength: float, draws: Draws) -> Scene[Tensor]:
    """See `with_shadow`."""
    return with_shadow(scene, strength)


def camouflaged(scene: Scene[Tensor], share: float, draws: Draws) -> Scene[Tensor]:
    """See `dressed_like_the_wall`."""
    return dressed_like_the_wall(scene, share)


CONDITIONS: dict[str, Condition] = {
    "shift": Condition(shifted, 0, 64),
    "rotation": Condition(rotated, 0, 180),
    "exposure": Condition(exposed, -4, 4),
    "temperature": Condition(warmed, -4, 4),
    "noise": Condition(noisy, 0, 1),
    "jpeg": Condition(compressed, 1, 100, neutral=100.0),  # 100 stands for no JPEG at all
    "shadow": Condition(shadowed, 0, 10, neutral=1.0),
    "camouflage": Condition(camouflaged, 0, 1),
}


def check_strengths(strengths: Mapping[str, Sequence[float]]) -> None:
    """Raise InputError for a condition that there is not, or a strength out of its range."""
    for name, values in strengths.items():
        if name not in CONDITIONS:
            raise InputError(f"unknown condition {name!r}; use one of {', '.join(CONDITIONS)}")
        least, most = CONDITIONS[name].least, CONDITIONS[name].most
        if not all(least <= value <= most for value in values):
            raise InputError(f"{name} lies between {least:g} and {most:g}, not {list(values)}")
        if len(set(values)) < len(values):
            raise InputError(f"the strengths of {name} must differ, not {list(values)}")


def _seen_through(theta: Tensor, image: Tensor) -> Tensor:
    """Cubic, for a camera that moves does not blur; beyond the edge the edge goes on."""
    grid = F.affine_grid(theta, list(image.shape), align_corners=False)
    return F.grid_sample(image, grid, mode="bicubic", padding_mode="border", align_corners=False)


def _through_jpeg(images: Tensor, quality: int) -> Tensor:
    pixels = (images * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    decoded = []
    for picture in pixels:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling="4:2:0")
        decoded.append(np.asarray(Image.open(file)))
    return torch.from_numpy(np.stack(decoded)).to(images.device).permute(0, 3, 1, 2) / 255
