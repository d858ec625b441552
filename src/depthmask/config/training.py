"""Sections of `params.yaml` that decide how a network learns."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from depthmask.config.base import NonNegative, Positive, Probability, Section, Seed, Side

LossTerms = dict[Literal["bce", "rmse", "ssim", "dice", "l1"], Positive]


class SizeSchedule(Section):
    size: Side
    epochs: PositiveInt


class Optimizer(Section):
    name: Literal["sgd", "adamw"]
    lr: Positive
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: NonNegative


class Scheduler(Section):
    name: Literal["constant", "cosine", "onecycle", "step", "plateau"]
    warmup: Probability
    step_epochs: PositiveInt
    factor: Annotated[float, Field(gt=0, lt=1)]
    patience: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _check(self) -> "Scheduler":
        if self.name == "onecycle" and not 0 < self.warmup < 1:
            raise ValueError(f"onecycle needs a warmup between 0 and 1, not {self.warmup:g}")
        return self


class TrainParams(Section):
    seed: Seed
    device: Literal["auto", "cpu", "cuda", "mps"]
    precision: Literal["auto", "float32", "bfloat16"]
    num_threads: Annotated[int, Field(ge=0, le=1024)]
    batch_size: Annotated[int, Field(ge=2)]
    scenes_per_epoch: PositiveInt
    nobody: Probability
    schedule: Annotated[tuple[SizeSchedule, ...], Field(min_length=1, strict=False)]
    optimizer: Optimizer
    scheduler: Scheduler
    average: Annotated[float, Field(ge=0, lt=1)]
    mask_prior: Annotated[float, Field(gt=0, lt=1)]
    depth_range_m: Annotated[tuple[Positive, Positive], Field(strict=False)]

    @model_validator(mode="after")
    def _check(self) -> "TrainParams":
        if self.depth_range_m[0] >= self.depth_range_m[1]:
            raise ValueError("depth_range_m must rise from near to far")
        if self.scenes_per_epoch < self.batch_size:
            raise ValueError("scenes_per_epoch must be at least batch_size")
        epochs = sum(step.epochs for step in self.schedule)
        num_steps = epochs * (self.scenes_per_epoch // self.batch_size)
        rising = self.scheduler.warmup * num_steps
        if self.scheduler.name == "onecycle" and not 2 <= rising <= num_steps - 2:
            raise ValueError(
                f"onecycle would rise for {rising:.0f} of {num_steps} steps: change"
                " scheduler.warmup, so that it rises and falls for two at least"
            )
        return self


class Experiment(Section):
    """A network, the weighted loss terms of its heads, and how it is trained.

    Attributes:
        model, mask, depth: the network and its heads' terms.
        augmented: whether it sees the colour variants.
        seeds: it is trained once with each; none: with `train.seed` alone.
    """

    model: Literal["depthmasknet8", "masknet3"]
    mask: Annotated[LossTerms, Field(min_length=1)]
    depth: LossTerms = {}
    augmented: bool = True
    seeds: Annotated[tuple[Seed, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _check(self) -> "Experiment":
        if self.model == "masknet3" and self.depth:
            raise ValueError("masknet3 has no depth head: remove `depth`")
        if self.model == "depthmasknet8" and not self.depth:
            raise ValueError("depthmasknet8 needs at least one loss term under `depth`")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds must differ, not {list(self.seeds)}")
        return self
