"""The learning-rate range test: it rises, it stops when the loss breaks off, it leaves no trace."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from depthmask.errors import InputError
from depthmask.training.lr_finder import find_rate
from test_fitting import CPU, make_data, make_module


def make_small_data():
    data = make_data()
    data.sizes = [32]
    return data


def find(module, **figures):
    settings = {"min_lr": 1e-5, "max_lr": 10.0, "num_steps": 60} | figures
    return find_rate(module, make_small_data(), hardware=CPU, interactive=False, **settings)


@pytest.fixture(scope="module")
def module():
    return make_module()


@pytest.fixture(scope="module")
def found(module):
    return find(module)


def test_rates_rise_in_equal_ratios_and_the_suggestion_lies_where_the_loss_falls(found):
    rates, smoothed = found.table["lr"].to_numpy(), found.table["smoothed"].to_numpy()
    assert rates[0] == pytest.approx(1e-5)
    assert np.allclose(rates[1:] / rates[:-1], 1e6 ** (1 / 59))
    place = rates.tolist().index(found.suggested)
    assert smoothed[place + 1] < smoothed[place - 1]


def test_it_begins_with_the_first_loss_and_leaves_the_weights(found, module):
    data, strategy = make_small_data(), SimpleNamespace(root_device=torch.device("cpu"))
    data.trainer = SimpleNamespace(training=True, current_epoch=0, strategy=strategy)
    scene = data.on_after_batch_transfer(list(range(8)), 0)
    with torch.no_grad():
        first = float(module._step(scene, "train")[0])
    assert found.table["loss"][0] == pytest.approx(first, rel=1e-5)


def test_a_range_without_sense_is_refused_and_a_loss_that_is_no_number_ends_the_curve(module):
    for figures, words in (
        ({"min_lr": 1.0, "max_lr": 0.1}, "--min-lr 1 must lie between 0 and --max-lr 0.1"),
        ({"max_lr": float("inf")}, "must lie between 0 and --max-lr inf"),
        ({"num_steps": 5}, "--steps 5 is too few"),
    ):
        with pytest.raises(InputError, match=words):
            find(module, **figures)
    table = find(module, min_lr=1e-3, max_lr=1e30, num_steps=40).table
    assert 3 <= len(table) < 40 and np.isfinite(table["loss"]).all()
