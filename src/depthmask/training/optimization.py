"""Optimisers and learning-rate schedules, torch's own but for Muon, by the names in params."""

import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from depthmask.config import Optimizer, Scheduler

_WARMUP_START = 0.04  # share of the learning rate that a warm-up begins with
_QUINTIC, _ITERATIONS = (3.4445, -4.7750, 2.0315), 5  # of Muon, as Jordan et al. chose them
_RMS = 0.2  # of an update of AdamW, about (Liu et al. 2025)
_SIDES = 16, 64  # shorter side of Muon's matrices: larger ones take a CPU longer than they gain


class Muon(torch.optim.AdamW):
    """AdamW, but in groups with `orthogonal` Muon (Jordan et al. 2024, torch's own takes matrices
    alone): a convolution's weights, as a matrix of its outputs, move along the orthogonal matrix
    nearest to the momentum, as far as AdamW moves them on average."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group["orthogonal"]:
                self._step_orthogonal(group)
        super().step()  # takes what still has a gradient
        return loss

    def _step_orthogonal(self, group: dict[str, Any]) -> None:
        alike: dict[torch.Size, list[Tensor]] = defaultdict(list)
        for weight in group["params"]:
            if weight.grad is not None:
                alike[weight.shape].append(weight)
        momentum, decay = group["betas"][0], 1 - group["lr"] * group["weight_decay"]
        for shape, weights in alike.items():
            grads: list[Tensor] = [weight.grad for weight in weights]  # type: ignore[misc]
            for weight in weights:
                if weight not in self.state:  # the names that AdamW expects
                    self.state[weight] = {
                        "step": torch.tensor(0.0),
                        "exp_avg": torch.zeros_like(weight),
                    }
            averages = [self.state[weight]["exp_avg"] for weight in weights]
            torch._foreach_lerp_(averages, grads, 1 - momentum)
            ahead = torch._foreach_lerp(grads, averages, momentum)  # Nesterov's
            updates = orthogonal(torch.stack([each.flatten(1) for each in ahead]))
            length = group["lr"] * _RMS * math.sqrt(max(updates.shape[1:]))
            torch._foreach_mul_(weights, decay)
            torch._foreach_add_(weights, updates.view(-1, *shape).unbind(), alpha=-length)
            for weight in weights:
                weight.grad = None


def orthogonal(matrices: Tensor) -> Tensor:
    """About U V' of the matrices U S V', N x m x n: singular values of 0.7 to 1.2.

    Newton and Schulz's iteration X <- aX + bXX'X + cXX'XX'X is a product of polynomials in XX', so
    that all but the first and the last product are of the shorter side.
    """
    if matrices.shape[1] > matrices.shape[2]:
        return orthogonal(matrices.mT).mT
    matrices = matrices / matrices.norm(dim=(1, 2), keepdim=True).clamp_min(1e-7)
    gram, (a, b, c) = matrices @ matrices.mT, _QUINTIC
    product = torch.eye(gram.shape[-1], device=gram.device).expand_as(gram)
    for _ in range(_ITERATIONS):
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal(dim1=1, dim2=2).add_(a)
        product, gram = factor @ product, factor @ gram @ factor
    return product @ matrices


def build_optimizer(params: Optimizer, model: nn.Module, device: str) -> torch.optim.Optimizer:
    """SGD with momentum, or AdamW or Muon with it as the first beta.

    Weight decay falls on convolutions' weights: biases and batch normalisation have one dimension.
    Muon takes convolutions between features, but not the largest.
    """
    groups: list[dict[str, Any]] = [
        {"params": [], "weight_decay": params.weight_decay, "orthogonal": False},
        {"params": [], "weight_decay": 0.0, "orthogonal": False},
        {"params": [], "weight_decay": params.weight_decay, "orthogonal": True},
    ]
    for weight in model.parameters():
        side = min(weight.shape[0], weight[0].numel())
        is_muons = params.name == "muon" and _SIDES[0] <= side <= _SIDES[1]
        groups[2 if is_muons else int(weight.ndim <= 1)]["params"].append(weight)
    fused = device in ("cpu", "cuda")  # halves the time of an update where there are such kernels
    if params.name == "sgd":
        return torch.optim.SGD(groups[:2], lr=params.lr, momentum=params.momentum, fused=fused)
    options: dict[str, Any] = {"lr": params.lr, "betas": (params.momentum, 0.999), "fused": fused}
    if params.name == "adamw":
        return torch.optim.AdamW(groups[:2], **options)
    return Muon(groups, **options)


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
