"""The plate in the light and from the place of the frame, so that a difference is a person.

Closed forms without weights; all products are element by element, which autocast leaves in float32.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

CLIPPED = 0.98  # of the range: a value above it tells nothing of the light
LIGHT_SCALE, MOTION_SCALE = 0.05, 0.2  # differences beyond these count little
LEVELS = (8, 4, 2, 1)  # px that are averaged, the coarsest first
# a room without any texture does not move; a person spoils the zoom most
RIDGE, ZOOM_RIDGE = 0.03, 0.1
HELPFUL = 0.95  # of the differences left: a motion that leaves more than this is none


def register(bg: Tensor, bg_fg: Tensor) -> Tensor:
    """Give bg the light and the camera pose of bg_fg; both N x 3 x H x W, 0 to 1, as the result.

    The light is a gain of each channel. The motion is a shift, a zoom and a turn, of pictures that
    may be squeezed: one step of Gauss and Newton a level, coarse to fine (Lucas and Kanade 1981),
    on grey values. Both are least squares whose weights fall with a pixel's difference (iteratively
    reweighted, Holland and Welsch 1977), so that a person, a shadow or a highlight hardly counts. A
    plate stays where it is if moving it does not help: light that changed in one part of a room
    alone looks like a motion.
    """
    valid = (torch.maximum(bg, bg_fg).amax(1, keepdim=True) < CLIPPED).float()
    bg = bg * _gain(bg, bg_fg, valid)
    grey = torch.cat((bg.mean(1, keepdim=True), valid, bg_fg.mean(1, keepdim=True)), 1)
    motion = torch.eye(2, 3, device=bg.device).expand(bg.shape[0], 2, 3)
    for side in LEVELS:
        plate, frame = (F.avg_pool2d(grey, side) if side > 1 else grey).split((2, 1), dim=1)
        motion = motion + _step(_moved(plate, motion), frame)
    moved = _moved(bg, motion)
    helps = _misfit(moved, bg_fg) < HELPFUL * _misfit(bg, bg_fg)
    return torch.where(helps, moved, bg).clamp(max=1)


def _misfit(bg: Tensor, bg_fg: Tensor) -> Tensor:
    """About the share of pixels that differ, N x 1 x 1 x 1 (Geman and McClure 1985)."""
    error = (bg_fg - bg.clamp(max=1)).square().mean(1, keepdim=True)
    return (error / (error + LIGHT_SCALE**2)).mean((2, 3), keepdim=True)


def _gain(bg: Tensor, bg_fg: Tensor, valid: Tensor) -> Tensor:
    """By what bg's channels are multiplied, N x 3 x 1 x 1."""
    weight, products, squares = valid, bg * bg_fg, bg.square()
    gain = torch.ones_like(bg[..., :1, :1])
    for _ in range(3):
        product, square = ((weight * x).mean((2, 3), keepdim=True) for x in (products, squares))
        gain = (product + 1e-4) / (square + 1e-4)
        error = (bg_fg - gain * bg).square().mean(1, keepdim=True)
        weight = valid / (1 + error / LIGHT_SCALE**2)
    return gain


def _step(plate: Tensor, frame: Tensor) -> Tensor:
    """The motion, N x 2 x 3, that is still missing; the plate's second channel is its weight."""
    plate, valid = plate.split(1, dim=1)
    height, width = frame.shape[-2:]
    middle = F.pad((plate + frame) / 2, (1, 1, 1, 1), mode="replicate")
    # change over half a side, the unit of a motion
    right = (middle[..., 1:-1, 2:] - middle[..., 1:-1, :-2]) * (width / 4)
    down = (middle[..., 2:, 1:-1] - middle[..., :-2, 1:-1]) * (height / 4)
    x, y = _places(frame)
    slopes = torch.cat((right * y, right, down * x, down, right * x + down * y), 1).flatten(2)
    error = frame - plate
    weighted = slopes * (valid / (1 + error.square() / MOTION_SCALE**2).square()).flatten(2)
    # made on the device: a copy to a GPU would wait for it
    ridge = F.pad(torch.full((4,), RIDGE, device=frame.device), (0, 1), value=ZOOM_RIDGE)
    normal = (weighted[:, :, None] * slopes[:, None]).mean(-1)
    turn_x, shift_x, turn_y, shift_y, zoom = _solve(
        normal + torch.diag(ridge),
        (weighted * error.flatten(2)).mean(-1, keepdim=True),
    ).unbind(1)
    return torch.stack((zoom, turn_x, shift_x, turn_y, zoom, shift_y), 1).view(-1, 2, 3)


def _solve(matrix: Tensor, vector: Tensor) -> Tensor:
    """Gauss and Jordan's elimination for N positive definite systems, which need no pivots; ONNX
    has no operator for it."""
    rows = torch.cat((matrix, vector), 2)
    identity = torch.eye(matrix.shape[1], device=matrix.device)
    for at in (slice(place, place + 1) for place in range(len(identity))):
        column = rows[:, :, at]
        rows = rows - (column - identity[:, at]) * (rows[:, at] / column[:, at])
    return rows[:, :, -1]


def _moved(images: Tensor, motion: Tensor) -> Tensor:
    """Sample images, N x C x H x W, where an affine map of `affine_grid` says."""
    x, y = _places(images)
    across, down, shift = (column[..., None, None] for column in motion.unbind(2))
    grid = (across * x + down * y + shift).permute(0, 2, 3, 1)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _places(images: Tensor) -> tuple[Tensor, Tensor]:
    """The pixels' middles across, W, and down, H x 1, from -1 to 1."""
    rows, columns = ((2 * torch.arange(side, device=images.device) + 1) / side - 1
                     for side in images.shape[-2:])  # fmt: skip
    return columns, rows[:, None]
