"""MaskNet3: three layers of 3 x 3 convolutions at full size, a local difference detector."""

from collections.abc import Sequence
from typing import ClassVar

import torch
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


class MaskNet3(PairModel):
    """The person's mask from what differs within 7 px; 76,097 parameters, no depth.

    Every layer works at full size (3.79 GMACs at 224 px), so it is slower than DepthMaskNet8,
    which is a hundred times larger.

    Tensors, for images of H x W px:
        stem_bg, stem_bg_fg: N x 32 x H x W, one for each image, at least 0.
        body: N x 64 x H x W, at least 0, from both stems concatenated.
        mask: N x 1 x H x W, logits.
    """

    has_depth: ClassVar[bool] = False
    min_side: ClassVar[int] = 1

    def __init__(
        self,
        *,
        mean: Sequence[float] = NEUTRAL_MEAN,
        std: Sequence[float] = NEUTRAL_STD,
        mask_prior: float = 0.04,
    ) -> None:
        super().__init__(mean=mean, std=std)
        self.stem_bg = nn.Sequential(*conv_bn_relu(3, 32))
        self.stem_bg_fg = nn.Sequential(*conv_bn_relu(3, 32))
        self.body = nn.Sequential(*conv_bn_relu(64, 64), *conv_bn_relu(64, 64))
        self.mask = nn.Conv2d(64, 1, kernel_size=1)
        init_weights(self)
        init_head(self.mask, mask_prior)

    def forward(self, bg: Tensor, bg_fg: Tensor) -> Prediction:
        """Find who stands in `bg_fg` and not in `bg`.

        Args:
            bg: the empty room, N x 3 x H x W, RGB, 0 to 1.
            bg_fg: the same room with somebody in it, same shape and range.

        Returns:
            Logits of the mask, N x 1 x H x W, and None.

        Raises:
            ValueError: the shapes are wrong; the message states the nearest valid size.
        """
        self.check_pair(bg, bg_fg)
        room = self.stem_bg(self.normalise(bg))
        frame = self.stem_bg_fg(self.normalise(bg_fg))
        return Prediction(self.mask(self.body(torch.cat((room, frame), dim=1))), None)
