"""What several verbs take."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

MODEL = Path("models/best/model.onnx")


class Device(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


ModelOption = Annotated[Path, typer.Option("--model", help="An ONNX file that depthmask made.")]
DeviceOption = Annotated[Device, typer.Option("--device", help="auto takes CUDA where it works.")]
ThreadsOption = Annotated[
    int | None, typer.Option("--threads", min=1, help="Of the CPU; by default one a core.")
]
