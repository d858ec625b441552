"""Mask metrics against cases worked out by hand and against torchmetrics."""

import math

import pytest
import torch
from torch import Tensor

from depthmask.metrics import MASK_METRICS, mask_boundary_f, mask_dice, mask_iou


def image(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).view(1, 1, 2, -1)


def box(top: int, left: int, height: int, width: int, side: int = 40) -> Tensor:
    mask = torch.zeros(1, 1, side, side)
    mask[..., top : top + height, left : left + width] = 1
    return mask


def test_mask_metrics_by_hand() -> None:
    """Two pixels found, three there, one in both."""
    prob, true = image(0.9, 0.6, 0.4, 0.2, 0.1, 0.5), image(1, 0, 1, 0.7, 0, 0)
    assert mask_iou(prob, true).tolist() == pytest.approx([1 / 4])
    assert mask_dice(prob, true).tolist() == pytest.approx([2 / 5])
    # above 0.15: four found, all three of them
    assert mask_iou(prob, true, 0.15).tolist() == pytest.approx([3 / 5])
    assert mask_dice(prob, true, 0.15).tolist() == pytest.approx([6 / 8])


@pytest.mark.parametrize("name", MASK_METRICS)
def test_empty_masks(name: str) -> None:
    metric = MASK_METRICS[name]
    empty, some = torch.zeros(1, 1, 12, 12), box(3, 3, 4, 4, side=12)
    assert metric(empty, empty).item() == 1
    assert metric(some, empty).item() == 0
    assert metric(empty, some).item() == 0
    assert metric(torch.ones_like(empty), empty).item() == 0  # no contour either
    assert metric(torch.ones_like(empty), torch.ones_like(empty)).item() == 1


@pytest.mark.parametrize("shift", range(5))
def test_boundary_f_of_a_line_by_hand(shift: int) -> None:
    """A half plane: its contour is a column, near the truth's up to a radius of 1 px."""
    true, found = box(0, 10, 40, 30), box(0, 10 + shift, 40, 30 - shift)
    assert math.ceil(0.008 * math.hypot(40, 40)) == 1
    assert mask_boundary_f(found, true).item() == (1 if shift <= 1 else 0)


def test_boundary_f_reaches_as_far_as_a_disc() -> None:
    """Radius 3 px at 256 px: a pixel's contour 2 px away across both axes counts, 3 px does not.

    A single pixel's contour is itself, and its neighbours to the left, above, and left above.
    """
    assert math.ceil(0.008 * math.hypot(256, 256)) == 3
    true = box(100, 100, 1, 1, side=256)
    assert mask_boundary_f(box(102, 102, 1, 1, side=256), true).item() == 1
    # a contour of 2 x 2 px, 4 px away across both: one corner of each lies sqrt(18) px off
    assert mask_boundary_f(box(104, 104, 1, 1, side=256), true).item() == 0
    # 3 px away across both: the near corners lie sqrt(8) px apart, in reach of a disc of 3 px;
    # the corners beside them sqrt(13) px, out of its reach and in that of a square
    assert mask_boundary_f(box(103, 103, 1, 1, side=256), true).item() == 1 / 4


def test_boundary_f_is_the_harmonic_mean() -> None:
    """All that is found is right, half of what is there is found."""
    true = box(5, 5, 8, 8) + box(25, 25, 8, 8)
    found = box(5, 5, 8, 8)
    assert mask_boundary_f(found, true).item() == pytest.approx(2 * 1 * 0.5 / 1.5)
    assert mask_boundary_f(true, found).item() == pytest.approx(2 * 1 * 0.5 / 1.5)


@pytest.mark.parametrize("name", MASK_METRICS)
@pytest.mark.parametrize("true", [0.0, 1.0])
def test_not_a_number_surfaces(name: str, true: float) -> None:
    mask_prob = torch.zeros(2, 1, 8, 8)
    mask_prob[1, 0, 3, 4] = math.nan
    first, second = MASK_METRICS[name](mask_prob, torch.full_like(mask_prob, true)).tolist()
    assert math.isfinite(first)
    assert second == -math.inf


@pytest.mark.parametrize("name", MASK_METRICS)
def test_the_true_mask_wins(name: str) -> None:
    metric, mask = MASK_METRICS[name], torch.cat([box(8, 6 + 4 * i, 20, 6) for i in range(6)])
    order = torch.randperm(1600, generator=torch.Generator().manual_seed(0))
    shuffled = mask.flatten(1)[:, order].view_as(mask)
    assert (metric(mask, mask) == 1).all()
    for wrong in (torch.ones_like(mask), torch.zeros_like(mask), mask.roll(1, 0), shuffled):
        assert (metric(wrong, mask) < 0.9).all()


def test_iou_and_dice_agree_with_torchmetrics_except_on_empty_masks() -> None:
    """There torchmetrics has no value, -1 or NaN; ours is 1, or nobody there would not count."""
    from torchmetrics.functional.segmentation import dice_score, mean_iou

    generator = torch.Generator().manual_seed(0)
    prob, true = torch.rand((2, 5, 1, 24, 24), generator=generator).unbind()
    found = (prob > 0.6).int()
    there = (true > 0.6).int()
    assert torch.allclose(mask_iou(prob, true, 0.6), mean_iou(found, there).double())
    dices = dice_score(found, there, num_classes=1)
    assert torch.allclose(mask_dice(prob, true, 0.6), dices.double())
    empty = torch.zeros(1, 1, 8, 8, dtype=torch.int)
    assert not mean_iou(empty, empty).item() >= 0
    assert dice_score(empty, empty, num_classes=1).isnan().all()


def test_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="resize the prediction"):
        mask_iou(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 1, 1))
