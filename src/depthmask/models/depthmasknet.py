"""DepthMaskNet8: one encoder over both images, a decoder for the mask and one for the depth."""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from depthmask.models.base import (
    NEUTRAL_MEAN,
    NEUTRAL_STD,
    PairModel,
    Prediction,
    conv_bn_relu,
    init_head,
    init_weights,
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
    """The person's mask and the scene's depth in one pass; 7,083,874 parameters.

    3.26 GMACs at 224 px. The mask's decoder feeds the depth's: where the person stands is where
    the room's depth does not hold.

    Tensors, for images of H x W px (an odd side is halved upwards), all at least 0:
        stem_bg, stem_bg_fg: N x 16 x H x W, one for each image.
        x3: N x 32 x H/2 x W/2, both images' encoders (16 channels each) concatenated.
        x4, x5, x6: N x 64, 128, 256 channels at 1/4, 1/8, 1/16.
        x7: N x 512 x H/32 x W/32, for the depth alone.
        m1, m2: N x 128 at 1/8 and N x 64 at 1/4, the mask's decoder, also added to the depth's.
        mask, depth: N x 1 x H x W, logits (any sign).

    `depth_range_m` is a buffer, float32, (near, far) in metres: what the depth's 0 and 1 mean,
    see `depthmask.models.depth_codec`.
    """

    has_depth: ClassVar[bool] = True
    min_side: ClassVar[int] = 32
    depth_range_m: Tensor

    def __init__(
        self,
        *,
        mean: Sequence[float] = NEUTRAL_MEAN,
        std: Sequence[float] = NEUTRAL_STD,
        mask_prior: float = 0.04,
        depth_range_m: Sequence[float] = (0.5, 25.0),
    ) -> None:
        super().__init__(mean=mean, std=std)
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
        """Find who stands in `bg_fg` and not in `bg`, and how far everything is.

        Args:
            bg: the empty room, N x 3 x H x W, RGB, 0 to 1, no side below 32.
            bg_fg: the same room with somebody in it, same shape and range.

        Returns:
            Logits of the mask and of the depth's code, N x 1 x H x W each.

        Raises:
            ValueError: the shapes are wrong; the message states the nearest valid size.
        """
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
