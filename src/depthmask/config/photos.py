"""The section `prepare.photos` of `params.yaml`."""

from typing import Annotated

from pydantic import Field, PositiveInt, model_validator

from depthmask.config.base import Positive, Section


class PhotosParams(Section):
    """How a folder of photographs is read.

    Attributes:
        teacher: an ONNX file with Depth Anything V2's contract, or None.
        teacher_size: side that the teacher sees, px; a model with fixed sides has its own way.
        teacher_batch: pictures in one call of the teacher.
        fov_degrees: angle of view of the camera across a picture's shorter side; of a landscape
            picture that is the vertical one.
        camera_height_m: of a camera whose height the depth does not tell.
        person_height_m: shortest and tallest; each person's height is drawn between them.
    """

    teacher: str | None
    teacher_size: Annotated[int, Field(ge=28, le=4200, multiple_of=14)]
    teacher_batch: PositiveInt
    fov_degrees: Annotated[float, Field(ge=10, le=150)]
    camera_height_m: Positive
    person_height_m: Annotated[tuple[Positive, Positive], Field(strict=False)]

    @model_validator(mode="after")
    def _check(self) -> "PhotosParams":
        if self.person_height_m[0] > self.person_height_m[1]:
            raise ValueError("person_height_m must be the shortest, then the tallest")
        return self
