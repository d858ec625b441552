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
OF_GRADIENTS = {"grad", "sobel"}  # blind to a constant error


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bce", -(math.log(0.5) + math.log(0.8) + math.log(0.2) + math.log(0.9)) / 4),
        ("rmse", math.sqrt((0.5**2 + 0.2**2 + 0.8**2 + 0.1**2) / 4 + 1e-6)),
        ("l1", (0.5 + 0.2 + 0.8 + 0.1) / 4),
        # overlap 1.3; squares 1.54 and 2; one pixel of smoothing
        ("dice", 1 - (2 * 1.3 + 1) / (1.54 + 2 + 1)),
        ("dice_plain", 1 - (2 * 1.3 + 1) / (2.2 + 2 + 1)),
        # errors -0.5, -0.2, 0.8, 0.1: mean 0.05
        ("silog", math.sqrt((0.5**2 + 0.2**2 + 0.8**2 + 0.1**2) / 4 - 0.85 * 0.05**2 + 1e-6)),
        ("grad", (0.3 + 0.7 + 1.3 + 0.3) / 4),
        # borders repeated: at every pixel gx + gy, the differences 3 : 1 from its own row, column
        ("sobel", (3 * 0.3 - 0.7 + 3 * 0.7 - 0.3 + 4 * 1.3 + 4 * 0.3) / 8 / 2),
    ],
)
def test_by_hand(name: str, expected: float) -> None:
    value = TERMS[name](logit(image(0.5, 0.8, 0.8, 0.1)), image(1, 1, 0, 0))
    assert value.item() == pytest.approx(expected, rel=1e-5)


def test_person_l1_is_the_person_s_alone_and_a_mean_over_images() -> None:
    logits, target = logit(image(0.5, 0.8, 0.8, 0.1)), image(1, 1, 0, 0)
    person, nobody = image(1, 0.5, 0, 0), image(0, 0, 0, 0)
    value = losses.person_l1(logits, target, person)
    assert value.item() == pytest.approx((0.5 + 0.5 * 0.2) / (1.5 + 1), rel=1e-5)
    _, terms = SceneLoss({"bce": 1}, {"person_l1": 1})(Prediction(target, logits), person, target)
    assert terms["depth_person_l1"] == value
    pair = (torch.cat((each, each)) for each in (logits, target))
    both = losses.person_l1(*pair, torch.cat((person, nobody)))
    assert both.item() == pytest.approx(value.item() / 2)


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
    assert truth.item() == pytest.approx(0.001 if name in ("rmse", "silog") else 0, abs=1e-5)
    for wrong in (50 - 100 * mask, 0 * mask, 0 * mask + 50, 0 * mask - 50):
        if not torch.equal((wrong > 0).float(), mask) or not wrong.any():
            least = -1e-6 if name in OF_GRADIENTS else 0.03
            assert TERMS[name](wrong, mask) >= truth + least


@pytest.mark.parametrize("name", TERMS)
def test_truth_wins_for_soft_targets_but_in_the_plain_dice(name: str) -> None:
    depth = torch.linspace(0.1, 0.9, 32).expand(1, 1, 32, 32).contiguous()
    truth = TERMS[name](logit(depth), depth)
    shuffled = depth.flatten()[torch.randperm(32 * 32)].view_as(depth)
    white, *flat = (value + 0 * depth for value in (1, 0, depth.mean()))
    assert (TERMS[name](logit(white), depth) > truth) == (name != "dice_plain")
    for wrong in (*flat, shuffled):
        assert TERMS[name](logit(wrong), depth) > truth
    shifted = TERMS[name](logit(depth + 0.05), depth)
    assert shifted < truth if name == "dice_plain" else shifted > truth - 1e-6


def test_a_wrong_scale_costs_silog_less_and_terms_of_gradients_nothing() -> None:
    depth = torch.linspace(0.1, 0.9, 32).expand(1, 1, 32, 32).contiguous()
    scaled, swung = logit(depth + 0.05), logit(depth + 0.05 * (-1) ** torch.arange(32))
    assert losses.silog(swung, depth).item() == pytest.approx(math.sqrt(0.05**2 + 1e-6), rel=1e-4)
    scale_alone = math.sqrt(0.15 * 0.05**2 + 1e-6)
    assert losses.silog(scaled, depth).item() == pytest.approx(scale_alone, rel=1e-4)
    for term in (losses.grad, losses.sobel):
        assert term(scaled, depth) < 1e-5


def test_grad_sees_four_scales() -> None:
    target = torch.full((1, 1, 16, 16), 0.5)
    ramp = target + torch.linspace(-0.15, 0.15, 16)  # 0.02 a px; at scale k 2^k times that
    shares = (15 / 16, 7 / 8, 3 / 4, 1 / 2)  # of the pixels with a neighbour to the right
    expected = sum(0.02 * 2**scale * share for scale, share in enumerate(shares))
    assert losses.grad(logit(ramp), target).item() == pytest.approx(expected, rel=1e-4)


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
