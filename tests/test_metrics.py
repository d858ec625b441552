"""Metrics against cases worked out by hand, against torchmetrics, and against wrong predictions."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor, multiprocessing

from depthmask.metrics import METRICS, SceneMetrics, align_depth, mask_iou, score_scenes
from depthmask.metrics.depth import DELTA_RATIO, depth_on_person, person_distance_error
from depthmask.metrics.registry import Metric, make_metric, metric

MASK, DEPTH, PERSON = (
    [name for name, each in METRICS.items() if each.part == part]
    for part in ("mask", "depth", "person")
)
RATIOS = [name for name in DEPTH if name not in ("depth_rmse", "depth_ssim")]
TWINS = PERSON[:-1]
"""Metrics of the frame, on the person alone."""


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


def worst(name: str) -> float:
    return -math.inf if METRICS[name].higher_is_better else math.inf


def test_the_registry_has_every_metric_in_order_with_its_words():
    assert list(METRICS) == [*MASK, *DEPTH, *PERSON]
    assert all(each.name == name and each.text for name, each in METRICS.items())
    distance = METRICS["person_distance_error"]
    assert distance.title == "Person’s distance error" and distance.spoken[0] == "p"
    assert (distance.suffix("metre"), distance.suffix("relative")) == (" m", "")
    assert (distance.arrow, METRICS["mask_iou"].arrow) == ("↓", "↑")


def test_a_metric_is_added_in_one_place(monkeypatch):
    monkeypatch.setattr("depthmask.metrics.registry.METRICS", added := dict(METRICS))
    monkeypatch.setattr("depthmask.metrics.scores.METRICS", added)

    @metric("area", "mask", higher_is_better=False)
    def mask_area(mask_prob, true_mask, threshold):
        """Difference of the areas."""
        return (mask_prob.mean((1, 2, 3)) - true_mask.mean((1, 2, 3))).abs().double()

    figures = score_scenes(*scenes(), names=["mask_area", "mask_iou"])
    assert list(figures) == ["mask_iou", "mask_area"]
    assert added["mask_area"].text == "Difference of the areas."


# --- masks


def test_mask_metrics_by_hand():
    """Two pixels found, three there, one in both."""
    prob, true = image(0.9, 0.6, 0.4, 0.2, 0.1, 0.5), image(1, 0, 1, 0.7, 0, 0)
    assert mask_iou(prob, true).tolist() == pytest.approx([1 / 4])
    assert measure("mask_dice", prob, true).tolist() == pytest.approx([2 / 5])
    # above 0.15: four found, all three of them
    assert mask_iou(prob, true, 0.15).tolist() == pytest.approx([3 / 5])


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


def test_iou_and_dice_agree_with_torchmetrics_except_on_empty_masks():
    from torchmetrics.functional.segmentation import dice_score, mean_iou

    prob, true = torch.rand((2, 5, 1, 24, 24), generator=torch.Generator().manual_seed(0)).unbind()
    found, there = (prob > 0.6).int(), (true > 0.6).int()
    assert torch.allclose(mask_iou(prob, true, 0.6), mean_iou(found, there).double())
    dices = dice_score(found, there, num_classes=1)
    assert torch.allclose(METRICS["mask_dice"].function(prob, true, 0.6), dices.double())
    empty = torch.zeros(1, 1, 8, 8, dtype=torch.int)
    assert not mean_iou(empty, empty).item() >= 0


def test_boundary_f_sees_a_shift_by_2_px_at_96_px():
    """The radius is 1.09 px; rounded up to 2 px the shifted mask would score 0.99."""
    person = box(20, 40, 56, 6, side=96)
    shifted = person.roll(2, 3)
    assert mask_iou(shifted, person).item() == pytest.approx(0.5)
    assert measure("mask_boundary_f", shifted, person).item() < 0.2
    assert measure("mask_boundary_f", person.roll(1, 3), person).item() == 1


@pytest.mark.parametrize("side", [48, 96, 256])
def test_boundary_f_is_that_of_a_distance_transform(side):
    """Both contours by OpenCV's exact distances, within 0.008 of the diagonal."""
    true = box(side // 4, side // 3, side // 2, side // 5, side=side)
    found = box(side // 4 + 2, side // 3 - 1, side // 2 - 1, side // 5 + 1, side=side)
    contours = []
    for mask in (found, true):
        padded = np.pad(mask[0, 0].numpy(), (0, 1), mode="edge")
        here = padded[:-1, :-1]
        others = (padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:])
        contours.append(np.any([here != other for other in others], axis=0))
    shares = []
    for one, other in (contours, contours[::-1]):
        away = cv2.distanceTransform((~other).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        shares.append((away[one] <= 0.008 * math.hypot(side, side)).mean())
    expected = 2 * shares[0] * shares[1] / sum(shares)
    assert measure("mask_boundary_f", found, true).item() == pytest.approx(expected)
    assert 0.1 < expected <= 1


# --- depth


def test_depth_metrics_by_hand():
    """Ratios 1.2, 1/1.2, 1.5 and 1 of depths 1, 6, 2 and 4 m."""
    true_m, depth_m = image(1, 6, 2, 4), image(1.2, 5, 3, 4)
    logs = [math.log(1.2), -math.log(1.2), math.log(1.5), 0]
    variance = sum(e**2 for e in logs) / 4 - (sum(logs) / 4) ** 2
    for name, expected in (
        ("depth_rmse", math.sqrt((0.04 + 1 + 1) / 4)),
        ("depth_abs_rel", (0.2 + 1 / 6 + 0.5) / 4),
        ("depth_delta1", 3 / 4),
        ("depth_log10", sum(map(abs, logs)) / 4 / math.log(10)),
        ("depth_silog", 100 * math.sqrt(variance)),
    ):
        assert measure(name, depth_m, true_m).item() == pytest.approx(expected), name


@pytest.mark.parametrize("power", [1, 2, 3])
def test_deltas_look_both_ways_and_exclude_their_edges(power):
    edge, true_m = DELTA_RATIO**power, image(1, 1, 1, 1)
    found = image(edge, edge - 0.01, 1 / (edge + 0.01), 1 / (edge - 0.01))
    assert measure(f"depth_delta{power}", found, true_m).item() == 0.5
    assert measure(f"depth_delta{power}", image(0, -1, -1e9, 1), true_m).item() == 0.25


@pytest.mark.parametrize("unknown", [0.0, -1.0, math.inf, math.nan])
@pytest.mark.parametrize("name", DEPTH)
def test_unknown_depths_do_not_count(name, unknown):
    true_m, mask = depths(), torch.ones(4, 1, 16, 16)
    found = true_m * 1.1
    true_m[:, :, :5, 3:9], true_m[3] = unknown, unknown
    expected = score_scenes(None, found, mask, true_m)[name]
    assert expected.isnan().tolist() == [False, False, False, True]
    found[:, :, :5, 3:9] = torch.tensor([math.nan, 1e9, math.inf, 0, -1, 3])
    again = score_scenes(None, found, mask, true_m)[name]
    torch.testing.assert_close(again, expected, equal_nan=True, rtol=0, atol=0)


@pytest.mark.parametrize("name", DEPTH)
def test_the_nearest_pixels_of_modest_s_depth_count(name):
    """Of 8 bits 0 is the nearest; its ratios alone have no value."""
    true = torch.arange(256.0).view(1, 1, 16, 16) / 255
    true[0, 0, 0] = 0
    found = true.clone()
    found[0, 0, 0] = 0.5  # wrong there alone
    mask = torch.ones_like(true)
    figures = score_scenes(None, found, mask, true, alignment="depth")
    right = score_scenes(None, true, mask, true, alignment="depth")
    assert math.isfinite(figures[name].item())
    assert abs(figures["depth_rmse"] - right["depth_rmse"]) > 0.05
    assert figures["depth_ssim"] < 0.95
    metres = score_scenes(None, found, mask, true)
    assert metres["depth_rmse"].item() == pytest.approx(0)  # there 0 stands for unknown


@pytest.mark.parametrize("name", DEPTH)
def test_the_truth_is_perfect_and_not_a_number_surfaces(name):
    depth_m = depths()
    perfect = measure(name, depth_m, depth_m)
    assert torch.equal(perfect, torch.full_like(perfect, float(METRICS[name].higher_is_better)))
    wrong = depth_m.clone()
    wrong[1, 0, 2, 3], wrong[2, 0, 2, 3] = math.nan, math.inf
    values = measure(name, wrong, depth_m).tolist()
    assert math.isfinite(values[0]) and values[1:3] == [worst(name)] * 2
    with pytest.raises(ValueError, match="resize the prediction"):
        measure(name, depth_m, depth_m[:, 0])


def test_ssim_agrees_with_torchmetrics_image_by_image():
    from torchmetrics.functional.image import structural_similarity_index_measure

    true_m = depths()[..., :11] * torch.tensor([1, 2, 0.5, 3]).view(4, 1, 1, 1)
    found = true_m * (0.8 + 0.4 * depths()[..., :11].flip(0) / 8)
    expected = [
        structural_similarity_index_measure(
            f[None].double(), t[None].double(), data_range=float(t.max() - t.min())
        ).item()
        for f, t in zip(found, true_m, strict=True)
    ]
    assert measure("depth_ssim", found, true_m).tolist() == pytest.approx(expected, abs=1e-9)


def test_ssim_of_flat_walls_and_of_small_pictures():
    """A flat wall's range is a thousandth of its depth, so that only the luminance counts."""
    true_m, found = torch.full((1, 1, 16, 16), 4.0), torch.full((1, 1, 16, 16), 2.0)
    c1 = (0.01 * 0.004) ** 2
    expected = (2 * 4 * 2 + c1) / (4**2 + 2**2 + c1)
    assert measure("depth_ssim", found, true_m).item() == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="nearest valid size is 6 x 9"):
        measure("depth_ssim", torch.ones(1, 1, 5, 9), torch.ones(1, 1, 5, 9))


@pytest.mark.parametrize("alignment", ["depth", "disparity"])
def test_alignment_undoes_scale_and_shift_of_what_is_known(alignment):
    true = depths(2, 8).double()
    found = 3 * true + 2 if alignment == "depth" else 1 / (0.4 / true + 0.3)
    assert torch.allclose(align_depth(found, true, alignment), true, rtol=1e-9)
    holes = true.clone()
    holes[:, :, :2] = torch.nan
    found[:, :, 0], found[:, :, 1] = torch.nan, torch.inf
    aligned = align_depth(found, holes, alignment)
    assert torch.allclose(aligned[:, :, 2:], true[:, :, 2:], rtol=1e-9)
    found[1, 0, 2, 3] = math.inf
    assert measure("depth_rmse", align_depth(found, holes, alignment), holes)[1].item() == math.inf


def test_alignment_does_not_turn_a_map_inside_out():
    true = depths(2, 8).double()
    flat = align_depth(-true, true, "depth")
    assert torch.allclose(flat, true.mean((1, 2, 3), keepdim=True).expand_as(true))


# --- the person


def person_scene() -> tuple[Tensor, Tensor]:
    """A person 2 m away, 12 px large, in a room whose wall is 7 m away."""
    mask = box(3, 2, 4, 3, side=10)
    return mask, torch.where(mask > 0, 2.0, 7.0)


def test_only_the_person_s_pixels_count():
    mask, depth = person_scene()
    found = depth + 3  # at the person 5 m
    found[..., 3:5, 2:5] = 2.2  # and at half of it 2.2 m
    figures = score_scenes(None, found, mask, depth)
    assert figures["person_abs_rel"].item() == pytest.approx((0.1 + 1.5) / 2)
    assert figures["person_rmse"].item() == pytest.approx(math.sqrt((0.2**2 + 3**2) / 2))
    assert figures["person_delta1"].item() == 0.5
    assert "person_distance_error" not in figures  # without a mask nobody is found
    for name in TWINS:
        nobody = depth_on_person(depth, torch.zeros_like(mask))
        assert measure(name, depth, nobody).isnan().all()


def test_the_distance_is_what_a_user_is_told():
    """The median over the largest region; a smaller one elsewhere does not count."""
    mask, depth = person_scene()
    found, prob = depth.clone(), mask * 0.9
    found[..., 3:7, 2:5] = torch.tensor([2.5, 3.0, 9.0])  # four rows of them
    prob[..., 0:2, 8:10] = 0.9
    assert person_distance_error(prob, found, mask, depth).item() == 1
    assert person_distance_error(mask, depth, mask, depth).item() == 0
    assert person_distance_error(mask.flip(-1), depth, mask, depth).item() == 5  # the wall's 7 m
    assert person_distance_error(mask * 0.6, depth, mask, depth, 0.7).item() > 0


def test_a_missed_person_counts_and_never_pays():
    """At worst the answer was the camera, 2 m off, or the farthest thing, 5 m off."""
    mask, depth = person_scene()
    nobody = torch.zeros_like(mask)
    missed = person_distance_error(nobody, depth, mask, depth).item()
    assert missed == 5
    for answer in (0, 1, 4, 6.9):
        told = person_distance_error(mask, torch.full_like(depth, answer), mask, depth).item()
        assert told <= missed
    assert person_distance_error(mask, depth, nobody, depth).isnan().all()
    unknown = torch.where(mask > 0.5, math.nan, depth)
    assert person_distance_error(mask, depth, mask, unknown).isnan().all()
    for part in (mask, depth):
        spoilt = part.clone()
        spoilt[..., 3:7, 2:5] = math.nan
        pair = (spoilt, depth) if part is mask else (mask, spoilt)
        assert person_distance_error(*pair, mask, depth).item() == math.inf


# --- all of them


def scenes(num: int = 7) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Probabilities, depths and truths; the first mask is empty, no depth of the last is known."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.cat([box(2, 3, index + 2 if index else 0, 6, side=12) for index in range(num)])
    depth_m = 0.5 + 8 * torch.rand(num, 1, 12, 12, generator=generator)
    mask_prob = (mask * 0.6 + 0.5 * torch.rand(mask.shape, generator=generator)).clamp(0, 1)
    predicted_m = depth_m * (0.7 + 0.6 * torch.rand(mask.shape, generator=generator))
    depth_m[-1] = 0
    return mask_prob, predicted_m, mask, depth_m


def test_where_a_metric_does_not_count_the_scene_is_nan():
    values = score_scenes(*scenes())
    assert list(values) == list(METRICS)
    for name, value in values.items():
        assert value.dtype == torch.float64 and len(value) == 7
        first, *between, last = value.isnan().tolist()
        assert not any(between)
        assert first == (METRICS[name].part == "person")  # nobody there
        assert last == (METRICS[name].part != "mask")  # no depth known


@pytest.mark.parametrize("sizes", [[1] * 7, [2, 2, 2, 1], [6, 1], [7]])
def test_means_do_not_depend_on_the_batches(sizes):
    metrics = SceneMetrics()
    for parts in zip(*(tensor.split(sizes) for tensor in scenes()), strict=True):
        metrics.update(*parts)
    assert metrics.compute() == pytest.approx(expected_means(), rel=1e-12)


def expected_means() -> dict[str, float]:
    return {name: value.nanmean().item() for name, value in score_scenes(*scenes()).items()}


def measure_shard(rank: int, file: str, out: str) -> None:
    """The first process holds two scenes, the second five, in batches of another size."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
    shards = [tensor.split([2, 5])[rank] for tensor in scenes()]
    metrics = SceneMetrics()
    for parts in zip(*(tensor.split(1 + rank) for tensor in shards), strict=True):
        metrics.update(*parts)
    means = metrics.compute()
    metrics.reset()
    # depth comes to one process alone: the other must not wait, nor leave it out
    metrics.update(None if rank else shards[0], shards[1] if rank else None, *shards[2:])
    torch.save((means, metrics.compute()), f"{out}-{rank}")
    dist.destroy_process_group()


def test_means_do_not_depend_on_the_processes(tmp_path: Path):
    out = str(tmp_path / "means")
    multiprocessing.spawn(measure_shard, (str(tmp_path / "rendezvous"), out), nprocs=2)
    values = score_scenes(*scenes())
    parts = {name: values[name][:2].mean().item() for name in MASK}
    parts |= {name: values[name][2:].nanmean().item() for name in (*DEPTH, *TWINS)}
    for rank in range(2):
        means, of_parts = torch.load(f"{out}-{rank}")
        assert means == pytest.approx(expected_means(), rel=1e-12)
        assert of_parts == pytest.approx(parts, rel=1e-12)


def test_names_threshold_missing_heads_and_nan():
    mask_prob, depth_m, mask, true_m = scenes()
    metrics = SceneMetrics(threshold=0.8, names=["mask_iou"])
    metrics.update(mask_prob, depth_m, mask, true_m)
    assert metrics.compute() == {"mask_iou": pytest.approx(mask_iou(mask_prob, mask, 0.8).mean())}
    metrics = SceneMetrics()
    assert metrics.compute() == {}
    metrics.update(mask_prob, None, mask, true_m)
    assert list(metrics.compute()) == MASK
    metrics.reset()
    depth_m[1] = math.nan
    metrics.update(None, depth_m, mask, true_m)
    assert metrics.compute() == {name: worst(name) for name in (*DEPTH, *TWINS)}


@pytest.mark.parametrize("alignment", ["depth", "disparity"])
def test_relative_depth_is_aligned_first_and_has_no_distance(alignment):
    *_, mask, true = scenes(5)
    found = 5 * true + 1 if alignment == "depth" else 1 / (0.4 / true + 0.3)
    figures = score_scenes(mask, found, mask, true, alignment=alignment)
    assert "person_distance_error" not in figures
    assert figures["depth_rmse"][:4].amax() < 1e-5
    assert figures["person_rmse"][1:4].amax() < 1e-5
    assert score_scenes(mask, found, mask, true)["depth_rmse"][:4].amin() > 1


# --- the truth must win, by any metric that is registered


def refuse_broken(tested: Metric) -> None:
    """Raise AssertionError unless the truth beats answers that are wrong, by the mean and by scene.

    The figures of the original system rose for an all-white depth map: a figure must not be had
    that way. White: person everywhere, as far as the farthest pixel; black: nobody, nearest.
    """
    mask = torch.cat([box(6, 2 + 3 * row, 14, 5, side=24) for row in range(4)])
    ramps = ((1, 8), (2, 6), (1.5, 9), (3, 5))
    walls = [torch.linspace(*ends, 24).expand(24, 24).rot90(k) for k, ends in enumerate(ramps)]
    depth = torch.stack(walls)[:, None].contiguous()
    order = torch.randperm(576, generator=torch.Generator().manual_seed(0))
    wrong = {
        "white": (torch.ones_like(mask), torch.full_like(depth, float(depth.max()))),
        "black": (torch.zeros_like(mask), torch.full_like(depth, float(depth.min()))),
        "constant": (torch.full_like(mask, float(mask.mean())), torch.full_like(depth, 4.0)),
        "other_scene": (mask.roll(1, 0), depth.roll(1, 0)),
        "shuffled": tuple(t.flatten(1)[:, order].view_as(t) for t in (mask, depth)),
    }

    def values(found: Tensor, found_depth: Tensor) -> Tensor:
        if tested.takes_all:
            return tested.function(found, found_depth, mask, depth, 0.5)
        if tested.part == "mask":
            return tested.function(found, mask, 0.5)
        return tested.function(
            found_depth, depth if tested.part == "depth" else depth_on_person(depth, mask)
        )

    sign = 1 if tested.higher_is_better else -1
    perfect = values(mask, depth)
    for kind, (found, found_depth) in wrong.items():
        both = tested.takes_all and kind == "black"  # nobody found: what is missed must count
        figures = values(
            found if tested.part == "mask" or both else mask,
            depth if tested.part == "mask" else found_depth,
        )
        assert torch.equal(figures.isnan(), perfect.isnan()), f"{kind}: other scenes count"
        assert not (sign * (perfect - figures) < -1e-9).any(), f"{kind} beats the truth in a scene"
        assert sign * (perfect - figures).mean() > 1e-9, f"{kind} is as good as the truth"


@pytest.mark.parametrize("name", METRICS)
def test_the_truth_wins_by_every_metric(name):
    refuse_broken(METRICS[name])


def soft_overlap(found: Tensor, true: Tensor) -> Tensor:
    """The original's Dice of depth maps."""
    return 2 * (found * true).sum((1, 2, 3)) / (found.sum((1, 2, 3)) + true.sum((1, 2, 3)))


def reciprocal_rmse(found: Tensor, true: Tensor) -> Tensor:
    return 1 / ((found - true).square().mean((1, 2, 3)) + 1e-6).sqrt()


def skips_who_is_missed(prob: Tensor, depth: Tensor, *truth) -> Tensor:
    values = person_distance_error(prob, depth, *truth)
    return values.where((prob > 0.5).flatten(1).any(1), torch.nan)


def errs_in_one_scene(prob: Tensor, true: Tensor, threshold: float) -> Tensor:
    values = mask_iou(prob, true)
    values[2] = 1 - values[2]
    return values


@pytest.mark.parametrize(
    ("function", "part", "higher_is_better", "fault"),
    [
        (soft_overlap, "depth", True, "white"),
        (reciprocal_rmse, "depth", False, "beats the truth"),
        (errs_in_one_scene, "mask", True, "in a scene"),
        (skips_who_is_missed, "person", False, "black: other scenes count"),
        (lambda *all: torch.ones(4), "depth", True, "as good"),
        (lambda *all: torch.full((4,), math.inf), "mask", True, "truth"),
    ],
)
def test_a_broken_metric_is_refused(function, part, higher_is_better, fault):
    takes_all = function is skips_who_is_missed
    broken = make_metric(
        "broken", part, function, higher_is_better=higher_is_better, takes_all=takes_all
    )
    with pytest.raises(AssertionError, match=fault):
        refuse_broken(broken)
