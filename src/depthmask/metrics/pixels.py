"""Which pixels of a depth map count, and how a value per scene says that one does not."""

from typing import NamedTuple, Self

import torch
from torch import Tensor

SMALLEST_DEPTH_M = 1e-6


class KnownPixels(NamedTuple):
    """Predicted and true depth where the truth is known, in float64.

    Attributes:
        found: predicted, N x 1 x H x W; 1 where it does not count or is not finite.
        true: the truth, same shape; 1 where it is unknown.
        known: whether a pixel counts, bool, same shape.
        spoilt: N, bool: a pixel that counts is predicted NaN or infinite.
    """

    found: Tensor
    true: Tensor
    known: Tensor
    spoilt: Tensor

    @classmethod
    def of(cls, depth: Tensor, true_depth: Tensor) -> Self:
        """Pair a prediction with a truth, both N x 1 x H x W."""
        check_shapes(depth, true_depth)
        depth, true_depth = doubled(depth), doubled(true_depth)
        known, finite = is_known(true_depth), depth.isfinite()
        # Set before any division or logarithm: 0 x NaN would spoil the sums.
        return cls(
            found=torch.where(known & finite, depth, 1.0),
            true=torch.where(known, true_depth, 1.0),
            known=known,
            spoilt=(known & ~finite).flatten(1).any(1),
        )

    def mean(self, errors: Tensor) -> Tensor:
        """The mean over each scene's pixels that count, N; NaN for a scene without any."""
        counted = torch.where(self.known, errors, 0.0).flatten(1).sum(1)
        return counted / self.known.flatten(1).sum(1)

    def scored(self, values: Tensor, worst: float) -> Tensor:
        """The values, N; `worst` for a scene whose prediction is not a number."""
        return values.masked_fill(self.spoilt, worst)


def doubled(values: Tensor) -> Tensor:
    """As float64, in which a scene's figure does not depend on its batch."""
    return where_doubles_are(values).double()


def where_doubles_are(values: Tensor) -> Tensor:
    """On a device that has float64: Apple's MPS has none, what lies there goes to the CPU."""
    return values.cpu() if values.device.type == "mps" else values


def is_known(true_depth: Tensor) -> Tensor:
    """Whether a pixel's true depth counts: finite and above 0."""
    return true_depth.isfinite() & (true_depth > 0)


def check_shapes(predicted: Tensor, true: Tensor) -> None:
    """Refuse tensors that do not lie pixel on pixel.

    Raises:
        ValueError: the shapes differ.
    """
    if predicted.shape != true.shape:
        raise ValueError(
            f"the prediction is {tuple(predicted.shape)} and the truth {tuple(true.shape)}; "
            "resize the prediction to the truth's size"
        )
