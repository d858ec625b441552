"""Losses as data: each head's loss is a weighted sum of named terms.

A term takes logits and a target in 0..1, both N x 1 x H x W, and returns a scalar in float32,
whatever precision the network ran in. It is 0 or close to it (rmse and silog: 0.001) for the
truth and never lower for anything else, soft targets such as depth included. The exception is
`dice_plain`, which prefers white to a true depth map: it is here so that this can be reproduced.
"""

from collections.abc import Callable, Mapping
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from depthmask.errors import InputError
from depthmask.models import Prediction

Term = Callable[[Tensor, Tensor], Tensor]
TERMS: dict[str, Term] = {}
"""A term by the name that params.yaml gives it, that of its function."""
PersonTerm = Callable[[Tensor, Tensor, Tensor], Tensor]
PERSON_TERMS: dict[str, PersonTerm] = {}
"""Terms that take the true mask, N x 1 x H x W, too."""

SSIM_WINDOW_PX, SSIM_SIGMA_PX = 11, 1.5
C1, C2 = 0.01**2, 0.03**2  # of structural similarity, for a range of 1
MIN_SIDE_PX = SSIM_WINDOW_PX // 2 + 1  # a smaller image cannot be reflected at its borders
SILOG_LAMBDA = 0.85  # share of a common error that silog forgives; Eigen et al. 2014 take 0.5
GRAD_SCALES = 4


def term(function: Term) -> Term:
    """Make a function a term of params.yaml, by its name."""
    TERMS[function.__name__] = function
    return function


def person_term(function: PersonTerm) -> PersonTerm:
    PERSON_TERMS[function.__name__] = function
    return function


@person_term
def person_l1(logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute error of the sigmoid over the person's pixels, weighted by their share of each,
    mean over images, 0 to 1.

    A person is 5 % of a frame, and what is asked for is how far they are. As in `dice` a pixel of
    smoothing makes it 0 where nobody is.
    """
    error = mask * (logits.sigmoid() - target).abs()
    return (error.sum(dim=(1, 2, 3)) / (mask.sum(dim=(1, 2, 3)) + 1)).mean()


@term
def bce(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross entropy, mean over all pixels, in nats; at least a soft target's own entropy."""
    return F.binary_cross_entropy_with_logits(logits, target)


@term
def rmse(logits: Tensor, target: Tensor) -> Tensor:
    """sqrt(mean squared error + 1e-6, for a finite gradient) of the whole batch, 0.001 to 1."""
    return (F.mse_loss(logits.sigmoid(), target) + 1e-6).sqrt()


@term
def l1(logits: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error of the sigmoid, 0 to 1."""
    return F.l1_loss(logits.sigmoid(), target)


@term
def dice(logits: Tensor, target: Tensor) -> Tensor:
    """1 - Dice coefficient of the sigmoid, mean over images, 0 to 1.

    With squares in the denominator, 2 sum(pt) / (sum(p^2) + sum(t^2)) (Milletari et al. 2016,
    V-Net), the truth wins for soft targets too; the plain form prefers an all-white answer to a
    correct depth map. One pixel of smoothing in both halves makes an empty answer to an empty
    mask 0 and a full one nearly 1.
    """
    probability = logits.sigmoid()
    overlap = (probability * target).sum(dim=(1, 2, 3))
    total = (probability.square() + target.square()).sum(dim=(1, 2, 3))
    return (1 - (2 * overlap + 1) / (total + 1)).mean()


@term
def dice_plain(logits: Tensor, target: Tensor) -> Tensor:
    """The original's Dice loss, 1 - (2 sum(pt) + 1) / (sum(p) + sum(t) + 1) over the whole batch.

    For a soft target t its least value is not at p = t: a constant t of 0.5 scores 0.5 for the
    truth and 0.33 for white. On masks of zeros and ones the truth wins.
    """
    probability = logits.sigmoid()
    overlap = (probability * target).sum()
    return 1 - (2 * overlap + 1) / (probability.sum() + target.sum() + 1)


@term
def silog(logits: Tensor, target: Tensor) -> Tensor:
    """Scale-invariant log error: sqrt(mean(d^2) - 0.85 mean(d)^2 + 1e-6), mean over images, 0 to 1.

    d is the error of the depth's code, which is a logarithm: a wrong scale is a constant d
    (Eigen et al. 2014; the root and 0.85 from Lee et al. 2019, BTS).
    """
    error = logits.sigmoid() - target
    variance, mean = torch.var_mean(error, dim=(1, 2, 3), correction=0)
    return (variance + (1 - SILOG_LAMBDA) * mean.square() + 1e-6).sqrt().mean()


@term
def grad(logits: Tensor, target: Tensor) -> Tensor:
    """Sum over four scales of the mean absolute gradient of the error of the depth's code.

    At scale k every 2^k-th pixel counts, and the gradient is the difference to the next of them, to
    the right and below (Li and Snavely 2018, on log depth; Ranftl et al. 2020, MiDaS). Blind to
    a constant error: a term to go with others.
    """
    error = logits.sigmoid() - target
    total = error.new_zeros(())
    for scale in range(GRAD_SCALES):
        kept = error[..., :: 2**scale, :: 2**scale]
        total = total + sum(kept.diff(dim=dim).abs().sum() for dim in (-2, -1)) / kept.numel()
    return total


@term
def sobel(logits: Tensor, target: Tensor) -> Tensor:
    """Mean over pixels of |gx| + |gy|, Sobel's gradients, per px, of the sigmoid's error.

    They are linear: this is the L1 distance between the gradients of both. Blind to a constant
    error, as `grad` is.
    """
    error = F.pad(logits.sigmoid() - target, (1, 1, 1, 1), mode="replicate")
    gradients = F.conv2d(error, sobel_filters(error.device))
    return gradients.abs().sum(dim=1).mean()


@cache
def sobel_filters(device: torch.device) -> Tensor:
    across = torch.tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8
    return torch.stack((across, across.T)).unsqueeze(1).to(device)


@term
def ssim(logits: Tensor, target: Tensor) -> Tensor:
    """1 - structural similarity of the sigmoid, mean over images and pixels, 0 to 2.

    Wang et al. 2004: a Gaussian window of 11 px and sigma 1.5 px, constants 0.01 and 0.03 for a
    range of 1; beyond its border an image is reflected, so every pixel counts the same.
    """
    return 1 - similarity(logits.sigmoid(), target).mean()


@term
def raised_ssim(logits: Tensor, target: Tensor) -> Tensor:
    """The same of both moved to 0.5 to 1, for masks.

    The luminance is a ratio: at 0, where nearly all of a mask lies, it falls so steeply that a
    network learns to see nobody before anything else, and stays there.
    """
    return 1 - similarity(0.5 + 0.5 * logits.sigmoid(), 0.5 + 0.5 * target).mean()


def similarity(x: Tensor, y: Tensor) -> Tensor:
    """Structural similarity around each pixel of N x 1 x H x W, of a range of 1, as `ssim` says."""
    rows, columns = (blur_matrix(side, x.device, x.dtype) for side in x.shape[-2:])
    # the variances enter only as their sum, so one map serves both
    maps = torch.stack((x, y, x.square() + y.square(), x * y))
    mean_x, mean_y, squares, product = (rows @ maps @ columns.T).unbind()
    mean_xy, mean_squares = mean_x * mean_y, mean_x.square() + mean_y.square()
    found = (2 * mean_xy + C1) * (2 * (product - mean_xy) + C2)
    return found / ((mean_squares + C1) * (squares - mean_squares + C2))


@cache
def blur_matrix(side: int, device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """side x side: row i weighs the pixels of SSIM's window around i, reflected at the borders.

    On a CPU products with it are many times faster than convolutions with one channel.

    Raises:
        ValueError: the side is below 6 px, too small to reflect.
    """
    if side < MIN_SIDE_PX:
        raise ValueError(f"ssim got a side of {side} px; the smallest valid is {MIN_SIDE_PX}")
    reach = SSIM_WINDOW_PX // 2
    offset = torch.arange(-reach, reach + 1)
    window = torch.exp(-offset.to(dtype).square() / (2 * SSIM_SIGMA_PX**2))
    window = (window / window.sum()).expand(side, -1)
    pixel = (torch.arange(side).unsqueeze(1) + offset).abs()
    pixel = side - 1 - (side - 1 - pixel).abs()
    return torch.zeros(side, side, dtype=dtype).scatter_add_(1, pixel, window).to(device)


class SceneLoss:
    """The loss of an experiment: a weight by name of a term in `TERMS`, for each head; InputError
    if no term has that name."""

    def __init__(
        self, mask_terms: Mapping[str, float], depth_terms: Mapping[str, float] | None = None
    ) -> None:
        self.weights = {"mask": dict(mask_terms), "depth": dict(depth_terms or {})}
        for name in (*mask_terms, *self.weights["depth"]):
            if name not in (known := (*TERMS, *PERSON_TERMS)):
                raise InputError(f"unknown loss term {name!r}; use one of {', '.join(known)}")

    def __call__(
        self, prediction: Prediction, mask: Tensor, depth_unit: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Score a prediction against the true mask, 0 to 1, and the true depth's code, 0 to 1.

        Returns:
            The weighted total, and every term unweighted and detached, keyed `mask_bce`,
            `depth_rmse`, …; scalars in float32.
        """
        pairs = {"mask": (prediction.mask_logits, mask)}
        if self.weights["depth"]:
            assert prediction.depth_logits is not None and depth_unit is not None
            pairs["depth"] = (prediction.depth_logits, depth_unit)
        weighted: list[Tensor] = []
        values: dict[str, Tensor] = {}
        # bfloat16 has three digits: too few for sums over an image
        with torch.autocast(prediction.mask_logits.device.type, enabled=False):
            for head, (logits, target) in pairs.items():
                for name, weight in self.weights[head].items():
                    if name in TERMS:
                        value = TERMS[name](logits.float(), target.float())
                    else:
                        value = PERSON_TERMS[name](logits.float(), target.float(), mask.float())
                    weighted.append(weight * value)
                    values[f"{head}_{name}"] = value.detach()
        return torch.stack(weighted).sum(), values
