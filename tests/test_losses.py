"""Losses against values worked out by hand, at their extremes and in low precision."""

import math

import pytest
import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from depthmask.errors import InputError
from depthmask.models import Prediction, losses
from depthmask.models.losses import TERMS, SceneLoss


def logit(probability: Tensor) -> Tensor:
    return torch.logit(probability.clamp(1e-7, 1 - 1e-7))


def image(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).view(1, 1, 2, -1)


BLOB = torch.zeros(2, 1, 32, 32)
BLOB[0, :, 8:20, 10:16] = BLOB[1, :, 4:9, 20:30] = 1
MASKS = (BLOB, torch.zeros(1, 1, 32, 32), torch.ones(1, 1, 32, 32))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bce", -(math.log(0.5) + math.log(0.8) + math.log(0.2) + math.log(0.9)) / 4),
        ("rmse", math.sqrt((0.5**2 + 0.2**2 + 0.8**2 + 0.1**2) / 4 + 1e-6)),
        ("l1", (0.5 + 0.2 + 0.8 + 0.1) / 4),
        # overlap 1.3; squares 1.54 and 2; one pixel of smoothing
        ("dice", 1 - (2 * 1.3 + 1) / (1.54 + 2 + 1)),
    ],
)
def test_by_hand(name: str, expected: float) -> None:
    value = TERMS[name](logit(image(0.5, 0.8, 0.8, 0.1)), image(1, 1, 0, 0))
    assert value.item() == pytest.approx(expected, rel=1e-5)


def test_dice_is_a_mean_over_images_and_not_fooled_by_an_empty_mask() -> None:
    good, bad = image(1, 1, 0, 0), image(0, 0, 1, 1)
    both = losses.dice(logit(torch.cat((good, bad))), torch.cat((good, good)))
    assert both.item() == pytest.approx((0 + (1 - 1 / 5)) / 2, abs=1e-5)
    empty = torch.zeros(1, 1, 64, 64)
    assert losses.dice(empty - 50, empty).item() == pytest.approx(0, abs=1e-6)
    assert losses.dice(empty + 50, empty).item() > 0.999


@pytest.mark.parametrize("size", [(6, 6), (7, 30), (32, 48)])
def test_ssim_agrees_with_torchmetrics(size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 1, *size, generator=generator, requires_grad=True)
    target = torch.rand(3, 1, *size, generator=generator)
    for value, low in ((losses.ssim(logits, target), 0), (losses.raised_ssim(logits, target), 0.5)):
        images = (low + (1 - low) * image for image in (logits.sigmoid(), target))
        reference = 1 - structural_similarity_index_measure(*images, data_range=1.0)
        assert value.item() == pytest.approx(reference.item(), abs=1e-5)
        gradients = (torch.autograd.grad(loss, logits)[0] for loss in (value, reference))
        torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-7)


def test_raised_ssim_of_a_first_guess_hardly_pulls_everything_to_nobody() -> None:
    bias = torch.tensor(-3.2, requires_grad=True)  # 0.04 everywhere
    pulls = {}
    for name in ("ssim", "raised_ssim"):
        loss = TERMS[name](bias.expand(2, 1, 32, 32), BLOB)
        (pulls[name],) = torch.autograd.grad(loss, bias)
    assert 0 < 20 * pulls["raised_ssim"] < pulls["ssim"]


def test_ssim_too_small_names_the_smallest_valid() -> None:
    with pytest.raises(ValueError, match="side of 5 px; the smallest valid is 6"):
        losses.ssim(torch.zeros(1, 1, 5, 9), torch.zeros(1, 1, 5, 9))


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("mask", MASKS)
def test_truth_is_zero_and_wins(name: str, mask: Tensor) -> None:
    truth = TERMS[name](100 * mask - 50, mask)
    assert truth.item() == pytest.approx(0.001 if name == "rmse" else 0, abs=1e-5)
    for wrong in (50 - 100 * mask, 0 * mask, 0 * mask + 50, 0 * mask - 50):
        if not torch.equal((wrong > 0).float(), mask) or not wrong.any():
            assert TERMS[name](wrong, mask) > truth + 0.03


@pytest.mark.parametrize("name", TERMS)
def test_truth_wins_for_soft_targets(name: str) -> None:
    """A depth map: the plain Dice coefficient would prefer white to the truth."""
    depth = torch.linspace(0.1, 0.9, 32).expand(1, 1, 32, 32).contiguous()
    truth = TERMS[name](logit(depth), depth)
    shuffled = depth.flatten()[torch.randperm(32 * 32)].view_as(depth)
    flat = [value + 0 * depth for value in (0, 1, depth.mean())]
    for wrong in (*flat, shuffled, (depth + 0.05).clamp(max=1)):
        assert TERMS[name](logit(wrong), depth) > truth


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("extreme", [-50.0, 0.0, 50.0])
def test_values_and_gradients_are_finite(name: str, mask: Tensor, extreme: float) -> None:
    logits = torch.full_like(mask, extreme, requires_grad=True)
    value = TERMS[name](logits, mask)
    value.backward()
    assert value.isfinite() and logits.grad.isfinite().all()


def test_scene_loss_weighs_the_total_and_not_the_terms() -> None:
    mask_logits, depth_logits = torch.randn(2, 2, 1, 16, 16).unbind()
    mask, depth = torch.rand(2, 2, 1, 16, 16).unbind()
    loss = SceneLoss({"bce": 1, "dice": 0.5}, {"rmse": 2})
    total, terms = loss(Prediction(mask_logits, depth_logits), mask, depth)
    assert terms == {
        "mask_bce": losses.bce(mask_logits, mask),
        "mask_dice": losses.dice(mask_logits, mask),
        "depth_rmse": losses.rmse(depth_logits, depth),
    }
    expected = terms["mask_bce"] + 0.5 * terms["mask_dice"] + 2 * terms["depth_rmse"]
    assert total.item() == pytest.approx(expected.item(), rel=1e-6)
    # of a mask alone
    total, terms = SceneLoss({"bce": 3})(Prediction(mask_logits.requires_grad_(), None), mask)
    assert total.item() == pytest.approx(3 * terms["mask_bce"].item())
    assert total.requires_grad and not terms["mask_bce"].requires_grad


@pytest.mark.parametrize("name", TERMS)
def test_float32_under_autocast(name: str) -> None:
    logits = torch.randn(2, 1, 32, 32).bfloat16()
    target = torch.rand(2, 1, 32, 32)
    expected = TERMS[name](logits.float(), target)
    with torch.autocast("cpu", torch.bfloat16):
        total, terms = SceneLoss({name: 1})(Prediction(logits, None), target)
    assert total.dtype == terms[f"mask_{name}"].dtype == torch.float32
    assert total.item() == expected.item()


def test_an_unknown_term_names_the_known() -> None:
    with pytest.raises(InputError, match="unknown loss term 'iou'; use one of bce, rmse"):
        SceneLoss({"bce": 1}, {"iou": 1})
