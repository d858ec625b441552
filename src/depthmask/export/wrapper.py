"""A network with its resizing and decoding around it: from images to a mask and metres."""

import copy

import torch
from torch import Tensor, nn

from depthmask.models.depth_codec import decode_depth


class ExportWrapper(nn.Module):
    """A network with everything around it that a caller would otherwise have to know.

    In: bg and bg_fg, uint8, N x H x W x 3, RGB, any H and W.
    Out: mask, float32, N x H x W, 0 to 1; depth, float32, N x H x W, metres.

    It holds a copy of the model: on the CPU, in float32, in evaluation mode. The network sees
    S x S; what shrinks is low-pass filtered, what grows is interpolated.
    """

    def __init__(self, model: nn.Module, input_size: int) -> None:
        """Wrap a `depthmask.models` network that was trained at `input_size` px, which is S.

        Raises:
            ValueError: the model has no depth head.
        """
        super().__init__()
        if not model.has_depth:
            raise ValueError(f"{type(model).__name__} has no depth head: export a depthmasknet8")
        self.model = copy.deepcopy(model).cpu().float()
        self.input_size = input_size
        self.eval()

    def forward(self, bg: Tensor, bg_fg: Tensor) -> tuple[Tensor, Tensor]:
        height, width = bg.shape[1:3]
        prediction = self.model(self._shrink(bg), self._shrink(bg_fg))
        logits = torch.cat((prediction.mask_logits, prediction.depth_logits), dim=1)
        rows = resampling_matrix(self.input_size, height)
        columns = resampling_matrix(self.input_size, width)
        unit = torch.sigmoid(rows @ (logits @ columns.T))
        return unit[:, 0], decode_depth(unit[:, 1], self.model.get_buffer("depth_range_m"))

    def _shrink(self, image: Tensor) -> Tensor:
        """uint8 N x H x W x 3, 0 to 255, to float32 N x 3 x S x S, 0 to 1."""
        num, height, width, channels = image.shape
        size = self.input_size
        # Rows first, as one large product over the pixels as they lie in memory.
        rows = resampling_matrix(height, size) / 255 @ image.float().reshape(num, height, -1)
        rows = rows.reshape(num, size, width, channels).permute(0, 3, 1, 2)
        return rows @ resampling_matrix(width, size).T


def resampling_matrix(num_in: int, num_out: int) -> Tensor:
    """The weights of bilinear resizing with antialiasing: float32, num_out x num_in.

    Multiplying by it equals `interpolate(mode="bilinear", antialias=True)`: a triangle around
    each output's centre, as wide as the larger of the two pitches, normalised. As a product it
    gives the same numbers in torch and in every provider of onnxruntime; the operator Resize
    with antialias was wrong in the CUDA provider (onnxruntime issue 25264) and is missing in
    TensorRT. Counting in units of 1 / (2 num_in num_out) of the side keeps distances exact.
    """
    centres_out = (2 * torch.arange(num_out).unsqueeze(1) + 1) * num_in
    centres_in = (2 * torch.arange(num_in).unsqueeze(0) + 1) * num_out
    pitch = 2 * torch.sym_max(num_in, num_out)
    weights = (1 - (centres_in - centres_out).abs().float() / pitch).clamp(min=0)
    return weights / weights.sum(dim=1, keepdim=True)
