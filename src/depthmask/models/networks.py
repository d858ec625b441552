"""DepthMaskNet8 and MaskNet3, layer by layer those of the seed document's tables."""

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from depthmask.data.scenes.scene import REFERENCE_FOCAL
from depthmask.models.depth_codec import decode_depth
from depthmask.models.registration import register


class Prediction(NamedTuple):
    """Logits of a batch of scenes, N x 1 x H x W each; without a depth head, no depth."""

    mask_logits: Tensor
    depth_logits: Tensor | None

    def decode(
        self, range_m: Tensor | Sequence[float], focal: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """In float32 the mask, the share of person in a pixel, and the depth, metres, or None;
        `focal` as in a `Scene`."""
        mask = self.mask_logits.float().sigmoid()
        if self.depth_logits is None:
            return mask, None
        depth = decode_depth(self.depth_logits.float().sigmoid(), range_m)
        return mask, depth if focal is None else depth * (focal / REFERENCE_FOCAL)


class PairModel(nn.Module, ABC):
    """A network that takes an empty room (`bg`) and the same room with somebody in it (`bg_fg`).

    Both are N x 3 x H x W, RGB, 0 to 1; another shape is a ValueError. The images' `mean` and
    `std` (float32, 1 x 3 x 1 x 1) and the depth's range, (near, far) in metres, are buffers: they
    travel with the weights.

    Args:
        mean, std: of the images' three channels, in units of their range 0 to 1.
        mask_prior: the mask's first guess everywhere, the share of a frame that is person.
        depth_range_m: what a depth head's 0 and 1 mean.

    Attributes:
        has_depth: whether a `Prediction` holds depth.
        min_side: px, the smallest height and width that the network takes.
    """

    has_depth: ClassVar[bool]
    min_side: ClassVar[int] = 1
    mean: Tensor
    std: Tensor
    depth_range_m: Tensor
    mask: nn.Conv2d
    depth: nn.Conv2d

    def __init__(
        self,
        *,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.25, 0.25, 0.25),
        mask_prior: float = 0.04,
        depth_range_m: Sequence[float] = (0.5, 25.0),
    ) -> None:
        super().__init__()
        near, far = depth_range_m
        if not (min(std) > 0 and 0 < mask_prior < 1 and 0 <= near < far):
            raise ValueError(
                f"std {std} must be above 0, mask_prior {mask_prior} between 0 and 1, and"
                f" depth_range_m {near} to {far} rise from 0 or more"
            )
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, 3, 1, 1))
        range_m = torch.tensor((near, far), dtype=torch.float32)
        self.register_buffer("depth_range_m", range_m, persistent=self.has_depth)
        self.add_layers()
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # for layers with ReLU (He et al. 2015)
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        _start_head(self.mask, mask_prior)
        if self.has_depth:
            _start_head(self.depth, 0.5)

    @abstractmethod
    def add_layers(self) -> None:
        """Make the layers, with a 1 x 1 convolution called `mask` and, if it has one, `depth`."""

    def normalise(self, bg: Tensor, bg_fg: Tensor) -> tuple[Tensor, Tensor]:
        """Register bg, centre and scale both; a ValueError names the nearest valid shape."""
        # a comparison would fix the sizes of an exported graph
        if not torch.compiler.is_compiling():
            if bg.shape != bg_fg.shape or bg.shape[1:2] != (3,) or bg.ndim != 4:
                shapes = f"bg is {tuple(bg.shape)} and bg_fg {tuple(bg_fg.shape)}"
                raise ValueError(f"{shapes}; both must be N x 3 x H x W, of one shape")
            height, width = (max(side, self.min_side) for side in bg.shape[-2:])
            if (height, width) != bg.shape[-2:]:
                raise ValueError(
                    f"{type(self).__name__} got {tuple(bg.shape)}; the nearest valid size is "
                    f"{height} x {width} (no side below {self.min_side})"
                )
        bg = self.register(bg, bg_fg)
        return (bg - self.mean) / self.std, (bg_fg - self.mean) / self.std

    def register(self, bg: Tensor, bg_fg: Tensor) -> Tensor:
        """What bg is replaced by before both are centred and scaled."""
        return bg


class Encoder(nn.Module):
    """Half the size: pooled and convolved twice, plus a shortcut from the unpooled input.

    In N x num_in x H x W, out N x num_out x ceil(H / 2) x ceil(W / 2), at least 0.
    """

    def __init__(self, num_in: int, num_out: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            # ceil_mode: at an odd side the pool keeps the last row, as the shortcut's stride does.
            nn.MaxPool2d(2, ceil_mode=True),
            *conv_bn_relu(num_in, num_out, num_out),
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
        self.body = conv_bn_relu(num_out, num_out, num_out)

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
    """

    has_depth: ClassVar[bool] = True
    min_side: ClassVar[int] = 32

    def add_layers(self) -> None:
        self.stem_bg = conv_bn_relu(3, 16, 16)
        self.stem_bg_fg = conv_bn_relu(3, 16, 16)
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

    def forward(self, bg: Tensor, bg_fg: Tensor) -> Prediction:
        bg, bg_fg = self.normalise(bg, bg_fg)
        room, frame = self.stem_bg(bg), self.stem_bg_fg(bg_fg)
        x3 = self.compare(self.encoder_bg(room), self.encoder_bg_fg(frame))
        x4 = self.encoder4(x3)
        x5 = self.encoder5(x4)
        x6 = self.encoder6(x5)

        m1 = self.mask_decoder1(x6, x5)
        m2 = self.mask_decoder2(m1, x4)
        m3 = self.mask_decoder3(m2, x3)
        mask_logits = self.mask(self.mask_decoder4(m3, self.detail(room, frame)))

        x7 = self.encoder7(x6)
        d1 = self.depth_decoder1(x7, x6)
        d2 = self.depth_decoder2(d1, x5) + m1
        d3 = self.depth_decoder3(d2, x4) + m2
        d4 = self.depth_decoder4(d3, x3) + x3
        return Prediction(mask_logits, self.depth(self.depth_decoder5(d4, frame)))

    def compare(self, bg: Tensor, bg_fg: Tensor) -> Tensor:
        """What a pair of feature maps of bg and bg_fg is joined to at half size, 16 -> 32."""
        return torch.cat((bg, bg_fg), dim=1)

    def detail(self, bg: Tensor, bg_fg: Tensor) -> Tensor:
        """What the mask's last decoder is given at full size, 16 -> 16."""
        return bg_fg


class DepthMaskNet8Diff(DepthMaskNet8):
    """The same layers, given by how much bg_fg differs from bg at full and at half size, once bg is
    registered: see `register`. Both stems and both first encoders start alike, so that what the
    pictures have in common cancels at once.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.stem_bg_fg.load_state_dict(self.stem_bg.state_dict())
        self.encoder_bg_fg.load_state_dict(self.encoder_bg.state_dict())

    def register(self, bg: Tensor, bg_fg: Tensor) -> Tensor:
        return register(bg, bg_fg)

    def compare(self, bg: Tensor, bg_fg: Tensor) -> Tensor:
        return torch.cat(((bg_fg - bg).abs(), bg_fg), dim=1)

    def detail(self, bg: Tensor, bg_fg: Tensor) -> Tensor:
        return (bg_fg - bg).abs()


class MaskNet3(PairModel):
    """The mask from what differs within 7 px; 76,097 parameters, 3.79 GMACs at 224 px, no depth.

    Tensors, at least 0: both stems N x 32 x H x W, the body of their concatenation N x 64 x H x W.
    """

    has_depth: ClassVar[bool] = False

    def add_layers(self) -> None:
        self.stem_bg = conv_bn_relu(3, 32)
        self.stem_bg_fg = conv_bn_relu(3, 32)
        self.body = conv_bn_relu(64, 64, 64)
        self.mask = nn.Conv2d(64, 1, kernel_size=1)

    def forward(self, bg: Tensor, bg_fg: Tensor) -> Prediction:
        bg, bg_fg = self.normalise(bg, bg_fg)
        both = torch.cat((self.stem_bg(bg), self.stem_bg_fg(bg_fg)), dim=1)
        return Prediction(self.mask(self.body(both)), None)


def conv_bn_relu(*channels: int) -> nn.Sequential:
    """From each number of channels to the next a 3 x 3 convolution that keeps the size."""
    layers: list[nn.Module] = []
    for num_in, num_out in itertools.pairwise(channels):
        layers.append(nn.Conv2d(num_in, num_out, kernel_size=3, padding=1))
        layers += [nn.BatchNorm2d(num_out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def _start_head(head: nn.Conv2d, prior: float) -> None:
    """Make a head's first answer `prior`, above 0 and below 1, almost everywhere.

    Most pixels are nobody: a head that starts at one half spends its first epochs unlearning it
    (Lin et al. 2017).
    """
    nn.init.normal_(head.weight, std=0.05)
    nn.init.constant_(head.get_parameter("bias"), math.log(prior / (1 - prior)))


MODELS: dict[str, type[PairModel]] = {
    "depthmasknet8": DepthMaskNet8,
    "depthmasknet8_diff": DepthMaskNet8Diff,
    "masknet3": MaskNet3,
}
"""The networks, by the name that an experiment gives them."""
