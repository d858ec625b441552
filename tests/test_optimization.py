"""Optimisers and schedules: torch's, moved when they say they are; the range test of rates."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from depthmask.config import Optimizer, Scheduler, TrainParams
from depthmask.errors import InputError
from depthmask.models import MODELS
from depthmask.training.lr_finder import find_rate
from depthmask.training.optimization import build_optimizer, build_scheduler, orthogonal
from synthetic import TINY
from test_fitting import CPU, make_data, make_module

LR = 0.1


def rates(name: str, num_steps: int = 20, steps_per_epoch: int = 4) -> list[float]:
    """The learning rate of every step of a training, validation losses all alike."""
    params = Optimizer(name="sgd", lr=LR, momentum=0.9, weight_decay=0.0)
    settings = Scheduler(name=name, warmup=0.25, step_epochs=2, factor=0.1, patience=1)
    optimizer = build_optimizer(params, nn.Linear(1, 1), "cpu")
    chosen = build_scheduler(settings, optimizer, num_steps=num_steps)
    scheduler, found = chosen["scheduler"], []
    for step in range(num_steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if chosen["interval"] == "step":
            scheduler.step()
        elif (step + 1) % steps_per_epoch == 0:
            scheduler.step(*([1.0] if chosen.get("monitor") == "val/loss" else []))
    return found


def test_rates_by_hand() -> None:
    """Of a plateau the first loss is the best; two epochs without a lower exhaust the patience."""
    for name, counts in (("constant", [24]), ("step", [8, 8, 8]), ("plateau", [12, 8, 4])):
        expected = np.repeat([LR, LR / 10, LR / 100][: len(counts)], counts)
        assert rates(name, num_steps=24) == pytest.approx(expected)


def test_cosine_and_onecycle_rise_through_their_warmup_and_fall_to_nothing() -> None:
    found = rates("cosine")
    assert found[0] == pytest.approx(0.04 * LR)
    assert max(found) == found[5] == pytest.approx(LR)
    assert found[-1] < 0.02 * LR
    assert found[5:] == sorted(found[5:], reverse=True)
    found = rates("onecycle")
    assert max(found) == pytest.approx(LR) and found.index(max(found)) == 4
    assert found[0] == pytest.approx(LR / 25) and found[-1] < LR / 1000
    values = TINY.train.model_dump(mode="json")
    values["scheduler"] |= {"name": "onecycle", "warmup": 0.05}
    with pytest.raises(ValueError, match="would rise for 0 of 4 steps"):
        TrainParams.model_validate(values)


@pytest.mark.parametrize("scheduler", ["cosine", "onecycle"])
@pytest.mark.parametrize("name", ["sgd", "adamw", "muon"])
def test_an_optimizer_takes_its_figures(name: str, scheduler: str) -> None:
    """No schedule moves the momentum, and weight decay falls on convolutions alone."""
    model = MODELS["masknet3"]()
    params = Optimizer(name=name, lr=0.03, momentum=0.8, weight_decay=0.5)
    optimizer = build_optimizer(params, model, "cpu")
    decayed, others, *muons = optimizer.param_groups
    assert bool(muons) == (name == "muon")
    for group in muons:
        assert (group["lr"], group["weight_decay"], len(group["params"])) == (0.03, 0.5, 4)
        decayed["params"] += group["params"]
    assert (decayed["lr"], decayed["weight_decay"]) == (0.03, 0.5)
    assert (others["lr"], others["weight_decay"]) == (0.03, 0)
    convolutions = [layer.weight for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    assert set(decayed["params"]) == set(convolutions)
    assert {*decayed["params"], *others["params"]} == set(model.parameters())
    settings = Scheduler(name=scheduler, warmup=0.5, step_epochs=1, factor=0.1, patience=1)
    build_scheduler(settings, optimizer, num_steps=10)
    for group in optimizer.param_groups:
        assert 0.8 in (group.get("momentum"), *group.get("betas", ()))


@pytest.mark.parametrize("shape", [(2, 16, 144), (1, 64, 32)])
def test_singular_values_become_about_one(shape) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found, (left, _, right) = orthogonal(matrices), torch.linalg.svd(matrices, full_matrices=False)
    values = left.mT @ found @ right.mT  # the same directions, other lengths
    lengths = values.diagonal(dim1=1, dim2=2)
    assert 0.6 < lengths.min() and lengths.max() < 1.25
    assert (values - torch.diag_embed(lengths)).abs().max() < 1e-4
    assert not orthogonal(torch.zeros(shape)).any()


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("channels", [(16, 24, 3), (64, 16, 1)])
def test_muon_moves_along_the_nearest_orthogonal_matrix(channels, memory_format) -> None:
    torch.manual_seed(0)
    pair = nn.ModuleList(nn.Conv2d(channels[1], channels[0], channels[2]) for _ in range(2))
    pair = pair.to(memory_format=memory_format)
    params = Optimizer(name="muon", lr=0.01, momentum=0.9, weight_decay=0.5)
    optimizer = build_optimizer(params, pair, "cpu")
    begun, grads = copy.deepcopy(pair), [torch.randn_like(layer.weight) for layer in pair]
    for layer, grad in zip(pair, grads, strict=True):
        layer.weight.grad = grad
    optimizer.step()
    for layer, before, grad in zip(pair, begun, grads, strict=True):
        change = (layer.weight - before.weight * (1 - 0.01 * 0.5)).flatten(1).detach()
        left, _, right = torch.linalg.svd(grad.flatten(1), full_matrices=False)
        along = left.mT @ change @ right.mT / (-0.01 * 0.2 * max(change.shape) ** 0.5)
        lengths = along.diagonal()
        assert 0.6 < lengths.min() and lengths.max() < 1.25
        assert (along - torch.diag(lengths)).abs().max() < 1e-3


def test_a_checkpoint_of_muon_and_adamw_resumes() -> None:
    params = Optimizer(name="muon", lr=0.01, momentum=0.9, weight_decay=0.1)
    pictures = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))

    def trained(model, num_steps, state=None):
        model = copy.deepcopy(model)
        optimizer = build_optimizer(params, model, "cpu")
        if state:
            optimizer.load_state_dict(copy.deepcopy(state))
        for _ in range(num_steps):
            optimizer.zero_grad()
            model(pictures).square().mean().backward()
            optimizer.step()
        return model, optimizer

    begun = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 1, 1))
    once, optimizer = trained(begun, 1)
    assert set(optimizer.state[once[0].weight]) == {"step", "exp_avg"}
    assert set(optimizer.state[once[2].weight]) == {"step", "exp_avg", "exp_avg_sq"}
    resumed, _ = trained(once, 2, optimizer.state_dict())
    for name, weight in trained(begun, 3)[0].state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name])


@pytest.fixture(scope="module")
def module():
    return make_module()


def find(module, path, **figures):
    data = make_data()
    data.sizes = [32]
    settings = {"min_lr": 1e-5, "max_lr": 1.0, "num_steps": 40} | figures
    return find_rate(module, data, path, hardware=CPU, **settings)


def test_a_range_test_suggests_a_rate_of_the_range_and_leaves_the_weights(module, tmp_path):
    before = {name: value.clone() for name, value in module.state_dict().items()}
    assert 1e-5 < find(module, tmp_path / "new" / "plot.png") < 1.0
    assert all(value.equal(before[name]) for name, value in module.state_dict().items())
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["plot.png"]


def test_a_range_without_sense_is_refused(module, tmp_path):
    for figures, words in (
        ({"min_lr": 1.0, "max_lr": 0.1}, "--min-lr 1 must lie between 0 and --max-lr 0.1"),
        ({"max_lr": float("inf")}, "must lie between 0 and --max-lr inf"),
        ({"max_lr": 1e30}, "breaks off too soon: lower --max-lr 1e"),
    ):
        with pytest.raises(InputError, match=words):
            find(module, tmp_path / "plot.png", **figures)
