"""What both networks share: their answer, how they see a pair of images, how layers begin."""

import math
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

NEUTRAL_MEAN = (0.5, 0.5, 0.5)
NEUTRAL_STD = (0.25, 0.25, 0.25)


class Prediction(NamedTuple):
    """What a network says about a batch of scenes, before the sigmoid.

    Attributes:
        mask_logits: N x 1 x H x W; the sigmoid is the share of person in a pixel, 0 to 1.
        depth_logits: N x 1 x H x W, or None from a network without a depth head; the sigmoid is
            the code of `depthmask.models.depth_codec`, 0 (near) to 1 (far).
    """

    mask_logits: Tensor
    depth_logits: Tensor | None


class PairModel(nn.Module):
    """A network that sees an empty room (`bg`) and the same room with somebody in it (`bg_fg`).

    What the pixels must go through travels with the weights: `mean` and `std` are buffers,
    float32, 1 x 3 x 1 x 1, in units of the image's range 0 to 1.

    Attributes:
        has_depth: whether a `Prediction` holds depth.
        min_side: px; the smallest height and width that the network takes.
    """

    has_depth: ClassVar[bool]
    min_side: ClassVar[int]
    mean: Tensor
    std: Tensor

    def __init__(self, *, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        for name, values in (("mean", mean), ("std", std)):
            if len(values) != 3:
                raise ValueError(f"{name} has {len(values)} values; give one a channel, 3")
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).view(1, 3, 1, 1))
        if min(std) <= 0:
            raise ValueError(f"std is {tuple(std)}; each value must be above 0")

    def normalise(self, image: Tensor) -> Tensor:
        """Centre and scale an image, N x 3 x H x W, 0 to 1."""
        return (image - self.mean) / self.std

    def check_pair(self, bg: Tensor, bg_fg: Tensor) -> None:
        """Refuse a pair that the network cannot take, and say which one it could.

        Raises:
            ValueError: not N x 3 x H x W, of different shape, or a side below `min_side`.
        """
        # An exported graph keeps its sizes open: a comparison here would fix them.
        if torch.compiler.is_compiling():
            return
        for name, image in (("bg", bg), ("bg_fg", bg_fg)):
            if image.ndim != 4 or image.shape[1] != 3:
                raise ValueError(f"{name} is {_shape(image)}; it must be N x 3 x H x W")
        if bg.shape != bg_fg.shape:
            raise ValueError(
                f"bg is {_shape(bg)} and bg_fg {_shape(bg_fg)}; give both one shape, "
                f"such as {_shape(bg_fg)}"
            )
        height, width = bg.shape[-2:]
        if min(height, width) < self.min_side:
            valid = f"{max(height, self.min_side)} x {max(width, self.min_side)}"
            raise ValueError(
                f"{type(self).__name__} got {height} x {width} px; the nearest valid size is "
                f"{valid} (no side below {self.min_side})"
            )


def conv_bn_relu(num_in: int, num_out: int) -> list[nn.Module]:
    """A 3 x 3 convolution that keeps the size, batch normalisation, ReLU.

    The ReLU overwrites the normalisation's output, which no gradient needs.
    """
    return [
        nn.Conv2d(num_in, num_out, kernel_size=3, padding=1),
        nn.BatchNorm2d(num_out),
        nn.ReLU(inplace=True),
    ]


def init_weights(model: nn.Module) -> None:
    """Draw every convolution for layers with ReLU (He et al. 2015); biases start at 0."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def init_head(head: nn.Conv2d, prior: float) -> None:
    """Make a head's first answer `prior` almost everywhere (Lin et al. 2017, focal loss).

    Most pixels are nobody: a head that starts at one half spends its first epochs unlearning it.

    Args:
        head: the last convolution, one output channel of logits.
        prior: the first guess, above 0 and below 1.
    """
    if not 0 < prior < 1:
        raise ValueError(f"a head's prior is {prior}; it must lie between 0 and 1")
    nn.init.normal_(head.weight, std=0.05)
    nn.init.constant_(head.bias, math.log(prior / (1 - prior)))


def _shape(image: Tensor) -> str:
    return " x ".join(str(side) for side in image.shape)
