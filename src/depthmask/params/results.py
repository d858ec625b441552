"""Sections of `params.yaml` that decide what is made of trained networks."""

from typing import Annotated

from pydantic import Field, PositiveInt

from depthmask.params.base import Positive, Probability, Section


class EvaluateParams(Section):
    threshold: Probability
    num_panels: PositiveInt
    batch_size: PositiveInt


class ExportParams(Section):
    opset: Annotated[int, Field(ge=18)]
    tolerance: Positive
    sizes: Annotated[
        tuple[Annotated[tuple[PositiveInt, PositiveInt], Field(strict=False)], ...],
        Field(min_length=3, strict=False),
    ]
