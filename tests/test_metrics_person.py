"""Depth on the person alone, and the error of the distance that a user is told."""

import math

import pytest
import torch
from torch import Tensor

from depthmask.metrics import PERSON_METRICS, depth_on_person, person_distance_error
from depthmask.metrics.scores import METRICS, score_scenes


def scene() -> tuple[Tensor, Tensor]:
    """A person 2 m away, 12 px large, in a room whose wall is 7 m away."""
    mask, depth = torch.zeros(1, 1, 10, 10), torch.full((1, 1, 10, 10), 7.0)
    mask[..., 3:7, 2:5] = 1
    depth[..., 3:7, 2:5] = 2
    return mask, depth


def test_only_the_person_s_pixels_count() -> None:
    mask, depth = scene()
    found = depth + 3  # at the person 5 m
    found[..., 3:5, 2:5] = 2.2  # and at half of it 2.2 m
    figures = score_scenes(None, found, mask, depth)
    assert figures["person_abs_rel"].item() == pytest.approx((0.1 + 1.5) / 2)
    assert figures["person_rmse"].item() == pytest.approx(math.sqrt((0.2**2 + 3**2) / 2))
    assert figures["person_delta1"].item() == 0.5
    assert "person_distance_error" not in figures  # without a mask nobody is found
    unknown = depth.clone()
    unknown[..., 5:7, 2:5] = 0
    assert score_scenes(None, found, mask, unknown)["person_delta1"].item() == 1


@pytest.mark.parametrize("name", PERSON_METRICS)
def test_where_nobody_is_a_scene_does_not_count(name: str) -> None:
    mask, depth = scene()
    nobody = depth_on_person(depth, torch.zeros_like(mask))
    assert PERSON_METRICS[name](depth, nobody).isnan().all()
    unknown = depth_on_person(torch.where(mask > 0.5, 0, depth), mask)
    assert PERSON_METRICS[name](depth, unknown).isnan().all()


def test_the_distance_is_what_a_user_is_told() -> None:
    """The median over the largest region; a smaller one elsewhere does not count."""
    mask, depth = scene()
    found, prob = depth.clone(), mask * 0.9
    found[..., 3:7, 2:5] = torch.tensor([2.5, 3.0, 9.0])  # four rows of them
    prob[..., 0:2, 8:10] = 0.9
    assert person_distance_error(prob, found, mask, depth).item() == 1
    assert person_distance_error(mask, depth, mask, depth).item() == 0
    # found elsewhere: the wall's 7 m
    assert person_distance_error(mask.flip(-1), depth, mask, depth).item() == 5


def test_the_threshold_reaches_the_distance() -> None:
    mask, depth = scene()
    prob = mask * 0.6
    assert person_distance_error(prob, depth, mask, depth, 0.5).item() == 0
    assert person_distance_error(prob, depth, mask, depth, 0.7).item() > 0


def test_a_missed_person_counts_and_never_pays() -> None:
    """At worst the answer was the camera, 2 m off, or the farthest thing, 5 m off."""
    mask, depth = scene()
    missed = person_distance_error(torch.zeros_like(mask), depth, mask, depth).item()
    assert missed == 5
    for answer in (0, 1, 4, 6.9):
        told = person_distance_error(mask, torch.full_like(depth, answer), mask, depth).item()
        assert told <= missed
    far = torch.where(mask > 0.5, 6.5, depth)
    assert person_distance_error(torch.zeros_like(mask), far, mask, far).item() == 6.5


def test_nobody_there_has_no_distance_even_if_somebody_is_found() -> None:
    mask, depth = scene()
    nobody = torch.zeros_like(mask)
    assert person_distance_error(mask, depth, nobody, depth).isnan().all()
    assert person_distance_error(nobody, depth, nobody, depth).isnan().all()
    unknown = torch.where(mask > 0.5, math.nan, depth)
    assert person_distance_error(mask, depth, mask, unknown).isnan().all()


@pytest.mark.parametrize("part", ["mask", "depth"])
def test_not_a_number_surfaces(part: str) -> None:
    mask, depth = scene()
    found = {"mask": mask.clone(), "depth": depth.clone()}
    found[part][..., 3:7, 2:5] = math.nan
    figures = score_scenes(found["mask"], found["depth"], mask, depth)
    assert figures["person_distance_error"].item() == math.inf
    if part == "depth":
        for name in PERSON_METRICS:
            worst = math.inf if METRICS[name].better == "lower" else -math.inf
            assert figures[name].item() == worst
