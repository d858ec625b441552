import math

import pytest
import torch

from depthmask.data.scenes.scene import Scene
from depthmask.evaluation.baselines import best_constant, best_threshold, difference


def make_scene(noise: float) -> Scene:
    """A person who differs by 0.4 in one channel, over noise of the given strength."""
    bg = torch.full((2, 3, 16, 16), 0.3)
    bg_fg = bg + noise * torch.sign(torch.sin(torch.arange(2 * 3 * 256.0))).reshape(2, 3, 16, 16)
    mask = torch.zeros(2, 1, 16, 16)
    mask[:, :, 4:12, 6:10] = 1
    bg_fg[:, 1:2][mask > 0] = 0.7
    return Scene(bg, bg_fg, mask, torch.full_like(mask, 2.0))


def test_difference_is_the_largest_over_channels():
    assert difference(make_scene(0.0)).amax() == pytest.approx(0.4)


def test_the_threshold_lies_between_noise_and_person():
    assert 0.1 <= best_threshold([make_scene(0.1), make_scene(0.05)]) < 0.4


def test_the_constant_is_the_geometric_mean():
    near, far = make_scene(0)._replace(depth=torch.full((2, 1, 16, 16), 8.0)), make_scene(0)
    assert best_constant([near, far]) == pytest.approx(math.sqrt(2 * 8))
