"""DepthMaskNet8 and MaskNet3, layer by layer those of the seed document's tables."""

import math
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Prediction(NamedTuple):
    """Logits of a batch of scenes, N x 1 x H x W each.

    Attributes:
        mask_logits: the sigmoid is the share of person in a pixel, 0 to 1.
        depth_logits: the sigmoid is the code of `depth_codec`, 0 (near) to 1 (far); None from a
            network without a depth head.
    """

    mask_logits: Tensor
    depth_logits: Tensor | None


class PairModel(nn.Module):
    """A network that takes an empty room (`bg`) and the same room with somebody in it (`bg_fg`).

    Both are N x 3 x H x W, RGB, 0 to 1. The images' `mean` and `std` (float32, 1 x 3 x 1 x 1) are
    buffers: they travel with the weights.

    Attributes:
        has_depth: whether a `Prediction` holds depth.
        min_side: px, the smallest height and width that the network takes.
    """

    has_depth: ClassVar[bool]
    min_side: ClassVar[int]
    mean: Tensor
    std: Tensor
    depth_range_m: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
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
        """Raise a ValueError that names the nearest valid shape, unless the pair has one."""
        if torch.compiler.is_compiling():  # a comparison would fix the sizes of an exported graph
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


class Encoder(nn.Module):
    """Half the size: pooled and convolved twice, plus a shortcut from the unpooled input.

    In N x num_in x H x W, out N x num_out x ceil(H / 2) x ceil(W / 2), at least 0.
    """

    def __init__(self, num_in: int, num_out: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            # ceil_mode: at an odd side the pool keeps the last row, as the shortcut's stride does.
            nn.MaxPool2d(2, ceil_mode=True),
            *conv_bn_relu(num_in, num_out),
            *conv_bn_relu(num_out, num_out),
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(num_in, num_out, kernel_size=1, stride=2, bias=False),
            nn.BatchNorm2d(num_out),
        )

    def forward(self, features: Tensor) -> Tensor:
        body = self.body(features)
        # In place on the shortcut: no gradient needs its output, unlike the body's ReLU's.
        return F.relu(self.shortcut(features).add_(body), inplace=True)


class Decoder(nn.Module):
    """Up to the size of an encoder's features, which are added, then convolved twice.

    In N x num_in x h x w and `skip` N x num_out x H x W; out like `skip`, at least 0.
    """

    def __init__(self, num_in: int, num_out: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(num_in, num_out, kernel_size=1)
        self.body = nn.Sequential(*conv_bn_relu(num_out, num_out), *conv_bn_relu(num_out, num_out))

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        larger = F.interpolate(
            self.reduce(features), size=skip.shape[-2:], mode="bilinear", align_corners=False
        )
        return self.body(larger.add_(skip))


class DepthMaskNet8(PairModel):
    """Mask and depth in one pass; 7,083,874 parameters, 3.26 GMACs at 224 px.

    Tensors, for images of H x W px (an odd side is halved upwards), all at least 0:
        room, frame: N x 16 x H x W, the stems of bg and bg_fg.
        x3: N x 32 x H/2 x W/2, both encoders (16 channels each) concatenated.
        x4, x5, x6: N x 64, 128, 256 channels at 1/4, 1/8, 1/16.
        x7: N x 512 x H/32 x W/32, for the depth alone.
        m1, m2: N x 128 at 1/8 and N x 64 at 1/4, the mask's decoder, also added to the depth's.

    The buffer `depth_range_m`, float32 (near, far), metres, is what the depth's 0 and 1 mean.
    """

    has_depth: ClassVar[bool] = True
    min_side: ClassVar[int] = 32

    def __init__(
        self,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        mask_prior: float,
        depth_range_m: Sequence[float],
    ) -> None:
        super().__init__(mean, std)
        near, far = depth_range_m
        if not 0 <= near < far:
            raise ValueError(f"depth_range_m is {near} to {far}; it must satisfy 0 <= near < far")
        self.register_buffer("depth_range_m", torch.tensor((near, far), dtype=torch.float32))
        self.stem_bg = nn.Sequential(*conv_bn_relu(3, 16), *conv_bn_relu(16, 16))
        self.stem_bg_fg = nn.Sequential(*conv_bn_relu(3, 16), *conv_bn_relu(16, 16))
        self.encoder_bg = Encoder(16, 16)
        self.encoder_bg_fg = Encoder(16, 16)
        self.encoder4 = Encoder(32, 64)
        self.encoder5 = Encoder(64, 128)
        self.encoder6 = Encoder(128, 256)
        self.mask_decoder1 = Decoder(256, 128)
        self.mask_decoder2 = Decoder(128, 64)
        self.mask_decoder3 = Decoder(64, 32)
        self.mask_decoder4 = Decoder(32, 16)
        self.mask = nn.Conv2d(16, 1, kernel_size=1)
        self.encoder7 = Encoder(256, 512)
        self.depth_decoder1 = Decoder(512, 256)
        self.depth_decoder2 = Decoder(256, 128)
        self.depth_decoder3 = Decoder(128, 64)
        self.depth_decoder4 = Decoder(64, 32)
        self.depth_decoder5 = Decoder(32, 16)
        self.depth = nn.Conv2d(16, 1, kernel_size=1)
        init_weights(self)
        init_head(self.mask, mask_prior)
        init_head(self.depth, 0.5)

    def forward(self, bg: Tensor, bg_fg: Tensor) -> Prediction:
        """Logits of mask and depth; raises ValueError for wrong shapes or a side below 32 px."""
        self.check_pair(bg, bg_fg)
        room = self.stem_bg(self.normalise(bg))
        frame = self.stem_bg_fg(self.normalise(bg_fg))
        x3 = torch.cat((self.encoder_bg(room), self.encoder_bg_fg(frame)), dim=1)
        x4 = self.encoder4(x3)
        x5 = self.encoder5(x4)
        x6 = self.encoder6(x5)

        m1 = self.mask_decoder1(x6, x5)
        m2 = self.mask_decoder2(m1, x4)
        m3 = self.mask_decoder3(m2, x3)
        mask_logits = self.mask(self.mask_decoder4(m3, frame))

        x7 = self.encoder7(x6)
        d1 = self.depth_decoder1(x7, x6)
        d2 = self.depth_decoder2(d1, x5) + m1
        d3 = self.depth_decoder3(d2, x4) + m2
        d4 = self.depth_decoder4(d3, x3) + x3
        return Prediction(mask_logits, self.depth(self.depth_decoder5(d4, frame)))


class MaskNet3(PairModel):
    """The mask from what differs within 7 px; 76,097 parameters, 3.79 GMACs at 224 px, no depth.

    Tensors, at least 0: both stems N x 32 x H x W, the body of their concatenation N x 64 x H x W.
    """

    has_depth: ClassVar[bool] = False
    min_side: ClassVar[int] = 1

    def __init__(
        self,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        mask_prior: float,
        depth_range_m: Sequence[float],
    ) -> None:
        super().__init__(mean, std)
        self.stem_bg = nn.Sequential(*conv_bn_relu(3, 32))
        self.stem_bg_fg = nn.Sequential(*conv_bn_relu(3, 32))
        self.body = nn.Sequential(*conv_bn_relu(64, 64), *conv_bn_relu(64, 64))
        self.mask = nn.Conv2d(64, 1, kernel_size=1)
        init_weights(self)
        init_head(self.mask, mask_prior)

    def forward(self, bg: Tensor, bg_fg: Tensor) -> Prediction:
        """Logits of the mask, and None; raises ValueError for wrong shapes."""
        self.check_pair(bg, bg_fg)
        room = self.stem_bg(self.normalise(bg))
        frame = self.stem_bg_fg(self.normalise(bg_fg))
        return Prediction(self.mask(self.body(torch.cat((room, frame), dim=1))), None)


def conv_bn_relu(num_in: int, num_out: int) -> list[nn.Module]:
    """A 3 x 3 convolution that keeps the size, batch normalisation, ReLU in place."""
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
    """Make a head's first answer `prior`, above 0 and below 1, almost everywhere.

    Most pixels are nobody: a head that starts at one half spends its first epochs unlearning it
    (Lin et al. 2017).
    """
    if not 0 < prior < 1:
        raise ValueError(f"a head's prior is {prior}; it must lie between 0 and 1")
    nn.init.normal_(head.weight, std=0.05)
    assert head.bias is not None
    nn.init.constant_(head.bias, math.log(prior / (1 - prior)))


def _shape(image: Tensor) -> str:
    return " x ".join(str(side) for side in image.shape)
