"""Optimisers and learning-rate schedules, torch's own, by the names that params give them."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer as TorchOptimizer
from torch.optim import lr_scheduler

from depthmask.config import Optimizer, Scheduler

_WARMUP_START = 0.04
"""Share of the learning rate that a warm-up begins with."""


def build_optimizer(
    params: Optimizer, weights: Iterable[nn.Parameter], device: str
) -> TorchOptimizer:
    """SGD with momentum, or AdamW with it as its first beta.

    Args:
        params: name, lr, momentum, weight_decay.
        weights: what is optimised.
        device: cpu, cuda or mps; fused kernels halve the time of an update where they exist.
    """
    common: dict[str, Any] = {
        "lr": params.lr,
        "weight_decay": params.weight_decay,
        "fused": device in ("cpu", "cuda"),
    }
    if params.name == "sgd":
        return torch.optim.SGD(weights, momentum=params.momentum, **common)
    return torch.optim.AdamW(weights, betas=(params.momentum, 0.999), **common)


def build_scheduler(
    params: Scheduler, optimizer: TorchOptimizer, *, num_steps: int
) -> dict[str, Any]:
    """The schedule in the form that Lightning takes from `configure_optimizers`.

    `constant`, `cosine` and `onecycle` move every step, `step` and `plateau` every epoch.

    Args:
        params: name and figures; see params.yaml for which schedule reads which.
        optimizer: whose learning rate it moves.
        num_steps: of the whole training.
    """

    def after_warmup(step: int) -> float:
        done = step / max(1, num_steps)
        if params.name == "constant":
            return 1.0
        if done < params.warmup:
            return _WARMUP_START + (1 - _WARMUP_START) * done / params.warmup
        left = min(1.0, (done - params.warmup) / (1 - params.warmup + 1e-9))
        return 0.5 + 0.5 * math.cos(math.pi * left)

    if params.name == "step":
        stepped = lr_scheduler.StepLR(optimizer, params.step_epochs, params.factor)
        return {"scheduler": stepped, "interval": "epoch"}
    if params.name == "plateau":
        plateau = lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=params.factor, patience=params.patience
        )
        return {"scheduler": plateau, "interval": "epoch", "monitor": "val/loss"}
    if params.name == "onecycle":
        cycle = lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=[group["lr"] for group in optimizer.param_groups],
            total_steps=max(1, num_steps),
            pct_start=params.warmup,
        )
        return {"scheduler": cycle, "interval": "step"}
    return {
        "scheduler": lr_scheduler.LambdaLR(optimizer, after_warmup),
        "interval": "step",
    }
