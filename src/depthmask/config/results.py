"""Sections of `params.yaml` that decide what is made of trained networks."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from depthmask.config.base import NonNegative, Positive, Probability, Section, Seed

Condition = Literal[
    "shift",
    "rotation",
    "exposure",
    "temperature",
    "noise",
    "jpeg",
    "shadow",
    "camouflage",
]
Strengths = Annotated[tuple[float, ...], Field(min_length=1, strict=False)]

RANGES: dict[str, tuple[float, float]] = {
    "shift": (0, 64),
    "rotation": (0, 180),
    "exposure": (-4, 4),
    "temperature": (-4, 4),
    "noise": (0, 1),
    "jpeg": (1, 100),
    "shadow": (0, 10),
    "camouflage": (0, 1),
}
"""The least and the most that a strength may be."""


class Bootstrap(Section):
    """Intervals of the figures: scenes are drawn with replacement, `samples` times."""

    samples: Annotated[int, Field(ge=100, le=100_000)]
    level: Annotated[float, Field(gt=0, lt=1)]
    seed: Seed

    @model_validator(mode="after")
    def _check(self) -> "Bootstrap":
        if self.samples * (1 - self.level) / 2 < 2:
            raise ValueError(
                f"{self.samples} samples are too few for a level of {self.level:g}: it takes"
                f" {round(4 / (1 - self.level))}"
            )
        return self


class Robustness(Section):
    """How hard the frames of the headline set are made, and of how many of them."""

    num_scenes: PositiveInt
    seed: Seed
    conditions: dict[Condition, Strengths]

    @model_validator(mode="after")
    def _check(self) -> "Robustness":
        for name, strengths in self.conditions.items():
            least, most = RANGES[name]
            if not all(least <= strength <= most for strength in strengths):
                raise ValueError(f"{name} lies between {least:g} and {most:g}, not {strengths}")
            if len(set(strengths)) < len(strengths):
                raise ValueError(f"the strengths of {name} must differ, not {strengths}")
        return self


class EvaluateParams(Section):
    num_panels: PositiveInt
    bootstrap: Bootstrap
    robustness: Robustness


class Gate(Section):
    """What the best experiment must reach on the headline set to become the champion.

    A threshold that is null is not asked for.
    """

    mask_iou: Probability | None  # at least
    depth_delta1: Probability | None  # at least
    depth_abs_rel: NonNegative | None  # at most
    leak_gap: Annotated[float, Field(ge=-1, le=1)] | None  # at most, of mask IoU
    latency_ms: Positive | None  # at most, of one pair at the training size


class ExportParams(Section):
    opset: Annotated[int, Field(ge=18)]
    tolerance: Positive
    sizes: Annotated[
        tuple[Annotated[tuple[PositiveInt, PositiveInt], Field(strict=False)], ...],
        Field(min_length=3, strict=False),
    ]
    gate: Gate
