"""Optimisers and learning-rate schedules, torch's own, by the names that params give them."""

import math
from typing import Any

import torch
from torch import nn
from torch.optim import lr_scheduler

from depthmask.config import Optimizer, Scheduler

_WARMUP_START = 0.04  # share of the learning rate that a warm-up begins with


def build_optimizer(params: Optimizer, model: nn.Module, device: str) -> torch.optim.Optimizer:
    """SGD with momentum, or AdamW with it as its first beta.

    Weight decay falls on convolutions' weights: biases and batch normalisation have one dimension.
    """
    weights = list(model.parameters())
    groups = [
        {"params": [w for w in weights if w.ndim > 1], "weight_decay": params.weight_decay},
        {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
    ]
    fused = device in ("cpu", "cuda")  # halves the time of an update where there are such kernels
    if params.name == "sgd":
        return torch.optim.SGD(groups, lr=params.lr, momentum=params.momentum, fused=fused)
    return torch.optim.AdamW(groups, lr=params.lr, betas=(params.momentum, 0.999), fused=fused)


def build_scheduler(
    params: Scheduler, optimizer: torch.optim.Optimizer, *, num_steps: int
) -> dict[str, Any]:
    """The schedule in the form that Lightning takes from `configure_optimizers`.

    `constant`, `cosine` and `onecycle` move every step of the `num_steps` of the whole training,
    `step` and `plateau` every epoch.
    """
    factor, patience, warmup = params.factor, params.patience, params.warmup
    if params.name == "step":
        stairs = lr_scheduler.StepLR(optimizer, params.step_epochs, factor)
        return {"scheduler": stairs, "interval": "epoch"}
    if params.name == "plateau":
        plateau = lr_scheduler.ReduceLROnPlateau(optimizer, factor=factor, patience=patience)
        return {"scheduler": plateau, "interval": "epoch", "monitor": "val/loss"}
    if params.name == "onecycle":
        peak = optimizer.defaults["lr"]
        cycle = lr_scheduler.OneCycleLR(
            optimizer, peak, num_steps, pct_start=warmup, cycle_momentum=False
        )
        return {"scheduler": cycle, "interval": "step"}

    def after_warmup(step: int) -> float:
        done = step / num_steps
        if params.name == "constant":
            return 1.0
        if done < warmup:
            return _WARMUP_START + (1 - _WARMUP_START) * done / warmup
        left = min(1.0, (done - warmup) / (1 - warmup + 1e-9))
        return 0.5 + 0.5 * math.cos(math.pi * left)

    return {"scheduler": lr_scheduler.LambdaLR(optimizer, after_warmup), "interval": "step"}
