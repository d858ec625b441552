"""The self-test of the metrics: ours pass on any scenes, those of the original are refused."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from depthmask.data.composition.eval_sets import in_scene_batches
from depthmask.data.scenes.scene import Scene
from depthmask.errors import MetricRefused
from depthmask.evaluation.self_test import ANSWERS, PERFECT, self_test
from depthmask.metrics import METRICS, Metric, mask_iou, score_scenes
from synthetic import make_frames, make_library

SIZE = 24


def scenes(*depths: Tensor, masks: Tensor | None = None) -> list[Scene[Tensor]]:
    """One batch; a person at another place in each scene, as far as what is behind them."""
    depth = torch.stack(depths)[:, None]
    if masks is None:
        masks = torch.zeros_like(depth)
        for row in range(len(depth)):
            masks[row, 0, 6:20, 2 + 3 * row : 7 + 3 * row] = 1
    picture = torch.zeros(len(depth), 3, SIZE, SIZE)
    return [Scene(picture, picture, masks, depth)]


def ramp(nearest: float, farthest: float, turns: int = 0) -> Tensor:
    """A wall seen from the side, SIZE x SIZE."""
    return torch.linspace(nearest, farthest, SIZE).expand(SIZE, SIZE).rot90(turns).contiguous()


def rooms() -> list[Scene[Tensor]]:
    return scenes(ramp(1, 8), ramp(2, 6, 1), ramp(1.5, 9, 2), ramp(3, 5, 3))


def soft_dice(found: Tensor, true: Tensor) -> Tensor:
    both = (found * true).sum((1, 2, 3))
    return 2 * both / (found.sum((1, 2, 3)) + true.sum((1, 2, 3)))


def soft_iou(found: Tensor, true: Tensor) -> Tensor:
    both = (found * true).sum((1, 2, 3))
    return both / (found.sum((1, 2, 3)) + true.sum((1, 2, 3)) - both)


def reciprocal_rmse(found: Tensor, true: Tensor) -> Tensor:
    return 1 / ((found - true).square().mean((1, 2, 3)) + 1e-6).sqrt()


def tried(metric: Metric, score: Callable[..., Tensor], sets=None, **options):
    """Put one metric of a mask and a depth map to the test."""

    def scorer(mask, depth, true_mask, true_depth, **_):
        return {metric.name: score(mask, depth, true_mask, true_depth)}

    return self_test(sets or rooms(), metrics={metric.name: metric}, scorer=scorer, **options)


THEIRS = 0.0466, 0.9534
"""Depth scaled to 1, as theirs is: such a ramp has the figures that their metric code gave."""


def test_what_the_original_s_dice_gives_to_white_and_to_the_truth() -> None:
    true = ramp(*THEIRS)[None, None]
    assert soft_dice(torch.ones_like(true), true).item() == pytest.approx(0.667, abs=5e-4)
    assert soft_dice(true, true).item() == pytest.approx(0.649, abs=5e-4)


@pytest.mark.parametrize("score", [soft_dice, soft_iou])
def test_the_original_s_overlap_of_depth_maps_is_refused(score) -> None:
    theirs = scenes(*(ramp(*THEIRS, turns) for turns in range(4)))
    metric = Metric("depth_overlap", "IoU", "higher", "depth")
    with pytest.raises(MetricRefused, match=r"^the metric depth_overlap is refused: .*`white`"):
        tried(metric, lambda mask, depth, _, true: score(depth, true), theirs)


def test_the_same_overlap_of_hard_masks_passes() -> None:
    metric = Metric("mask_overlap", "Dice", "higher", "mask")
    found = tried(metric, lambda mask, depth, true, _: soft_dice(mask, true))
    assert found["mask_overlap"][PERFECT] == 1


def test_the_original_s_reciprocal_rmse_is_refused() -> None:
    """It rises as the model gets better, which an RMSE does not."""
    score = lambda mask, depth, _, true: reciprocal_rmse(depth, true)  # noqa: E731
    with pytest.raises(MetricRefused, match="perfect answer's 1000 .lower is better"):
        tried(Metric("depth_rmse", "RMSE", "lower", "depth"), score)


def test_the_original_s_shared_accumulator_is_refused() -> None:
    """One IoU for both heads: the mask's, printed as the depth's."""
    metric = Metric("depth_iou", "IoU", "higher", "depth")
    with pytest.raises(MetricRefused, match="scores 1 against the perfect answer's 1"):
        tried(metric, lambda mask, depth, true, _: mask_iou(mask, true))


@pytest.mark.parametrize("part", ["mask", "depth", "person"])
@pytest.mark.parametrize("value", [1.0, math.inf, -math.inf])
def test_a_metric_that_always_says_the_same_is_refused(part, value: float) -> None:
    with pytest.raises(MetricRefused):
        tried(Metric("same", "same", "higher", part), lambda *all: torch.full((4,), value))


def test_a_metric_that_skips_who_is_missed_is_refused() -> None:
    """Else an experiment that finds only easy people would win by it."""

    def skipping(mask, depth, true_mask, true_depth):
        values = score_scenes(mask, depth, true_mask, true_depth)["person_distance_error"]
        return values.where((mask > 0.5).flatten(1).any(1), torch.nan)

    metric = METRICS["person_distance_error"]
    with pytest.raises(MetricRefused, match="scenes count for the perfect answer .* `black`"):
        tried(metric, skipping)


def test_a_metric_that_errs_in_one_scene_is_refused() -> None:
    def erring(mask, depth, true_mask, _):
        values = mask_iou(mask, true_mask)
        values[2] = 1 - values[2]
        return values

    metric = Metric("mask_iou", "IoU", "higher", "mask")
    with pytest.raises(MetricRefused, match="beats it in 1 scenes"):
        tried(metric, erring)


@pytest.mark.parametrize("alignment", [None, "depth", "disparity"])
def test_ours_pass_on_frames_of_a_set(alignment) -> None:
    """Three frames, as the profile `tiny` has them, from batches of two."""
    library = make_library()
    frames = make_frames(library, 3)
    figures = self_test(in_scene_batches(library, frames, 2), alignment=alignment)
    assert list(figures) == [
        name for name in METRICS if alignment is None or name != "person_distance_error"
    ]
    for name, scores in figures.items():
        # some are right by a metric with a tolerance: these rooms are shallow
        assert METRICS[name].tolerance > 1 or set(scores) == {PERFECT, *ANSWERS}, name
        assert scores[PERFECT] == pytest.approx(
            1 if METRICS[name].better == "higher" else 0, abs=1e-9
        )
    assert figures == self_test(in_scene_batches(library, frames, 3), alignment=alignment)


@pytest.mark.parametrize("alignment", [None, "depth", "disparity"])
@pytest.mark.parametrize("unknown", [0.0, math.nan, math.inf])
def test_ours_pass_with_empty_masks_and_unknown_depths(alignment, unknown: float) -> None:
    (scene,) = rooms()
    scene.mask[1] = 0
    scene.depth[0, :, :9] = unknown  # a part of the person too
    scene.depth[2] = unknown
    figures = self_test([scene], alignment=alignment)
    assert figures["mask_iou"]["black"] == 0.25  # the empty mask, and no other
    assert all(math.isfinite(x) for scores in figures.values() for x in scores.values())


@pytest.mark.parametrize("alignment", [None, "depth"])
def test_the_same_scene_again_is_no_wrong_answer(alignment) -> None:
    same = scenes(*[ramp(1, 8)] * 3, masks=rooms()[0].mask[:1].expand(3, -1, -1, -1))
    for scores in self_test(same, alignment=alignment).values():
        assert set(scores) == {PERFECT, *ANSWERS} - {"other_scene"}
    alone = self_test([Scene(*(field[:1] for field in same[0]))], alignment=alignment)
    assert all(set(scores) == {PERFECT, *ANSWERS} - {"other_scene"} for scores in alone.values())


def test_another_scene_is_taken_where_the_next_one_is_the_same() -> None:
    twins = scenes(ramp(1, 8), ramp(1, 8), ramp(1, 8, 1), masks=rooms()[0].mask[[0, 0, 1]])
    figures = self_test(twins)
    assert figures["depth_abs_rel"]["other_scene"] > 0.1
    assert figures["mask_iou"]["other_scene"] < 0.5


def test_where_all_lies_within_a_metric_s_tolerance_it_is_not_tested() -> None:
    """From 3 to 4 m everything is right by the widest tolerances, and nothing by AbsRel."""
    shallow = scenes(ramp(3, 4), ramp(3, 4, 1), ramp(3, 4, 2))
    figures = self_test(shallow)
    assert list(figures["depth_delta3"]) == [PERFECT]
    assert set(figures["depth_abs_rel"]) == {PERFECT, *ANSWERS}


def test_a_set_without_people_or_without_depth() -> None:
    (scene,) = rooms()
    nobody = self_test([scene._replace(mask=torch.zeros_like(scene.mask))])
    assert {METRICS[name].part for name in nobody} == {"mask", "depth"}
    assert set(nobody["mask_iou"]) == {PERFECT, "white"}  # the only mask that is wrong
    blind = self_test([scene._replace(depth=torch.zeros_like(scene.depth))])
    assert {METRICS[name].part for name in blind} == {"mask"}


def test_only_so_many_scenes_compete() -> None:
    seen = []

    def scorer(mask, *rest, **options):
        seen.append(len(mask))
        return score_scenes(mask, *rest, **options)

    (scene,) = rooms()
    self_test([scene, scene, scene], scorer=scorer, num_scenes=6)
    assert set(seen) == {6}
    with pytest.raises(ValueError, match="no scene"):
        self_test([])
