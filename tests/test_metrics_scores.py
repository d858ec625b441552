"""Every metric of a batch, and their means whatever the batches and processes."""

import math
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, multiprocessing

from depthmask.metrics import (
    DEPTH_METRICS,
    MASK_METRICS,
    METRICS,
    PERSON_METRICS,
    SceneMetrics,
    mask_iou,
    score_scenes,
)
from depthmask.training.module import VAL_METRICS

NUM_SCENES = 7


def scenes(num: int = NUM_SCENES) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Probabilities, depths and truths; the first mask is empty, no depth of the last is known."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.zeros(num, 1, 12, 12)
    for index in range(1, num):
        mask[index, :, 2 : 4 + index, 3:9] = 1
    depth_m = 0.5 + 8 * torch.rand(num, 1, 12, 12, generator=generator)
    mask_prob = (mask * 0.6 + 0.5 * torch.rand(mask.shape, generator=generator)).clamp(0, 1)
    predicted_m = depth_m * (0.7 + 0.6 * torch.rand(mask.shape, generator=generator))
    depth_m[-1] = 0
    return mask_prob, predicted_m, mask, depth_m


def test_every_metric_is_registered_under_its_name_and_in_order() -> None:
    values = score_scenes(*scenes())
    assert list(values) == list(METRICS)
    assert all(metric.name == name for name, metric in METRICS.items())
    assert all(len(value) == NUM_SCENES for value in values.values())
    assert {value.dtype for value in values.values()} == {torch.float64}
    assert [*MASK_METRICS, *DEPTH_METRICS, *PERSON_METRICS, "person_distance_error"] == list(
        METRICS
    )


def test_where_a_metric_does_not_count_the_scene_is_nan() -> None:
    for name, value in score_scenes(*scenes()).items():
        first, *between, last = value.isnan().tolist()
        assert not any(between)
        assert first == (METRICS[name].part == "person")  # nobody there
        assert last == (METRICS[name].part != "mask")  # no depth known


@pytest.mark.parametrize("sizes", [[1] * 7, [2, 2, 2, 1], [3, 4], [6, 1], [7]])
def test_means_do_not_depend_on_the_batches(sizes: list[int]) -> None:
    metrics = SceneMetrics()
    for parts in zip(*(tensor.split(sizes) for tensor in scenes()), strict=True):
        metrics.update(*parts)
    expected = {name: value.nanmean().item() for name, value in score_scenes(*scenes()).items()}
    assert metrics.compute() == pytest.approx(expected, rel=1e-12)


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


def test_means_do_not_depend_on_the_processes(tmp_path: Path) -> None:
    out = str(tmp_path / "means")
    multiprocessing.spawn(measure_shard, (str(tmp_path / "rendezvous"), out), nprocs=2)
    values = score_scenes(*scenes())
    expected = {name: value.nanmean().item() for name, value in values.items()}
    mask, depth = set(MASK_METRICS), set(DEPTH_METRICS) | set(PERSON_METRICS)
    parts = {name: values[name][:2].mean().item() for name in mask}
    parts |= {name: values[name][2:].nanmean().item() for name in depth}
    for rank in range(2):
        means, of_parts = torch.load(f"{out}-{rank}")
        assert means == pytest.approx(expected, rel=1e-12)
        assert of_parts == pytest.approx(parts, rel=1e-12)


def test_only_the_wanted_names_are_measured() -> None:
    metrics = SceneMetrics(names=VAL_METRICS)
    metrics.update(*scenes())
    assert list(metrics.compute()) == list(VAL_METRICS)
    assert set(METRICS) - set(VAL_METRICS) == {"person_distance_error"}


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
    assert set(metrics.compute()) == set(MASK_METRICS)
    metrics.reset()
    assert metrics.compute() == {}
    metrics.update(None, depth_m, mask, true_m)
    assert set(metrics.compute()) == set(DEPTH_METRICS) | set(PERSON_METRICS)


def test_a_prediction_of_nan_shows_in_the_mean() -> None:
    mask_prob, depth_m, mask, true_m = scenes()
    depth_m[1] = math.nan
    metrics = SceneMetrics()
    metrics.update(mask_prob, depth_m, mask, true_m)
    for name, value in metrics.compute().items():
        worst = math.inf if METRICS[name].better == "lower" else -math.inf
        assert (value == worst) == (METRICS[name].part != "mask")


@pytest.mark.parametrize("alignment", ["depth", "disparity"])
def test_relative_depth_is_aligned_first_and_has_no_distance(alignment) -> None:
    *_, mask, true = scenes(5)
    found = 5 * true + 1 if alignment == "depth" else 1 / (0.4 / true + 0.3)
    figures = score_scenes(mask, found, mask, true, alignment=alignment)
    assert "person_distance_error" not in figures
    assert figures["depth_rmse"][:4].amax() < 1e-5
    assert figures["person_rmse"][1:4].amax() < 1e-5
    plain = score_scenes(mask, found, mask, true)
    assert plain["depth_rmse"][:4].amin() > 1
