"""Depth metrics and alignment against cases worked out by hand and against torchmetrics."""

import math

import pytest
import torch
from torch import Tensor

from depthmask.metrics import (
    DEPTH_METRICS,
    METRICS,
    align_depth,
    depth_abs_rel,
    depth_delta1,
    depth_delta2,
    depth_delta3,
    depth_log10,
    depth_rmse,
    depth_silog,
    depth_ssim,
)

POINTWISE = {name: metric for name, metric in DEPTH_METRICS.items() if name != "depth_ssim"}


def image(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).view(1, 1, 2, -1)


def depths(num: int = 4, side: int = 16) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return 0.5 + 8 * torch.rand(num, 1, side, side, generator=generator)


def test_depth_metrics_by_hand() -> None:
    """Ratios 1.2, 1/1.2, 1.5 and 1 of depths 1, 6, 2 and 4 m."""
    true_m, depth_m = image(1, 6, 2, 4), image(1.2, 5, 3, 4)
    assert depth_rmse(depth_m, true_m).item() == pytest.approx(math.sqrt((0.04 + 1 + 1) / 4))
    assert depth_abs_rel(depth_m, true_m).item() == pytest.approx((0.2 + 1 / 6 + 0.5) / 4)
    assert depth_delta1(depth_m, true_m).item() == pytest.approx(3 / 4)
    logs = [math.log(1.2), -math.log(1.2), math.log(1.5), 0]
    expected = sum(map(abs, logs)) / 4 / math.log(10)
    assert depth_log10(depth_m, true_m).item() == pytest.approx(expected)
    variance = sum(e**2 for e in logs) / 4 - (sum(logs) / 4) ** 2
    assert depth_silog(depth_m, true_m).item() == pytest.approx(100 * math.sqrt(variance))


def test_deltas_look_both_ways_and_exclude_their_edges() -> None:
    true_m = image(1, 1, 1, 1)
    assert depth_delta1(image(1.25, 1.24, 1 / 1.26, 1 / 1.24), true_m).item() == 0.5
    assert depth_delta2(image(1.25**2, 1.56, 1 / 1.57, 1 / 1.56), true_m).item() == 0.5
    assert depth_delta3(image(1.25**3, 1.95, 1 / 1.96, 1 / 1.95), true_m).item() == 0.5


def test_silog_forgives_a_scale_and_nothing_else() -> None:
    true_m = depths()
    assert (depth_silog(1.7 * true_m, true_m) < 1e-4).all()
    assert (depth_silog(true_m + 1, true_m) > 1).all()


@pytest.mark.parametrize("unknown", [0.0, -1.0, math.inf, math.nan])
@pytest.mark.parametrize("name", POINTWISE)
def test_unknown_depths_do_not_count(name: str, unknown: float) -> None:
    holes = image(1, 6, unknown, unknown)
    whole = torch.tensor([1.0, 6.0]).view(1, 1, 1, 2)
    expected = POINTWISE[name](torch.tensor([2.0, 6.0]).view(1, 1, 1, 2), whole)
    for anything in (image(2, 6, 9, 1), image(2, 6, math.nan, math.inf), image(2, 6, -1, 0)):
        assert torch.equal(POINTWISE[name](anything, holes), expected)


@pytest.mark.parametrize("unknown", [0.0, math.nan])
def test_ssim_looks_away_from_unknown_depths(unknown: float) -> None:
    true_m = depths()
    found = true_m * 1.1
    true_m[:, :, :5, 3:9] = unknown
    expected = depth_ssim(found, true_m)
    found[:, :, :5, 3:9] = torch.tensor([math.nan, 1e9, math.inf, 0, -1, 3])
    assert torch.equal(depth_ssim(found, true_m), expected)
    assert (expected < 1).all()
    assert (depth_ssim(torch.where(true_m > 0, true_m, 5), true_m) == 1).all()


@pytest.mark.parametrize("name", DEPTH_METRICS)
def test_an_image_without_known_depth_has_no_value(name: str) -> None:
    true_m = depths(3)
    true_m[1] = math.nan
    assert DEPTH_METRICS[name](depths(3), true_m).isnan().tolist() == [False, True, False]


def test_depths_of_zero_and_less_are_wrong() -> None:
    true_m = image(1, 1, 1, 1)
    for metric in (depth_delta1, depth_delta2, depth_delta3):
        assert metric(image(0, -1, -1e9, 1), true_m).item() == 0.25
    assert depth_log10(image(0, -1, -1e9, 1), true_m).item() == pytest.approx(6 * 3 / 4)


@pytest.mark.parametrize("name", DEPTH_METRICS)
@pytest.mark.parametrize("spoilt", [math.nan, math.inf])
def test_not_a_number_surfaces(name: str, spoilt: float) -> None:
    found = depths(2)
    found[1, 0, 2, 3] = spoilt
    first, second = DEPTH_METRICS[name](found, depths(2)).tolist()
    assert math.isfinite(first)
    assert second == (math.inf if METRICS[name].better == "lower" else -math.inf)


@pytest.mark.parametrize("name", DEPTH_METRICS)
def test_the_true_depth_wins(name: str) -> None:
    depth_m = depths()
    sign = 1 if METRICS[name].better == "lower" else -1
    perfect = DEPTH_METRICS[name](depth_m, depth_m)
    assert torch.equal(perfect, torch.full_like(perfect, 0.0 if sign == 1 else 1.0))
    order = torch.randperm(256, generator=torch.Generator().manual_seed(0))
    shuffled = depth_m.flatten(1)[:, order].view_as(depth_m)
    white, black = 0 * depth_m + 25.0, 0 * depth_m
    constant = depth_m.mean(dim=(1, 2, 3), keepdim=True).expand_as(depth_m)
    for wrong in (white, black, constant, shuffled):
        assert (sign * DEPTH_METRICS[name](wrong, depth_m) > sign * perfect + 0.1).all()


def test_ssim_of_constants_by_hand() -> None:
    """Where a flat wall is taken for a nearer one only the luminance counts.

    Its range is a thousandth of its depth, so that C1 is (0.01 x 0.004)^2 square metres.
    """
    true_m, found = torch.full((1, 1, 16, 16), 4.0), torch.full((1, 1, 16, 16), 2.0)
    c1 = (0.01 * 0.004) ** 2
    expected = (2 * 4 * 2 + c1) / (4**2 + 2**2 + c1)
    assert depth_ssim(found, true_m).item() == pytest.approx(expected, rel=1e-6)


def test_ssim_agrees_with_torchmetrics_image_by_image() -> None:
    from torchmetrics.functional.image import structural_similarity_index_measure

    true_m = depths()[..., :11] * torch.tensor([1, 2, 0.5, 3]).view(4, 1, 1, 1)
    found = true_m * (0.8 + 0.4 * depths()[..., :11].flip(0) / 8)
    expected = [
        structural_similarity_index_measure(
            f[None].double(), t[None].double(), data_range=float(t.max() - t.min())
        ).item()
        for f, t in zip(found, true_m, strict=True)
    ]
    assert depth_ssim(found, true_m).tolist() == pytest.approx(expected, abs=1e-9)


def test_ssim_too_small_names_the_nearest_valid() -> None:
    with pytest.raises(ValueError, match="nearest valid size is 6 x 9"):
        depth_ssim(torch.ones(1, 1, 5, 9), torch.ones(1, 1, 5, 9))


def test_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="resize the prediction"):
        depth_rmse(torch.ones(1, 1, 4, 4), torch.ones(1, 4, 4))


def affine_truth() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand((2, 1, 6, 8), generator=generator) * 8 + 1


@pytest.mark.parametrize("alignment", ["depth", "disparity"])
def test_alignment_undoes_scale_and_shift(alignment) -> None:
    true = affine_truth().double()
    found = 3 * true + 2 if alignment == "depth" else 1 / (0.4 / true + 0.3)
    assert torch.allclose(align_depth(found, true, alignment), true, rtol=1e-9)


@pytest.mark.parametrize("alignment", ["depth", "disparity"])
def test_alignment_ignores_unknown_pixels(alignment) -> None:
    true = affine_truth().double()
    holes, found = true.clone(), 2 * true
    holes[:, :, :2] = torch.nan
    found[:, :, 0], found[:, :, 1] = torch.nan, torch.inf
    aligned = align_depth(found, holes, alignment)
    assert torch.allclose(aligned[:, :, 2:], true[:, :, 2:], rtol=1e-9)


def test_alignment_does_not_turn_a_map_inside_out() -> None:
    true = affine_truth().double()
    flat = align_depth(-true, true, "depth")
    assert torch.allclose(flat, true.mean((1, 2, 3), keepdim=True).expand_as(true))


@pytest.mark.parametrize("alignment", ["depth", "disparity"])
@pytest.mark.parametrize("spoilt", [math.nan, math.inf])
def test_alignment_keeps_what_is_not_a_number(alignment, spoilt: float) -> None:
    true = affine_truth()
    found = true.clone()
    found[1, 0, 2, 3] = spoilt
    aligned = align_depth(found, true, alignment)
    assert aligned[0].isfinite().all()
    assert depth_rmse(aligned, true)[1].item() == math.inf
