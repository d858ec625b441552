"""Optimisers and schedules: torch's, moved when they say they are."""

import pytest
import torch
from torch import nn

from depthmask.config import Optimizer, Scheduler, TrainParams
from depthmask.models import MODELS
from depthmask.training.optimization import build_optimizer, build_scheduler
from synthetic import TINY

LR = 0.1


def rates(name: str, num_steps: int = 20, steps_per_epoch: int = 4, **figures) -> list[float]:
    """The learning rate of every step of a training, validation losses all alike."""
    model = nn.Linear(1, 1)
    weights = list(model.parameters())
    params = Optimizer(name="sgd", lr=LR, momentum=0.9, weight_decay=0.0)
    settings = {"warmup": 0.25, "step_epochs": 2, "factor": 0.1, "patience": 1} | figures
    optimizer = build_optimizer(params, model, "cpu")
    chosen = build_scheduler(Scheduler(name=name, **settings), optimizer, num_steps=num_steps)
    scheduler, found = chosen["scheduler"], []
    for step in range(num_steps):
        found.append(optimizer.param_groups[0]["lr"])
        for weight in weights:
            weight.grad = torch.zeros_like(weight)
        optimizer.step()
        if chosen["interval"] == "step":
            scheduler.step()
        elif (step + 1) % steps_per_epoch == 0:
            scheduler.step(*([1.0] if "monitor" in chosen else []))
    return found


def test_constant_stays():
    assert rates("constant") == [LR] * 20


def test_cosine_rises_through_its_warmup_and_falls_to_nothing():
    found = rates("cosine")
    assert found[0] == pytest.approx(0.04 * LR)
    assert max(found) == found[5] == pytest.approx(LR)
    assert found[-1] < 0.02 * LR
    assert found[5:] == sorted(found[5:], reverse=True)


def test_onecycle_peaks_at_the_rate_where_its_warmup_ends():
    found = rates("onecycle")
    assert max(found) == pytest.approx(LR) and found.index(max(found)) == 4
    assert found[0] == pytest.approx(LR / 25) and found[-1] < LR / 1000


def test_step_falls_by_its_factor_every_so_many_epochs():
    found = rates("step")
    assert found == pytest.approx([LR] * 8 + [LR / 10] * 8 + [LR / 100] * 4)


def test_plateau_waits_for_its_patience_and_watches_the_validation_loss():
    found = rates("plateau", num_steps=24)
    # the first loss is the best one; two more epochs without a lower one exhaust the patience
    assert found == pytest.approx([LR] * 12 + [LR / 10] * 8 + [LR / 100] * 4)
    chosen = build_scheduler(
        Scheduler(name="plateau", warmup=0.0, step_epochs=1, factor=0.5, patience=0),
        torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=LR),
        num_steps=4,
    )
    assert chosen["monitor"] == "val/loss"


@pytest.mark.parametrize("scheduler", ["cosine", "onecycle"])
@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_an_optimizer_takes_its_figures_and_no_schedule_moves_the_momentum(name, scheduler):
    params = Optimizer(name=name, lr=0.03, momentum=0.8, weight_decay=1e-8)
    optimizer = build_optimizer(params, nn.Linear(1, 1), "cpu")
    assert [group["lr"] for group in optimizer.param_groups] == [0.03, 0.03]
    settings = Scheduler(name=scheduler, warmup=0.5, step_epochs=1, factor=0.1, patience=1)
    build_scheduler(settings, optimizer, num_steps=10)
    for group in optimizer.param_groups:
        assert 0.8 in (group.get("momentum"), *group.get("betas", ()))


def test_weight_decay_falls_on_convolutions_alone():
    model = MODELS["depthmasknet8"]()
    params = Optimizer(name="adamw", lr=0.03, momentum=0.8, weight_decay=0.5)
    decayed, others = build_optimizer(params, model, "cpu").param_groups
    assert decayed["weight_decay"] == 0.5 and others["weight_decay"] == 0
    convolutions = [layer.weight for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    assert {id(weight) for weight in decayed["params"]} == {id(weight) for weight in convolutions}
    assert len(decayed["params"]) + len(others["params"]) == len(list(model.parameters()))


def test_onecycle_has_steps_to_rise_in():
    scheduler = {"name": "onecycle", "warmup": 0.05}
    values = TINY.train.model_dump(mode="json")
    values |= {"scheduler": values["scheduler"] | scheduler}
    with pytest.raises(ValueError, match="would rise for 0 of 4 steps"):
        TrainParams.model_validate(values)
