"""Metrics against cases worked out by hand, against torchmetrics, and against wrong predictions."""

import math

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from depthmask.metrics import METRICS, Metric, SceneMetrics, align_depth, metric, score_scenes
from depthmask.metrics.depth import person_distance_error

MASK, DEPTH, PERSON = (
    [name for name, each in METRICS.items() if each.part == part]
    for part in ("mask", "depth", "person")
)
WORST = {name: -math.inf if each.higher_is_better else math.inf for name, each in METRICS.items()}
TWINS = PERSON[:-1]  # metrics of the frame, on the person alone


def image(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).view(1, 1, 2, -1)


def measure(name: str, *tensors: Tensor) -> Tensor:
    return METRICS[name].function(*tensors)


def depths(num: int = 4, side: int = 16) -> Tensor:
    return 0.5 + 8 * torch.rand(num, 1, side, side, generator=torch.Generator().manual_seed(0))


def box(top: int, left: int, height: int, width: int, side: int = 40) -> Tensor:
    mask = torch.zeros(1, 1, side, side)
    mask[..., top : top + height, left : left + width] = 1
    return mask


def test_a_metric_is_added_in_one_place_and_has_its_words(monkeypatch):
    monkeypatch.setitem(METRICS, "mask_area", METRICS["mask_iou"])  # gone after the test

    @metric("area", "mask", higher_is_better=False)
    def mask_area(mask_prob, true_mask):
        """Difference of the areas."""
        return (mask_prob.mean((1, 2, 3)) - true_mask.mean((1, 2, 3))).abs().double()

    assert [*score_scenes(*scenes(), names=["mask_area", "mask_iou"])] == ["mask_iou", "mask_area"]
    assert list(METRICS) == [*MASK, *DEPTH, *PERSON, "mask_area"]
    assert all(each.name == name and each.text for name, each in METRICS.items())
    assert METRICS["mask_area"].text == "Difference of the areas."
    distance = METRICS["person_distance_error"]
    assert (distance.title, distance.spoken[0]) == ("Person’s distance error", "p")
    assert (distance.suffix("metre"), distance.suffix("relative")) == (" m", "")
    assert (distance.arrow, METRICS["mask_iou"].arrow) == ("↓", "↑")


def test_metrics_by_hand():
    """Two pixels found, three there, one in both; ratios 1.2, 1/1.2, 1.5, 1 of 1, 6, 2, 4 m."""
    masks = image(0.9, 0.6, 0.4, 0.2, 0.1, 0.5), image(1, 0, 1, 0.7, 0, 0)
    depths_m = image(1.2, 5, 3, 4), image(1, 6, 2, 4)
    logs = np.array([math.log(1.2), -math.log(1.2), math.log(1.5), 0])
    for name, expected in {
        "mask_iou": 1 / 4,
        "mask_dice": 2 / 5,
        "depth_rmse": math.sqrt((0.04 + 1 + 1) / 4),
        "depth_abs_rel": (0.2 + 1 / 6 + 0.5) / 4,
        "depth_delta1": 3 / 4,
        "depth_log10": abs(logs).mean() / math.log(10),
        "depth_silog": 100 * logs.std(),
    }.items():
        pair = masks if name in MASK else depths_m
        assert measure(name, *pair).item() == pytest.approx(expected), name
    # four pixels of six say twice the depth: that is taken for the scale
    doubled = measure("depth_delta1_aligned", image(2, 4, 6, 8, 5, 6), image(1, 2, 3, 4, 5, 6))
    assert doubled.item() == pytest.approx(4 / 6)
    for power in (1, 2, 3):  # deltas look both ways and exclude their edges
        edge, true_m = 1.25**power, image(1, 1, 1, 1)
        found = image(edge, edge - 0.01, 1 / (edge + 0.01), 1 / (edge - 0.01))
        assert measure(f"depth_delta{power}", found, true_m).item() == 0.5
        assert measure(f"depth_delta{power}", image(0, -1, -1e9, 1), true_m).item() == 0.25


@pytest.mark.parametrize("name", MASK)
def test_empty_masks_and_wrong_ones(name):
    empty, some = torch.zeros(1, 1, 12, 12), box(3, 3, 4, 4, side=12)
    assert measure(name, empty, empty).item() == 1
    assert measure(name, some, empty).item() == measure(name, empty, some).item() == 0
    assert measure(name, torch.ones_like(empty), empty).item() == 0  # no contour either
    assert measure(name, torch.ones_like(empty), torch.ones_like(empty)).item() == 1
    spoilt = torch.zeros(2, 1, 8, 8)
    spoilt[1, 0, 3, 4] = math.nan
    first, second = measure(name, spoilt, torch.ones(2, 1, 8, 8)).tolist()
    assert math.isfinite(first) and second == -math.inf
    with pytest.raises(ValueError, match="resize the prediction"):
        measure(name, torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 1, 1))


@pytest.mark.parametrize("side", [48, 96, 256])
def test_boundary_f_is_that_of_a_distance_transform(side):
    """By OpenCV's, within 0.008 of the diagonal: 1.09 px at 96 px, which is not rounded up."""
    true = box(side // 4, side // 3, side // 2, side // 5, side)
    found = box(side // 4 + 2, side // 3 - 1, side // 2 - 1, side // 5 + 1, side)
    contours, shares = [], []
    for mask in (found, true):
        there = np.pad(mask[0, 0].numpy(), (0, 1), mode="edge")
        others = (there[:-1, 1:], there[1:, :-1], there[1:, 1:])
        contours.append(np.any([there[:-1, :-1] != other for other in others], axis=0))
    for one, other in (contours, contours[::-1]):
        away = cv2.distanceTransform((~other).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        shares.append((away[one] <= 0.008 * math.hypot(side, side)).mean())
    expected = 2 * shares[0] * shares[1] / sum(shares)
    assert 0.1 < expected <= 1
    assert measure("mask_boundary_f", found, true).item() == pytest.approx(expected)


@pytest.mark.parametrize("unknown", [0.0, -1.0, math.inf, math.nan])
def test_unknown_depths_do_not_count(unknown):
    true_m, mask = depths(), torch.ones(4, 1, 16, 16)
    found = true_m * 1.1
    true_m[:, :, :5, 3:9], true_m[3] = unknown, unknown
    expected = score_scenes(None, found, mask, true_m)
    assert all(each.isnan().tolist() == [False] * 3 + [True] for each in expected.values())
    found[:, :, :5, 3:9] = torch.tensor([math.nan, 1e9, math.inf, 0, -1, 3])
    again = score_scenes(None, found, mask, true_m)
    torch.testing.assert_close(again, expected, equal_nan=True, rtol=0, atol=0)


def test_the_nearest_pixels_of_modest_s_depth_count():
    true = torch.arange(256.0).view(1, 1, 16, 16) / 255
    true[0, 0, 0] = 0
    found, mask = true.clone(), torch.ones_like(true)
    found[0, 0, 0] = 0.5  # wrong there alone
    figures = score_scenes(None, found, mask, true, alignment="depth")
    right = score_scenes(None, true, mask, true, alignment="depth")
    assert all(map(torch.isfinite, figures.values()))
    assert abs(figures["depth_rmse"] - right["depth_rmse"]) > 0.05 > figures["depth_ssim"] - 0.9
    metres = score_scenes(None, found, mask, true)
    assert metres["depth_rmse"].item() == pytest.approx(0)  # there 0 stands for unknown


@pytest.mark.parametrize("name", DEPTH)
def test_the_truth_is_perfect_and_not_a_number_surfaces(name):
    depth_m = depths()
    perfect = measure(name, depth_m, depth_m)
    assert torch.equal(perfect, torch.full_like(perfect, float(METRICS[name].higher_is_better)))
    depth_m[1, 0, 2, 3], depth_m[2, 0, 2, 3] = math.nan, math.inf
    values = measure(name, depth_m, depths()).tolist()
    assert math.isfinite(values[0]) and values[1:3] == [WORST[name]] * 2


def test_ssim_agrees_with_torchmetrics_image_by_image():
    """A flat wall's range is a thousandth of its depth, so that only the luminance counts."""
    true_m = depths()[..., :11].double() * torch.tensor([1, 2, 0.5, 3]).view(4, 1, 1, 1)
    found = true_m * (0.8 + 0.4 * depths()[..., :11].flip(0) / 8)
    for row, (f, t) in enumerate(zip(found, true_m, strict=True)):
        span = float(t.max() - t.min())
        expected = structural_similarity_index_measure(f[None], t[None], data_range=span).item()
        assert measure("depth_ssim", found, true_m)[row].item() == pytest.approx(expected, abs=1e-9)
    true_m, found = torch.full((1, 1, 16, 16), 4.0), torch.full((1, 1, 16, 16), 2.0)
    c1 = (0.01 * 0.004) ** 2
    expected = (2 * 4 * 2 + c1) / (4**2 + 2**2 + c1)
    assert measure("depth_ssim", found, true_m).item() == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="nearest valid size is 6 x 9"):
        measure("depth_ssim", torch.ones(1, 1, 5, 9), torch.ones(1, 1, 5, 9))


@pytest.mark.parametrize("alignment", ["depth", "disparity"])
def test_alignment_undoes_scale_and_shift_of_what_is_known(alignment):
    mask, true = torch.ones(2, 1, 8, 8), depths(2, 8).double()
    found = 3 * true + 2 if alignment == "depth" else 1 / (0.4 / true + 0.3)
    assert torch.allclose(align_depth(found, true, alignment), true, rtol=1e-9)
    figures = score_scenes(mask, found, mask, true, alignment=alignment)
    assert "person_distance_error" not in figures
    assert figures["depth_rmse"].amax() < 1e-5 and figures["person_rmse"].amax() < 1e-5
    holes = true.clone()
    holes[:, :, :2] = torch.nan
    found[:, :, 0], found[:, :, 1] = torch.nan, torch.inf
    aligned = align_depth(found, holes, alignment)
    assert torch.allclose(aligned[:, :, 2:], true[:, :, 2:], rtol=1e-9)
    found[1, 0, 2, 3] = math.inf
    assert measure("depth_rmse", align_depth(found, holes, alignment), holes)[1].item() == math.inf
    flat = align_depth(-true, true, "depth")  # a map is not turned inside out
    assert torch.allclose(flat, true.mean((1, 2, 3), keepdim=True).expand_as(true))


def test_only_the_person_s_pixels_count_and_the_distance_is_what_a_user_is_told():
    """Of a person 2 m away, 12 px large, before a wall 7 m away: the median over the largest
    region; a smaller one elsewhere does not count, and missing somebody never pays."""
    mask = box(3, 2, 4, 3, side=10)
    depth = torch.where(mask > 0, 2.0, 7.0)
    found = depth + 3  # at the person 5 m
    found[..., 3:5, 2:5] = 2.2  # and at half of it 2.2 m
    figures = score_scenes(None, found, mask, depth)
    assert figures["person_abs_rel"].item() == pytest.approx((0.1 + 1.5) / 2)
    assert figures["person_rmse"].item() == pytest.approx(math.sqrt((0.2**2 + 3**2) / 2))
    assert figures["person_delta1"].item() == 0.5
    assert "person_distance_error" not in figures  # without a mask nobody is found
    found, prob, nobody = depth.clone(), mask * 0.9, torch.zeros_like(mask)
    found[..., 3:7, 2:5] = torch.tensor([2.5, 3.0, 9.0])  # four rows of them
    prob[..., 0:2, 8:10] = 0.9
    hidden, spoilt = (each.where(mask < 0.5, math.nan) for each in (mask, depth))
    for prediction, truth, error in (
        ((prob, found), (mask, depth), 1),
        ((mask, depth), (mask, depth), 0),
        ((mask.flip(-1), depth), (mask, depth), 5),  # the wall's 7 m
        # at worst the answer was the camera, 2 m off, or the farthest thing, 5 m off
        ((nobody, depth), (mask, depth), 5),
        ((mask, depth), (nobody, depth), math.nan),
        ((mask, depth), (mask, spoilt), math.nan),
        ((hidden, depth), (mask, depth), math.inf),
        ((mask, spoilt), (mask, depth), math.inf),
    ):
        told = person_distance_error(*prediction, *truth).item()
        assert told == pytest.approx(error, nan_ok=True)


def scenes() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Probabilities, depths and truths; the first mask is empty, no depth of the last is known."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.cat([box(2, 3, index + 2 if index else 0, 6, side=12) for index in range(7)])
    depth_m = 0.5 + 8 * torch.rand(7, 1, 12, 12, generator=generator)
    mask_prob = (mask * 0.6 + 0.5 * torch.rand(mask.shape, generator=generator)).clamp(0, 1)
    predicted_m = depth_m * (0.7 + 0.6 * torch.rand(mask.shape, generator=generator))
    depth_m[-1] = 0
    return mask_prob, predicted_m, mask, depth_m


def test_where_a_metric_does_not_count_the_scene_is_nan_and_heads_may_be_missing():
    values = score_scenes(*scenes())
    assert list(values) == list(METRICS)
    for name, value in values.items():
        first, *between, last = value.isnan().tolist()
        assert value.dtype == torch.float64 and between == [False] * 5
        assert first == (METRICS[name].part == "person")  # nobody there
        assert last == (METRICS[name].part != "mask")  # no depth known
    mask_prob, depth_m, mask, true_m = scenes()
    metrics = SceneMetrics()
    assert metrics.compute() == {}
    metrics.update(mask_prob, None, mask, true_m)
    assert list(metrics.compute()) == MASK
    metrics.reset()
    metrics.update(None, depth_m * math.nan, mask, true_m)
    assert metrics.compute() == {name: WORST[name] for name in (*DEPTH, *TWINS)}


def test_means_do_not_depend_on_the_batches():
    values = score_scenes(*scenes())
    expected = {name: value.nanmean().item() for name, value in values.items()}
    metrics = SceneMetrics()
    for batch in zip(*(x.split(4) for x in scenes()), strict=True):
        metrics.update(*batch)
    assert metrics.compute() == pytest.approx(expected, rel=1e-12)


def refuse_broken(tested: Metric) -> None:
    """Raise AssertionError unless the truth beats answers that are wrong, by the mean and by scene.
    White: person everywhere, as far as the farthest pixel; black: nobody, nearest."""
    mask = torch.cat([box(6, 2 + 3 * row, 14, 5, side=24) for row in range(4)])
    depth = torch.linspace(1, 8, 24).expand(1, 24, 24)
    depth = torch.stack([(depth * 0.8**turns).rot90(turns, (1, 2)) for turns in range(4)])
    order = torch.randperm(576, generator=torch.Generator().manual_seed(0))
    flat_mask, flat_depth = torch.ones_like(mask), torch.ones_like(depth)
    wrong = {
        "white": (flat_mask, flat_depth * depth.max()),
        "black": (0 * flat_mask, flat_depth * depth.min()),
        "constant": (flat_mask * mask.mean(), 4 * flat_depth),
        "other_scene": (mask.roll(1, 0), depth.roll(1, 0)),
        "shuffled": tuple(each.flatten(1)[:, order].view_as(each) for each in (mask, depth)),
    }

    def values(found: Tensor, found_depth: Tensor) -> Tensor:
        if tested.takes_all:
            return tested.function(found, found_depth, mask, depth)
        if tested.part == "mask":
            return tested.function(found, mask)
        on_person = depth.where(mask > 0.5, torch.nan)
        return tested.function(found_depth, depth if tested.part == "depth" else on_person)

    sign, perfect = 1 if tested.higher_is_better else -1, values(mask, depth)
    for kind, (found, found_depth) in wrong.items():
        both = tested.takes_all and kind == "black"  # nobody found: what is missed must count
        figures = values(found if tested.part == "mask" or both else mask, found_depth)
        assert torch.equal(figures.isnan(), perfect.isnan()), f"{kind}: other scenes count"
        assert not (sign * (perfect - figures) < -1e-9).any(), f"{kind} beats the truth in a scene"
        assert sign * (perfect - figures).mean() > 1e-9, f"{kind} is as good as the truth"


@pytest.mark.parametrize("name", METRICS)
def test_the_truth_wins_by_every_metric(name):
    refuse_broken(METRICS[name])


def skips_who_is_missed(prob: Tensor, depth: Tensor, *truth) -> Tensor:
    values = person_distance_error(prob, depth, *truth)
    return values.where((prob > 0.5).flatten(1).any(1), torch.nan)


def test_a_broken_metric_is_refused():
    for function, part, higher_is_better, fault in (
        # the original's Dice of depth maps
        (lambda f, t: 2 * (f * t).sum((1, 2, 3)) / (f + t).sum((1, 2, 3)), "depth", True, "white"),
        (lambda *all: 1 / (METRICS["depth_rmse"].function(*all) + 1e-3), "depth", False, "beats"),
        (skips_who_is_missed, "person", False, "black: other scenes count"),
        (lambda *all: torch.ones(4), "depth", True, "as good"),
        (lambda *all: torch.full((4,), math.inf), "mask", True, "truth"),
    ):
        settings = {"higher_is_better": higher_is_better, "takes_all": part == "person"}
        metric("", part, **settings, into=(broken := {}))(function)
        with pytest.raises(AssertionError, match=fault):
            refuse_broken(broken[function.__name__])
