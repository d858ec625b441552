"""Metrics against cases worked out by hand; the perfect answer must win every one."""

import math

import pytest
import torch
from torch import Tensor

from depthmask.metrics import (
    DEPTH_METRICS,
    MASK_METRICS,
    SceneMetrics,
    align_depth,
    depth_abs_rel,
    depth_delta1,
    depth_rmse,
    mask_dice,
    mask_iou,
)

LOWER_IS_BETTER = ("depth_rmse", "depth_abs_rel")


def image(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).view(1, 1, 2, -1)


def scenes(num: int = 7) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Probabilities, depths and truths of `num` images; one has an empty mask."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.zeros(num, 1, 12, 12)
    for index in range(1, num):
        mask[index, :, 2 : 4 + index, 3:9] = 1
    depth_m = 0.5 + 8 * torch.rand(num, 1, 12, 12, generator=generator)
    mask_prob = (mask * 0.6 + 0.5 * torch.rand(mask.shape, generator=generator)).clamp(0, 1)
    predicted_m = depth_m * (0.7 + 0.6 * torch.rand(mask.shape, generator=generator))
    return mask_prob, predicted_m, mask, depth_m


def test_mask_metrics_by_hand() -> None:
    """Two pixels found, three there, one in both."""
    prob, true = image(0.9, 0.6, 0.4, 0.2, 0.1, 0.5), image(1, 0, 1, 0.7, 0, 0)
    assert mask_iou(prob, true).tolist() == pytest.approx([1 / 4])
    assert mask_dice(prob, true).tolist() == pytest.approx([2 / 5])
    # above 0.15: four found, all three of them
    assert mask_iou(prob, true, 0.15).tolist() == pytest.approx([3 / 5])
    assert mask_dice(prob, true, 0.15).tolist() == pytest.approx([6 / 8])


def test_empty_masks() -> None:
    empty, some = image(0, 0, 0, 0), image(1, 0, 0, 0)
    for metric in (mask_iou, mask_dice):
        assert metric(empty, empty).item() == 1
        assert metric(some, empty).item() == 0
        assert metric(empty, some).item() == 0


def test_depth_metrics_by_hand() -> None:
    """Ratios 1.2, 1/1.2, 1.5 and 1 of depths 1, 6, 2 and 4 m."""
    true_m, depth_m = image(1, 6, 2, 4), image(1.2, 5, 3, 4)
    assert depth_rmse(depth_m, true_m).item() == pytest.approx(math.sqrt((0.04 + 1 + 1) / 4))
    assert depth_abs_rel(depth_m, true_m).item() == pytest.approx((0.2 + 1 / 6 + 0.5) / 4)
    assert depth_delta1(depth_m, true_m).item() == pytest.approx(3 / 4)


def test_delta1_looks_both_ways_and_excludes_its_edge() -> None:
    assert depth_delta1(image(1.25, 1.24, 1 / 1.26, 1 / 1.24), image(1, 1, 1, 1)).item() == 0.5


@pytest.mark.parametrize("unknown", [0.0, -1.0, math.inf, math.nan])
def test_unknown_depths_do_not_count(unknown: float) -> None:
    true_m, depth_m = image(1, 6, unknown, unknown), image(2, 6, 9, 1)
    assert depth_rmse(depth_m, true_m).item() == pytest.approx(math.sqrt(1 / 2))
    assert depth_abs_rel(depth_m, true_m).item() == pytest.approx(1 / 2)
    assert depth_delta1(depth_m, true_m).item() == pytest.approx(1 / 2)


def test_depths_of_zero_and_less_are_wrong() -> None:
    true_m = image(1, 1, 1, 1)
    assert depth_delta1(image(0, -1, -1e9, 1), true_m).item() == 0.25


@pytest.mark.parametrize("metric", DEPTH_METRICS.values())
def test_not_a_number_stays_one(metric) -> None:
    assert metric(image(math.nan, 1, 1, 1), image(1, 1, 1, 1)).isnan().all()


@pytest.mark.parametrize("metric", MASK_METRICS.values())
@pytest.mark.parametrize("true", [0.0, 1.0])
def test_a_mask_of_nan_is_no_empty_mask(metric, true: float) -> None:
    mask_prob = torch.full((1, 1, 2, 2), math.nan)
    assert metric(mask_prob, torch.full((1, 1, 2, 2), true)).isnan().all()


@pytest.mark.parametrize("name", MASK_METRICS)
def test_the_true_mask_wins(name: str) -> None:
    *_, mask, _ = scenes()
    metric, mask = MASK_METRICS[name], mask[1:]
    shuffled = mask.flatten(1)[:, torch.randperm(144)].view_as(mask)
    assert (metric(mask, mask) == 1).all()
    for wrong in (torch.ones_like(mask), torch.zeros_like(mask), 0.51 + 0 * mask, shuffled):
        assert (metric(wrong, mask) < 0.9).all()


@pytest.mark.parametrize("name", DEPTH_METRICS)
def test_the_true_depth_wins(name: str) -> None:
    *_, depth_m = scenes()
    sign = 1 if name in LOWER_IS_BETTER else -1
    perfect = DEPTH_METRICS[name](depth_m, depth_m)
    assert torch.equal(perfect, torch.full_like(perfect, 0.0 if sign == 1 else 1.0))
    shuffled = depth_m.flatten(1)[:, torch.randperm(144)].view_as(depth_m)
    white, black = 0 * depth_m + 25.0, 0 * depth_m
    constant = depth_m.mean(dim=(1, 2, 3), keepdim=True).expand_as(depth_m)
    for wrong in (white, black, constant, shuffled):
        assert (sign * DEPTH_METRICS[name](wrong, depth_m) > sign * perfect + 0.1).all()


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7])
def test_accumulation_does_not_depend_on_the_batch_size(batch_size: int) -> None:
    batches = scenes()
    metrics = SceneMetrics()
    for parts in zip(*(tensor.split(batch_size) for tensor in batches), strict=True):
        metrics.update(*parts)
    mask_prob, depth_m, mask, true_m = batches
    expected = {name: f(mask_prob, mask, 0.5).mean().item() for name, f in MASK_METRICS.items()}
    expected |= {name: f(depth_m, true_m).mean().item() for name, f in DEPTH_METRICS.items()}
    assert metrics.compute() == pytest.approx(expected, rel=1e-5)


def test_threshold_reaches_the_masks() -> None:
    mask_prob, depth_m, mask, true_m = scenes()
    metrics = SceneMetrics(threshold=0.8)
    metrics.update(mask_prob, depth_m, mask, true_m)
    assert metrics.compute()["mask_iou"] == pytest.approx(mask_iou(mask_prob, mask, 0.8).mean())
    assert metrics.compute()["mask_iou"] != pytest.approx(mask_iou(mask_prob, mask, 0.5).mean())


def test_missing_heads_have_no_value() -> None:
    mask_prob, depth_m, mask, true_m = scenes()
    metrics = SceneMetrics()
    metrics.update(mask_prob, None, mask, true_m)
    assert sorted(metrics.compute()) == ["mask_dice", "mask_iou"]
    metrics.reset()
    assert metrics.compute() == {}
    metrics.update(None, depth_m, mask, true_m)
    assert sorted(metrics.compute()) == ["depth_abs_rel", "depth_delta1", "depth_rmse"]


def test_images_without_a_known_depth_do_not_count() -> None:
    mask_prob, depth_m, mask, true_m = scenes(4)
    true_m[2] = 0
    metrics = SceneMetrics()
    metrics.update(mask_prob, depth_m, mask, true_m)
    counted = [0, 1, 3]
    expected = depth_rmse(depth_m[counted], true_m[counted]).mean().item()
    assert metrics.compute()["depth_rmse"] == pytest.approx(expected)


def test_a_prediction_of_nan_shows() -> None:
    mask_prob, depth_m, mask, true_m = scenes(3)
    depth_m[1, 0, 0, 0] = math.nan
    metrics = SceneMetrics()
    metrics.update(mask_prob, depth_m, mask, true_m)
    values = metrics.compute()
    assert all(math.isnan(values[name]) for name in DEPTH_METRICS)
    assert not math.isnan(values["mask_iou"])


def test_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="resize the prediction"):
        mask_iou(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 1, 1))
    with pytest.raises(ValueError, match="resize the prediction"):
        depth_rmse(torch.ones(1, 1, 4, 4), torch.ones(1, 4, 4))


def affine_truth():
    generator = torch.Generator().manual_seed(0)
    return torch.rand((2, 1, 6, 8), generator=generator) * 8 + 1


@pytest.mark.parametrize("alignment", ["depth", "disparity"])
def test_alignment_undoes_scale_and_shift(alignment):
    true = affine_truth()
    found = 3 * true + 2 if alignment == "depth" else 1 / (0.4 / true + 0.3)
    assert torch.allclose(align_depth(found, true, alignment), true, rtol=1e-4)


def test_alignment_ignores_unknown_pixels_and_does_not_turn_a_map_inside_out():
    true = affine_truth()
    holes = true.clone()
    holes[:, :, :2] = torch.nan
    aligned = align_depth(2 * true + 1, holes, "depth")
    assert torch.allclose(aligned, true, rtol=1e-4)
    flat = align_depth(-true, true, "depth")
    assert torch.allclose(flat, true.mean((1, 2, 3), keepdim=True).expand_as(true))


def test_metrics_of_relative_depth_align_first():
    true, mask = affine_truth(), torch.zeros(2, 1, 6, 8)
    metrics = SceneMetrics(alignment="depth")
    metrics.update(None, 5 * true + 1, mask, true)
    assert metrics.compute()["depth_rmse"] == pytest.approx(0, abs=1e-4)
    plain = SceneMetrics()
    plain.update(None, 5 * true + 1, mask, true)
    assert plain.compute()["depth_rmse"] > 1
