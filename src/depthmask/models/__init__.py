"""The networks, by the name that an experiment gives them."""

from collections.abc import Sequence

from torch import nn

from depthmask.errors import InputError
from depthmask.models.base import NEUTRAL_MEAN, NEUTRAL_STD, PairModel, Prediction
from depthmask.models.depthmasknet import DepthMaskNet8
from depthmask.models.masknet import MaskNet3

__all__ = ["MODELS", "DepthMaskNet8", "MaskNet3", "PairModel", "Prediction", "build_model"]

MODELS: dict[str, type[nn.Module]] = {"depthmasknet8": DepthMaskNet8, "masknet3": MaskNet3}


def build_model(
    name: str,
    *,
    mean: Sequence[float] = NEUTRAL_MEAN,
    std: Sequence[float] = NEUTRAL_STD,
    mask_prior: float = 0.04,
    depth_range_m: Sequence[float] = (0.5, 25.0),
) -> PairModel:
    """Make a network with fresh weights.

    Args:
        name: a key of `MODELS`.
        mean: of the images' three channels, 0 to 1.
        std: of the images' three channels.
        mask_prior: the mask's first guess everywhere, the share of a frame that is person.
        depth_range_m: (near, far), metres, that a depth head spans; no matter to one without.

    Raises:
        InputError: no network has that name.
    """
    if name == "masknet3":
        return MaskNet3(mean=mean, std=std, mask_prior=mask_prior)
    if name == "depthmasknet8":
        return DepthMaskNet8(mean=mean, std=std, mask_prior=mask_prior, depth_range_m=depth_range_m)
    raise InputError(f"unknown model {name!r}; use one of {', '.join(sorted(MODELS))}")
