"""The networks, by the name that an experiment gives them."""

from collections.abc import Sequence

from depthmask.errors import InputError
from depthmask.models.networks import DepthMaskNet8, MaskNet3, PairModel, Prediction

__all__ = ["MODELS", "DepthMaskNet8", "MaskNet3", "PairModel", "Prediction", "build_model"]

MODELS: dict[str, type[DepthMaskNet8] | type[MaskNet3]] = {
    "depthmasknet8": DepthMaskNet8,
    "masknet3": MaskNet3,
}


def build_model(
    name: str,
    *,
    mean: Sequence[float] = (0.5, 0.5, 0.5),
    std: Sequence[float] = (0.25, 0.25, 0.25),
    mask_prior: float = 0.04,
    depth_range_m: Sequence[float] = (0.5, 25.0),
) -> PairModel:
    """Make a network with fresh weights.

    Args:
        name: a key of `MODELS`; another is an InputError.
        mean, std: of the images' three channels, in units of their range 0 to 1.
        mask_prior: the mask's first guess everywhere, the share of a frame that is person.
        depth_range_m: (near, far), metres, that a depth head spans.
    """
    if name not in MODELS:
        raise InputError(f"unknown model {name!r}; use one of {', '.join(sorted(MODELS))}")
    return MODELS[name](mean=mean, std=std, mask_prior=mask_prior, depth_range_m=depth_range_m)
